//! What of a head is passed on, what is not, and what the guard says of its own.

use crate::support::request::Request;
use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Setup, Upstream};

/// The request that an upstream gets when a client sends `ask`.
#[track_caller]
fn received(configuration: &str, ask: &Ask) -> Request {
    let upstream = Upstream::hello();
    let guard = Guard::start(configuration, &upstream);
    assert_eq!(guard.ask(ask).status, 200);
    upstream.only_request()
}

fn with(mut ask: Ask, fields: &[(&str, &str)]) -> Ask {
    for (name, value) in fields {
        ask = ask.with(name, value);
    }
    ask
}

#[test]
fn the_host_goes_upstream_unchanged() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    for host in ["shop.test", "Shop.TEST:8080", "[2001:db8::1]:80", "10.0.0.1", "a_b.test."] {
        let ask = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(guard.client().send(ask).answer().status, 200);
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.get("host"), Some(host));
        assert_eq!(request.get("x-forwarded-host"), Some(host));
    }
}

#[test]
fn what_belongs_to_a_connection_stays_on_it() {
    let hop_by_hop = [
        ("Connection", "keep-alive, X-Mine , x-other"),
        ("X-Mine", "1"),
        ("X-Other", "2"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("TE", "gzip"),
    ];
    for ask in [Ask::get("/"), Ask::login("bob", "x")] {
        let request = received("", &with(ask, &hop_by_hop).with("X-Kept", "3"));
        for (name, _) in hop_by_hop {
            assert_eq!(request.get(name), None, "{name}");
        }
        assert_eq!(request.get("x-kept"), Some("3"));
    }
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nConnection: X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
         Upgrade: h2c\r\nProxy-Connection: x\r\nX-Kept: 3\r\nContent-Length: 0\r\n\r\n"
    });
    let answer = Guard::start("", &upstream).client().get("/");
    for name in ["connection", "x-mine", "keep-alive", "upgrade", "proxy-connection"] {
        assert_eq!(answer.get(name), None, "{name}");
    }
    assert_eq!(answer.get("x-kept"), Some("3"));
}

#[test]
fn connection_takes_away_nothing_that_makes_the_request_what_it_is() {
    let fields = [
        ("Connection", "Host, Cookie, Authorization, Content-Length, Content-Type, X-Real-IP"),
        ("Cookie", "a=b"),
        ("Authorization", "Bearer x"),
    ];
    let request = received("", &with(Ask::form("/", "a=b"), &fields));
    for name in ["host", "cookie", "authorization", "content-type", "x-real-ip"] {
        assert!(request.fields.has(name), "{name}");
    }
    assert_eq!(request.text(), "a=b");
}

#[test]
fn an_upstream_is_told_who_asks_and_for_what() {
    for ask in [Ask::get("/"), Ask::login("bob", "x")] {
        let request = received("", &ask);
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-real-ip", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "shop.test"),
            ("forwarded", "for=127.0.0.1;proto=http"),
        ] {
            assert_eq!(request.get(name), Some(value), "{name}");
        }
        let id = request.get("x-request-id").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
}

