//! What the guard will not vouch for is answered by itself and never forwarded.

use crate::support::{Answer, Ask, Guard, Upstream, wait};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "GET / HTTP/1.1\r\nHost: a\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

/// A login form's head without its end.
const LOGIN: &str =
    "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n";

/// What every answer of the guard's own is like.
#[track_caller]
fn check_own(answer: &Answer, verdict: (u16, &str), guard: &Guard) {
    assert_eq!(answer.verdict(), verdict, "{answer:?}");
    assert_eq!(answer.get("cache-control"), Some("no-store"));
    let reference = answer.get("x-loginward-ref").unwrap();
    assert!(reference.len() == 8, "{reference}");
    assert!(answer.text().contains(reference), "{}", answer.text());
    let event = guard.wait_for("refusal with the reference", |event| {
        event.is("refused") && event.get("ref") == reference
    });
    assert_eq!(event.get("status"), verdict.0.to_string());
    assert_eq!(event.get("client"), "127.0.0.1");
}

/// Each of `requests` is answered so, and does not reach the upstream.
#[track_caller]
fn check(configuration: &str, verdict: (u16, &str), requests: &[&[u8]]) {
    let upstream = Upstream::hello();
    let guard = Guard::start(configuration, &upstream);
    for request in requests {
        let shown = String::from_utf8_lossy(&request[..request.len().min(120)]);
        let mut client = guard.client();
        let head = client.send(request).answer_head();
        let mut answer = head.unwrap_or_else(|| panic!("no answer to {shown:?}"));
        assert_eq!(answer.status, verdict.0, "{shown:?}");
        answer.body = client.wire.body(answer.framing("GET"));
        check_own(&answer, verdict, &guard);
        assert_eq!(upstream.hits(), 0, "{shown:?}");
    }
    assert_eq!(guard.client().get("/").status, 200, "others are served as ever");
}

fn bytes(requests: &[String]) -> Vec<&[u8]> {
    requests.iter().map(String::as_bytes).collect()
}

#[test]
fn what_is_no_http_is_a_bad_request() {
    let refused = [
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        "hello world\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    ];
    check("", (400, "refused"), &refused.map(str::as_bytes));
}

#[test]
fn http_2_without_an_agreement_is_a_bad_request() {
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";
    check("", (400, "refused"), &[preface.as_bytes(), b"PRI * HTTP/2.0\r\n\r\n"]);
}

#[test]
fn a_host_that_is_none_or_two_is_a_bad_request() {
    let refused = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a, b c\r\n\r\n",
    ];
    check("", (400, "refused"), &refused.map(str::as_bytes));
}

#[test]
fn a_target_that_is_no_path_is_a_bad_request() {
    let refused = ["login", "*", "?x", "//", "shop.test:80", "/<script>", "/a\u{7f}"];
    let requests = refused.map(|target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let (paths, rest): (Vec<_>, Vec<_>) = requests.into_iter().partition(|r| r.contains(" // "));
    check("", (400, "refused"), &bytes(&rest));
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    assert_eq!(guard.client().send(&paths[0]).answer().status, 200, "this is one");
}

#[test]
fn framing_that_somebody_might_read_otherwise_is_a_bad_request() {
    let fields = [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;x=y",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding:",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: +3",
        "Content-Length: -3",
        "Content-Length: 3x",
        "Content-Length: 0x3",
        "Content-Length: 99999999999999999999999",
        "Content-Length:",
    ];
    let requests = fields.map(|fields| format!("{POST}{fields}\r\n\r\n0\r\n\r\n"));
    check("", (400, "refused"), &bytes(&requests));
    let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    check("", (400, "refused"), &[old.as_bytes()]);
}

#[test]
fn a_request_that_is_framed_twice_is_a_bad_request() {
    let fields = [
        "Transfer-Encoding: chunked\r\nContent-Length: 30",
        "Content-Length: 30\r\nA: b\r\nTransfer-Encoding: cHunKed",
        "content-length: 0\r\nTRANSFER-ENCODING: chunked",
        "Content-Length: 5\nTransfer-Encoding: chunked",
    ];
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let request = |fields| format!("{POST}{fields}\r\n\r\n2\r\nhi\r\n0\r\n\r\n{smuggled}");
    check("", (400, "refused"), &bytes(&fields.map(request)));
}

#[test]
fn a_request_that_is_framed_twice_is_known_wherever_it_is_cut() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let request = format!("{POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    for cut in (1..request.len() - 5).step_by(7) {
        let mut client = guard.client();
        let mut ahead = guard.client();
        client.send(&request[..cut]);
        // whoever asks later is answered later: by then the beginning has been read
        assert_eq!(ahead.send(GET).answer().status, 200);
        assert_eq!(client.send(&request[cut..]).answer().status, 400, "cut at {cut}");
    }
    let mut client = guard.client();
    client.send(format!("{GET}{GET}{request}"));
    let statuses = [(); 3].map(|()| client.answer().status);
    assert_eq!(statuses, [200, 200, 400]);
    assert!(client.is_closed());
}

