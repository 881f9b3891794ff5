//! Answers that do not look like failures, and requests that want them so.

use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Request, Upstream};

/// Two failures lock. A success is told by the body.
const TWO: &str = r#"
lockout: { limits: { by: username, failures: 2, cool_off: 10m } }
timeouts: { verdict: 500ms }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: username }
        password: { form: password }
        outcome: { success: { status: 200, body: Welcome } }
"#;

/// Whatever the upstream answers to wrong guesses, two are all that reach it.
#[track_caller]
fn check(what: &str, answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) {
    let upstream = Upstream::scripted(move |talk| {
        while let Some(request) = talk.request() {
            talk.send(answer(&request));
            if what_ends(&request) {
                return;
            }
        }
    });
    let guard = Guard::start(TWO, &upstream);
    for _ in 0..6 {
        let mut client = guard.client();
        client.send(Ask::form("/login", "username=victim&password=x").bytes());
        client.answer_head();
    }
    assert_eq!(upstream.hits(), 2, "{what}");
}

/// Answers whose end is the end of the connection ask for that.
fn what_ends(request: &Request) -> bool {
    request.target == "/login"
}

fn whole(status: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into()
}

#[test]
fn no_answer_but_a_proven_success_is_one() {
    for status in [
        "200 OK",
        "201 Created",
        "202 Accepted",
        "204 No Content",
        "206 Partial Content",
        "302 Found",
        "304 Not Modified",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "405 Method Not Allowed",
        "418 Teapot",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "599 x",
        "299",
    ] {
        check(status, move |_| {
            let body = if ["204", "304"].iter().any(|bare| status.starts_with(bare)) {
                ""
            } else {
                "sorry"
            };
            whole(status, "", body)
        });
    }
    check("an answer that is cut off", |_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nWelc".to_vec()
    });
    check("no answer", |_| Vec::new());
    check("half a head", |_| b"HTTP/1.1 200 OK\r\nContent-".to_vec());
    check("what is no HTTP", |_| b"Welcome\r\n\r\n".to_vec());
    check("an answer that ends with its connection", |_| {
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsorry".to_vec()
    });
    check("an answer of HTTP/1.0", |_| b"HTTP/1.0 200 OK\r\n\r\nsorry".to_vec());
    check("an endless interim answer", |_| b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_vec());
    check("an interim answer first", |_| {
        [b"HTTP/1.1 102 Processing\r\n\r\n".to_vec(), whole("200 OK", "", "sorry")].concat()
    });
    check("a switch of protocols", |_| {
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nWelcome".to_vec()
    });
    check("text that comes too late", |_| {
        whole("200 OK", "", &format!("{}Welcome", "x".repeat(1_500_000)))
    });
    check("text in UTF-16", |_| {
        let body: Vec<u8> = "Welcome".encode_utf16().flat_map(u16::to_le_bytes).collect();
        [b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-16\r\nConnection: close\r\nContent-Length: 14\r\n\r\n".to_vec(), body].concat()
    });
    check("a coding nobody knows", |_| {
        whole("200 OK", "Content-Encoding: x-unknown\r\n", "Welcome")
    });
}

#[test]
fn what_could_change_the_shape_of_an_answer_does_not_go_upstream() {
    let upstream = Upstream::answering(|_| ok("Welcome"));
    let guard = Guard::start(TWO, &upstream);
    let fields = [
        ("Accept-Encoding", "gzip, br"),
        ("Range", "bytes=0-10"),
        ("If-Range", "\"x\""),
        ("If-None-Match", "*"),
        ("If-Match", "\"x\""),
        ("If-Modified-Since", "Thu, 01 Jan 2032 00:00:00 GMT"),
        ("If-Unmodified-Since", "Thu, 01 Jan 2032 00:00:00 GMT"),
        ("A-IM", "feed"),
        ("Accept_Encoding", "gzip"),
        ("if_none_match", "*"),
        ("Request-Range", "bytes=0-10"),
        ("Referrer", "http://shop.test/home"),
    ];
    let add = |ask: Ask| fields.iter().fold(ask, |ask, (name, value)| ask.with(name, value));
    for ask in [
        Ask::form("/login", "username=bob&password=x"),
        Ask::new("POST", "/login").body("application/json", r#"{"username":"bob","password":"x"}"#),
    ] {
        assert_eq!(guard.ask(&add(ask)).status, 200);
        let request = upstream.requests().pop().unwrap();
        for (name, _) in fields {
            assert!(!request.fields.has(name), "{name} of an attempt");
        }
    }
    assert_eq!(guard.ask(&add(Ask::get("/page"))).status, 200);
    let request = upstream.requests().pop().unwrap();
    for (name, value) in fields {
        assert_eq!(request.fields.all(name), [value], "{name} of another request");
    }
}

#[test]
fn a_location_is_compared_whole() {
    const BY_LOCATION: &str = r#"
lockout: { limits: { by: username, failures: 2, cool_off: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: username }
        password: { form: password }
        outcome: { success: { status: 302, location: "/app*" } }
"#;
    for location in [
        "/login?next=/app",
        "/login#/app",
        "http://elsewhere.test/app",
        "//elsewhere.test/app",
        "/\\elsewhere.test/app",
        "/x/app",
        "?/app",
        "",
        "/App",
        "/app/../login",
        "/app/%2e%2e/login",
    ] {
        let upstream = Upstream::answering(move |_| {
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
        });
        let guard = Guard::start(BY_LOCATION, &upstream);
        for _ in 0..4 {
            guard.ask(&Ask::form("/login", "username=victim&password=x"));
        }
        assert_eq!(upstream.hits(), 2, "{location}");
    }
}

#[test]
fn a_success_is_found_across_chunks_and_writes() {
    let upstream = Upstream::scripted(|talk| {
        while talk.request().is_some() {
            talk.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for byte in "<p>Welcome</p>".chars() {
                talk.send(format!("1;x=y\r\n{byte}\r\n"));
            }
            talk.send("0\r\n\r\n");
        }
    });
    let guard = Guard::start(TWO, &upstream);
    for _ in 0..4 {
        let answer = guard.ask(&Ask::form("/login", "username=bob&password=x"));
        assert_eq!((answer.status, answer.text().as_str()), (200, "<p>Welcome</p>"));
    }
    guard.wait_for_event("login_succeeded");
    assert!(guard.events("login_failed").is_empty());
}
