//! What is spoken where HTTP/2 is wanted: it, or HTTP/1.1.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::{LIMIT, before, guard};
use crate::support::upstream::{ok, shop};
use crate::support::{Act, Answer, Ask, Authority, Client, Http2Upstream, Setup, Upstream, wait};

#[test]
fn a_host_that_is_none_for_http_2_is_refused() {
    let (upstream, guard) = before(LIMIT, Act::shop);
    for host in ["a:b:c", "[::1", "a%b"] {
        let get = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(guard.client().send(get).answer().verdict(), (400, "refused"), "{host}");
    }
    assert!(upstream.streams().is_empty());
}

/// A server that speaks either, and tells which it is.
fn either(protocols: &[&[u8]], authority: &Authority) -> Upstream {
    let mut config = authority.server(&["localhost"]);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Upstream::scripted_tls(config, |talk| {
        while let Some(request) = talk.request() {
            let agreed = talk.wire.socket.tls().alpn_protocol().map(<[u8]>::to_vec);
            let agreed = String::from_utf8(agreed.unwrap_or_default()).unwrap();
            match request.target.as_str() {
                "/login" => talk.send(shop(&request)),
                _ => talk.send(ok(&agreed)),
            };
        }
    })
}

#[test]
fn a_server_that_does_not_agree_on_http_2_is_spoken_to_in_http_1() {
    for (protocols, agreed) in [(&[&b"http/1.1"[..]][..], "http/1.1"), (&[], "")] {
        let authority = Authority::new();
        let upstream = either(protocols, &authority);
        let guard = guard(upstream.url(), &authority, LIMIT);
        let mut client = guard.client();
        for _ in 0..3 {
            assert_eq!(client.get("/").text(), agreed);
        }
        assert_eq!(client.log_in("bob", "wrong").text(), "wrong password");
        assert_eq!(upstream.connections(), 1);
        let answers: Vec<_> = (0..8)
            .map(|_| {
                let address = guard.addr();
                std::thread::spawn(move || Client::to_addr(address).get("/").text())
            })
            .collect();
        assert!(answers.into_iter().all(|answer| answer.join().unwrap() == agreed));
    }
}

#[test]
fn a_server_that_cannot_be_reached_fails_all_who_wait_for_it_at_once() {
    let upstream = Upstream::scripted(|talk| talk.wait_for_end());
    let url = upstream.url().replace("http:", "https:");
    let guard = guard(&url, &Authority::new(), "timeouts: { connect: 1s }");
    let begun = wait::now();
    let clients: Vec<_> = (0..10)
        .map(|_| {
            let address = guard.addr();
            std::thread::spawn(move || Client::to_addr(address).get("/").status)
        })
        .collect();
    assert!(clients.into_iter().all(|client| client.join().unwrap() == 504));
    assert!(begun.elapsed() < Duration::from_secs(6), "not one after the other");
}

#[test]
fn upgrades_and_authenticated_connections_speak_http_1() {
    let authority = Authority::new();
    let mut config = authority.server(&["localhost"]);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let upstream = Upstream::scripted_tls(config, |talk| {
        while let Some(request) = talk.request() {
            let ntlm = request.get("authorization").map(str::to_owned);
            if request.fields.has("upgrade") {
                talk.send(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                     Upgrade: websocket\r\n\r\nhello",
                );
                return talk.wait_for_end();
            }
            let connection = talk.connection;
            match ntlm.as_deref() {
                Some("NTLM one") => talk.send(
                    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM two\r\n\
                     Content-Length: 0\r\n\r\n",
                ),
                _ => talk.send(ok(&connection.to_string())),
            };
        }
    });
    let guard = guard(upstream.url(), &authority, "");
    let mut client = guard.client();
    let upgrade = Ask::get("/chat")
        .with("Connection", "Upgrade")
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    client.send(upgrade.bytes());
    assert_eq!(client.answer_head().unwrap().status, 101);
    assert_eq!(client.wire.exactly(5).unwrap(), b"hello");
    let mut client = guard.client();
    let ntlm = |message: &str| Ask::get("/").with("Authorization", &format!("NTLM {message}"));
    let challenged: Answer = client.ask(&ntlm("one"));
    assert_eq!((challenged.status, challenged.get("www-authenticate")), (401, Some("NTLM two")));
    assert_eq!(client.ask(&ntlm("three")).text(), "1", "on the connection of the first");
    assert_eq!(client.get("/").text(), "1", "which is the client's");
}

#[test]
fn checks_speak_http_2_too() {
    let authority = Authority::new();
    let config = authority.server(&["localhost"]);
    let upstream = Http2Upstream::start(config, |request| match request.uri.path() {
        "/health" => Act::answer(Response::builder().status(500).body(Bytes::new()).unwrap(), None),
        _ => Act::ok("hello"),
    });
    let mapping = format!(
        "{{ servers: \"{}\", http2: true, tls: {{ ca: ca.pem }}, host: app.test, \
         health_check: {{ path: /health, interval: 300ms }} }}",
        upstream.url()
    );
    let setup = Setup::new("").replace("\"{UPSTREAM}\"", &mapping);
    let guard = setup.file("ca.pem", &authority.pem()).start();
    let out = guard.wait_for_event("upstream_out");
    assert!(out.get("reason").contains("500"), "{out:?}");
    assert_eq!(upstream.streams()[0].uri, "https://app.test/health");
    assert_eq!(guard.client().get("/").verdict(), (503, "error"));
}
