//! Clients that leave early, wholly or by half.

use loginward::alarm::SWEEP;

use crate::support::upstream::ok;
use crate::support::{Ask, Gate, Guard, Upstream, wait};

/// An upstream that answers when the gate opens.
fn behind(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::scripted(move |talk| {
        while talk.request().is_some() {
            gate.pass();
            talk.send(ok("at last"));
        }
    })
}

#[test]
fn a_half_closed_client_is_still_answered() {
    for ask in [Ask::get("/"), Ask::login("bob", "x"), Ask::new("PUT", "/").body("a/b", "c")] {
        let gate = Gate::closed();
        let upstream = behind(&gate);
        let guard = Guard::start("", &upstream);
        let mut client = guard.client();
        client.send(ask.bytes()).half_close();
        gate.wait_for_arrivals(1);
        gate.open();
        let answer = client.answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, "at last"), "{ask:?}");
        assert!(client.is_closed(), "and that was all");
    }
}

#[test]
fn a_client_that_half_closes_before_it_was_heard_is_still_answered() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let chunked =
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    for bytes in [
        Ask::get("/").bytes(),
        Ask::login("bob", "x").bytes(),
        Ask::new("PUT", "/").body("a/b", vec![b'x'; 40_000]).bytes(),
        chunked.as_bytes().to_vec(),
    ] {
        let mut client = guard.client();
        guard.paused(|| {
            client.send(&bytes).half_close();
        });
        assert_eq!(client.answer().text(), "hello", "{}", String::from_utf8_lossy(&bytes[..50]));
    }
}

#[test]
fn pipelined_requests_of_a_half_closed_client_are_all_answered() {
    let upstream = Upstream::answering(|request| ok(&request.target));
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    let both = [Ask::get("/1").bytes(), Ask::login("bob", "x").bytes()].concat();
    guard.paused(|| {
        client.send(both).half_close();
    });
    assert_eq!((client.answer().text(), client.answer().text()), ("/1".into(), "/login".into()));
    assert!(client.is_closed());
}

#[test]
fn the_connection_of_a_half_closed_client_ends_with_its_answer() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let begun = wait::now();
    for _ in 0..60 {
        let mut client = guard.client();
        client.send(Ask::get("/").bytes()).half_close();
        assert!(client.wire.rest().ends_with(b"hello"));
    }
    let took = begun.elapsed();
    assert!(took < SWEEP * 30, "{took:?}: each of them waited for something");
}

#[test]
fn a_half_closed_client_gets_a_long_answer_whole() {
    let gate = Gate::closed();
    let rest = gate.clone();
    let upstream = Upstream::scripted(move |talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun");
        rest.pass();
        talk.send("ended");
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send(Ask::get("/").bytes()).half_close();
    let mut answer = client.answer_head().unwrap();
    gate.open();
    answer.body = client.wire.body(answer.framing("GET"));
    assert_eq!((answer.text().as_str(), answer.body.cut), ("begunended", false));
}

#[test]
fn the_upstream_connection_of_a_client_that_resets_is_closed() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.wait_for_end();
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send(Ask::get("/").bytes());
    upstream.wait_for_hits(1);
    client.reset();
    upstream.wait_for_closed(1);
}

#[test]
fn the_answer_to_a_client_that_resets_ends() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\n\r\n");
        while talk.send([b'x'; 64 * 1024]) {}
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send(Ask::get("/").bytes());
    assert_eq!(client.answer_head().unwrap().status, 200);
    client.reset();
    upstream.wait_for_closed(1);
}

#[test]
fn a_client_that_half_closes_and_then_resets_is_gone() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.wait_for_end();
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send(Ask::get("/").bytes());
    upstream.wait_for_hits(1);
    client.half_close();
    client.reset();
    upstream.wait_for_closed(1);
}

#[test]
fn an_upload_that_breaks_off_is_broken_off_for_the_upstream() {
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let upstream = Upstream::scripted(|talk| {
            let request = talk.request().unwrap();
            assert!(request.body.cut);
        });
        let guard = Guard::start("", &upstream);
        let mut client = guard.client();
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n5\r\nbegun"));
        client.half_close();
        upstream.wait_for_closed(1);
        assert!(upstream.only_request().body.cut, "{framing}");
        assert!(client.answer_head().is_none_or(|answer| answer.status >= 400));
    }
}
