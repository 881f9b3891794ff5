//! What is no login attempt streams through the guard, in both directions.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::upstream::ok;
use crate::support::{Ask, Gate, Guard, Upstream, wait};

const MIB: usize = 1024 * 1024;

/// Bytes that show where they are from.
fn pattern(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..9973_u32).map(|at| (at / 7 + at / 301) as u8).collect();
    while bytes.len() < length {
        bytes.extend_from_within(..);
    }
    bytes.truncate(length);
    bytes
}

/// Waits until a number that grows has stopped growing, and returns it.
fn settled(number: &AtomicUsize) -> usize {
    let (mut last, mut since) = (number.load(Ordering::SeqCst), wait::now());
    wait::until("the stream stops", || {
        let now = number.load(Ordering::SeqCst);
        if now != last {
            (last, since) = (now, wait::now());
        }
        since.elapsed() > Duration::from_millis(700)
    });
    last
}

/// Writes everything, and tells how much is written already.
fn write_counting(mut writer: impl Write, bytes: &[u8], written: &AtomicUsize) {
    for chunk in bytes.chunks(64 * 1024) {
        writer.write_all(chunk).unwrap();
        written.fetch_add(chunk.len(), Ordering::SeqCst);
    }
}

#[test]
fn an_answer_arrives_while_the_upstream_is_still_writing() {
    let gate = Gate::closed();
    let more = gate.clone();
    let upstream = Upstream::scripted(move |talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        more.pass();
        talk.send("6\r\nsecond\r\n0\r\n\r\n");
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send(Ask::get("/").bytes());
    assert_eq!(client.answer_head().unwrap().get("transfer-encoding"), Some("chunked"));
    assert_eq!(client.wire.chunk().unwrap(), b"first");
    gate.open();
    assert_eq!(client.wire.chunk().unwrap(), b"second");
    assert_eq!(client.wire.chunk().unwrap(), b"");
}

#[test]
fn an_upload_arrives_while_the_client_is_still_sending() {
    let (tell, told) = std::sync::mpsc::channel();
    let upstream = Upstream::scripted(move |talk| {
        talk.request_head();
        while let Some(chunk) = talk.wire.chunk().filter(|chunk| !chunk.is_empty()) {
            tell.send(chunk).unwrap();
        }
        talk.send(ok("thanks"));
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send("PUT /file HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in ["one", "two", "six"] {
        client.send(format!("3\r\n{chunk}\r\n"));
        assert_eq!(told.recv_timeout(wait::PATIENCE).unwrap(), chunk.as_bytes());
    }
    assert_eq!(client.send("0\r\n\r\n").answer().text(), "thanks");
}

#[test]
fn an_answer_may_come_before_the_request_has_ended() {
    let upstream = Upstream::scripted(|talk| {
        talk.request_head();
        talk.send("HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 4\r\n\r\nfull");
        talk.wait_for_end();
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send("PUT /file HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1000\r\n\r\nbegun");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text().as_str()), (507, "full"));
}

#[test]
fn large_bodies_arrive_whole_with_either_framing() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(request) = talk.request() {
            let length = request.body.bytes.len();
            talk.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
            talk.send(&request.body.bytes);
        }
    });
    let guard = Guard::start("", &upstream);
    let body = pattern(3 * MIB);
    let mut client = guard.client();
    let answer = client.ask(&Ask::new("PUT", "/file").body("image/x", &body));
    assert!(answer.body.bytes == body, "with a length");
    assert_eq!(upstream.requests()[0].get("content-length"), Some("3145728"));
    client.send("PUT /file HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(99_999) {
        client.send(format!("{:x};ignored=yes\r\n", chunk.len())).send(chunk).send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert!(client.answer().body.bytes == body, "in chunks");
    assert_eq!(upstream.requests()[1].get("transfer-encoding"), Some("chunked"));
}

#[test]
fn a_slow_reader_holds_the_upstream_and_not_the_guards_memory() {
    let body = Arc::new(pattern(96 * MIB));
    let written = Arc::new(AtomicUsize::new(0));
    let (whole, count) = (Arc::clone(&body), Arc::clone(&written));
    let upstream = Upstream::scripted(move |talk| {
        talk.request();
        talk.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", whole.len()));
        write_counting(&mut talk.wire.socket, &whole, &count);
    });
    let guard = Guard::start("", &upstream);
    let before = guard.memory();
    let mut client = guard.client();
    client.send(Ask::get("/").bytes());
    let held = settled(&written);
    // what the system buffers on both connections is not ours to bound
    assert!(held < 32 * MIB, "{held} bytes were taken from the upstream");
    assert!(guard.memory() < before + 8 * MIB, "{before} became {}", guard.memory());
    assert!(client.answer().body.bytes == *body);
}

#[test]
fn a_slow_upstream_holds_the_clients_upload() {
    let gate = Gate::closed();
    let begin = gate.clone();
    let upstream = Upstream::scripted(move |talk| {
        let mut request = talk.request_head().unwrap();
        begin.pass();
        request.body = talk.wire.body(request.framing());
        talk.send(ok(&request.body.bytes.len().to_string()));
    });
    let guard = Guard::start("", &upstream);
    let before = guard.memory();
    let length = 96 * MIB;
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let mut client = guard.client();
    let uploading = std::thread::spawn(move || {
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        write_counting(&mut client.wire.socket, &vec![b'x'; length], &count);
        client
    });
    let held = settled(&written);
    assert!(held < 32 * MIB, "{held} bytes were taken from the client");
    assert!(guard.memory() < before + 8 * MIB, "{before} became {}", guard.memory());
    gate.open();
    assert_eq!(uploading.join().unwrap().answer().text(), length.to_string());
}

#[test]
fn server_sent_events_arrive_one_by_one() {
    let gates = [Gate::closed(), Gate::closed()];
    let waits = gates.clone();
    let upstream = Upstream::scripted(move |talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
        for gate in &waits {
            talk.send("data: tick\n\n");
            gate.pass();
        }
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send(Ask::get("/events").with("Accept", "text/event-stream").bytes());
    let head = client.answer_head().unwrap();
    assert_eq!(head.get("content-type"), Some("text/event-stream"));
    for gate in gates {
        assert_eq!(client.wire.chunk().unwrap(), b"data: tick\n\n");
        gate.open();
    }
    assert_eq!(client.wire.chunk().unwrap(), b"", "the end of the answer");
}

#[test]
fn trailers_pass_in_both_directions() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n"
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send(
        "PUT / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Check\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Check: 7\r\n\r\n",
    );
    let answer = client.answer();
    assert_eq!(answer.get("trailer"), Some("X-Sum"));
    assert_eq!(answer.body.trailers.get("x-sum"), Some("42"));
    let request = upstream.only_request();
    assert_eq!((request.get("te"), request.get("trailer")), (Some("trailers"), Some("X-Check")));
    assert_eq!(request.body.trailers.get("x-check"), Some("7"));
}

#[test]
fn a_body_that_the_upstream_breaks_off_is_broken_off_for_the_client() {
    for (framing, part, arrives) in [
        ("Content-Length: 100", "begun", "begun"),
        ("Content-Length: 100", "", ""),
        ("Transfer-Encoding: chunked", "5\r\nbegun\r\n", "begun"),
        ("Transfer-Encoding: chunked", "", ""),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{part}");
        let upstream = Upstream::scripted(move |talk| {
            talk.request();
            talk.send(&answer);
        });
        let guard = Guard::start("", &upstream);
        let answer = guard.client().get("/");
        assert_eq!((answer.status, answer.body.cut), (200, true), "{framing} {part}");
        assert_eq!(answer.text(), arrives);
    }
}

#[test]
fn a_client_that_stalls_in_a_body_is_told_and_cut_off() {
    let upstream = Upstream::hello();
    let guard = Guard::start("timeouts: { body: 500ms }", &upstream);
    let mut client = guard.client();
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    assert_eq!(client.answer().verdict(), (408, "refused"));
    assert!(client.is_closed());
    upstream.wait_for_closed(1);
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    let upstream = Upstream::answering(|_| ok(&"x".repeat(50 * MIB)));
    let guard = Guard::start("timeouts: { send: 500ms }", &upstream);
    let mut client = guard.client();
    client.send(Ask::get("/large").bytes());
    upstream.wait_for_closed(1);
    assert!(client.answer_head().is_some());
    let taken = client.wire.rest().len();
    assert!(taken < 50 * MIB, "the answer is cut off");
}

#[test]
fn a_slow_but_steady_upload_takes_as_long_as_it_takes() {
    let upstream = Upstream::answering(|request| ok(&request.body.bytes.len().to_string()));
    let timeouts = "timeouts: { body: 800ms, response_head: 800ms, exchange: 900ms }";
    let rule = "sites: [{ upstream: \"{UPSTREAM}\", logins: [{ path: /dav/*, username: { basic: true } }] }]";
    let guard = Guard::start(&format!("{timeouts}\n{rule}"), &upstream);
    for credentials in ["", "Authorization: Basic Ym9iOnJpZ2h0\r\n"] {
        let mut client = guard.client();
        client.send(format!(
            "PUT /dav/x HTTP/1.1\r\nHost: a\r\n{credentials}Content-Length: 80\r\n\r\n"
        ));
        let begun = wait::now();
        for piece in 1..=8 {
            client.send("x".repeat(10));
            let due = Duration::from_millis(250 * piece);
            wait::until("the next piece is due", || begun.elapsed() > due);
        }
        assert_eq!(client.answer().text(), "80");
    }
    assert!(guard.events("login_failed").is_empty());
}
