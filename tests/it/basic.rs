//! `Authorization: Basic`: credentials that come with every request.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::support::upstream::ok;
use crate::support::{Ask, Client, Gate, Guard, Request, Upstream, wait};

const BASIC: &str = r#"
lockout: { limits: { by: [username, ip_address], failures: 3, cool_off: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - { path: "/*", username: { basic: true } }
"#;

fn with(ask: Ask, user: &str, password: &str) -> Ask {
    let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
    ask.with("Authorization", &format!("Basic {credentials}"))
}

fn authorized(request: &Request) -> bool {
    request.get("authorization") == Some("Basic Ym9iOnJpZ2h0") // bob:right
}

/// An upstream that wants Basic credentials everywhere but at `/public`.
fn protected() -> Upstream {
    Upstream::answering(|request| {
        if authorized(request) || request.target == "/public" {
            ok(&request.text())
        } else {
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
                .to_owned()
        }
    })
}

fn ask(guard: &Guard, user: &str, password: &str) -> u16 {
    guard.ask(&with(Ask::get("/"), user, password)).status
}

#[test]
fn wrong_credentials_lock_by_any_method_and_path() {
    let upstream = protected();
    let guard = Guard::start(BASIC, &upstream);
    let guess = |ask: Ask, password| guard.ask(&with(ask, "bob", password)).verdict().0;
    assert_eq!(guess(Ask::get("/"), "a"), 401);
    assert_eq!(guess(Ask::new("PROPFIND", "/dav/x"), "b"), 401);
    assert_eq!(guess(Ask::new("PUT", "/api/y").body("a/b", "c"), "c"), 403);
    assert_eq!(guess(Ask::get("/"), "right"), 403);
    assert_eq!(upstream.hits(), 3);
    assert_eq!(guard.client().get("/").status, 401, "without credentials it is no attempt");
    assert_eq!(ask(&guard, "eve", "x"), 401);
}

#[test]
fn the_same_wrong_credentials_of_one_client_count_once() {
    let upstream = protected();
    let guard = Guard::start(BASIC, &upstream);
    for _ in 0..10 {
        assert_eq!(ask(&guard, "bob", "old"), 401);
    }
    assert_eq!((ask(&guard, "bob", "a"), ask(&guard, "bob", "b")), (401, 403));
    let elsewhere = Client::from("127.0.0.9", &guard).ask(&with(Ask::get("/"), "bob", "old"));
    assert_eq!(elsewhere.status, 401, "another client counts by itself");
}

#[test]
fn right_credentials_reset_only_where_others_are_refused() {
    let upstream = protected();
    let guard = Guard::start(BASIC, &upstream);
    let public = |password| guard.ask(&with(Ask::get("/public"), "bob", password)).status;
    assert_eq!((ask(&guard, "bob", "a"), ask(&guard, "bob", "b")), (401, 401));
    assert_eq!(public("anything"), 200, "which proves nothing");
    assert_eq!(ask(&guard, "bob", "c"), 403);
    let guard = Guard::start(BASIC, &upstream);
    assert_eq!((ask(&guard, "bob", "a"), ask(&guard, "bob", "b")), (401, 401));
    assert_eq!(ask(&guard, "bob", "right"), 200, "which others were refused");
    guard.wait_for_event("counters_cleared");
    assert_eq!((ask(&guard, "bob", "d"), ask(&guard, "bob", "e")), (401, 401));
    assert_eq!(ask(&guard, "bob", "f"), 403);
}

#[test]
fn other_answers_count_nothing_and_free_their_place() {
    let upstream =
        Upstream::answering(|_| "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
    let guard = Guard::start(BASIC, &upstream);
    for at in 0..10 {
        assert_eq!(ask(&guard, "bob", &at.to_string()), 500);
    }
    assert_eq!(guard.metric("loginward_places", "") as u32, 0);
}

#[test]
fn accepted_credentials_do_not_wait() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        if request.target == "/slow" {
            held.pass();
        }
        if authorized(request) {
            ok("in")
        } else {
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
    });
    let guard = Guard::start(BASIC, &upstream);
    assert_eq!(guard.client().get("/").status, 401);
    assert_eq!(ask(&guard, "bob", "right"), 200);
    let mut images: Vec<_> = (0..20).map(|_| guard.client()).collect();
    for client in &mut images {
        client.send(with(Ask::get("/slow"), "bob", "right").bytes());
    }
    gate.wait_for_arrivals(20);
    gate.open();
    for client in &mut images {
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn accepted_credentials_are_refused_while_locked_and_forgotten_when_refused() {
    let upstream = protected();
    let guard = Guard::start(BASIC, &upstream);
    assert_eq!(guard.client().get("/").status, 401);
    assert_eq!(ask(&guard, "bob", "right"), 200);
    for password in ["a", "b", "c"] {
        ask(&guard, "bob", password);
    }
    let hits = upstream.hits();
    assert_eq!(ask(&guard, "bob", "right"), 403, "lockouts come first");
    assert_eq!(upstream.hits(), hits);
}

#[test]
fn credentials_that_were_accepted_and_are_no_more_count() {
    let changed = Gate::closed();
    let since = changed.clone();
    let upstream = Upstream::answering(move |request| {
        if authorized(request) && !since.is_open() {
            ok("in")
        } else {
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
    });
    let guard = Guard::start(BASIC, &upstream);
    assert_eq!(guard.client().get("/").status, 401);
    assert_eq!(ask(&guard, "bob", "right"), 200);
    changed.open();
    assert_eq!((ask(&guard, "bob", "right"), ask(&guard, "bob", "right")), (401, 401));
    let failed = guard.wait_for_event("login_failed");
    assert_eq!(failed.get("failures"), "1");
    assert_eq!((ask(&guard, "bob", "a"), ask(&guard, "bob", "b")), (401, 403));
}

#[test]
fn the_body_of_such_a_request_streams_and_its_head_is_whole() {
    let gate = Gate::closed();
    let more = gate.clone();
    let upstream = Upstream::scripted(move |talk| {
        let mut request = talk.request_head().unwrap();
        assert_eq!(talk.wire.chunk().unwrap(), b"first");
        more.open();
        request.body = talk.wire.body(request.framing());
        talk.send(ok(&request.text()));
    });
    let guard = Guard::start(BASIC, &upstream);
    let mut client = guard.client();
    client.send(
        "PUT /dav HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Ym9iOnJpZ2h0\r\nX-Mine: 1\r\n\
         Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
    );
    gate.pass();
    client.send("6\r\nsecond\r\n0\r\n\r\n");
    assert_eq!(client.answer().text(), "second");
    let request = upstream.only_request();
    assert_eq!(request.get("authorization"), Some("Basic Ym9iOnJpZ2h0"));
    assert_eq!(request.get("x-mine"), Some("1"));
}

#[test]
fn a_large_upload_with_credentials_is_not_bounded_as_logins_are() {
    let upstream = protected();
    let guard = Guard::start(BASIC, &upstream);
    let body = vec![b'x'; 1024 * 1024];
    let answer = guard.ask(&with(Ask::new("PUT", "/dav").body("a/b", &body), "bob", "right"));
    assert_eq!((answer.status, answer.body.bytes.len()), (200, body.len()));
}

#[test]
fn credentials_that_cannot_be_read_are_refused() {
    let upstream = protected();
    let guard = Guard::start(BASIC, &upstream);
    for value in ["Basic !!!", "Basic", "Basic Ym9i", "basic\tYm9iOng= x"] {
        let answer = guard.ask(&Ask::get("/").with("Authorization", value));
        assert!([400, 401].contains(&answer.status), "{value}: {answer:?}");
    }
    let twice = Ask::get("/").with("Authorization", "Basic Ym9iOmE=");
    let twice = twice.with("Authorization", "Basic Ym9iOmI=");
    let statuses = [(); 2].map(|()| guard.ask(&twice).status);
    assert!(statuses != [200; 2]);
    assert_eq!(guard.ask(&Ask::get("/").with("Authorization", "Bearer x")).status, 401);
}

#[test]
fn a_client_that_leaves_is_counted_here_too() {
    let upstream =
        Upstream::answering(|_| "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let guard = Guard::start(BASIC, &upstream);
    for at in 1..=3 {
        let mut client = guard.client();
        client.send(with(Ask::get("/"), "bob", &at.to_string()).bytes());
        upstream.wait_for_hits(at);
        client.reset();
        let at = at as f64;
        wait::until("it is settled", || {
            guard.metric("loginward_attempts_total", "outcome=\"failure\"") > at - 0.5
        });
    }
    assert_eq!(ask(&guard, "bob", "right"), 403);
    assert_eq!(upstream.hits(), 3);
}
