//! Checks that take servers out and in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::guard;
use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Setup, Upstream, wait};

/// A server that says its number, and to checks what its health is.
struct Patient {
    upstream: Upstream,
    health: Arc<AtomicU16>,
}

impl Patient {
    fn new(number: usize) -> Self {
        let health = Arc::new(AtomicU16::new(200));
        let told = Arc::clone(&health);
        let upstream = Upstream::answering(move |request| {
            if request.target == "/health?deep" {
                let status = told.load(Ordering::SeqCst);
                return format!("HTTP/1.1 {status} -\r\nContent-Length: 0\r\n\r\n");
            }
            ok(&number.to_string())
        });
        Self { upstream, health }
    }

    fn becomes(&self, status: u16) {
        self.health.store(status, Ordering::SeqCst);
    }

    /// What it got that was no check.
    fn visits(&self) -> usize {
        let requests = self.upstream.requests();
        requests.iter().filter(|request| request.target != "/health?deep").count()
    }
}

const CHECK: &str = "health_check: { path: '/health?deep', interval: 300ms }";

fn before(patients: &[Patient], keys: &str) -> Guard {
    let urls: Vec<&str> = patients.iter().map(|patient| patient.upstream.url()).collect();
    guard(&urls, &format!("{CHECK}, {keys}"), "")
}

#[test]
fn a_server_is_taken_out_and_in() {
    let patients = [Patient::new(0), Patient::new(1)];
    let guard = before(&patients, "balance: round_robin");
    let seen = || (0..8).map(|_| guard.client().get("/").text()).collect::<String>();
    assert!(seen().contains('0') && seen().contains('1'));
    patients[0].becomes(500);
    let out = guard.wait_for_event("upstream_out");
    assert_eq!(out.get("server"), patients[0].upstream.url());
    assert!(out.get("reason").contains("/health?deep was 500"), "{out:?}");
    assert_eq!(seen(), "11111111");
    patients[0].becomes(204);
    assert_eq!(guard.wait_for_event("upstream_in").get("server"), out.get("server"));
    assert!(seen().contains('0') && seen().contains('1'));
}

