//! `loginward demo`.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::program::{Program, client, run};
use crate::support::{Ask, Client};

/// A demo and the addresses it printed: the guard's and the application's.
#[track_caller]
fn demo(arguments: &[&str]) -> (Program, SocketAddr, SocketAddr) {
    let program = Program::start(&[&["demo"], arguments].concat());
    let guard = program.out.wait_for("the guard's address", |line| {
        line.strip_prefix("    Open        http://")?.strip_suffix('/')?.parse().ok()
    });
    let behind = program.out.wait_for("the application's address", |line| {
        line.split_once("is at http://")?.1.split(',').next()?.parse().ok()
    });
    program.out.wait_for("the end", |line| line.starts_with("Ctrl-C").then_some(()));
    (program, guard, behind)
}

fn sign_in(client: &mut Client, password: &str) -> (u16, String) {
    let answer = client.ask(&Ask::form("/login", &format!("username=ada&password={password}")));
    (answer.status, answer.kind().to_owned())
}

#[test]
fn what_it_says_to_try_is_what_happens() {
    let (mut program, guard, _) = demo(&["--listen", "127.0.0.1:0"]);
    let said = program.out.text();
    for told in ["    Account     ada", "    Password    lovelace-1843", "for one minute"] {
        assert!(said.contains(told), "{said}");
    }
    let mut browser = client(guard);
    assert!(browser.get("/login").text().contains("<label for=\"password\">"));
    for _ in 0..4 {
        assert_eq!(sign_in(&mut browser, "wrong"), (200, String::new()));
    }
    assert_eq!(sign_in(&mut browser, "wrong"), (403, "locked".to_owned()));
    let right = Ask::form("/login", "username=ada&password=lovelace-1843");
    let refused = browser.ask(&right);
    assert_eq!(refused.verdict(), (403, "locked"));
    let seconds: u64 = refused.get("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(browser.get("/login").text().contains("checked so far: <strong>5</strong>"));
    program.wait_for_event("locked_out");
    assert_eq!(program.interrupt(), 0);
}

#[test]
fn operators_can_be_tried_too_as_it_says() {
    let (mut program, guard, _) = demo(&["--listen", "127.0.0.1:0"]);
    let command = |name: &str| -> Vec<String> {
        let said = program.out.text();
        let own = format!("    {} {name} --admin unix:", env!("CARGO_BIN_EXE_loginward"));
        let line = said.lines().find(|line| line.starts_with(&own)).expect(name);
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    };
    let mut browser = client(guard);
    let wrong = Ask::form("/login", "username=ada&password=wrong");
    let refused = (0..5).map(|_| browser.ask(&wrong)).last().unwrap();
    let list = command("list");
    let listed = run(&list.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(listed.out.contains("ada, 127.0.0.1"), "{listed:?}");
    let reset = command("reset").join(" ");
    let reset = reset.replace("REFERENCE", refused.get("x-loginward-ref").unwrap());
    let said = run(&reset.split(' ').collect::<Vec<_>>());
    assert_eq!((said.status, said.out.lines().next()), (0, Some("reset: 1 counter")));
    let right = Ask::form("/login", "username=ada&password=lovelace-1843");
    assert_eq!(browser.ask(&right).status, 303);
    assert_eq!(command("page").len(), 3);
    let directory = directory(&program);
    let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(program.interrupt(), 0);
    assert!(!directory.exists(), "it goes with the demo");
}

/// The directory of a demo's admin socket.
fn directory(program: &Program) -> PathBuf {
    let told = program.out.text();
    let (_, rest) = told.split_once(" --admin unix:").unwrap();
    let socket = Path::new(rest.split_whitespace().next().unwrap());
    socket.parent().unwrap().to_owned()
}

#[test]
fn it_ends_with_its_terminal() {
    let (mut program, _, _) = demo(&["--listen", "127.0.0.1:0"]);
    let directory = directory(&program);
    assert_eq!(program.end_by("-HUP").code(), Some(0));
    assert!(!directory.exists());
}

#[test]
fn what_a_killed_one_has_left_the_next_one_takes_away() {
    let (living, _, _) = demo(&["--listen", "127.0.0.1:0"]);
    let (mut killed, _, _) = demo(&["--listen", "127.0.0.1:0"]);
    assert_eq!(killed.end_by("-KILL").code(), None);
    let left = directory(&killed);
    assert!(left.exists());
    let other = left.with_file_name(format!("{}-else", left.file_name().unwrap().display()));
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("admin.sock"), "").unwrap();
    let (_next, _, _) = demo(&["--listen", "127.0.0.1:0"]);
    let is_left = other.exists();
    std::fs::remove_dir_all(&other).unwrap();
    assert!(is_left, "what has another name is not a demo's");
    assert!(!left.exists(), "{left:?}");
    assert!(directory(&living).exists(), "one that runs keeps its own");
}

#[test]
fn the_account_can_sign_in_and_out() {
    let (program, guard, _) = demo(&["--listen", "127.0.0.1:0"]);
    let mut browser = client(guard);
    assert_eq!(browser.get("/").get("location"), Some("/login"));
    let answer = browser.ask(&Ask::form("/login", "username=ada&password=lovelace-1843"));
    assert_eq!((answer.status, answer.get("location")), (303, Some("/")));
    let cookie = answer.get("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let with_cookie = |ask: Ask| ask.with("Cookie", &cookie);
    assert!(browser.ask(&with_cookie(Ask::get("/"))).text().contains("Good to see you, ada."));
    let left = browser.ask(&with_cookie(Ask::form("/logout", "")));
    assert_eq!((left.status, left.get("location")), (303, Some("/login")));
    assert_eq!(browser.ask(&with_cookie(Ask::get("/"))).get("location"), Some("/login"));
    program.wait_for_event("login_succeeded");
    program.wait_for_event("logged_out");
}

#[test]
fn what_a_visitor_types_is_no_markup() {
    let (_program, guard, _) = demo(&["--listen", "127.0.0.1:0"]);
    let form = "username=%22%3E%3Cscript%3E&password=wrong";
    let page = client(guard).ask(&Ask::form("/login", form)).text();
    assert!(page.contains("&quot;&gt;&lt;script&gt;"), "{page}");
    assert!(!page.contains("<script"), "{page}");
}

#[test]
fn the_application_serves_nobody_but_loopback_and_knows_its_pages() {
    let (_program, _, behind) = demo(&["--listen", "127.0.0.1:0"]);
    assert!(behind.ip().is_loopback());
    let mut direct = client(behind);
    assert_eq!(direct.get("/nowhere").status, 404);
    let wrong = direct.ask(&Ask::new("DELETE", "/login"));
    assert_eq!((wrong.status, wrong.get("allow")), (405, Some("GET, HEAD, POST")));
    let large = Ask::form("/login", &format!("username={}", "a".repeat(20_000)));
    assert_eq!(direct.ask(&large).status, 413);
}

#[test]
fn it_takes_a_free_port_where_the_usual_one_is_taken_and_says_so() {
    // somebody else may have it already, which is as good
    let _taken = TcpListener::bind("127.0.0.1:8080");
    let (program, guard, _) = demo(&[]);
    assert_ne!(guard.port(), 8080);
    assert!(program.out.text().contains("Port 8080 is taken"), "{}", program.out.text());
    assert_eq!(client(guard).get("/login").status, 200);
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = run(&["demo", "--listen", &address]);
    assert_eq!((said.status, said.out.as_str()), (1, ""));
    let wrong = format!("error: cannot listen on {address}: Address already in use");
    assert!(said.err.starts_with(&wrong), "{}", said.err);
}

#[test]
fn an_address_that_is_none_is_a_usage_error() {
    let said = run(&["demo", "--listen", "8080"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("write an IP address and a port"), "{}", said.err);
}