#[test]
fn every_request_has_an_identifier_of_its_own() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    for _ in 0..20 {
        client.get("/");
    }
    let requests = upstream.requests();
    let mut ids: Vec<_> = requests.iter().map(|request| request.get("x-request-id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

#[test]
fn a_stranger_says_nothing_of_itself_under_any_name() {
    let claims = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-For", "7.7.7.7"),
        ("X_Forwarded_For", "6.6.6.6"),
        ("X-Forwarded_For", "6.6.6.6"),
        ("X-Real-IP", "6.6.6.6"),
        ("X_Real_IP", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6"),
        ("X-Forwarded-Proto", "https"),
        ("X_Forwarded_Proto", "https"),
        ("X-Forwarded-Host", "evil.test"),
        ("X_Forwarded_Host", "evil.test"),
        ("X-Forwarded-Port", "6666"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Request-Id", "mine"),
        ("X_Request_Id", "mine"),
        ("True-Client-IP", "6.6.6.6"),
        ("CF-Connecting-IP", "6.6.6.6"),
        ("Client-IP", "6.6.6.6"),
        ("X-Client-IP", "6.6.6.6"),
        ("X-Original-URL", "/login"),
        ("X-Rewrite-URL", "/login"),
    ];
    for ask in [Ask::get("/"), Ask::login("bob", "x")] {
        let request = received("", &with(ask, &claims).with("X_Plain", "kept"));
        let ours = ["for", "proto", "host"].map(|what| format!("x-forwarded-{what}"));
        for (name, value) in &request.fields.0 {
            let folded = name.to_ascii_lowercase().replace('_', "-");
            let claimed = claims.iter().any(|(name, _)| name.eq_ignore_ascii_case(&folded));
            let is_ours = ours.contains(name)
                || ["forwarded", "x-real-ip", "x-request-id"].contains(&name.as_str());
            assert!(!claimed || is_ours, "{name}: {value}");
            for secret in ["6.6.6.6", "7.7.7.7", "evil", "mine", "https"] {
                assert!(!value.contains(secret), "{name}: {value}");
            }
        }
        assert_eq!(request.get("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(request.get("x_plain"), Some("kept"));
    }
}

#[test]
fn a_trusted_proxy_is_believed_and_its_chain_continued() {
    let claims = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-For", "203.0.113.5"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "public.test"),
        ("X-Forwarded-Port", "443"),
        ("X-Request-Id", "theirs"),
        ("X_Forwarded_For", "6.6.6.6"),
        ("X-Original-URL", "/login"),
    ];
    let request = received("trusted_proxies: 127.0.0.1", &with(Ask::get("/"), &claims));
    for (name, value) in [
        ("x-forwarded-for", Some("6.6.6.6, 203.0.113.5, 127.0.0.1")),
        ("x-real-ip", Some("203.0.113.5")),
        ("x-forwarded-proto", Some("https")),
        ("x-forwarded-host", Some("public.test")),
        ("x-forwarded-port", Some("443")),
        ("x-request-id", Some("theirs")),
        ("x_forwarded_for", None),
        ("x-original-url", None),
    ] {
        assert_eq!(request.get(name), value, "{name}");
    }
}

#[test]
fn bodies_are_framed_anew_and_absent_ones_are_not() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    for (ask, length, coding) in [
        (Ask::get("/"), None, None),
        (Ask::new("POST", "/").with("Content-Length", "0"), Some("0"), None),
        (Ask::new("DELETE", "/"), None, None),
        (Ask::form("/", "a=b"), Some("3"), None),
        (Ask::login("bob", "x"), Some("19"), None),
    ] {
        assert_eq!(guard.ask(&ask).status, 200);
        let request = upstream.requests().pop().unwrap();
        let seen = (request.get("content-length"), request.get("transfer-encoding"));
        assert_eq!(seen, (length, coding), "{ask:?}");
    }
    let chunked = "POST /login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\
                   Content-Type: application/x-www-form-urlencoded\r\n\r\n\
                   8\r\nuser=bob\r\nb\r\n&password=x\r\n0\r\n\r\n";
    assert_eq!(guard.client().send(chunked).answer().status, 200);
    let request = upstream.requests().pop().unwrap();
    assert_eq!(request.get("content-length"), Some("19"), "the guard has it all");
    assert_eq!(request.text(), "user=bob&password=x");
}

#[test]
fn nobody_else_sends_the_guards_own_headers() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nX-Loginward: locked\r\nX-Loginward-Ref: ABC\r\n\
         Content-Length: 0\r\n\r\n"
    });
    let guard = Guard::start("", &upstream);
    for ask in [Ask::get("/"), Ask::login("bob", "x")] {
        let answer = guard.ask(&ask.with("X-Loginward", "x").with("X_Loginward_Ref", "y"));
        for (name, value) in &answer.fields.0 {
            assert!(!name.to_ascii_lowercase().contains("loginward"), "{name}: {value}");
        }
        let request = upstream.requests().pop().unwrap();
        assert!(!request.fields.0.iter().any(|(name, _)| name.contains("loginward")));
    }
}

#[test]
fn an_upstream_at_a_unix_socket_is_like_any_other() {
    let setup = Setup::new("");
    let path = setup.dir.path().join("app.sock");
    let upstream = Upstream::scripted_unix(&path, |talk| {
        while let Some(request) = talk.request() {
            talk.send(ok(&request.target));
        }
    });
    let guard = setup.upstream(&upstream).start();
    let mut client = guard.client();
    assert_eq!(client.get("/1").text(), "/1");
    assert_eq!(client.log_in("bob", "x").text(), "/login");
    assert_eq!(upstream.requests()[0].get("host"), Some("shop.test"));
    assert_eq!(upstream.connections(), 1);
    client.send("GET / HTTP/1.0\r\n\r\n").answer();
    assert_eq!(upstream.requests()[2].get("host"), Some("localhost"));
}

#[test]
fn of_two_chains_the_one_that_the_proxy_does_not_write_is_made_anew() {
    let claims =
        [("X-Forwarded-For", "6.6.6.6, 203.0.113.5"), ("Forwarded", "for=1.2.3.4;proto=https")];
    let request = received("trusted_proxies: 127.0.0.1", &with(Ask::get("/"), &claims));
    assert_eq!(request.get("x-forwarded-for"), Some("6.6.6.6, 203.0.113.5, 127.0.0.1"));
    assert_eq!(request.get("forwarded"), Some("for=203.0.113.5, for=127.0.0.1;proto=http"));
    let with_proto = [("X-Forwarded-For", "203.0.113.5"), ("X-Forwarded-Proto", "https")];
    let request = received("trusted_proxies: 127.0.0.1", &with(Ask::get("/"), &with_proto));
    let expected = "for=203.0.113.5;proto=https, for=127.0.0.1;proto=http";
    assert_eq!(request.get("forwarded"), Some(expected), "the client's scheme is the client's");
    let by_forwarded = "trusted_proxies: 127.0.0.1\nclient_address: { header: forwarded }";
    let request = received(by_forwarded, &with(Ask::get("/"), &claims));
    assert_eq!(request.get("x-forwarded-for"), Some("1.2.3.4, 127.0.0.1"));
    let expected = "for=1.2.3.4;proto=https, for=127.0.0.1;proto=http";
    assert_eq!(request.get("forwarded"), Some(expected));
}

#[test]
fn an_upstream_learns_the_client_from_either_chain() {
    let claims = [("X-Forwarded-For", "203.0.113.5")];
    let request = received("trusted_proxies: 127.0.0.1", &with(Ask::get("/"), &claims));
    assert_eq!(request.get("forwarded"), Some("for=203.0.113.5, for=127.0.0.1;proto=http"));
    let request = received("trusted_proxies: 127.0.0.1", &Ask::get("/"));
    assert_eq!(request.get("forwarded"), Some("for=127.0.0.1;proto=http"));
    assert_eq!(request.get("x-forwarded-for"), Some("127.0.0.1"));
}
