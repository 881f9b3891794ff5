//! HTTP/2 towards clients: what was promised over HTTP/1 holds here too.

use http::HeaderValue;

use crate::support::upstream::ok;
use crate::support::{Authority, Ends, Gate, Guard, Http2, Setup, Upstream, wait};

const LISTEN: &str =
    "listen: { address: \"127.0.0.1:0\", tls: { certificate: cert.pem, key: key.pem } }";
const FIVE: &str = "lockout: { limits: { by: ip_address, failures: 5, cool_off: 10m }, \
                    at_limit: upstream }";

fn start(configuration: &str, upstream: &Upstream) -> (Guard, Authority) {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let setup = Setup::new(&format!("{LISTEN}\n{configuration}")).upstream(upstream);
    (setup.file("cert.pem", &certificate).file("key.pem", &key).start(), authority)
}

/// A client that, like browsers, does not let one stream have all the room there is.
fn roomy() -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(16 << 20);
    builder
}

#[test]
fn a_request_reaches_the_upstream_in_origin_form_with_its_host() {
    let upstream = Upstream::hello();
    let (guard, authority) = start("", &upstream);
    let mut client = Http2::to(&guard, &authority);
    let reply = client.ask(Http2::request("GET", "/a/b?c=d"), b"");
    assert_eq!((reply.status, &*reply.body), (200, &b"hello"[..]));
    let request = upstream.only_request();
    assert_eq!((&*request.method, &*request.target), ("GET", "/a/b?c=d"));
    assert_eq!(request.get("host"), Some("shop.test"));
    assert_eq!(request.get("x-forwarded-host"), Some("shop.test"));
    assert_eq!(request.get("x-forwarded-proto"), Some("https"));
    assert_eq!((request.get("content-length"), request.get("transfer-encoding")), (None, None));
}

#[test]
fn cookies_that_came_one_by_one_go_on_as_one_field() {
    let upstream = Upstream::hello();
    let (guard, authority) = start("", &upstream);
    let mut request = Http2::request("GET", "/");
    for pair in ["a=1", "session=x", "c=3"] {
        request.headers_mut().append("cookie", HeaderValue::from_static(pair));
    }
    Http2::to(&guard, &authority).ask(request, b"");
    assert_eq!(upstream.only_request().get("cookie"), Some("a=1; session=x; c=3"));
}

#[test]
fn bodies_go_on_with_the_framing_that_the_upstream_needs() {
    let upstream = Upstream::hello();
    let (guard, authority) = start("", &upstream);
    let mut client = Http2::to(&guard, &authority);
    // told by its stream alone, told by a length, none at all where one is usual
    client.ask(Http2::request("POST", "/upload"), b"12345");
    let mut told = Http2::request("PUT", "/upload");
    told.headers_mut().insert("content-length", HeaderValue::from_static("3"));
    client.ask(told, b"abc");
    client.ask(Http2::request("POST", "/nothing"), b"");
    let requests = upstream.requests();
    let bodies: Vec<_> = requests.iter().map(|r| String::from_utf8_lossy(&r.body.bytes)).collect();
    assert_eq!(bodies, ["12345", "abc", ""]);
    assert_eq!(requests[1].get("content-length"), Some("3"));
    assert_eq!(requests[2].get("content-length"), Some("0"));
}

#[test]
fn trailers_pass_towards_the_client() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n"
    });
    let (guard, authority) = start("", &upstream);
    let reply = Http2::to(&guard, &authority).ask(Http2::request("GET", "/"), b"");
    assert_eq!(reply.body, b"abc");
    assert_eq!(reply.trailers.expect("trailers").get("x-sum").unwrap(), "6");
}

#[test]
fn what_is_for_one_connection_alone_stays_on_it() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, x-hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\
         X-Kept: 1\r\nProxy-Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    });
    let (guard, authority) = start("", &upstream);
    let reply = Http2::to(&guard, &authority).ask(Http2::request("GET", "/"), b"");
    for name in ["connection", "keep-alive", "x-hop", "proxy-connection", "transfer-encoding"] {
        assert_eq!(reply.get(name), None, "{name}");
    }
    assert_eq!(reply.get("x-kept"), Some("1"));
}

