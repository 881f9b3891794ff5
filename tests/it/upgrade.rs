//! WebSocket is the one upgrade that passes, and only when both ends mean it.

use tokio_tungstenite::tungstenite::{self, Message};

use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Upstream};

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// A request to become a WebSocket.
fn handshake(target: &str) -> Ask {
    Ask::get(target)
        .with("Connection", "keep-alive, Upgrade")
        .with("Upgrade", "WebSocket")
        .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .with("Sec-WebSocket-Version", "13")
}

#[test]
fn a_websocket_speaks_through_the_guard() {
    let upstream = Upstream::scripted(|talk| {
        let mut socket = tungstenite::accept(&mut talk.wire.socket).unwrap();
        while let Ok(Message::Text(text)) = socket.read() {
            socket.send(Message::text(format!("{text}!"))).unwrap();
        }
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    let (mut socket, _) = tungstenite::client("ws://shop.test/", &mut client.wire.socket).unwrap();
    for text in ["one", "two"] {
        socket.send(Message::text(text)).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text(format!("{text}!")));
    }
    drop(client);
    upstream.wait_for_closed(1);
}

#[test]
fn what_is_sent_together_with_the_handshake_is_not_lost() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.send([SWITCHING, "from upstream"].concat());
        let early = talk.wire.exactly(11).unwrap();
        talk.send(early);
        talk.wait_for_end();
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send([&*handshake("/chat").bytes(), b"from client"].concat());
    let answer = client.answer_head().unwrap();
    assert_eq!((answer.status, answer.get("upgrade")), (101, Some("websocket")));
    assert_eq!(answer.get("connection"), Some("upgrade"));
    assert_eq!(client.wire.exactly(24).unwrap(), b"from upstreamfrom client");
    let request = upstream.only_request();
    assert_eq!(request.get("upgrade"), Some("websocket"));
    assert_eq!(request.get("connection"), Some("upgrade"));
    assert_eq!(request.get("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
}

#[test]
fn either_end_may_close_its_half_of_a_tunnel_first() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.send(SWITCHING);
        let all = talk.wire.rest();
        talk.send(all);
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send(handshake("/chat").bytes());
    assert_eq!(client.answer_head().unwrap().status, 101);
    client.send("the last words").half_close();
    assert_eq!(client.wire.rest(), b"the last words");
}

#[test]
fn a_tunnel_outlives_the_time_limits_of_http() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.send(SWITCHING);
        // longer than every limit below
        talk.wire.socket.set_patience(std::time::Duration::from_secs(1));
        let nothing = std::io::Read::read(&mut talk.wire.socket, &mut [0]);
        assert!(nothing.is_err(), "{nothing:?}");
        talk.send("still here");
    });
    let limits = "timeouts: { idle: 200ms, head: 200ms, response_head: 200ms, upstream_idle: 200ms, upstream_idle_unsafe: 200ms }";
    let guard = Guard::start(limits, &upstream);
    let mut client = guard.client();
    client.send(handshake("/chat").bytes());
    assert_eq!(client.answer_head().unwrap().status, 101);
    assert_eq!(client.wire.rest(), b"still here");
}

#[test]
fn a_refused_upgrade_is_an_answer_like_any_other() {
    for status in ["200 OK", "426 Upgrade Required", "403 Forbidden"] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
        let upstream = Upstream::answering(move |_| answer.clone());
        let guard = Guard::start("", &upstream);
        let mut client = guard.client();
        let answer = client.ask(&handshake("/chat"));
        assert_eq!((answer.status, answer.text().as_str()), (status[..3].parse().unwrap(), "no"));
        assert_eq!(client.get("/next").text(), "no", "HTTP goes on after {status}");
        assert_eq!(upstream.requests()[1].target, "/next");
    }
}

