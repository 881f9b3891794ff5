//! What HTTP/1 allows and old applications do passes through as it is meant.

use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Upstream};

/// What a client gets of an upstream's answer to one request.
#[track_caller]
fn passed(ask: &Ask, answer: &str) -> crate::support::Answer {
    let answer = answer.to_owned();
    let upstream = Upstream::scripted(move |talk| {
        talk.request();
        talk.send(&answer);
    });
    Guard::start("", &upstream).ask(ask)
}

#[test]
fn the_guard_itself_tells_a_client_to_continue() {
    let upstream = Upstream::shop();
    let guard = Guard::start("", &upstream);
    for target in ["/upload", "/login"] {
        let mut client = guard.client();
        client.send(format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 23\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        ));
        let head = client.answer_head().unwrap();
        assert_eq!((head.status, head.fields.0.len()), (100, 0));
        let answer = client.send("user=bob&password=wrong").answer();
        assert_eq!(answer.status, 200);
    }
    for request in upstream.requests() {
        assert_eq!((request.get("expect"), request.text().len()), (None, 23));
    }
}

#[test]
fn interim_answers_of_the_upstream_are_swallowed() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                   HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    for ask in [Ask::get("/"), Ask::new("PUT", "/").body("a/b", "c"), Ask::login("bob", "x")] {
        let answer = passed(&ask, &format!("{interim}{}", ok("final")));
        assert_eq!((answer.status, answer.text().as_str()), (200, "final"), "{ask:?}");
        assert_eq!(answer.get("link"), None);
    }
}

#[test]
fn answers_without_a_body_keep_what_they_say_of_one() {
    let upstream = Upstream::answering(|request| {
        let (status, fields) = match request.target.as_str() {
            "/204" => ("204 No Content", ""),
            "/304" => ("304 Not Modified", "ETag: \"x\"\r\nContent-Length: 1234\r\n"),
            "/304-bare" => ("304 Not Modified", "ETag: \"x\"\r\n"),
            "/chunked" => ("200 OK", "Transfer-Encoding: chunked\r\n"),
            _ => ("200 OK", "Content-Length: 1234\r\n"),
        };
        format!("HTTP/1.1 {status}\r\n{fields}\r\n")
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    for (method, target, status, length) in [
        ("HEAD", "/page", 200, Some("1234")),
        ("HEAD", "/chunked", 200, None),
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, Some("1234")),
        ("GET", "/304-bare", 304, None),
        ("HEAD", "/304", 304, Some("1234")),
    ] {
        let answer = client.ask(&Ask::new(method, target));
        let seen = (answer.status, answer.get("content-length"));
        assert_eq!(seen, (status, length), "{method} {target}");
    }
    assert_eq!(upstream.connections(), 1, "each of them ends where it should");
}

#[test]
fn an_http_1_0_upstream_ends_its_answer_by_closing() {
    for head in ["HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"] {
        let answer = passed(&Ask::get("/"), &format!("{head}until the end"));
        assert_eq!((answer.version.as_str(), answer.status), ("HTTP/1.1", 200));
        assert_eq!((answer.text().as_str(), answer.body.cut), ("until the end", false), "{head}");
        assert_eq!(answer.get("transfer-encoding"), Some("chunked"), "and the client goes on");
    }
}

#[test]
fn an_http_1_0_upstream_may_keep_its_connection() {
    let upstream = Upstream::answering(
        |_| "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
    );
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    for _ in 0..3 {
        let answer = client.get("/");
        assert_eq!((answer.version.as_str(), answer.text().as_str()), ("HTTP/1.1", "hi"));
    }
    assert_eq!(upstream.connections(), 1);
    assert_eq!(upstream.requests()[0].version, "HTTP/1.1");
}

#[test]
fn an_http_1_0_client_is_answered_in_its_own_version_and_closed() {
    let upstream = Upstream::answering(
        |_| "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    );
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    let answer = client.send("GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n").answer();
    assert_eq!((answer.version.as_str(), answer.status), ("HTTP/1.0", 200));
    assert_eq!((answer.text().as_str(), answer.get("transfer-encoding")), ("hi", None));
    assert!(client.is_closed());
    assert_eq!(upstream.only_request().version, "HTTP/1.1");
}

#[test]
fn an_http_1_0_client_may_keep_its_connection() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    for _ in 0..3 {
        let answer = client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer();
        assert_eq!((answer.version.as_str(), answer.text().as_str()), ("HTTP/1.0", "hello"));
        assert_eq!(answer.get("connection"), Some("keep-alive"));
    }
}

#[test]
fn an_http_1_0_client_without_host_gets_the_default_site_which_gets_a_host() {
    let (first, second) = (Upstream::hello(), Upstream::hello());
    let sites = r#"
sites:
  - { hosts: first.test, upstream: "{UPSTREAM}" }
  - { hosts: second.test, upstream: "{SECOND}" }
"#;
    let setup = crate::support::Setup::new(sites).replace("{SECOND}", second.url());
    let guard = setup.upstream(&first).start();
    assert_eq!(guard.client().send("GET / HTTP/1.0\r\n\r\n").answer().status, 200);
    let authority = first.url().strip_prefix("http://").unwrap();
    assert_eq!(first.only_request().get("host"), Some(authority));
    assert_eq!(second.hits(), 0);
}

#[test]
fn reason_phrases_pass_however_odd() {
    for line in ["200 Alles klar!", "200 ", "404 OK", "299 Made Up", "599 (;-)"] {
        let answer = format!("HTTP/1.1 {line}\r\nContent-Length: 2\r\n\r\nhi");
        let upstream = Upstream::answering(move |_| answer.clone());
        let answer = Guard::start("", &upstream).client().get("/");
        assert_eq!(format!("{} {}", answer.status, answer.reason), line);
        assert_eq!(answer.text(), "hi");
    }
}

#[test]
fn a_status_line_without_any_reason_passes() {
    let answer = passed(&Ask::get("/"), "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hi"));
}

