//! How a guard ends: it says so, goes on for a while, finishes what is here, and never waits long.

use std::time::Duration;

use crate::support::upstream::ok;
use crate::support::{Ask, Gate, Guard, Upstream, wait};

#[test]
fn it_is_not_ready_and_still_serves_for_the_delay() {
    let upstream = Upstream::hello();
    let mut guard = Guard::start("shutdown: { delay: 2s }", &upstream);
    assert_eq!(guard.metrics_page("/readyz").status, 200);
    let mut kept = guard.client();
    kept.get("/");
    let begun = wait::now();
    guard.terminate();
    guard.wait_for_event("leaving");
    let ready = guard.metrics_page("/readyz");
    assert_eq!((ready.status, ready.text().as_str()), (503, "about to end\n"));
    assert_eq!(guard.metrics_page("/livez").status, 200);
    assert_eq!(guard.client().get("/").text(), "hello", "new clients are served");
    assert_eq!(kept.get("/").text(), "hello", "and those from before");
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(kept.is_closed());
}

#[test]
fn without_a_delay_it_is_not_ready_while_it_finishes() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_| {
        held.pass();
        ok("at last")
    });
    let mut guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send(Ask::get("/").bytes());
    gate.wait_for_arrivals(1);
    guard.terminate();
    guard.wait_for_event("stopping");
    assert!(guard.events("leaving").is_empty());
    assert_eq!(guard.metrics_page("/readyz").status, 503);
    assert_eq!(guard.metrics_page("/livez").status, 200);
    assert!(guard.metrics().contains("loginward_refusals"));
    gate.open();
    assert_eq!(client.answer().text(), "at last");
    assert_eq!(guard.wait_for_exit().code(), Some(0));
}

#[test]
fn told_twice_it_ends_at_once() {
    for text in ["shutdown: { deadline: 1h }", "shutdown: { delay: 1h }"] {
        let gate = Gate::closed();
        let held = gate.clone();
        let upstream = Upstream::answering(move |_| {
            held.pass();
            ok("never")
        });
        let mut guard = Guard::start(text, &upstream);
        let mut client = guard.client();
        client.send(Ask::get("/").bytes());
        gate.wait_for_arrivals(1);
        guard.terminate();
        guard.wait_for("end", |event| event.is("stopping") || event.is("leaving"));
        guard.terminate();
        assert_eq!(guard.wait_for_exit().code(), Some(0));
        assert!(client.answer_head().is_none(), "it was cut");
        assert_eq!(guard.events("stopped").len(), 1);
        gate.open();
    }
}

#[test]
fn tunnels_end_at_the_deadline() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
        talk.wait_for_end();
    });
    let mut guard = Guard::start("shutdown: { deadline: 600ms }", &upstream);
    let mut client = guard.client();
    let ask = Ask::get("/").with("Connection", "Upgrade").with("Upgrade", "websocket");
    client.send(ask.with("Sec-WebSocket-Key", "a").bytes());
    assert_eq!(client.answer_head().unwrap().status, 101);
    let begun = wait::now();
    guard.terminate();
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(client.is_closed());
    upstream.wait_for_closed(1);
}

#[test]
fn a_hang_up_signal_while_it_ends_changes_nothing() {
    let upstream = Upstream::hello();
    let mut guard = Guard::start("shutdown: { delay: 1s }", &upstream);
    guard.terminate();
    guard.wait_for_event("leaving");
    guard.hang_up();
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    assert!(guard.events("reloaded").is_empty());
}
