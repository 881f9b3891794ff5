//! The other side of every timeout: what comes in time is served, however often it takes a while;
//! and an attempt's whole exchange has an end of its own.

use std::time::Duration;

use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Upstream, wait};

/// A third of every limit here that is not to be reached.
const A_WHILE: Duration = Duration::from_millis(700);

fn take_a_while() {
    let begun = wait::now();
    wait::until("a while is over", || begun.elapsed() > A_WHILE);
}

const LOGIN: &str = "POST /login HTTP/1.1\r\nHost: a\r\n\
                     Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 26\r\n\r\n";

#[test]
fn a_head_in_time_is_served() {
    let upstream = Upstream::hello();
    let guard = Guard::start("timeouts: { head: 2s }", &upstream);
    let mut client = guard.client();
    client.send("GET / HTTP/1.1\r\nHo");
    take_a_while();
    client.send("st: a\r\n\r\n");
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn an_idle_client_that_comes_back_in_time_is_served_on_its_connection() {
    let upstream = Upstream::hello();
    let guard = Guard::start("timeouts: { idle: 2s }", &upstream);
    let mut client = guard.client();
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "hello");
        take_a_while();
    }
    assert!(client.is_closed(), "and not for ever");
}

#[test]
fn a_login_body_in_time_is_an_attempt() {
    let upstream = Upstream::shop();
    let guard = Guard::start("timeouts: { login_body: 2s }", &upstream);
    let mut client = guard.client();
    client.send(LOGIN).send("user=bob&pass");
    take_a_while();
    client.send("word=correct1");
    assert_eq!(client.answer().status, 200);
    assert_eq!(guard.wait_for_event("login_failed").get("username"), "bob");
}

#[test]
fn a_body_may_take_longer_than_its_progress() {
    let upstream = Upstream::answering(|request| ok(&request.body.bytes.len().to_string()));
    let guard = Guard::start("timeouts: { body: 2s }", &upstream);
    let mut client = guard.client();
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n");
    for _ in 0..4 {
        take_a_while();
        client.send("0123456789");
    }
    assert_eq!(client.answer().text(), "40");
}

#[test]
fn an_answer_may_take_longer_than_its_progress() {
    const MIB: usize = 1024 * 1024;
    let upstream = Upstream::answering(|_| ok(&"x".repeat(24 * MIB)));
    let guard = Guard::start("timeouts: { send: 2s }", &upstream);
    let mut client = guard.client();
    client.send(Ask::get("/large").bytes());
    for _ in 0..4 {
        take_a_while();
        client.wire.exactly(5 * MIB).unwrap();
    }
    assert!(client.wire.exactly(4 * MIB).is_some(), "all of it arrives");
}

#[test]
fn an_upstream_that_answers_in_time_has_answered() {
    let upstream = Upstream::answering(|_| {
        take_a_while();
        ok("at last")
    });
    let guard = Guard::start("timeouts: { response_head: 2s }", &upstream);
    let mut client = guard.client();
    assert_eq!(client.get("/").text(), "at last");
    assert_eq!(client.log_in("bob", "wrong").text(), "at last");
}

const WELCOME: &str = "sites: [{ upstream: \"{UPSTREAM}\", logins: [{ path: /login, \
                       username: { form: user }, outcome: { success: { body: welcome } } }] }]";

#[test]
fn a_verdict_in_time_is_a_success_and_a_late_one_a_failure_that_is_passed_on() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
        take_a_while();
        talk.send("welcome");
    });
    for (verdict, event) in [("2s", "login_succeeded"), ("200ms", "login_failed")] {
        let text = format!("timeouts: {{ verdict: {verdict} }}\n{WELCOME}");
        let guard = Guard::start(&text, &upstream);
        assert_eq!(guard.client().log_in("bob", "x").text(), "welcome", "{verdict}");
        guard.wait_for_event(event);
    }
}

#[test]
fn an_attempts_exchange_has_an_end_and_other_requests_have_not() {
    let upstream = Upstream::answering(|_| {
        take_a_while();
        ok("at last")
    });
    let guard = Guard::start("timeouts: { exchange: 300ms, response_head: 20s }", &upstream);
    let mut client = guard.client();
    assert_eq!(client.get("/").text(), "at last");
    assert_eq!(client.log_in("bob", "x").verdict(), (504, "error"));
    guard.wait_for_event("login_failed");
    let guard = Guard::start("timeouts: { exchange: 2s }", &upstream);
    assert_eq!(guard.client().log_in("bob", "x").text(), "at last");
}