#[test]
fn answers_without_a_body_end_with_their_head_and_keep_its_length() {
    let upstream = Upstream::answering(|request| match &*request.target {
        "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n",
        "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    });
    let (guard, authority) = start(
        "sites: [{ hosts: shop.test, upstream: \"{UPSTREAM}\", closed: /closed }]",
        &upstream,
    );
    let mut client = Http2::to(&guard, &authority);
    for (method, target, status) in
        [("GET", "/304", 304), ("GET", "/204", 204), ("HEAD", "/", 200), ("HEAD", "/closed", 403)]
    {
        let reply = client.ask(Http2::request(method, target), b"");
        assert_eq!((reply.status, &*reply.body), (status, &b""[..]), "{method} {target}");
        let length = reply.get("content-length").map(|length| length.parse::<u32>().unwrap());
        assert_eq!(length.is_some_and(|length| length > 0), status != 204, "{method} {target}");
    }
}

#[test]
fn a_host_that_contradicts_the_authority_is_refused() {
    let upstream = Upstream::hello();
    let (guard, authority) = start("", &upstream);
    let mut client = Http2::to(&guard, &authority);
    let mut ask = |host: &'static str| {
        let mut request = Http2::request("GET", "/");
        request.headers_mut().insert("host", HeaderValue::from_static(host));
        client.ask(request, b"").status
    };
    assert_eq!((ask("shop.test"), ask("Shop.Test"), ask("evil.test")), (200, 200, 400));
    assert_eq!(upstream.hits(), 2);
}

#[test]
fn more_header_fields_than_may_be_are_refused_also_here() {
    let upstream = Upstream::hello();
    let (guard, authority) = start("bounds: { headers: 20 }", &upstream);
    let mut client = Http2::to(&guard, &authority);
    let mut ask = |fields: usize| {
        let mut request = Http2::request("GET", "/");
        for at in 0..fields {
            let name = http::HeaderName::try_from(format!("x-{at}")).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_static("1"));
        }
        client.ask(request, b"").status
    };
    assert_eq!((ask(20), ask(21)), (200, 431));
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn a_target_that_is_too_long_or_no_path_is_refused() {
    let upstream = Upstream::hello();
    let (guard, authority) = start("bounds: { target: 1KiB }", &upstream);
    let mut client = Http2::to(&guard, &authority);
    let mut ask = |target: &str| client.ask(Http2::request("GET", target), b"").status;
    let (just, more) = (format!("/{}", "a".repeat(1023)), format!("/{}", "a".repeat(1024)));
    assert_eq!((ask(&just), ask(&more)), (200, 414));
    let connect = http::Request::builder().method("CONNECT").uri("shop.test:443").body(()).unwrap();
    assert_eq!(client.ask(connect, b"").status, 405);
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn a_body_that_contradicts_its_length_occupies_nobody() {
    let upstream = Upstream::hello();
    let (guard, authority) = start("workers: 1", &upstream);
    let mut client = Http2::to(&guard, &authority);
    client.ask(Http2::request("GET", "/"), b"");
    for length in ["3", "30"] {
        // head and body come together, so that the body is broken before it is looked at
        let begun = guard.paused(|| {
            let mut request = Http2::request("POST", "/upload");
            request.headers_mut().insert("content-length", length.parse().unwrap());
            let begun = client.begin(request, b"0123456789", Ends::Here);
            client.settle();
            begun
        });
        let error = client.finish(begun).unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::PROTOCOL_ERROR), "of {length}");
    }
    assert_eq!(Http2::to(&guard, &authority).ask(Http2::request("GET", "/"), b"").status, 200);
}

