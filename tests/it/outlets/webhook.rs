//! Webhooks: a real server that fails, hangs, redirects and answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::commands::program::run;
use crate::support::upstream::ok;
use crate::support::{Authority, Guard, Request, Setup, Upstream, wait};

const LIMIT: &str = "lockout: { limits: { by: username, failures: 1, cool_off: 10m } }\n";
const SECRET: &str = "s3cret-words-to-sign-with";

const FAILED: &str = "HTTP/1.1 500 Oh No\r\nContent-Length: 0\r\n\r\n";

/// A guard with a webhook at `server`, of which `more` says more.
fn start(server: &Upstream, more: &str, upstream: &Upstream) -> Guard {
    let text = format!(
        "{LIMIT}webhooks:\n  - {{ name: ops, url: \"{}/t0ken?k=v\", secret: \"{SECRET}\", {more} }}\n",
        server.url()
    );
    Setup::new(&text).upstream(upstream).start()
}

/// What was posted, whose signature is right.
#[track_caller]
fn verified(request: &Request, secret: &[u8]) -> Value {
    let field = |name: &str| request.fields.get(name).unwrap_or_default().to_owned();
    let (id, seconds) = (field("webhook-id"), field("webhook-timestamp"));
    let signed = format!("{id}.{seconds}.{}", request.text());
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let expected = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    assert_eq!(field("webhook-signature"), format!("v1,{expected}"));
    assert!(id.starts_with("msg_") && id.len() == 26, "{id}");
    let now = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(seconds.parse::<u64>().unwrap().abs_diff(now) < 3600, "{seconds}");
    serde_json::from_str(&request.text()).unwrap()
}

/// The usernames that were posted, in order.
fn names(server: &Upstream) -> Vec<String> {
    let name = |request: &Request| {
        let body: Value = serde_json::from_str(&request.text()).unwrap();
        body["data"]["username"].as_str().unwrap_or_default().to_owned()
    };
    server.requests().iter().map(name).collect()
}

#[test]
fn events_are_posted_signed() {
    let (upstream, server) = (Upstream::shop(), Upstream::answering(|_| ok("")));
    let guard = start(&server, "events: [locked_out]", &upstream);
    guard.client().log_in("bob", "wrong");
    server.wait_for_hits(1);
    let request = server.only_request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/t0ken?k=v"));
    assert_eq!(request.fields.get("content-type"), Some("application/json"));
    assert_eq!(request.fields.get("host"), server.url().strip_prefix("http://"));
    let body = verified(&request, SECRET.as_bytes());
    let locked = guard.wait_for_event("locked_out");
    assert_eq!((&body["type"], &body["timestamp"]), (&"locked_out".into(), &body["data"]["ts"]));
    let data = &body["data"];
    assert_eq!((&data["ref"], &data["username"]), (&locked.get("ref").into(), &"bob".into()));
    wait::until("it is counted", || {
        guard.metric("loginward_webhook_deliveries_total", "result=\"delivered\"") == 1.0
    });
}

#[test]
fn what_fails_is_tried_again_and_the_rest_waits_for_it() {
    let upstream = Upstream::shop();
    let answers = AtomicUsize::new(0);
    let server = Upstream::answering(move |_| match answers.fetch_add(1, Ordering::SeqCst) {
        0 => FAILED.to_owned(),
        1 => "HTTP/1.1 429 Slow\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n".to_owned(),
        _ => ok(""),
    });
    let guard = start(&server, "events: locked_out", &upstream);
    guard.client().log_in("one", "wrong");
    server.wait_for_hits(1);
    guard.client().log_in("two", "wrong");
    server.wait_for_hits(2);
    let begun = wait::now();
    server.wait_for_hits(4);
    assert!(begun.elapsed() > Duration::from_millis(1500), "it is left alone as long as it says");
    assert_eq!(names(&server), ["one", "one", "one", "two"]);
    let requests = server.requests();
    let id = |at: usize| requests[at].fields.get("webhook-id").unwrap();
    assert!(id(0) == id(1) && id(1) == id(2) && id(2) != id(3));
    for request in &requests {
        verified(request, SECRET.as_bytes());
    }
    let failed = guard.wait_for_event("webhook_failed");
    assert_eq!((failed.get("webhook"), guard.events("webhook_failed").len()), ("ops", 1));
    assert!(failed.get("reason").contains("500"), "{failed:?}");
    guard.wait_for_event("webhook_recovered");
}

