//! HTTP/2 with an application.

mod agreed;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Response};

use crate::support::{Act, Ask, Authority, Client, Gate, Guard, Http2Upstream, Setup, wait};

const LIMIT: &str = "lockout: { limits: { by: ip_address, failures: 3, cool_off: 10m } }";

/// A guard before the server at `url`, with which it speaks HTTP/2.
fn guard(url: &str, authority: &Authority, file: &str) -> Guard {
    let mapping = format!("{{ servers: \"{url}\", http2: true, tls: {{ ca: ca.pem }} }}");
    let setup = Setup::new(&format!("workers: 1\n{file}")).replace("\"{UPSTREAM}\"", &mapping);
    setup.file("ca.pem", &authority.pem()).start()
}

/// A server that does what `act` says, and a guard before it.
fn before(
    file: &str,
    act: impl Fn(&crate::support::http2_upstream::Stream) -> Act + Send + Sync + 'static,
) -> (Http2Upstream, Guard) {
    let authority = Authority::new();
    let upstream = Http2Upstream::start(authority.server(&["localhost"]), act);
    let guard = guard(upstream.url(), &authority, file);
    (upstream, guard)
}

#[test]
fn a_login_is_guarded_before_an_application_that_speaks_http_2() {
    let (upstream, guard) = before(LIMIT, Act::shop);
    let mut client = guard.client();
    assert_eq!(client.get("/a?b").text(), "hello");
    let right = client.log_in("bob", "right");
    assert_eq!((right.status, right.get("set-cookie")), (302, Some("session=1")));
    for _ in 0..2 {
        assert_eq!(client.log_in("bob", "wrong").text(), "wrong password");
    }
    assert_eq!(client.log_in("bob", "wrong").verdict(), (403, "locked"));
    assert_eq!(client.log_in("bob", "right").verdict(), (403, "locked"));
    let streams = upstream.streams();
    assert_eq!((streams.len(), upstream.connections()), (5, 1));
    assert_eq!(streams[0].uri, "https://shop.test/a?b");
    assert_eq!(streams[1].body, b"user=bob&password=right");
    assert_eq!(streams[1].get("content-length"), Some("23"));
    for stream in streams {
        assert_eq!((stream.get("host"), stream.get("connection")), (None, None));
        assert_eq!(stream.get("x-forwarded-for"), Some("127.0.0.1"));
    }
}

#[test]
fn guesses_that_a_server_does_not_read_in_time_count_all_the_same() {
    let (authority, gate) = (Authority::new(), Gate::closed());
    let held = gate.clone();
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(1 << 30).initial_connection_window_size(1 << 30);
    let act = move |request: &crate::support::http2_upstream::Stream| {
        if request.uri.path() == "/stall" {
            held.pass(); // and meanwhile it reads nothing, of no stream
        }
        Act::answer(Response::builder().status(401).body(Bytes::new()).unwrap(), None)
    };
    let upstream = Http2Upstream::with(authority.server(&["localhost"]), &builder, act);
    let timeouts =
        "timeouts: { response_head: 500ms, upstream_idle: 60s, upstream_idle_unsafe: 60s }";
    let site = "sites: [{ upstream: \"{UPSTREAM}\", \
                logins: [{ path: /api/*, username: { basic: true } }] }]";
    let guard = guard(upstream.url(), &authority, &format!("{timeouts}\n{LIMIT}\n{site}"));
    let mut stalling = guard.client();
    stalling.send(Ask::get("/stall").bytes());
    gate.wait_for_arrivals(1);
    // until all that there is between here and there is full
    let mut filling = guard.client();
    filling.wire.socket.set_patience(Duration::from_millis(300));
    filling.send("PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    while filling.wire.send([b'x'; 64 * 1024]) {}
    let statuses: Vec<u16> = (1..=6)
        .map(|at| {
            let guess = BASE64_STANDARD.encode(format!("bob:wrong{at}"));
            let ask = Ask::get("/api/x").with("Authorization", &format!("Basic {guess}"));
            guard.client().ask(&ask).status
        })
        .collect();
    gate.open();
    assert_eq!(statuses, [504, 504, 403, 403, 403, 403], "the third one locks");
}

#[test]
fn guesses_that_arrive_at_once_are_capped_as_ever() {
    let gate = Gate::closed();
    let held = gate.clone();
    let (upstream, guard) = before(LIMIT, move |request| {
        if request.uri.path() == "/login" {
            held.pass();
        }
        Act::shop(request)
    });
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let address = guard.addr();
            std::thread::spawn(move || Client::to_addr(address).log_in("bob", "wrong").status)
        })
        .collect();
    gate.wait_for_arrivals(1);
    gate.open();
    let mut statuses: Vec<u16> = clients.into_iter().map(|one| one.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 403].contains(status)), "{statuses:?}");
    assert_eq!(upstream.streams().len(), 3);
}

