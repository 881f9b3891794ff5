//! Whoever is locked out and goes on all the same is told the same again, and never what is old.

use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::{Answer, Ask, Guard, Setup, Upstream, wait};

/// One worker, so that it is the same that has said it before.
const ONE: &str = "workers: 1\n";
const LOCK: &str = "failures: 1, cool_off: 10m, forget_after: 10m";

fn by(parameters: &str) -> String {
    format!("{ONE}lockout: {{ limits: {{ by: {parameters}, {LOCK} }} }}\n")
}

/// How many refusals of `user` the log tells of.
fn told_of(guard: &Guard, user: &str) -> usize {
    let refused = guard.events("refused");
    refused.iter().filter(|event| event.get("username") == user).map(|event| event.times()).sum()
}

fn seconds(answer: &Answer) -> u64 {
    answer.get("retry-after").unwrap().parse().unwrap()
}

#[test]
fn every_refusal_is_counted_in_the_log_and_the_answers_are_alike() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&by("username"), &upstream);
    guard.client().log_in("bob", "wrong");
    let mut client = guard.client();
    let mut references = Vec::new();
    for _ in 0..50 {
        let answer = client.log_in("bob", "right");
        assert_eq!(answer.verdict(), (403, "locked"));
        let reference = answer.get("x-loginward-ref").unwrap().to_owned();
        assert!(answer.text().contains(&reference));
        references.push(reference);
    }
    references.dedup();
    assert_eq!(references.len(), 1);
    wait::until("all are told", || told_of(&guard, "bob") == 50);
    let counted = guard.metric("loginward_refusals_total", "reason=\"locked\"");
    assert!((counted - 50.0).abs() < 0.5, "{counted}");
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn the_time_that_is_left_is_told_as_it_is_then() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&by("username"), &upstream);
    guard.client().log_in("bob", "wrong");
    let mut client = guard.client();
    let first = seconds(&client.log_in("bob", "wrong"));
    let mut latest = first;
    wait::until("a second is over", || {
        latest = seconds(&client.log_in("bob", "wrong"));
        latest < first
    });
    assert!(latest + 5 > first, "{first}, then {latest}");
}

#[test]
fn each_name_behind_one_locked_address_is_named_in_the_log() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&by("ip_address"), &upstream);
    guard.client().log_in("eve", "wrong");
    let names = ["bob", "bob", "ann", "bob", "ann", "bob", "bob", "bob", "ann"];
    let mut client = guard.client();
    for name in names {
        assert_eq!(client.log_in(name, "right").verdict(), (403, "locked"));
    }
    for name in ["ann", "bob"] {
        let count = names.iter().filter(|own| **own == name).count();
        wait::until("all are told", || told_of(&guard, name) == count);
    }
}

#[test]
fn each_client_behind_a_proxy_is_named_in_the_log() {
    let upstream = Upstream::shop();
    let proxied = "trusted_proxies: [127.0.0.1]\n";
    let guard = Guard::start(&format!("{proxied}{}", by("username")), &upstream);
    guard.client().log_in("bob", "wrong");
    for client in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.1"] {
        let ask = Ask::login("bob", "right").with("X-Forwarded-For", client);
        assert_eq!(guard.ask(&ask).verdict(), (403, "locked"));
    }
    let told = |client: &str| {
        let refused = guard.events("refused");
        let of = refused.iter().filter(|event| event.get("client") == client);
        of.map(|event| event.times()).sum::<usize>()
    };
    wait::until("all are told", || (told("192.0.2.1"), told("192.0.2.2")) == (4, 1));
}

#[test]
fn a_page_and_a_document_are_told_apart_and_origins_too() {
    let upstream = Upstream::shop();
    let lock = format!("limits: {{ by: username, {LOCK} }}");
    let origins = "response: { cors_origins: [\"https://a.test\", \"https://b.test\"] }";
    let guard = Guard::start(&format!("{ONE}lockout: {{ {lock}, {origins} }}\n"), &upstream);
    guard.client().log_in("bob", "wrong");
    for _ in 0..3 {
        let page = guard.ask(&Ask::login("bob", "x").with("Accept", "text/html"));
        assert_eq!(page.get("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.get("access-control-allow-origin"), None);
        let document = guard.ask(&Ask::login("bob", "x").with("Accept", "application/json"));
        assert_eq!(document.get("content-type"), Some("application/problem+json"));
        for origin in ["https://a.test", "https://b.test"] {
            let answer = guard.ask(&Ask::login("bob", "x").with("Origin", origin));
            assert_eq!(answer.get("access-control-allow-origin"), Some(origin));
        }
    }
}

#[test]
fn another_rule_answers_in_its_own_words() {
    let sites = r#"
workers: 1
lockout: { limits: { by: username, failures: 1, cool_off: 10m, forget_after: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: user }
        password: { form: password }
        outcome: { success: { status: 302 } }
      - path: /other
        username: { form: user }
        password: { form: password }
        outcome: { success: { status: 302 } }
        lockout: { response: { status: 429 } }
"#;
    let upstream = Upstream::shop();
    let guard = Guard::start(sites, &upstream);
    guard.client().log_in("bob", "wrong");
    for _ in 0..3 {
        assert_eq!(guard.ask(&Ask::login("bob", "x")).verdict(), (403, "locked"));
        let other = guard.ask(&Ask::form("/other", "user=bob&password=x"));
        assert_eq!(other.verdict(), (429, "locked"));
    }
    let told = |login: &str, status: &str| {
        let refused = guard.events("refused");
        let of = refused.iter().filter(|event| event.get("login") == login);
        of.filter(|event| event.get("status") == status).map(|event| event.times()).sum::<usize>()
    };
    wait::until("all are told", || (told("/login", "403"), told("/other", "429")) == (3, 3));
}

#[test]
fn a_reload_changes_what_is_told_at_once() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&by("username"), &upstream);
    guard.client().log_in("bob", "wrong");
    let mut client = guard.client();
    for _ in 0..3 {
        assert_eq!(client.log_in("bob", "x").verdict(), (403, "locked"));
    }
    let other = "lockout: { response: { status: 429, contact: \"the other desk\" }, ";
    guard.reconfigure(|text| text.replace("lockout: { ", other));
    guard.reload();
    let answer = client.log_in("bob", "x");
    assert_eq!(answer.verdict(), (429, "locked"));
    assert!(answer.text().contains("the other desk"));
}

#[test]
fn a_lockout_that_was_lifted_and_begun_anew_has_its_own_end() {
    let upstream = Upstream::shop();
    let guard = Setup::new(&format!("{ADMIN}{}", by("username"))).upstream(&upstream).start();
    let mut ends: Vec<String> = Vec::new();
    wait::until("a lockout ends in another second", || {
        guard.client().log_in("bob", "wrong");
        assert_eq!(guard.client().log_in("bob", "x").verdict(), (403, "locked"));
        let locked = guard.wait_for_events("locked_out", ends.len() + 1);
        ends.push(locked.last().unwrap().get("until").to_owned());
        let said = run(&["reset", "--config", guard.config().to_str().unwrap(), "bob"]);
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
        ends.first() != ends.last()
    });
    wait::until("each is told with its end", || {
        let refused = guard.events("refused");
        ends.iter().all(|end| refused.iter().any(|event| event.get("until") == end))
    });
}