#[test]
fn a_framing_field_in_a_chunked_body_is_no_framing() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let body = "content-length: 5\r\n\r\n";
    let request = format!("{POST}Transfer-Encoding: chunked\r\n\r\n15\r\n{body}\r\n0\r\n\r\n");
    let mut client = guard.client();
    for _ in 0..2 {
        assert_eq!(client.send(&request).answer().status, 200);
    }
}

#[test]
fn connect_is_not_for_a_reverse_proxy() {
    let requests = [
        "CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test:443\r\n\r\n",
        "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let answer = guard.client().send(requests[0]).answer();
    check_own(&answer, (405, "refused"), &guard);
    assert!(answer.get("allow").unwrap().contains("POST"));
    let answer = guard.client().send(requests[1]).answer();
    assert!([400, 405].contains(&answer.status));
    assert_eq!(upstream.hits(), 0);
}

#[test]
fn a_host_without_a_site_is_misdirected() {
    let sites = "sites: [{ hosts: [shop.test, \"*.shop.test\"], upstream: \"{UPSTREAM}\" }]";
    let upstream = Upstream::hello();
    let guard = Guard::start(sites, &upstream);
    let ask = |host| {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        guard.client().send(request).answer()
    };
    for host in ["evil.test", "evilshop.test", "127.0.0.1", "shop.test.evil.test", "test"] {
        check_own(&ask(host), (421, "refused"), &guard);
    }
    assert_eq!(upstream.hits(), 0);
    for host in ["shop.test", "SHOP.test:8080", "a.shop.test", "a.b.shop.test.", "shop.test."] {
        assert_eq!(ask(host).status, 200, "{host}");
    }
}

#[test]
fn what_is_too_large_for_a_head_is_refused() {
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(8192));
    check("", (414, "refused"), &[target.as_bytes()]);
    let large = format!("{HEAD}X: {}\r\n\r\n", "x".repeat(33_000));
    let many = format!("{HEAD}{}\r\n", "X: y\r\n".repeat(101));
    check("", (431, "refused"), &[large.as_bytes(), many.as_bytes()]);
}

#[test]
fn bounds_may_be_set() {
    let bounds = "bounds: { head: 4KiB, target: 1KiB, headers: 10 }";
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1100));
    check(bounds, (414, "refused"), &[target.as_bytes()]);
    let large = format!("{HEAD}X: {}\r\n\r\n", "x".repeat(4200));
    let many = format!("{HEAD}{}\r\n", "X: y\r\n".repeat(11));
    check(bounds, (431, "refused"), &[large.as_bytes(), many.as_bytes()]);
    let upstream = Upstream::hello();
    let guard = Guard::start("bounds: { head: 256KiB, headers: 300 }", &upstream);
    let much = format!("{HEAD}X: {}\r\n\r\n", "x".repeat(200_000));
    assert_eq!(guard.client().send(much).answer().status, 200);
    let many = format!("{HEAD}{}\r\n", "X: y\r\n".repeat(250));
    assert_eq!(guard.client().send(many).answer().status, 200);
    assert_eq!(upstream.requests()[1].fields.all("x").len(), 250);
}