#[test]
fn where_none_is_healthy_everybody_gets_a_503_and_nothing_counts() {
    let patients = [Patient::new(0), Patient::new(1)];
    let guard = before(&patients, "");
    patients.iter().for_each(|patient| patient.becomes(503));
    guard.wait_for_events("upstream_out", 2);
    let visits = || patients.iter().map(Patient::visits).sum::<usize>();
    let visited = visits();
    let mut client = guard.client();
    let page = client.get("/");
    assert_eq!(page.verdict(), (503, "error"));
    assert_eq!(page.get("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("The site cannot be reached"), "{}", page.text());
    let json = client.ask(&Ask::get("/").with("Accept", "application/json"));
    assert_eq!((json.status, json.get("content-type")), (503, Some("application/problem+json")));
    for _ in 0..10 {
        assert_eq!(client.log_in("bob", "wrong").verdict(), (503, "error"), "never 403");
    }
    assert_eq!(visits(), visited);
    patients[1].becomes(200);
    guard.wait_for_event("upstream_in");
    assert_eq!(client.get("/").text(), "1");
}

#[test]
fn a_single_server_may_be_checked_too() {
    let patients = [Patient::new(0)];
    let guard = before(&patients, "");
    assert_eq!(guard.client().get("/").text(), "0");
    patients[0].becomes(404);
    guard.wait_for_event("upstream_out");
    assert_eq!(guard.client().get("/").verdict(), (503, "error"));
    patients[0].becomes(302);
    guard.wait_for_event("upstream_in");
    assert_eq!(guard.client().get("/").text(), "0");
}

#[test]
fn what_is_out_is_so_after_a_reload_of_other_things() {
    let patients = [Patient::new(0)];
    let guard = before(&patients, "");
    patients[0].becomes(500);
    guard.wait_for_event("upstream_out");
    guard.reconfigure(|text| format!("{text}\naccess: {{ deny: 192.0.2.1 }}"));
    guard.reload();
    for _ in 0..4 {
        assert_eq!(guard.client().get("/").verdict(), (503, "error"));
    }
    guard.reconfigure(|text| text.replace(CHECK, "host: preserve"));
    guard.reload();
    assert_eq!(guard.client().get("/").text(), "0", "nobody asks any more");
}

#[test]
fn only_the_statuses_that_are_named_are_good() {
    let patients = [Patient::new(0)];
    patients[0].becomes(401);
    let keys = "health_check: { path: '/health?deep', interval: 300ms, status: [401, 5xx] }";
    let guard = guard(&[patients[0].upstream.url()], keys, "");
    wait::until("it was asked", || patients[0].upstream.hits() > 2);
    patients[0].becomes(200);
    guard.wait_for_event("upstream_out");
}

#[test]
fn who_does_not_answer_in_time_or_at_all_is_out() {
    let silent = Upstream::scripted(|talk| talk.wait_for_end());
    let guard = guard(&[silent.url()], CHECK, "");
    let out = guard.wait_for_event("upstream_out");
    assert!(out.get("reason").contains("within the interval"), "{out:?}");
    let upstream = Upstream::hello();
    let url = upstream.url().to_owned();
    upstream.end();
    let guard = super::guard(&[&url], CHECK, "");
    let out = guard.wait_for_event("upstream_out");
    assert!(out.get("reason").contains("refused"), "{out:?}");
    assert_eq!(guard.client().get("/").verdict(), (503, "error"));
}

#[test]
fn a_check_asks_for_the_host_that_requests_ask_for() {
    for (site, expected) in [("hosts: [\"*.a.test\", b.test]", Some("b.test")), ("name: any", None)]
    {
        let upstream = Upstream::hello();
        let text =
            format!("sites:\n  - {site}\n    upstream: {{ servers: \"{{UPSTREAM}}\", {CHECK} }}\n");
        let _guard = Guard::start(&text, &upstream);
        upstream.wait_for_hits(1);
        let request = upstream.requests().swap_remove(0);
        let own = upstream.url().strip_prefix("http://").unwrap();
        assert_eq!(request.get("host"), Some(expected.unwrap_or(own)));
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/health?deep"));
        assert_eq!(request.get("user-agent"), Some("loginward health check"));
        assert!(!request.fields.has("x-forwarded-for"));
    }
    let upstream = Upstream::hello();
    let keys = format!("{CHECK}, host: app.internal");
    let _guard = guard(&[upstream.url()], &keys, "");
    upstream.wait_for_hits(1);
    assert_eq!(upstream.requests()[0].get("host"), Some("app.internal"));
}

#[test]
fn outages_are_told_as_a_page_or_as_json() {
    let refusing = Upstream::hello();
    let url = refusing.url().to_owned();
    refusing.end();
    let silent = Upstream::scripted(|talk| talk.wait_for_end());
    for (url, status, title) in [
        (&*url, 502, "The site cannot be reached"),
        (silent.url(), 504, "The site took too long to answer"),
    ] {
        let file = "timeouts: { response_head: 300ms }";
        let guard = Setup::new(file).replace("{UPSTREAM}", url).start();
        let page = guard.client().get("/");
        assert_eq!(page.verdict(), (status, "error"));
        assert_eq!(page.get("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.get("cache-control"), Some("no-store"));
        assert!(page.text().contains(title), "{}", page.text());
        assert!(page.text().contains(page.get("x-loginward-ref").unwrap()));
        let json = guard.ask(&Ask::get("/").with("X-Requested-With", "XMLHttpRequest"));
        assert_eq!(json.get("content-type"), Some("application/problem+json"));
        let told: serde_json::Value = serde_json::from_slice(&json.body.bytes).unwrap();
        assert_eq!(
            (told["status"].as_u64(), told["title"].as_str()),
            (Some(status.into()), Some(title))
        );
    }
}