#[test]
fn a_client_that_leaves_after_its_guess_is_counted() {
    let (upstream, guard) = before(LIMIT, |request| match request.uri.path() {
        "/login" => Act::Hold,
        _ => Act::ok("hello"),
    });
    for guesses in 1..=3 {
        let mut client = guard.client();
        client.send(Ask::login("bob", "wrong").bytes());
        upstream.wait_for_streams(guesses);
        client.reset();
    }
    assert!(upstream.resets().is_empty(), "the exchange goes on without its client");
    upstream.cut();
    guard.wait_for_event("locked_out");
    assert_eq!(guard.client().log_in("bob", "right").verdict(), (403, "locked"));
    let failed = guard.wait_for_event("login_failed");
    assert_eq!(failed.get("reason"), "no verdict");
}

#[test]
fn a_client_that_leaves_an_ordinary_request_has_its_stream_reset_and_no_other() {
    let (upstream, guard) = before("", |request| match request.uri.path() {
        "/slow" => Act::Hold,
        _ => Act::ok("hello"),
    });
    let mut client = guard.client();
    assert_eq!(client.get("/").text(), "hello");
    let mut leaving = guard.client();
    leaving.send(Ask::get("/slow").bytes());
    upstream.wait_for_streams(2);
    leaving.reset();
    upstream.wait_for_resets(1);
    assert_eq!(upstream.resets(), [Reason::CANCEL]);
    assert_eq!(client.get("/").text(), "hello");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn many_requests_at_once_share_a_connection_which_is_opened_once() {
    let arrived = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&arrived);
    let (http2, guard) = before("", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Act::ok("hello")
    });
    let clients: Vec<_> = (0..30)
        .map(|_| {
            let address = guard.addr();
            std::thread::spawn(move || Client::to_addr(address).get("/").text())
        })
        .collect();
    assert!(clients.into_iter().all(|client| client.join().unwrap() == "hello"));
    assert_eq!((http2.connections(), arrived.load(Ordering::SeqCst)), (1, 30));
}

#[test]
fn no_more_streams_are_opened_than_the_server_allows() {
    let authority = Authority::new();
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(2);
    let config = authority.server(&["localhost"]);
    let upstream = Http2Upstream::with(config, &builder, |request| match request.uri.path() {
        "/hold" => Act::Hold,
        _ => Act::ok("hello"),
    });
    let guard = guard(upstream.url(), &authority, "");
    assert_eq!(guard.client().get("/").text(), "hello", "now the guard knows what is allowed");
    let held: Vec<Client> = (1..=5)
        .map(|held| {
            let mut client = guard.client();
            client.send(Ask::get("/hold").bytes());
            upstream.wait_for_streams(held + 1);
            let sent = wait::now();
            // what a server allows is known a moment after the connection is
            wait::until("the guard has heard", || sent.elapsed() > Duration::from_millis(500));
            client
        })
        .collect();
    assert!(upstream.connections() >= 3, "{}", upstream.connections());
    assert_eq!(guard.client().get("/").text(), "hello");
    drop(held);
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    let large = vec![b'x'; 3_000_000];
    let sent = large.clone();
    let (upstream, guard) = before("", move |request| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", request.body.len().to_string().parse().unwrap());
        let answer = Response::builder().header("trailer", "x-sum");
        Act::answer(answer.body(Bytes::from(sent.clone())).unwrap(), Some(trailers))
    });
    let mut client = guard.client();
    let answer = client.ask(&Ask::new("PUT", "/").body("a/b", &large).with("TE", "trailers"));
    assert_eq!((answer.status, answer.body.bytes == large), (200, true));
    assert_eq!(answer.body.trailers.get("x-sum"), Some("3000000"));
    assert!(upstream.streams()[0].body == large);
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-end\r\n\
         Connection: te\r\nTE: trailers\r\n\r\n2\r\nhi\r\n0\r\nx-end: yes\r\n\r\n",
    );
    assert_eq!(client.answer().status, 200);
    let stream = upstream.streams().pop().unwrap();
    assert_eq!((stream.body.as_slice(), stream.get("te")), (&b"hi"[..], Some("trailers")));
    assert_eq!(stream.trailers.unwrap().get("x-end").unwrap(), "yes");
}

#[test]
fn an_answer_that_nobody_takes_stops_no_other() {
    let (_upstream, guard) = before("", |request| match request.uri.path() {
        "/large" => Act::ok(&"x".repeat(30_000_000)),
        _ => Act::ok("hello"),
    });
    let stubborn: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = guard.client();
            client.send(Ask::get("/large").bytes());
            assert_eq!(client.answer_head().unwrap().status, 200);
            client
        })
        .collect();
    for _ in 0..10 {
        assert_eq!(guard.client().get("/").text(), "hello");
    }
    drop(stubborn);
}

