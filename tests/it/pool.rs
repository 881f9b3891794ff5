//! Upstream connections: how long they are kept, who may use them, and what happens when they or
//! the upstream itself are dead.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Setup, Upstream, wait};

/// An upstream that answers the first request of its first connection, ends that connection at the
/// second with what `last` says, and answers everything on other connections.
fn dying(last: &'static str) -> Upstream {
    Upstream::scripted(move |talk| {
        if talk.connection == 0 {
            talk.request();
            talk.send(ok("first"));
            talk.request();
            talk.send(last);
            return;
        }
        while talk.request().is_some() {
            talk.send(ok("again"));
        }
    })
}

#[test]
fn a_connection_that_stays_idle_is_closed() {
    let upstream = Upstream::hello();
    let guard = Guard::start("timeouts: { upstream_idle: 500ms }", &upstream);
    let mut client = guard.client();
    let begun = wait::now();
    assert_eq!(client.get("/").status, 200);
    upstream.wait_for_closed(1);
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(client.get("/").status, 200);
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn what_is_not_safe_takes_only_a_connection_that_was_used_a_moment_ago() {
    let upstream = Upstream::shop();
    let limits = "timeouts: { upstream_idle: 60s, upstream_idle_unsafe: 2s }\nworkers: 1";
    let guard = Guard::start(limits, &upstream);
    let mut client = guard.client();
    client.get("/");
    client.ask(&Ask::form("/", "a=b"));
    assert_eq!(upstream.connections(), 1, "it was used a moment ago");
    let used = wait::now();
    wait::until("the connection has been idle", || used.elapsed() > Duration::from_millis(2100));
    client.get("/");
    assert_eq!(upstream.connections(), 1, "what is safe may take it");
    let used = wait::now();
    wait::until("the connection has been idle", || used.elapsed() > Duration::from_millis(2100));
    client.log_in("bob", "wrong");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn what_is_safe_is_repeated_once_on_a_new_connection() {
    for method in ["GET", "HEAD", "OPTIONS"] {
        let upstream = dying("");
        let guard = Guard::start("workers: 1", &upstream);
        let mut client = guard.client();
        assert_eq!(client.get("/1").text(), "first");
        assert_eq!(client.ask(&Ask::new(method, "/2")).status, 200, "{method}");
        let seen: Vec<_> =
            upstream.requests().into_iter().map(|r| (r.connection, r.target)).collect();
        assert_eq!(seen, [(0, "/1".into()), (0, "/2".into()), (1, "/2".into())]);
    }
}

#[test]
fn what_is_not_safe_or_has_a_body_is_never_repeated() {
    for ask in [
        Ask::form("/", "a=b"),
        Ask::new("POST", "/").with("Content-Length", "0"),
        Ask::new("PUT", "/").body("a/b", "c"),
        Ask::new("DELETE", "/"),
        Ask::get("/").body("a/b", "c"),
    ] {
        let upstream = dying("");
        let guard = Guard::start("workers: 1", &upstream);
        let mut client = guard.client();
        assert_eq!(client.get("/").text(), "first");
        assert_eq!(client.ask(&ask).verdict(), (502, "error"), "{ask:?}");
        assert_eq!(upstream.hits(), 2, "{ask:?}");
    }
}

#[test]
fn an_attempt_is_never_repeated_and_counts() {
    let upstream = dying("");
    let limit = "lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }\nworkers: 1";
    let guard = Guard::start(limit, &upstream);
    let mut client = guard.client();
    client.get("/");
    assert_eq!(client.log_in("bob", "x").verdict(), (502, "error"));
    assert_eq!(upstream.hits(), 2);
    let failed = guard.wait_for_event("login_failed");
    assert_eq!((failed.get("failures"), failed.get("reason")), ("1", "no verdict"));
    assert_eq!(client.log_in("bob", "x").verdict(), (403, "locked"));
    assert_eq!(upstream.hits(), 3);
}

#[test]
fn nothing_is_repeated_once_the_answer_has_begun() {
    let upstream = dying("HTTP/1.1 2");
    let guard = Guard::start("workers: 1", &upstream);
    let mut client = guard.client();
    assert_eq!(client.get("/").text(), "first");
    assert_eq!(client.get("/").verdict(), (502, "error"));
    assert_eq!(upstream.hits(), 2);
}

#[test]
fn nothing_is_repeated_from_a_new_connection() {
    let upstream = Upstream::scripted(|talk| drop(talk.request()));
    let guard = Guard::start("", &upstream);
    assert_eq!(guard.client().get("/").verdict(), (502, "error"));
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn nothing_is_repeated_twice() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        if talk.connection == 0 {
            talk.send(ok("first"));
            talk.request();
        }
    });
    let guard = Guard::start("workers: 1", &upstream);
    let mut client = guard.client();
    assert_eq!(client.get("/").text(), "first");
    assert_eq!(client.get("/").verdict(), (502, "error"));
    assert_eq!(upstream.hits(), 3);
}

