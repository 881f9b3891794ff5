//! Connections live as long as both ends like, on either side of the guard on its own.

use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Upstream};

#[test]
fn requests_of_one_client_share_its_connection_and_one_upstream_connection() {
    let upstream = Upstream::answering(|request| ok(&request.target));
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    for target in ["/1", "/2", "/3"] {
        assert_eq!(client.get(target).text(), target);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn clients_of_one_worker_share_an_upstream_connection() {
    let upstream = Upstream::hello();
    let guard = Guard::start("workers: 1", &upstream);
    for _ in 0..5 {
        assert_eq!(guard.client().get("/").status, 200);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn attempts_share_an_upstream_connection_too() {
    let upstream = Upstream::shop();
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    assert_eq!(client.log_in("bob", "wrong").status, 200);
    assert_eq!(client.log_in("bob", "right").status, 302);
    assert_eq!(client.get("/app").status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::answering(|request| ok(&request.target));
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send([Ask::get("/1").bytes(), Ask::get("/2").bytes(), Ask::get("/3").bytes()].concat());
    for target in ["/1", "/2", "/3"] {
        assert_eq!(client.answer().text(), target);
    }
}

#[test]
fn a_client_that_wants_to_close_gets_its_answer_and_the_end() {
    let upstream = Upstream::hello();
    let guard = Guard::start("workers: 1", &upstream);
    let mut client = guard.client();
    let answer = client.ask(&Ask::get("/").with("Connection", "close"));
    assert_eq!((answer.text().as_str(), answer.get("connection")), ("hello", Some("close")));
    assert!(client.is_closed());
    assert_eq!(upstream.only_request().get("connection"), None, "that is the client's affair");
    guard.client().get("/");
    assert_eq!(upstream.connections(), 1, "the upstream's connection is another one");
}

#[test]
fn an_upstream_that_closes_does_not_close_the_client() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    for _ in 0..3 {
        let answer = client.get("/");
        assert_eq!((answer.text().as_str(), answer.get("connection")), ("hi", None));
    }
    assert_eq!(upstream.connections(), 3);
}

#[test]
fn a_client_that_stays_idle_too_long_is_closed() {
    let upstream = Upstream::hello();
    let guard = Guard::start("timeouts: { idle: 300ms }", &upstream);
    let mut client = guard.client();
    assert_eq!(client.get("/").status, 200);
    assert!(client.is_closed());
}

#[test]
fn an_upstream_connection_serves_one_request_at_a_time() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(request) = talk.request() {
            let length = if request.target == "/endless" { 1000 } else { 2 };
            talk.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhi"));
        }
    });
    let guard = Guard::start("workers: 1", &upstream);
    let mut slow = guard.client();
    slow.send(Ask::get("/endless").bytes());
    assert_eq!(slow.answer_head().unwrap().status, 200);
    assert_eq!(guard.client().get("/").text(), "hi");
    assert_eq!(upstream.connections(), 2);
}