#[test]
fn a_server_cannot_ask_for_more_than_the_usual() {
    let upstream = Upstream::shop();
    let answers = AtomicUsize::new(0);
    let again = "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
    let server = Upstream::answering(move |_| match answers.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => again.to_owned(),
        _ => ok(""),
    });
    let guard = start(&server, "events: locked_out", &upstream);
    guard.client().log_in("one", "wrong");
    server.wait_for_hits(1);
    let begun = wait::now();
    server.wait_for_hits(3);
    // half a second at least, and then a whole one
    assert!(begun.elapsed() > Duration::from_millis(1400), "{:?}", begun.elapsed());
}

#[test]
fn a_server_that_hangs_is_in_nobodys_way() {
    let upstream = Upstream::shop();
    let server = Upstream::scripted(|talk| {
        talk.request();
        talk.wait_for_end();
    });
    let more = "events: login_failed, timeout: 100ms, retry_for: 1d";
    let mut guard = start(&server, more, &upstream);
    let mut client = guard.client();
    for at in 0..1200 {
        assert_eq!(client.log_in(&format!("user{at}"), "wrong").status, 403);
    }
    let failed = guard.wait_for_event("webhook_failed");
    assert!(failed.get("reason").contains("in time"), "{failed:?}");
    wait::until("what there is no room for is counted", || {
        guard.metric("loginward_events_dropped_total", "outlet=\"webhook\"") >= 190.0
    });
    let begun: Instant = wait::now();
    guard.terminate();
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(15), "nor in that of the end");
}

#[test]
fn what_still_waits_at_the_end_is_told_as_lost() {
    let upstream = Upstream::shop();
    let server = Upstream::scripted(|talk| {
        talk.request();
        talk.wait_for_end();
    });
    let more = "events: locked_out, timeout: 60s";
    let mut guard = start(&server, more, &upstream);
    for at in 0..20 {
        guard.client().log_in(&format!("user{at}"), "wrong");
    }
    guard.wait_for_events("locked_out", 20);
    server.wait_for_hits(1);
    guard.terminate();
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    let lost = guard.wait_for_event("events_dropped");
    assert_eq!((lost.get("outlet"), lost.get("webhook")), ("webhook", "ops"));
    assert_eq!(lost.get("count"), "20");
}

#[test]
fn a_redirect_is_not_followed_and_what_is_refused_is_given_up() {
    let upstream = Upstream::shop();
    let elsewhere = Upstream::answering(|_| ok(""));
    let url = elsewhere.url().to_owned();
    let answers = AtomicUsize::new(0);
    let server = Upstream::answering(move |_| match answers.fetch_add(1, Ordering::SeqCst) {
        0 => format!("HTTP/1.1 307 Over\r\nLocation: {url}/\r\nContent-Length: 0\r\n\r\n"),
        1 => "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
        _ => ok(""),
    });
    let guard = start(&server, "events: locked_out", &upstream);
    for name in ["one", "two", "three"] {
        guard.client().log_in(name, "wrong");
    }
    server.wait_for_hits(3);
    assert_eq!(names(&server), ["one", "two", "three"]);
    assert_eq!(elsewhere.hits(), 0);
    let given_up = guard.wait_for_events("webhook_abandoned", 2);
    assert!(given_up[0].get("reason").contains("307"), "{given_up:?}");
    assert!(given_up[1].get("reason").contains("404"), "{given_up:?}");
}

#[test]
fn it_gives_up_in_the_end() {
    let upstream = Upstream::shop();
    let fails = Arc::new(Mutex::new(true));
    let failing = Arc::clone(&fails);
    let server =
        Upstream::answering(
            move |_| {
                if *failing.lock().unwrap() { FAILED.to_owned() } else { ok("") }
            },
        );
    let guard = start(&server, "events: all, retry_for: 50ms", &upstream);
    guard.client().log_in("one", "wrong");
    guard.wait_for_event("webhook_abandoned");
    *fails.lock().unwrap() = false;
    guard.client().log_in("two", "wrong");
    wait::until("another one arrives", || names(&server).contains(&"two".to_owned()));
    guard.wait_for_event("webhook_recovered");
    let told = server.requests().iter().any(|request| request.text().contains("webhook_"));
    assert!(!told, "what becomes of webhooks is told to none");
}