#[test]
fn what_is_safe_is_repeated_once_where_the_connection_breaks_and_nothing_else_is() {
    let dies = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&dies);
    let (upstream, guard) = before(LIMIT, move |request| match request.uri.path() {
        "/" => Act::ok("hello"),
        _ if request.connection == 0 => {
            counted.fetch_add(1, Ordering::SeqCst);
            Act::Hold
        }
        _ => Act::ok("again"),
    });
    let mut client = guard.client();
    assert_eq!(client.get("/").text(), "hello");
    let mut asks: Vec<Client> = ["GET", "HEAD", "POST"]
        .map(|method| {
            let mut client = guard.client();
            client.send(Ask::new(method, "/x").with("Content-Length", "0").bytes());
            client
        })
        .into();
    let mut attempt = guard.client();
    attempt.send(Ask::login("bob", "wrong").bytes());
    upstream.wait_for_streams(5);
    upstream.cut();
    assert_eq!(asks[0].answer().text(), "again");
    assert_eq!(asks[1].answer_to("HEAD").status, 200);
    assert_eq!(asks[2].answer().verdict(), (502, "error"));
    assert_eq!(attempt.answer().verdict(), (502, "error"));
    assert_eq!(guard.wait_for_event("login_failed").get("reason"), "no verdict");
    assert_eq!(dies.load(Ordering::SeqCst), 4);
    assert_eq!(upstream.streams().len(), 7);
    assert_eq!(upstream.connections(), 2, "one connection for both that are repeated");
}

#[test]
fn a_stream_that_is_reset_is_a_bad_gateway_and_counts() {
    let (upstream, guard) = before(LIMIT, |_| Act::Reset(Reason::REFUSED_STREAM));
    let mut client = guard.client();
    for _ in 0..2 {
        assert_eq!(client.log_in("bob", "wrong").verdict(), (502, "error"));
    }
    assert_eq!(client.log_in("bob", "wrong").verdict(), (403, "locked"), "each was sent");
    assert_eq!(upstream.streams().len(), 3);
    assert_eq!(client.ask(&Ask::form("/", "a=b")).verdict(), (502, "error"));
    assert_eq!(upstream.streams().len(), 4);
}

#[test]
fn a_connection_that_the_server_leaves_is_not_used_again() {
    let (upstream, guard) = before("", Act::shop);
    let mut client = guard.client();
    for connections in 1..4 {
        assert_eq!(client.ask(&Ask::form("/", "a=b")).text(), "hello");
        assert_eq!(upstream.connections(), connections);
        upstream.leave();
        upstream.wait_for_closed(connections);
        guard.metrics(); // the guard has heard of it when it has done something later
    }
}

#[test]
fn an_idle_connection_is_closed_and_what_is_not_safe_takes_none_that_was_long_silent() {
    let (upstream, guard) = before("timeouts: { upstream_idle: 500ms }", Act::shop);
    let begun = wait::now();
    assert_eq!(guard.client().get("/").text(), "hello");
    upstream.wait_for_closed(1);
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    let timeouts = "timeouts: { upstream_idle: 60s, upstream_idle_unsafe: 1s }";
    let (upstream, guard) = before(timeouts, Act::shop);
    guard.client().get("/");
    guard.client().ask(&Ask::form("/", "a=b"));
    assert_eq!(upstream.connections(), 1, "something was heard a moment ago");
    let used = wait::now();
    wait::until("it has been silent", || used.elapsed() > Duration::from_millis(1200));
    guard.client().get("/");
    assert_eq!(upstream.connections(), 1, "what is safe may take it");
    let used = wait::now();
    wait::until("it has been silent", || used.elapsed() > Duration::from_millis(1200));
    guard.client().ask(&Ask::form("/", "a=b"));
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn an_answer_that_does_not_come_in_time_resets_its_stream() {
    let (upstream, guard) = before("timeouts: { response_head: 300ms }", |_| Act::Hold);
    let mut client = guard.client();
    assert_eq!(client.get("/").verdict(), (504, "error"));
    assert_eq!(client.log_in("bob", "wrong").verdict(), (504, "error"));
    upstream.wait_for_resets(2);
    assert_eq!(guard.wait_for_event("login_failed").get("reason"), "no verdict");
}

#[test]
fn a_login_field_that_comes_late_is_not_sent_and_the_body_is_too_large() {
    let sites = r#"
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /api/*
        username: { form: user }
        password: { form: password }
        outcome: { success: { status: 302 } }
"#;
    let (upstream, guard) = before(sites, Act::shop);
    let form = format!("a={}&user=bob&password=wrong", "x".repeat(200_000));
    let answer = guard.ask(&Ask::form("/api/x", &form));
    assert_eq!(answer.verdict(), (413, "refused"));
    upstream.wait_for_resets(1);
    assert!(upstream.streams().is_empty(), "it never came to its end");
    let form = format!("a={}&b=c", "x".repeat(200_000));
    assert_eq!(guard.ask(&Ask::form("/api/x", &form)).text(), "hello");
}