#[test]
fn forty_guesses_in_one_packet_are_held_to_the_limit() {
    let upstream = Upstream::answering(|_| ok("wrong password"));
    let (guard, authority) = start(FIVE, &upstream);
    let mut client = Http2::to(&guard, &authority);
    client.ask(Http2::request("GET", "/"), b"");
    // the guard finds all of them at once
    let begun = guard.paused(|| {
        let begun: Vec<_> = (0..40).map(|_| client.begin_login("bob", "wrong")).collect();
        client.settle();
        begun
    });
    let replies = begun.into_iter().map(|begun| client.finish(begun).unwrap());
    let refused = replies.filter(|reply| reply.verdict() == (403, "locked")).count();
    assert_eq!((upstream.hits() - 1, refused), (5, 35));
}

#[test]
fn a_stream_that_is_reset_right_after_its_guess_is_counted_if_the_guess_was_sent() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_| {
        held.pass();
        ok("wrong password")
    });
    let (guard, authority) = start(FIVE, &upstream);
    let mut client = Http2::to(&guard, &authority);
    for at in 1..=5 {
        let mut begun = client.begin_login("bob", "wrong");
        gate.wait_for_arrivals(at);
        begun.body.send_reset(h2::Reason::CANCEL);
    }
    gate.open();
    wait::until("all are settled", || {
        guard.metric("loginward_attempts_total", "outcome=\"failure\"") as u32 == 5
    });
    assert_eq!(client.log_in("bob", "wrong").verdict(), (403, "locked"));
    assert_eq!(upstream.hits(), 5);
}

#[test]
fn streams_that_are_reset_in_the_packet_of_their_guess_give_no_free_guess() {
    let upstream = Upstream::answering(|_| ok("wrong password"));
    let (guard, authority) = start(FIVE, &upstream);
    let mut client = Http2::to(&guard, &authority);
    for _ in 0..3 {
        // answered, so that what was reset before is looked at: too many at once are no guesses
        client.ask(Http2::request("GET", "/"), b"");
        guard.paused(|| {
            for _ in 0..15 {
                let mut begun = client.begin_login("bob", "wrong");
                client.settle();
                begun.body.send_reset(h2::Reason::CANCEL);
                client.settle();
            }
        });
    }
    let mut other = Http2::to(&guard, &authority);
    let mut rest = 0;
    while other.log_in("bob", "wrong").verdict() != (403, "locked") {
        rest += 1;
        assert!(rest <= 5, "it is never locked");
    }
    assert_eq!(upstream.hits() - 3, 5);
}

#[test]
fn a_connection_that_breaks_after_its_guesses_gives_no_free_guess() {
    let upstream = Upstream::answering(|_| ok("wrong password"));
    let (guard, authority) = start(FIVE, &upstream);
    for _ in 0..4 {
        let mut client = Http2::to(&guard, &authority);
        let begun: Vec<_> = (0..4).map(|_| client.begin_login("bob", "wrong")).collect();
        client.settle();
        drop((client, begun));
    }
    let mut other = Http2::to(&guard, &authority);
    let mut rest = 0;
    while other.log_in("bob", "wrong").verdict() != (403, "locked") {
        rest += 1;
        assert!(rest <= 5, "it is never locked");
    }
    assert_eq!(upstream.hits(), 5);
}

#[test]
fn one_stream_that_nobody_takes_or_sends_starves_no_other() {
    let big = "x".repeat(4 << 20);
    let upstream = Upstream::scripted(move |talk| {
        while let Some(request) = talk.request_head() {
            match &*request.target {
                "/stuck" => return talk.wait_for_end(), // it does not read the body
                "/big" => drop(talk.send(ok(&big))),
                _ => drop(talk.send(ok("hello"))),
            }
        }
    });
    let (guard, authority) = start("", &upstream);
    let mut client = Http2::with(&guard, &authority, &roomy());
    let stuck: Vec<_> = (0..3)
        .map(|_| client.begin(Http2::request("POST", "/stuck"), &vec![0; 1 << 20], Ends::Later))
        .collect();
    upstream.wait_for_hits(3);
    let unread = client.begin(Http2::request("GET", "/big"), b"", Ends::Here);
    let unread = client.head(unread).unwrap();
    for _ in 0..20 {
        assert_eq!(client.ask(Http2::request("GET", "/"), b"").body, b"hello");
    }
    drop((stuck, unread));
}

