//! Who is let in, and what is no question.

use std::io::Write as _;

use super::asking::{operator, problem};
use crate::support::guard::ADMIN;
use crate::support::{Guard, Upstream};

#[test]
fn other_hosts_and_other_pages_are_not_answered() {
    let upstream = Upstream::hello();
    let guard = Guard::start(ADMIN, &upstream);
    let mut asks = operator(&guard);
    for field in [
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ] {
        for (method, target) in [("GET", "/v1/counters"), ("POST", "/v1/reload")] {
            let answer = asks.ask(method, target, (&format!("{field}\r\n"), ""));
            assert_eq!(problem(&answer).0, 403, "{field}");
        }
    }
    assert!(guard.events("reloaded").is_empty());
    let own = ("Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n", "");
    assert_eq!(asks.ask("GET", "/v1/status", own).status, 200);
    for host in ["evil.example", "shop.test", "localhost.evil.example", "127.0.0.1.nip.io"] {
        asks.fields = format!("Host: {host}\r\n");
        assert_eq!(asks.problem("/v1/status").0, 421, "{host}");
    }
    asks.fields = "Host: localhost\r\nHost: evil.example\r\n".to_owned();
    assert_ne!(asks.ask("GET", "/v1/status", ("", "")).status, 200);
}

#[test]
fn what_is_not_there_and_what_is_not_allowed_are_told_apart() {
    let upstream = Upstream::hello();
    let guard = Guard::start(ADMIN, &upstream);
    let asks = operator(&guard);
    for target in ["/nothing", "/v1/counters/", "/v1//counters", "/v1/%63ounters", "/V1/counters"] {
        assert_eq!(asks.problem(target).0, 404, "{target}");
    }
    let answer = asks.ask("DELETE", "/v1/counters", ("", ""));
    assert_eq!(problem(&answer), (405, "only GET, HEAD".to_owned()));
    assert_eq!(answer.get("allow"), Some("GET, HEAD"));
    let answer = asks.ask("GET", "/v1/reload", ("", ""));
    assert_eq!((answer.status, answer.get("allow")), (405, Some("POST")));
    let answer = asks.ask("HEAD", "/v1/counters", ("", ""));
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    assert_eq!(answer.get("content-type"), Some("application/json"));
    assert_eq!(answer.get("cache-control"), Some("no-store"));
}

#[test]
fn a_connection_stays_for_the_next_question() {
    let upstream = Upstream::hello();
    let guard = Guard::start(ADMIN, &upstream);
    let mut client = operator(&guard).connect();
    for _ in 0..3 {
        let answer = client.send("GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n").answer();
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn heads_are_bounded() {
    let upstream = Upstream::hello();
    let guard = Guard::start(ADMIN, &upstream);
    let asks = operator(&guard);
    let long = format!("X: {}\r\n", "x".repeat(20_000));
    let many = "X: y\r\n".repeat(100);
    for fields in [long, many] {
        let answer = asks.ask("GET", "/v1/status", (&fields, ""));
        let (status, detail) = problem(&answer);
        assert_eq!(status, 431);
        assert!(detail.contains("16384 bytes or more than 64 fields"), "{detail}");
    }
    assert_eq!(
        asks.ask("GET", &format!("/v1/counters?q={}", "x".repeat(15_000)), ("", "")).status,
        400
    );
    let mut client = asks.connect();
    client.send("GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX: ");
    client.wire.socket.flush().unwrap();
    assert!(client.is_closed(), "a head that does not end is not waited for");
}
