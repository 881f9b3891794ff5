//! Requests inside requests.

use super::Sealed;
use crate::support::upstream::ok;
use crate::support::{Ask, Client, Guard, Upstream};

const INNER: &str = "POST /login HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 26\r\n\r\nusername=victim&password=x";

/// Sends bytes that some upstream might take for two requests. The inner one does not reach this
/// upstream, which reads requests as the standard says.
#[track_caller]
fn check(request: &str) {
    let upstream = Upstream::shop();
    let guard = Guard::start(super::ONE, &upstream);
    let mut client = guard.client();
    client.send(request);
    client.wire.rest();
    let logins = upstream.requests().into_iter().filter(|request| request.target.contains("login"));
    assert_eq!(logins.count(), 0, "{request}");
}

#[test]
fn a_request_that_is_framed_in_two_ways_is_forwarded_in_neither() {
    let length = INNER.len();
    let size = format!("{length:x}");
    for fields in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\u{b}chunked",
        "Transfer-Encoding:\u{c}chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked\u{0}",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: chunk",
        "Transfer-Encoding: chunked;",
        "Transfer-Encoding:\r\n chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        " Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked\r\nTransfer-encoding: cow",
        "Transfer-Encoding\r\n: chunked",
        "Content-Length: 0\r\nContent-Length: 3",
        "Content-Length: 3, 0",
        "Content-Length: +3",
        "Content-Length: 0x3",
        "Content-Length: 3 3",
        "Content-Length: -1",
        "Content-Length : 0",
        "Content-Length: 0\r\nContent-Length: 0x3",
    ] {
        let request =
            format!("POST /static HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n{INNER}");
        check(&request);
        let request = format!(
            "POST /static HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{size}\r\n{INNER}\r\n0\r\n\r\n"
        );
        check(&request);
    }
    for old in ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 3"] {
        check(&format!("POST /static HTTP/1.0\r\nHost: a\r\n{old}\r\n\r\n0\r\n\r\n{INNER}"));
    }
}

#[test]
fn chunks_that_can_be_read_in_two_ways_are_forwarded_in_neither() {
    let chunked = "POST /static HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let size = INNER.len();
    for body in [
        format!("3;\nxxx\r\n0\r\n\r\n{INNER}"),
        format!("3;a\rb\r\nabc\r\n0\r\n\r\n{INNER}"),
        format!("3\nabc\n0\n\n{INNER}"),
        format!("3 x\r\nabc\r\n0\r\n\r\n{INNER}"),
        format!("+3\r\nabc\r\n0\r\n\r\n{INNER}"),
        format!("0x3\r\nabc\r\n0\r\n\r\n{INNER}"),
        format!("-1\r\nabc\r\n0\r\n\r\n{INNER}"),
        format!("\r\n3\r\nabc\r\n0\r\n\r\n{INNER}"),
        format!("3\r\nabcd\r\n0\r\n\r\n{INNER}"),
        format!("3\r\nabc0\r\n\r\n{INNER}"),
        format!("fffffffffffffffff\r\nabc\r\n0\r\n\r\n{INNER}"),
        format!("10000000000000003\r\nabc\r\n0\r\n\r\n{INNER}"),
        format!("3\r\nabc\r\n0\r\nX: y\r\nContent-Length: {size}\r\n\nfoo"),
    ] {
        let upstream = Upstream::shop();
        let guard = Guard::start(super::ONE, &upstream);
        let mut client = guard.client();
        client.send(format!("{chunked}{body}"));
        client.half_close();
        client.wire.rest();
        // at most what a strict reader finds, one request after the other, each of them judged
        let judged = guard.metric("loginward_attempts_total", "") as usize;
        let logins = upstream.requests().into_iter().filter(|request| request.target == "/login");
        assert_eq!(logins.count(), judged, "{body}");
    }
}

#[test]
fn a_login_behind_another_request_is_judged_like_any_other() {
    let sealed = Sealed::new();
    for first in [
        "GET /static HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /static HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let mut client = Client::from("127.0.0.2", &sealed.guard);
        client.send(format!("{first}{INNER}{INNER}"));
        assert_eq!(client.answer().status, 200);
        assert_eq!([client.answer().status, client.answer().status], [403, 403]);
    }
    assert_eq!(sealed.upstream.hits(), 3);
}