#[test]
fn https_is_spoken_with_whom_the_ca_vouches_for() {
    let upstream = Upstream::shop();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let answer = |talk: &mut crate::support::Conversation| {
        while talk.request().is_some() {
            talk.send(ok(""));
        }
    };
    let server = Upstream::scripted_tls(authority.server(&["localhost"]), answer);
    let text = format!(
        "{LIMIT}webhooks:\n  - {{ url: \"{}/\", secret: \"{SECRET}\", events: locked_out, ca: ca.pem }}\n",
        server.url()
    );
    let begin =
        |ca: &Authority| Setup::new(&text).upstream(&upstream).file("ca.pem", &ca.pem()).start();
    let guard = begin(&authority);
    guard.client().log_in("bob", "wrong");
    server.wait_for_hits(1);
    verified(&server.only_request(), SECRET.as_bytes());
    let guard = begin(&stranger);
    guard.client().log_in("bob", "wrong");
    let failed = guard.wait_for_event("webhook_failed");
    assert!(failed.get("reason").contains("TLS"), "{failed:?}");
    assert!(failed.get("webhook").starts_with("localhost"), "{failed:?}");
    assert_eq!(server.hits(), 1);
}

#[test]
fn a_reload_changes_url_and_secret_of_what_waits_too() {
    let upstream = Upstream::shop();
    let old = Upstream::answering(|_| FAILED);
    let new = Upstream::answering(|_| ok(""));
    let key = STANDARD.encode([7; 24]);
    let text = format!(
        "{LIMIT}webhooks:\n  - {{ name: ops, url: \"{}/\", secret: \"${{file:secret}}\", \
         events: locked_out }}\n",
        old.url()
    );
    let setup = Setup::new(&text).upstream(&upstream).file("secret", SECRET);
    let guard = setup.start();
    guard.client().log_in("one", "wrong");
    old.wait_for_hits(1);
    guard.reconfigure(|text| text.replace(old.url(), new.url()));
    std::fs::write(guard.dir().join("secret"), format!("whsec_{key}\n")).unwrap();
    guard.reload();
    guard.client().log_in("two", "wrong");
    new.wait_for_hits(2);
    assert_eq!(names(&new), ["one", "two"]);
    for request in new.requests() {
        verified(&request, &[7; 24]);
    }
    guard.reconfigure(|text| text.split("webhooks:").next().unwrap().to_owned() + &rest(text));
    guard.reload();
    guard.client().log_in("three", "wrong");
    guard.wait_for("third lockout", |event| {
        event.is("locked_out") && event.get("username") == "three"
    });
    assert_eq!(new.hits(), 2);
}

/// What follows the webhook in a configuration.
fn rest(text: &str) -> String {
    let (_, after) = text.split_once("webhooks:\n").unwrap();
    after.lines().skip(1).collect::<Vec<_>>().join("\n")
}

#[test]
fn secrets_are_shown_nowhere() {
    let upstream = Upstream::shop();
    let server = Upstream::answering(|_| FAILED);
    let more = "events: all, retry_for: 50ms";
    let text = format!(
        "{LIMIT}log: {{ level: trace }}\nwebhooks:\n  - {{ url: \"{}/t0ken\", secret: \"{SECRET}\", \
         {more} }}\n",
        server.url()
    );
    let guard = Setup::new(&text).upstream(&upstream).start();
    guard.client().log_in("bob", "wrong");
    guard.wait_for_event("webhook_abandoned");
    let said = [guard.log(), guard.metrics()].join("\n");
    assert!(!said.contains("s3cret") && !said.contains("t0ken"), "{said}");
    let text = std::fs::read_to_string(guard.config()).unwrap();
    let wrong = text.replace("- { url: \"http", "- { url: \"ftp").replace(SECRET, "s3cret");
    let file = guard.dir().join("wrong.yaml");
    std::fs::write(&file, wrong).unwrap();
    let checked = run(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(checked.status, 2);
    assert!(checked.err.contains("webhooks[0].url: is no URL"), "{}", checked.err);
    assert!(checked.err.contains("webhooks[0].secret: is no secret"), "{}", checked.err);
    assert!(!checked.err.contains("s3cret") && !checked.err.contains("t0ken"), "{}", checked.err);
}
