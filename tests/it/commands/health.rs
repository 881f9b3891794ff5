//! `loginward health`.

use std::io::Write as _;
use std::net::TcpListener;

use serde_json::json;

use super::program::{Said, run};
use crate::support::{Guard, Upstream};

/// What `health` says of a guard whose metrics the file configures so.
fn of_file(metrics: &str) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    let text =
        format!("listen: \"127.0.0.1:0\"\nsites: {{ upstream: \"http://[::1]:1\" }}\n{metrics}");
    std::fs::write(&path, text).unwrap();
    run(&["health", "--config", path.to_str().unwrap()])
}

/// What `health` says of something that answers so, and the address it has.
fn of_answer(answer: &'static str) -> (Said, String) {
    asked_for(answer, &[])
}

/// The same, with these flags.
fn asked_for(answer: &'static str, flags: &[&str]) -> (Said, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        stream // stays open: the answer ends where it says
    });
    let said = run(&[&["health", "--address", &address], flags].concat());
    assert_ne!(said.status, 2, "nobody was asked: {}", said.err);
    drop(answering.join().unwrap());
    (said, address)
}

#[test]
fn a_guard_that_serves_is_ready() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let address = guard.wait_for_event("metrics_listening").get("address").to_owned();
    let said = run(&["health", "--address", &address]);
    assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (0, "ready\n", ""));
    let said = of_file(&format!("metrics: {{ address: \"{address}\" }}"));
    assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (0, "ready\n", ""));
}

#[test]
fn one_that_answers_otherwise_is_not() {
    let (said, address) = of_answer("HTTP/1.1 503 Service Unavailable\r\n\r\n");
    assert_eq!((said.status, said.err), (1, format!("not ready: {address} answers 503\n")));
    let (said, address) = of_answer("HTTP/1.1 404 Not Found\r\n\r\n");
    let wrong = format!("not ready: what listens on {address} knows no /readyz\n");
    assert_eq!((said.status, said.err), (1, wrong));
}

#[test]
fn programs_get_it_as_json() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for ((said, address), status, ready, answer) in [
        (asked_for("HTTP/1.1 200 OK\r\n\r\n", &["--json"]), 0, true, json!(200)),
        (asked_for("HTTP/1.1 503 Oh\r\n\r\n", &["--json"]), 1, false, json!(503)),
        ((run(&["health", "--json", "--address", &free]), free.clone()), 3, false, json!(null)),
    ] {
        assert_eq!((said.status, said.err.as_str()), (status, ""));
        let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!((&told["ready"], &told["status"]), (&json!(ready), &answer));
        assert_eq!((&told["address"], told["error"].is_null()), (&json!(address), status != 3));
    }
}

#[test]
fn where_nobody_answers_it_cannot_be_reached() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let said = run(&["health", "--address", &free]);
    assert_eq!(said.status, 3);
    assert!(said.err.starts_with(&format!("not reachable: {free}: ")), "{}", said.err);
    let (said, _) = of_answer("SSH-2.0-OpenSSH_9.2\r\n");
    assert_eq!(said.status, 3);
}

#[test]
fn what_never_answers_cannot_be_reached_either() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let said = run(&["health", "--address", &silent.local_addr().unwrap().to_string()]);
    assert_eq!(said.status, 3);
    assert!(said.err.contains("no answer within 3 seconds"), "{}", said.err);
}

#[test]
fn a_guard_without_metrics_has_nothing_to_ask_and_hears_what_to_add() {
    let said = of_file("");
    assert_eq!(said.status, 2);
    assert!(said.err.contains("metrics: { address: \"127.0.0.1:9181\" }"), "{}", said.err);
    let said = of_file("metrics: { address: \"127.0.0.1:0\" }");
    assert_eq!(said.status, 2);
    assert!(said.err.contains("the system chooses the port"), "{}", said.err);
}

#[test]
fn it_has_to_be_said_which_guard_is_asked() {
    for arguments in [
        &["health"][..],
        &["health", "--config", "/nowhere"],
        &["health", "--address", "localhost"],
        &["health", "--address", "127.0.0.1:1", "--config", "/nowhere"],
    ] {
        assert_eq!(run(arguments).status, 2, "{arguments:?}");
    }
}