#[test]
fn a_login_body_that_is_too_large_is_refused() {
    let large = "x".repeat(65_537);
    let declared = format!("{LOGIN}Content-Length: 65537\r\n\r\n{large}");
    let chunked = format!("{LOGIN}Transfer-Encoding: chunked\r\n\r\n10001\r\n{large}\r\n0\r\n\r\n");
    check("", (413, "refused"), &[declared.as_bytes(), chunked.as_bytes()]);
    let promised = format!("{LOGIN}Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
    check("", (413, "refused"), &[promised.as_bytes()]);
}

#[test]
fn a_login_body_that_nobody_can_read_is_refused() {
    let login = |kind: &str, more: &str, body: &str| {
        let length = body.len();
        format!(
            "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n{more}\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let form = "application/x-www-form-urlencoded";
    let unreadable = [
        login(form, "Content-Encoding: zstd\r\n", "user=bob"),
        login(form, "Content-Encoding: gzip, gzip\r\n", "user=bob"),
        login("application/x-www-form-urlencoded; charset=utf-7", "", "user=bob"),
        login("application/json; charset=utf-16", "", "{}"),
    ];
    check("", (415, "refused"), &bytes(&unreadable));
    let malformed = [
        login("application/json", "", "{\"user\": \"bob\""),
        login("multipart/form-data", "", "user=bob"),
        login(form, "Content-Encoding: gzip\r\n", "user=bob"),
    ];
    check("", (400, "refused"), &bytes(&malformed));
}

#[test]
fn more_than_four_usernames_are_refused() {
    let body = "user=a&user=b&user=c&user=d&user=e&password=x";
    check("", (400, "refused"), &[&Ask::form("/login", body).bytes()]);
    let upstream = Upstream::shop();
    let guard = Guard::start("", &upstream);
    let four = Ask::form("/login", "user=a&user=b&user=c&user=d&password=x");
    assert_eq!(guard.ask(&four).status, 200);
    assert_eq!(guard.wait_for_event("login_failed").get("username"), "a, b, c, d");
}

#[test]
fn a_slow_head_is_timed_out_however_it_drips() {
    let upstream = Upstream::hello();
    let guard = Guard::start("timeouts: { head: 600ms }", &upstream);
    let mut client = guard.client();
    client.send("GET / HTT");
    check_own(&client.answer(), (408, "refused"), &guard);
    assert!(client.is_closed());
    let mut dripping = guard.client();
    let begun = wait::now();
    dripping.wire.socket.set_patience(std::time::Duration::from_millis(100));
    let mut answer = Vec::new();
    wait::until("it is timed out", || {
        dripping.send("X");
        let mut bytes = [0; 4096];
        let read = std::io::Read::read(&mut dripping.wire.socket, &mut bytes);
        answer.extend_from_slice(&bytes[..read.unwrap_or_default()]);
        !answer.is_empty()
    });
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

#[test]
fn a_client_that_says_nothing_is_closed_without_a_word() {
    let upstream = Upstream::hello();
    let guard = Guard::start("timeouts: { head: 400ms }", &upstream);
    assert_eq!(guard.client().wire.rest(), b"");
}

#[test]
fn a_slow_login_body_is_timed_out() {
    let upstream = Upstream::hello();
    let guard = Guard::start("timeouts: { login_body: 500ms }", &upstream);
    let mut client = guard.client();
    client.send(format!("{LOGIN}Content-Length: 100\r\n\r\nuser=bob&"));
    check_own(&client.answer(), (408, "refused"), &guard);
    assert_eq!(upstream.hits(), 0);
}

#[test]
fn a_login_body_that_breaks_off_is_forwarded_in_no_part() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut client = guard.client();
        client.send(format!("{LOGIN}{framing}\r\n\r\n5\r\nuser=")).half_close();
        let answer = client.answer_head();
        assert!(answer.is_none_or(|answer| answer.status == 400), "{framing}");
    }
    let garbage = format!("{LOGIN}Transfer-Encoding: chunked\r\n\r\nzzz\r\nuser=bob\r\n0\r\n\r\n");
    let answer = guard.client().send(garbage).answer_head();
    assert!(answer.is_none_or(|answer| answer.status == 400));
    assert_eq!(upstream.hits(), 0);
}

#[test]
fn the_guard_may_stay_unnamed() {
    let upstream = Upstream::hello();
    let guard = Guard::start("lockout: { response: { identify: false } }", &upstream);
    for request in ["GET / HTTP/1.1\r\n\r\n", "hello\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n"] {
        let answer = guard.client().send(request).answer();
        assert!(answer.status >= 400);
        for (name, value) in &answer.fields.0 {
            assert!(!name.contains("loginward"), "{name}: {value}");
        }
        assert_eq!(answer.get("cache-control"), Some("no-store"));
    }
}