#[test]
fn a_connection_that_the_upstream_closed_meanwhile_is_not_used() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.send(ok("once"));
    });
    let guard = Guard::start("workers: 1", &upstream);
    let mut client = guard.client();
    for closed in (0..8).step_by(2) {
        assert_eq!(client.ask(&Ask::login("bob", "x")).text(), "once");
        upstream.wait_for_closed(closed + 1);
        // the guard has heard of it when it has done something that came after it
        guard.metrics();
        assert_eq!(guard.ask(&Ask::get("/")).text(), "once");
        upstream.wait_for_closed(closed + 2);
        guard.metrics();
    }
}

#[test]
fn an_upstream_that_refuses_is_a_bad_gateway_and_counts_nothing() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let limit = "lockout: { limits: { by: ip_address, failures: 1, cool_off: 10m } }";
    let setup = Setup::new(limit).replace("{UPSTREAM}", &format!("http://{nobody}"));
    let guard = setup.start();
    let mut client = guard.client();
    assert_eq!(client.get("/").verdict(), (502, "error"));
    for _ in 0..3 {
        assert_eq!(client.log_in("bob", "x").verdict(), (502, "error"));
    }
    assert_eq!(guard.metric("loginward_places", "") as u32, 0);
}

/// An address at which connecting neither succeeds nor fails, for as long as the rest lives.
pub fn black_hole() -> (SocketAddr, socket2::Socket, Vec<TcpStream>) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let listener = listener.unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
    }
    (address, listener, waiting)
}

#[test]
fn an_upstream_that_cannot_be_connected_to_in_time_is_a_gateway_timeout_and_counts_nothing() {
    let (address, _listener, _waiting) = black_hole();
    let limits = "lockout: { limits: { by: ip_address, failures: 1, cool_off: 10m } }\n\
                  timeouts: { connect: 300ms }";
    let guard = Setup::new(limits).replace("{UPSTREAM}", &format!("http://{address}")).start();
    let mut client = guard.client();
    assert_eq!(client.get("/").verdict(), (504, "error"));
    assert_eq!(client.log_in("bob", "x").verdict(), (504, "error"));
    assert_eq!(client.log_in("bob", "x").verdict(), (504, "error"), "and not 403");
}

#[test]
fn an_upstream_that_does_not_answer_in_time_is_a_gateway_timeout() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.wait_for_end();
    });
    let guard = Guard::start("timeouts: { response_head: 500ms }", &upstream);
    let mut client = guard.client();
    for ask in [Ask::get("/"), Ask::form("/", "a=b")] {
        let begun = wait::now();
        assert_eq!(client.ask(&ask).verdict(), (504, "error"));
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    }
    upstream.wait_for_closed(2);
}

#[test]
fn an_upstream_that_speaks_no_http_is_a_bad_gateway() {
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(200_000));
    let answers = ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 two hundred\r\n\r\n", &long];
    for answer in answers.map(str::to_owned) {
        let upstream = Upstream::scripted(move |talk| {
            talk.request();
            talk.send(&answer);
            talk.wait_for_end();
        });
        let guard = Guard::start("", &upstream);
        let mut client = guard.client();
        assert_eq!(client.get("/").verdict(), (502, "error"));
        assert_eq!(client.log_in("bob", "x").verdict(), (502, "error"));
    }
}

#[test]
fn an_answer_that_is_framed_twice_is_a_bad_gateway_or_framed_once() {
    let upstream = Upstream::scripted(|talk| {
        let request = talk.request().unwrap();
        let fields = match request.target.as_str() {
            "/lengths" => "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
            "/list" => "Content-Length: 2, 3\r\n\r\nhi",
            "/twice" => "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
            _ => "Content-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        };
        talk.send(format!("HTTP/1.1 200 OK\r\n{fields}"));
    });
    let guard = Guard::start("", &upstream);
    for target in ["/lengths", "/list"] {
        assert_eq!(guard.client().get(target).verdict(), (502, "error"), "{target}");
    }
    for target in ["/twice", "/both"] {
        let answer = guard.client().get(target);
        assert_eq!((answer.status, answer.text().as_str(), answer.body.cut), (200, "hi", false));
        let framed = answer.fields.has("content-length") != answer.fields.has("transfer-encoding");
        assert!(framed, "{answer:?}");
    }
}
