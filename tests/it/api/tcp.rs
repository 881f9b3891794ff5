//! Asking over loopback TCP, with a token.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::asking::{Operator, problem};
use crate::commands::program::run;
use crate::support::{Client, Guard, Setup, Upstream, program, wait};

/// Its port is another one than those of `listen` and `metrics`, by its address.
const TCP: &str = "admin: { address: \"127.0.0.3:0\", token_file: admin.token }\n\
                   metrics: { address: \"127.0.0.2:0\" }\n";

/// Where it is asked over TCP.
fn address(guard: &Guard) -> SocketAddr {
    let is_tcp = |event: &crate::support::event::Event| {
        event.is("admin_listening") && event.get("address").starts_with("http://")
    };
    let event = guard.wait_for("address of TCP", is_tcp);
    event.get("address").strip_prefix("http://").unwrap().parse().unwrap()
}

fn token(guard: &Guard) -> String {
    std::fs::read_to_string(guard.dir().join("admin.token")).unwrap().trim().to_owned()
}

fn operator(guard: &Guard) -> Operator {
    let address = address(guard);
    let fields = format!("Host: {address}\r\nAuthorization: Bearer {}\r\n", token(guard));
    Operator::over_tcp(address, fields)
}

#[test]
fn whoever_knows_the_token_is_answered_and_nobody_else() {
    let upstream = Upstream::hello();
    let guard = Guard::start(TCP, &upstream);
    let mut asks = operator(&guard);
    let mode = std::fs::metadata(guard.dir().join("admin.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(asks.get("/v1/status")["state"], "running");
    assert!(!guard.log().contains(&token(&guard)));
    let (address, token) = (address(&guard), token(&guard));
    let port = address.port();
    for (fields, status) in [
        (format!("Host: {address}\r\n"), 401),
        (format!("Host: {address}\r\nAuthorization: Bearer {}\r\n", &token[1..]), 401),
        (format!("Host: {address}\r\nAuthorization: Bearer {token}x\r\n"), 401),
        (format!("Host: {address}\r\nAuthorization: Bearer \r\n"), 401),
        (format!("Host: {address}\r\nAuthorization: Basic {token}\r\n"), 401),
        (format!("Host: evil.example:{port}\r\nAuthorization: Bearer {token}\r\n"), 421),
        (format!("Host: localhost:1\r\nAuthorization: Bearer {token}\r\n"), 421),
        (format!("Host: 127.0.0.3\r\nAuthorization: Bearer {token}\r\n"), 421),
        (format!("Host: localhost:{port}\r\nAuthorization: bearer {token}\r\n"), 200),
    ] {
        asks.fields.clone_from(&fields);
        let answer = asks.ask("GET", "/v1/status", ("", ""));
        assert_eq!(answer.status, status, "{fields}");
        assert_eq!(answer.get("www-authenticate").is_some(), status == 401, "{fields}");
    }
    let answer = asks.ask("POST", "/v1/reload", ("Origin: http://localhost:3000\r\n", ""));
    assert_eq!(problem(&answer).0, 403);
    let upgrade = "Connection: upgrade\r\nUpgrade: loginward-upgrade\r\n";
    assert_eq!(problem(&asks.ask("POST", "/v1/upgrade", (upgrade, ""))).0, 409);
    assert_eq!(guard.client().get("/v1/status").text(), "hello", "not where clients connect");
}

#[test]
fn commands_ask_there_with_the_token() {
    let upstream = Upstream::hello();
    let guard = Guard::start(TCP, &upstream);
    let (at, dir) = (format!("http://{}", address(&guard)), guard.dir().to_owned());
    let file = dir.join("admin.token").to_str().unwrap().to_owned();
    for command in [&["status"][..], &["reload"], &["lock", "192.0.2.1"], &["list"]] {
        let said = run(&[command, &["--admin", &at, "--token-file", &file]].concat());
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{command:?}");
    }
    let said = run(&["status", "--admin", &at]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("--token-file"), "{}", said.err);
    let wrong = dir.join("wrong");
    std::fs::write(&wrong, "0123456789abcdef0123").unwrap();
    let said = run(&["reset", "--all", "--admin", &at, "--token-file", wrong.to_str().unwrap()]);
    assert_eq!((said.status, said.err), (3, format!("refused: {at}: that is not the token\n")));
    // where the socket cannot be had, a configuration leads to TCP
    let other = dir.join("other.yaml");
    let text = format!(
        "listen: \"127.0.0.1:8080\"\nsites: {{ upstream: \"http://[::1]:1\" }}\n\
         admin: {{ address: [\"unix:{}/none\", \"{}\"], token_file: {file} }}",
        dir.display(),
        address(&guard)
    );
    std::fs::write(&other, text).unwrap();
    let said = run(&["list", "--config", other.to_str().unwrap()]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let event = guard.wait_for_event("locked_by_hand");
    assert!(event.get("reason").starts_with("admin at 127.0.0."), "{event:?}");
}

#[test]
fn another_guard_takes_the_address_over_by_the_socket_beside_the_token() {
    let upstream = Upstream::shop();
    let limit = "lockout: { limits: { by: username, failures: 3, cool_off: 10m } }\n";
    let mut old = Guard::start(&format!("{TCP}{limit}"), &upstream);
    let file = old.dir().join("admin.token").display().to_string();
    old.client().log_in("bob", "wrong");
    let asks = operator(&old);
    assert_eq!(asks.get("/v1/counters")["total"], 1);
    let text = TCP.replace("admin.token", &file);
    let new = Setup::new(&format!("{text}{limit}")).upstream(&upstream).flag("--upgrade").start();
    assert_eq!(new.wait_for_event("taken_over").get("counters"), "1");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    assert_eq!(address(&new), address(&old), "the socket itself");
    let list = asks.get("/v1/counters");
    assert_eq!(list["counters"][0]["parameters"]["username"], "bob");
    assert_eq!(asks.get("/v1/status")["pid"], new.pid());
}

#[test]
fn one_address_is_one_guards() {
    let upstream = Upstream::hello();
    let first = Guard::start(TCP, &upstream);
    let text = format!("admin: {{ address: \"{}\", token_file: t }}", address(&first));
    let mut second = Guard::spawn(Setup::new(&text).upstream(&upstream));
    assert_eq!(second.wait_for_exit().code(), Some(1));
    assert!(second.log().contains("for operators: Address already in use"), "{}", second.log());
}

#[test]
fn connections_do_not_stay_for_nothing() {
    let upstream = Upstream::hello();
    let guard = Guard::start(TCP, &upstream);
    let mut idle = Client::to_addr(address(&guard));
    assert!(idle.is_closed(), "those that say nothing are closed after a while");
}

/// Somebody without the token who asks for the page again and again and never reads an answer.
fn never_reads(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nonblocking(true).unwrap();
    let ask = format!("GET /page/main.js HTTP/1.1\r\nHost: {address}\r\n\r\n").repeat(100);
    // until nothing goes out any more, since nothing comes in
    while stream.write(ask.as_bytes()).is_ok() {}
    stream
}

#[test]
fn strangers_shut_nobody_out_however_many_come_and_whatever_they_do() {
    let upstream = Upstream::hello();
    let guard = Guard::start(TCP, &upstream);
    let asks = operator(&guard);
    let address = address(&guard);
    let ask = format!("GET /v1/status HTTP/1.1\r\n{}\r\n", asks.fields);
    let mut known = asks.connect();
    assert_eq!(known.send(&ask).answer().status, 200);
    let mut idle = Client::to_addr(address);
    let begun = wait::now();
    let strangers: Vec<TcpStream> = (0..80).map(|_| never_reads(address)).collect();
    assert!(idle.is_closed(), "whoever has been there longest makes room");
    for _ in 0..3 {
        assert_eq!(asks.get("/v1/status")["state"], "running");
    }
    let unix = super::operator(&guard);
    assert_eq!(unix.get("/v1/status")["state"], "running");
    if begun.elapsed() < Duration::from_secs(8) {
        assert_eq!(known.send(&ask).answer().status, 200, "whoever has shown the token stays");
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", guard.pid())).unwrap().count();
    assert!(open < 64 + 64, "{open} files are open");
    drop(strangers);
}

#[test]
fn operators_are_bounded_too() {
    let upstream = Upstream::hello();
    let guard = Guard::start(TCP, &upstream);
    let asks = operator(&guard);
    let ask = format!("GET /v1/status HTTP/1.1\r\n{}\r\n", asks.fields);
    let begun = wait::now();
    // each is known before the next comes
    let known = |_| {
        let mut client = asks.connect();
        assert_eq!(client.send(&ask).answer().status, 200);
        client
    };
    let all: Vec<Client> = (0..64).map(known).collect();
    let mut last = asks.connect();
    assert_eq!(last.send(&ask).answer().status, 200, "once one of them has gone");
    drop(all);
    assert!(begun.elapsed() > Duration::from_secs(5), "they may be silent for a while");
}

#[test]
fn what_is_wrong_with_the_address_is_said_with_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    let check = |admin: &str, status: i32, said: &str| {
        let text = format!(
            "listen: [\"127.0.0.1:8080\", \"0.0.0.0:8081\"]\nmetrics: {{ address: \"127.0.0.1:9181\" }}\n\
             sites: {{ upstream: \"http://[::1]:1\", logins: {{ path: /l, username: {{ form: u }}, \
             password: {{ form: p }}, outcome: {{ success: {{ status: 302, set_cookie: s }} }} }} }}\nadmin: {admin}"
        );
        let file = dir.path().join("c.yaml");
        std::fs::write(&file, text).unwrap();
        let checked = run(&["check", "--config", file.to_str().unwrap(), "--strict"]);
        assert_eq!(checked.status, status, "{admin}: {}{}", checked.out, checked.err);
        assert!(checked.err.contains(said), "{admin}: {}", checked.err);
    };
    let with = |address: &str| format!("{{ address: {address}, token_file: token }}");
    check(&with("\"127.0.0.1:9180\""), 0, "");
    check(&with("[\"unix:a.sock\", \"[::1]:9180\"]"), 0, "");
    check("{ address: \"unix:a.sock\" }", 0, "");
    check("{ address: \"127.0.0.1:9180\" }", 2, "needs `token_file`");
    check("{ address: \"unix:a.sock\", token_file: token }", 2, "goes with an address of TCP");
    check(&with("\"0.0.0.0:9180\""), 2, "can be reached from other machines");
    check(&with("\"192.0.2.1:9180\""), 2, "can be reached from other machines");
    check(&with("\"[::]:9180\""), 2, "can be reached from other machines");
    check(&with("\"127.0.0.1:8080\""), 2, "is where others connect");
    check(&with("\"127.0.0.1:8081\""), 2, "is where others connect");
    check(&with("\"127.0.0.1:9181\""), 2, "is where others connect");
    check(&with("[\"127.0.0.1:9180\", \"127.0.0.2:9180\"]"), 2, "is a second address");
    check(&with("[\"unix:a\", \"unix:b\", \"127.0.0.1:9180\"]"), 2, "is a second unix socket");
    check(&with("\"localhost:9180\""), 2, "write \"127.0.0.1:9180\"");
    check(&with("nonsense"), 2, "is no address");
    let token = dir.path().join("token");
    std::fs::write(&token, "0123456789abcdef0123").unwrap();
    let mode = |mode| std::fs::set_permissions(&token, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    check(&with("\"127.0.0.1:9180\""), 1, "everybody on this machine may read this file");
    mode(0o666);
    check(&with("\"127.0.0.1:9180\""), 2, "others may change this file");
    mode(0o640);
    check(&with("\"127.0.0.1:9180\""), 0, "");
}

#[test]
fn a_start_that_fails_leaves_no_file_without_a_token_behind() {
    if program("prlimit").is_none() {
        return;
    }
    let upstream = Upstream::hello();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("admin.token");
    let text = TCP.replace("admin.token", file.to_str().unwrap());
    // no file can be written to
    let setup = Setup::new(&text).upstream(&upstream).under(&["prlimit", "--fsize=0:unlimited"]);
    let mut guard = Guard::spawn(setup);
    assert_eq!(guard.wait_for_exit().code(), Some(1));
    assert!(guard.log().contains("no token in "), "{}", guard.log());
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.filter(|name| name != "admin.token.sock.lock").collect();
    assert!(names.is_empty(), "{names:?}");
    let guard = Setup::new(&text).upstream(&upstream).start();
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim().len(), 43);
    guard.wait_for_event("admin_token_made");
}

#[test]
fn a_file_that_holds_no_token_is_an_error() {
    let upstream = Upstream::hello();
    let mut guard = Guard::spawn(Setup::new(TCP).upstream(&upstream).file("admin.token", "short"));
    assert_eq!(guard.wait_for_exit().code(), Some(1));
    assert!(guard.log().contains("no token in "), "{}", guard.log());
}