#[test]
fn cookies_stay_apart_and_in_order() {
    let cookies = ["a=1; Path=/", "b=2, 3; HttpOnly", "a=4; Path=/x", "c="];
    let lines: String =
        cookies.iter().map(|cookie| format!("Set-Cookie: {cookie}\r\nX-Between: y\r\n")).collect();
    let answer = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n");
    for ask in [Ask::get("/"), Ask::login("bob", "x")] {
        assert_eq!(passed(&ask, &answer).fields.all("set-cookie"), cookies);
    }
}

#[test]
fn fields_of_any_bytes_pass() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nX-Latin: caf\xe9\r\nX-Utf8: caf\xc3\xa9\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Latin: caf\xe9\r\nX-Empty:\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.get("x-latin"), Some("caf\u{e9}"));
    assert_eq!(answer.get("x-utf8"), Some("caf\u{c3}\u{a9}"));
    assert_eq!(answer.get("x-empty"), Some(""));
    let request = upstream.only_request();
    assert_eq!(request.get("x-latin"), Some("caf\u{e9}"));
    assert_eq!(request.get("x-empty"), Some(""));
    assert_eq!(request.fields.all("x-two"), ["1", "2"]);
}

#[test]
fn folded_and_otherwise_sloppy_fields_of_old_upstreams_pass() {
    let answer = "HTTP/1.1 200 OK\r\nX-Folded: one\r\n two\r\nX-Spaced : yes\r\n\
                  broken line\r\nContent-Length: 2\r\n\r\nhi";
    let answer = passed(&Ask::get("/"), answer);
    assert_eq!((answer.status, answer.text().as_str()), (200, "hi"));
    assert_eq!(answer.get("x-spaced"), Some("yes"));
    let folded = answer.get("x-folded").unwrap();
    assert_eq!(folded.split_whitespace().collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn targets_pass_as_they_are_written() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    let targets = ["/a/../b//c", "/%2e%2E/%41?q=%20&&x", "/\"|{}", "/?", "/a;b=c", "/caf%C3%A9"];
    for target in targets {
        assert_eq!(client.get(target).status, 200, "{target}");
    }
    let seen: Vec<_> = upstream.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(seen, targets);
    let absolute = "GET http://Other.test:81/x?y HTTP/1.1\r\nHost: shop.test\r\n\r\n";
    assert_eq!(client.send(absolute).answer().status, 200);
    let request = upstream.requests().pop().unwrap();
    let seen = (request.target.as_str(), request.get("host"));
    assert_eq!(seen, ("/x?y", Some("Other.test:81")), "RFC 9112, section 3.2.2");
    let options = "OPTIONS * HTTP/1.1\r\nHost: shop.test\r\n\r\n";
    assert_eq!(client.send(options).answer().status, 200);
    assert_eq!(upstream.requests().pop().unwrap().target, "*");
}

#[test]
fn methods_pass_whatever_they_are() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    for method in ["DELETE", "PATCH", "PROPFIND", "TRACE", "M-SEARCH", "get"] {
        assert_eq!(client.ask(&Ask::new(method, "/")).status, 200, "{method}");
        assert_eq!(upstream.requests().pop().unwrap().method, method);
    }
}
