//! A server that cannot be reached, and the next one.

use std::net::TcpListener;
use std::time::Duration;

use super::guard;
use crate::support::upstream::ok;
use crate::support::{Ask, Setup, Upstream, wait};

/// In turn, so that it is known who comes first.
const TURNS: &str = "balance: round_robin";

/// The URL of a server that refuses connections; nobody else gets that port.
fn refusing(address: &str) -> String {
    let free = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap();
    format!("http://{free}")
}

/// A server at which connecting neither succeeds nor fails.
fn black_hole() -> (String, impl Sized) {
    let (address, listener, waiting) = crate::pool::black_hole();
    (format!("http://{address}"), (listener, waiting))
}

#[test]
fn a_refused_connection_tries_the_next_server_and_an_attempt_counts_once() {
    let (gone, upstream) = (refusing("127.0.0.41"), Upstream::shop());
    let limit = "lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }\nworkers: 1";
    let guard = guard(&[&gone, upstream.url()], TURNS, limit);
    let mut client = guard.client();
    assert_eq!(client.log_in("bob", "wrong").status, 200, "the first server refuses");
    assert_eq!(guard.wait_for_event("login_failed").get("failures"), "1");
    let rests = guard.wait_for_event("upstream_rests");
    assert_eq!(rests.get("server"), gone);
    assert!(rests.get("reason").contains("refused"), "{rests:?}");
    assert_eq!(client.ask(&Ask::form("/", "a=b")).status, 200);
    assert_eq!(client.get("/").status, 200);
    assert_eq!(client.log_in("bob", "wrong").verdict(), (403, "locked"), "the second failure");
    assert_eq!(upstream.hits(), 4);
    assert_eq!(guard.events("upstream_rests").len(), 1, "it is not tried again at once");
}

#[test]
fn what_was_written_goes_nowhere_else() {
    let first = Upstream::scripted(|talk| drop(talk.request()));
    let second = Upstream::shop();
    let limit = "lockout: { limits: { by: ip_address, failures: 9, cool_off: 10m } }\nworkers: 1";
    let guard = guard(&[first.url(), second.url()], TURNS, limit);
    let mut client = guard.client();
    assert_eq!(client.log_in("bob", "right").verdict(), (502, "error"));
    assert_eq!(guard.wait_for_event("login_failed").get("reason"), "no verdict");
    assert_eq!(client.get("/").text(), "hello", "the turn of the second");
    assert_eq!(client.get("/").verdict(), (502, "error"), "also where it would be safe");
    assert_eq!((first.hits(), second.hits()), (2, 1));
    assert!(guard.events("upstream_rests").is_empty(), "it takes connections");
}

#[test]
fn a_dead_connection_may_be_followed_by_another_server() {
    let first = Upstream::scripted(|talk| {
        if talk.connection == 0 {
            talk.request();
            talk.send(ok("first"));
            talk.request();
        }
    });
    let second = Upstream::hello();
    let guard = guard(&[first.url(), second.url()], TURNS, "workers: 1");
    let mut client = guard.client();
    assert_eq!(client.get("/").text(), "first");
    assert_eq!(client.get("/").text(), "hello");
    // the third is the first's again, whose connection dies; the repetition is the second's turn
    assert_eq!(client.get("/").text(), "hello");
    assert_eq!((first.hits(), second.hits()), (2, 2));
}

#[test]
fn a_server_that_cannot_be_connected_to_in_time_rests_and_a_reload_knows() {
    let ((hole, _kept), upstream) = (black_hole(), Upstream::hello());
    let guard = guard(&[&hole, upstream.url()], TURNS, "workers: 1\ntimeouts: { connect: 3s }");
    let mut client = guard.client();
    assert_eq!(client.get("/").text(), "hello", "by the second");
    assert!(guard.wait_for_event("upstream_rests").get("reason").contains("took too long"));
    guard.reload();
    let begun = wait::now();
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "hello");
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(guard.events("upstream_rests").len(), 1);
}

#[test]
fn where_all_rest_they_are_tried_all_the_same() {
    let addresses = ["127.0.0.42", "127.0.0.43"].map(refusing);
    let guard = guard(&[&addresses[0], &addresses[1]], "", "workers: 1");
    let mut client = guard.client();
    assert_eq!(client.get("/").verdict(), (502, "error"));
    guard.wait_for_events("upstream_rests", 2);
    let back = Upstream::at(addresses[1].strip_prefix("http://").unwrap(), |talk| {
        while talk.request().is_some() {
            talk.send(ok("back"));
        }
    });
    assert_eq!(client.get("/").text(), "back", "without waiting for the end of its rest");
    assert_eq!(guard.wait_for_event("upstream_back").get("server"), addresses[1]);
    assert_eq!(back.hits(), 1);
}

#[test]
fn a_server_that_ends_moves_its_own_clients_alone() {
    let upstream = |number: usize| {
        Upstream::answering(move |_| {
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{number}")
        })
    };
    let mut upstreams: Vec<Upstream> = (0..3).map(upstream).collect();
    let urls: Vec<&str> = upstreams.iter().map(Upstream::url).collect();
    let guard = guard(&urls, "", "");
    let of = |client: u8| {
        let client = format!("127.0.0.{client}");
        crate::support::Client::from(&client, &guard).get("/").text()
    };
    let before: Vec<String> = (1..=30).map(of).collect();
    upstreams.remove(1).end();
    for (client, before) in (1..=30).zip(before) {
        let after = of(client);
        assert_ne!(after, "1");
        assert!(before == "1" || after == before, "{client}: {before} and {after}");
    }
}

#[test]
fn a_single_server_is_tried_each_time() {
    let address = refusing("127.0.0.44");
    let guard = Setup::new("workers: 1").replace("{UPSTREAM}", &address).start();
    let mut client = guard.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").verdict(), (502, "error"));
        assert_eq!(client.log_in("bob", "wrong").verdict(), (502, "error"));
    }
    let _back = Upstream::at(address.strip_prefix("http://").unwrap(), |talk| {
        talk.request();
        talk.send(ok("back"));
    });
    assert_eq!(client.get("/").text(), "back");
}
