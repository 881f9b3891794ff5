//! `loginward run`, with and without a file.

use std::net::TcpListener;

use super::program::{Program, client, run};
use crate::support::{Ask, Upstream};

/// The flags for an application with a login form at `/login`, and more.
fn flags<'a>(upstream: &'a Upstream, more: &[&'a str]) -> Vec<&'a str> {
    let usual = ["run", "--listen", "127.0.0.1:0", "--upstream", upstream.url()];
    [&usual[..], &["--login", "/login", "--username", "user"], more].concat()
}

#[test]
fn without_a_file_it_guards_what_the_flags_name() {
    let upstream = Upstream::shop();
    let success = ["--success", "status=302 location=/app set_cookie=session"];
    let mut program = Program::start(&flags(&upstream, &success));
    let mut browser = client(program.listening());
    assert_eq!(browser.get("/").text(), "hello");
    assert_eq!(browser.log_in("eve", "right").verdict(), (302, ""));
    for _ in 0..4 {
        assert_eq!(browser.log_in("bob", "wrong").verdict(), (200, ""));
    }
    assert_eq!(browser.log_in("bob", "wrong").verdict(), (403, "locked"));
    assert_eq!(browser.log_in("bob", "right").verdict(), (403, "locked"));
    assert_eq!(upstream.hits(), 7);
    assert_eq!(program.interrupt(), 0);
    assert!(!program.err.text().contains("configuration_warning"), "{}", program.err.text());
}

#[test]
fn without_a_success_it_guesses_and_says_so() {
    let upstream = Upstream::shop();
    let program = Program::start(&flags(&upstream, &[]));
    let mut browser = client(program.listening());
    let warning = program.wait_for_event("configuration_warning");
    let reason = warning.get("reason");
    assert!(reason.contains("--success: is not given, so what a success looks like is guessed"));
    assert_eq!(browser.log_in("eve", "right").status, 302);
    program.wait_for_event("login_succeeded");
    assert_eq!(browser.log_in("eve", "wrong").status, 200);
    program.wait_for_event("login_failed");
}

#[test]
fn monitor_refuses_nothing() {
    let upstream = Upstream::shop();
    let more = ["--success", "status=302", "--monitor"];
    let program = Program::start(&flags(&upstream, &more));
    let mut browser = client(program.listening());
    for _ in 0..7 {
        assert_eq!(browser.log_in("bob", "wrong").verdict(), (200, ""));
    }
    assert_eq!(upstream.hits(), 7);
    program.wait_for_event("would_refuse");
}

#[test]
fn a_login_may_have_several_paths_and_fields_of_other_names() {
    let upstream = Upstream::shop();
    let more = ["--login", "/api/login", "--password", "pw", "--success", "status=302"];
    let program = Program::start(&flags(&upstream, &more));
    let mut browser = client(program.listening());
    let guess =
        Ask::new("POST", "/api/login").body("application/json", r#"{"user":"bob","pw":"x"}"#);
    assert_eq!(browser.ask(&guess).status, 200);
    assert_eq!(program.wait_for_event("login_failed").get("username"), "bob");
}

#[test]
fn what_it_prints_is_a_file_that_says_the_same() {
    let upstream = Upstream::shop();
    let success = "status=302,303 location=/app* set_cookie=session header=x-a:b json=/ok:true";
    let more = ["--success", success, "--success", "body=\"Welcome ${HOME}\" status=201"];
    let printed = run(&flags(&upstream, &[&more[..], &["--print-config", "--monitor"]].concat()));
    assert_eq!((printed.status, printed.err.as_str()), (0, ""));
    assert!(printed.out.contains("\n# config.example.yaml explains"), "{}", printed.out);
    let outcome = "
          - success: { status: [302, 303], location: \"/app*\", set_cookie: \"session\", \
        header: { \"x-a\": \"b\" }, json: { \"/ok\": true } }
          - success: { body: \"Welcome $${HOME}\", status: 201 }\n";
    assert!(printed.out.contains(outcome), "{}", printed.out);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    std::fs::write(&path, printed.out).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(run(&["check", "--strict", "--config", path]).status, 0);
    let program = Program::start(&["run", "--config", path]);
    let mut browser = client(program.listening());
    assert_eq!(browser.log_in("bob", "wrong").verdict(), (200, ""));
    assert_eq!(program.wait_for_event("login_failed").get("mode"), "monitor");
    // and operators find it by that file
    assert!(run(&["list", "--config", path]).out.contains("bob"));
}

#[test]
fn its_limits_are_the_defaults() {
    let upstream = Upstream::hello();
    let printed = run(&flags(&upstream, &["--success", "status=302", "--print-config"])).out;
    let load = |text: &str| {
        let base = std::path::Path::new(".");
        loginward::config::Settings::parse(text, base, "printed").unwrap().0
    };
    let named = load(&printed);
    let (rest, _) = printed.split_once("lockout:").unwrap();
    let limits = |settings: &loginward::config::Settings| {
        settings.sites[0].site.logins[0].lockout.limits.clone()
    };
    assert_eq!(limits(&named), limits(&load(rest)));
}

#[test]
fn wrong_flags_are_named_with_what_would_be_right() {
    let said = run(&[
        "run",
        "--upstream",
        "shop",
        "--login",
        "login",
        "--listen",
        ":80",
        "--success",
        "stauts=302 status=9",
    ]);
    assert_eq!((said.status, said.out.as_str()), (2, ""));
    for told in [
        "command line: --listen: `:80` is no address with a port; for every address write",
        "command line: --upstream: `shop` is no URL; write one such as \"http://",
        "command line: --login: `login` is no path; a path begins with \"/\"; write \"/login\"",
        "command line: --success stauts: unknown key; did you mean `status`?",
        "command line: --success status: `9` is no status; write one from 100 to 599",
    ] {
        assert!(said.err.contains(told), "{told}\nis not in\n{}", said.err);
    }
    let said = run(&["run", "--upstream", "http://x", "--login", "/l", "--login", "/l"]);
    assert!(said.err.starts_with("command line: --login: names `/l` twice"), "{}", said.err);
    let said = run(&["run", "--upstream", "http://x", "--login", "/l", "--success", "302"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("`302` is no condition; write KEY=VALUE"), "{}", said.err);
}

#[test]
fn an_upstream_that_is_the_guard_itself_is_refused_before_anything_listens() {
    let ran = run(&["run", "--upstream", "http://localhost:8080", "--login", "/login"]);
    assert_eq!(ran.status, 2, "{}", ran.err);
    let said = "command line: --upstream: `http://localhost:8080` is where the guard itself listens \
                (`--listen`): each request would come round to it without end; write the address of \
                the application";
    assert!(ran.err.contains(said), "{}", ran.err);
}

#[test]
fn a_file_and_flags_exclude_each_other_and_one_of_them_is_needed() {
    let config = ["run", "--config", "/nowhere"];
    for more in [&["--upstream", "http://x", "--login", "/l"][..], &["--monitor"]] {
        let said = run(&[&config, more].concat());
        assert_eq!(said.status, 2);
        assert!(said.err.contains("'--config <FILE>' cannot be used with"), "{}", said.err);
    }
    let said = run(&["run"]);
    assert_eq!(said.status, 2);
    for told in ["loginward run --config FILE", "loginward run --upstream http://", "demo"] {
        assert!(said.err.contains(told), "{}", said.err);
    }
    assert_eq!(run(&["run", "--upstream", "http://x"]).status, 2);
    assert_eq!(run(&["run", "--monitor"]).status, 2);
    assert_eq!(run(&config).status, 2);
}

#[test]
fn an_address_that_is_in_use_is_an_error_with_a_hint() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = run(&[
        "run",
        "--upstream",
        "http://127.0.0.1:1",
        "--login",
        "/login",
        "--listen",
        &address,
    ]);
    assert_eq!(said.status, 1);
    assert!(said.err.contains(&format!("error: cannot listen on {address}: ")), "{}", said.err);
    assert!(said.err.contains("is another guard, or the application itself, there?"));
}