#[test]
fn an_upstream_that_switches_to_something_else_is_a_bad_gateway() {
    let switching = |fields: &str| format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n");
    for (ask, fields) in [
        (handshake("/"), "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        (handshake("/"), ""),
        (Ask::get("/"), "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        (Ask::new("PUT", "/").body("x/y", "z"), "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    ] {
        let answer = switching(fields) + "smuggled";
        let upstream = Upstream::scripted(move |talk| {
            talk.request();
            talk.send(&answer);
            talk.wait_for_end();
        });
        let guard = Guard::start("", &upstream);
        let answer = guard.ask(&ask);
        assert_eq!(answer.verdict(), (502, "error"), "{ask:?} {fields}");
        assert!(!answer.text().contains("smuggled"));
        upstream.wait_for_closed(1);
    }
}

#[test]
fn no_other_upgrade_is_forwarded() {
    let websocket = ("Upgrade", "websocket");
    let connection = ("Connection", "Upgrade");
    for (method, fields) in [
        ("GET", [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c")]),
        ("GET", [connection, ("Upgrade", "websocket, h2c")]),
        ("GET", [("Connection", "keep-alive"), websocket]),
        ("POST", [connection, websocket]),
        ("HEAD", [connection, websocket]),
    ] {
        let upstream = Upstream::answering(|_| "HTTP/1.1 204 No Content\r\n\r\n");
        let guard = Guard::start("", &upstream);
        let mut ask = Ask::new(method, "/").with("HTTP2-Settings", "AAMAAABk");
        for (name, value) in fields {
            ask = ask.with(name, value);
        }
        assert_eq!(guard.ask(&ask).status, 204);
        let request = upstream.only_request();
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(request.get(name), None, "{method} {fields:?}");
        }
    }
}

#[test]
fn neither_a_body_nor_http_1_0_goes_with_an_upgrade() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    assert_eq!(guard.ask(&handshake("/").body("text/plain", "body")).status, 200);
    let old = "GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(guard.client().send(old).answer().status, 200);
    for request in upstream.requests() {
        assert_eq!(request.get("upgrade"), None);
    }
}

#[test]
fn a_websocket_may_come_with_basic_credentials() {
    let upstream = Upstream::scripted(|talk| {
        let request = talk.request().unwrap();
        if request.get("authorization") == Some("Basic Ym9iOnJpZ2h0") {
            talk.send([SWITCHING, "hello"].concat());
            let echo = talk.wire.exactly(4).unwrap();
            talk.send(echo);
        } else {
            talk.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let guard = Guard::start(
        r#"
lockout: { limits: { by: ip_address, failures: 3, cool_off: 10m } }
sites: [{ upstream: "{UPSTREAM}", logins: [{ path: "/*", username: { basic: true } }] }]
"#,
        &upstream,
    );
    let with = |credentials: &str| handshake("/chat").with("Authorization", credentials);
    assert_eq!(guard.ask(&with("Basic Ym9iOndyb25n")).status, 401);
    let mut client = guard.client();
    client.send(with("Basic Ym9iOnJpZ2h0").bytes());
    assert_eq!(client.answer_head().unwrap().status, 101);
    client.send("echo");
    assert_eq!(client.wire.rest(), b"helloecho");
    assert_eq!(guard.ask(&with("Basic Ym9iOng=")).status, 401);
    assert_eq!(guard.ask(&with("Basic Ym9iOnk=")).verdict(), (403, "locked"));
}

#[test]
fn an_attempt_never_becomes_a_tunnel() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(request) = talk.request() {
            let switches = request.fields.has("upgrade") || request.target.contains("anyway");
            talk.send(if switches { SWITCHING.to_owned() } else { ok("wrong password") });
        }
    });
    let guard = Guard::start(
        "lockout: { limits: { by: ip_address, failures: 3, cool_off: 10m } }",
        &upstream,
    );
    let answer = guard.ask(&handshake("/login?user=bob&password=x"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "wrong password"));
    assert_eq!(upstream.only_request().get("upgrade"), None);
    let anyway = handshake("/login?user=bob&password=x&anyway");
    assert_eq!(guard.ask(&anyway).verdict(), (502, "error"));
    assert_eq!(guard.ask(&anyway).verdict(), (403, "locked"), "each of them was a failure");
}