#[test]
fn a_client_may_have_a_hundred_streams_and_no_more() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_| {
        held.pass();
        ok("hello")
    });
    let (guard, authority) = start("", &upstream);
    let mut client = Http2::to(&guard, &authority);
    let ask = |_| Http2::request("GET", "/");
    wait::until("the guard says how many", || client.most_streams() == 100);
    let begun: Vec<_> = (0..100).map(ask).map(|r| client.begin(r, b"", Ends::Here)).collect();
    gate.wait_for_arrivals(100);
    gate.open();
    for begun in begun {
        assert_eq!(client.finish(begun).unwrap().status, 200);
    }
}

#[test]
fn a_stream_whose_client_stalls_is_ended_and_its_connection_goes_on() {
    let upstream = Upstream::answering(|request| match &*request.target {
        "/big" => ok(&"x".repeat(8 << 20)),
        _ => ok("hello"),
    });
    let (guard, authority) = start("timeouts: { body: 300ms, send: 300ms }", &upstream);
    let mut client = Http2::with(&guard, &authority, &roomy());
    let upload = client.begin(Http2::request("POST", "/upload"), b"begun", Ends::Later);
    let unread = client.begin(Http2::request("GET", "/big"), b"", Ends::Here);
    let (_, mut unread) = client.head(unread).unwrap();
    assert_eq!(client.finish(upload).unwrap().status, 408);
    let reason = client.run(async {
        loop {
            // takes what comes, and lets nothing more come
            match unread.data().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error.reason(),
                None => return None,
            }
        }
    });
    assert_eq!(reason, Some(h2::Reason::CANCEL));
    assert_eq!(client.ask(Http2::request("GET", "/"), b"").body, b"hello");
}

#[test]
fn an_idle_connection_is_told_to_go_and_a_silent_one_ended() {
    let upstream = Upstream::hello();
    let (guard, authority) = start("timeouts: { idle: 300ms }", &upstream);
    let mut client = Http2::to(&guard, &authority);
    assert_eq!(client.ask(Http2::request("GET", "/"), b"").status, 200);
    assert_eq!(client.wait_for_end(), Some(h2::Reason::NO_ERROR));
}

#[test]
fn draining_lets_streams_finish_and_takes_no_more() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_| {
        held.pass();
        ok("hello")
    });
    let (mut guard, authority) = start("", &upstream);
    let mut client = Http2::to(&guard, &authority);
    let begun = client.begin(Http2::request("GET", "/"), b"", Ends::Here);
    gate.wait_for_arrivals(1);
    guard.terminate();
    guard.wait_for_event("stopping");
    gate.open();
    assert_eq!(client.finish(begun).unwrap().body, b"hello");
    assert_eq!(client.wait_for_end(), Some(h2::Reason::NO_ERROR));
    assert!(guard.wait_for_exit().success());
}

#[test]
fn rapid_resets_end_the_connection_and_nothing_else() {
    let upstream = Upstream::hello();
    let (guard, authority) = start("", &upstream);
    let mut client = Http2::to(&guard, &authority);
    let mut other = Http2::to(&guard, &authority);
    client.ask(Http2::request("GET", "/"), b"");
    guard.paused(|| {
        for _ in 0..90 {
            let mut begun = client.begin(Http2::request("GET", "/"), b"x", Ends::Later);
            client.settle();
            begun.body.send_reset(h2::Reason::CANCEL);
            client.settle();
        }
    });
    // the end of the connection may overtake what is said of it
    let reason = client.wait_for_end();
    assert!(reason.is_none_or(|why| why == h2::Reason::ENHANCE_YOUR_CALM), "{reason:?}");
    assert_eq!(other.ask(Http2::request("GET", "/"), b"").status, 200);
}