/// An upstream that does not read bodies where it expects none: the rest is the next request.
fn careless(reads: fn(&crate::support::Request) -> bool) -> Upstream {
    Upstream::scripted(move |talk| {
        while let Some(mut request) = talk.request_head() {
            if reads(&request) {
                request.body = talk.wire.body(request.framing());
            }
            let ends = request.fields.get("connection") == Some("close");
            let close = if ends { "Connection: close\r\n" } else { "" };
            talk.send(format!("HTTP/1.1 200 OK\r\n{close}Content-Length: 2\r\n\r\nok"));
            if ends {
                return;
            }
        }
    })
}

#[track_caller]
fn check_careless(reads: fn(&crate::support::Request) -> bool, requests: &[Vec<u8>]) {
    for request in requests {
        let upstream = careless(reads);
        let guard = Guard::start("workers: 1", &upstream);
        for _ in 0..3 {
            let mut client = guard.client();
            client.send(request);
            client.answer_to(if request.starts_with(b"HEAD") { "HEAD" } else { "GET" });
            client.get("/after");
        }
        let smuggled = upstream.requests().into_iter().filter(|r| r.target.contains("/login"));
        let shown = String::from_utf8_lossy(request);
        assert_eq!(smuggled.count(), 0, "{shown}");
        let pages = upstream.requests().into_iter().filter(|r| r.target == "/after");
        assert_eq!(pages.count(), 3, "{shown}");
    }
}

#[test]
fn a_body_where_none_belongs_ends_the_upstreams_connection() {
    let methods = ["GET", "HEAD", "DELETE", "OPTIONS"];
    let requests =
        methods.map(|method| Ask::new(method, "/static").body("text/plain", INNER).bytes());
    check_careless(
        |request| !["GET", "HEAD", "DELETE", "OPTIONS"].contains(&&*request.method),
        &requests,
    );
}

#[test]
fn a_body_that_looks_like_a_request_ends_the_upstreams_connection() {
    for body in [
        INNER.to_owned(),
        format!("\r\n\r\n{INNER}"),
        format!("x=y\r\n{INNER}"),
        "GET /login?username=victim&password=x\r\n\r\n".to_owned(),
    ] {
        check_careless(|_| false, &[Ask::new("POST", "/static").body("text/plain", body).bytes()]);
    }
}

#[test]
fn a_body_that_did_not_come_with_its_head_ends_the_upstreams_connection() {
    let upstream = careless(|_| false);
    let guard = Guard::start("workers: 1", &upstream);
    for _ in 0..3 {
        let mut client = guard.client();
        let (head, rest) =
            ("POST /static HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n", INNER);
        client.send(head);
        upstream.wait_for_hits(1);
        client.send(rest);
        client.send(" ".repeat(200 - rest.len()));
        client.answer();
        guard.client().get("/after");
    }
    let smuggled = upstream.requests().into_iter().filter(|r| r.target.contains("/login"));
    assert_eq!(smuggled.count(), 0);
}

#[test]
fn an_ordinary_form_does_not_end_it() {
    let upstream = Upstream::answering(|_| ok("hello"));
    let guard = Guard::start("workers: 1", &upstream);
    let mut client = guard.client();
    for body in ["a=b", "next=http%3A%2F%2Fa%2F", r#"{"path":"/login","a":"b/c"}"#] {
        assert_eq!(client.ask(&Ask::form("/static", body)).status, 200);
        let request = upstream.requests().pop().unwrap();
        assert_eq!((request.text().as_str(), request.get("connection")), (body, None));
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn what_an_upstream_sends_unasked_goes_to_nobody() {
    let upstream = Upstream::scripted(|talk| {
        while talk.request().is_some() {
            talk.send(ok("mine") + &ok("poison"));
        }
    });
    let guard = Guard::start("workers: 1", &upstream);
    for _ in 0..5 {
        assert_eq!(guard.client().get("/").text(), "mine");
    }
}
