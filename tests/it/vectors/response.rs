//! H. What a refused client sees. The status is 403 and the rest as the contract says; where axes
//! differs, the remark says how.

use super::{axes, check_one};
use crate::driven::play::play;
use crate::driven::{Driven, Login, Seen};
use crate::support::Ask;

const USER: &str = "al&ice=<b>";
const COOL_OFF: &str = "COOLOFF_TIME=90m";

const LOGIN: Login<'_> = Login {
    user: Some(USER),
    password: "wrong",
    ip: "10.1.1.1",
    agent: Some("browser"),
    method: "POST",
};

/// The third failure of a client under `settings`, whose requests all have these fields.
#[track_caller]
fn locked(settings: &str, fields: &[(&str, &str)]) -> (Driven, Seen) {
    let driven = Driven::start(&axes::setup(settings));
    assert_eq!(ask(&driven, fields).outcome(), "fail");
    assert_eq!(ask(&driven, fields).outcome(), "fail");
    let third = ask(&driven, fields);
    assert_eq!(third.hits, 1, "the failure that reaches the limit was forwarded");
    (driven, third)
}

fn ask(driven: &Driven, fields: &[(&str, &str)]) -> Seen {
    let add = |ask: Ask, (name, value): &(&str, &str)| ask.with(name, value);
    driven.ask(&fields.iter().fold(LOGIN.ask(), add))
}

/// Whether an answer tells nothing of the username or of counts.
#[track_caller]
fn tells_nothing(seen: &Seen) {
    let text = seen.answer.text();
    for secret in ["al&ice", "al&amp;ice", "<b>", "&lt;b", "failure_limit", "failure_count"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert_eq!(seen.answer.get("cache-control"), Some("no-store"));
}

/// Axes: no `Cache-Control`.
#[test]
fn h01_h05_h06_a_lockout_without_end_is_a_page_without_retry_after() {
    for settings in ["", "ENABLE_RETRY_AFTER_HEADER=True, COOLOFF_TIME=None"] {
        let (_driven, seen) = locked(settings, &[]);
        assert_eq!(seen.answer.status, 403);
        assert_eq!(seen.answer.get("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(seen.answer.get("retry-after"), None);
        assert!(seen.answer.text().contains("blocked until it is released"));
        tells_nothing(&seen);
    }
}

/// Axes: the duration is not in the text, and `Retry-After` only where that is switched on.
#[test]
fn h02_h03_a_lockout_with_an_end_says_when() {
    let (_driven, seen) = locked(COOL_OFF, &[]);
    assert_eq!(seen.answer.status, 403);
    assert_eq!(seen.answer.get("retry-after"), Some("5400"));
    assert!(seen.answer.text().contains("in 90 minutes"), "{}", seen.answer.text());
    tells_nothing(&seen);
}

/// Axes: the full cool-off again.
#[test]
fn h04_retry_after_is_what_is_left_rounded_up() {
    let settings = format!("{COOL_OFF}, {}=False", axes::MODE);
    let (driven, _) = locked(&settings, &[]);
    driven.wait(std::time::Duration::from_millis(80 * 60_000 + 1));
    let seen = ask(&driven, &[]);
    assert_eq!((seen.outcome().as_str(), seen.answer.get("retry-after")), ("DENY", Some("600")));
    driven.wait(std::time::Duration::from_millis(10 * 60_000 - 2));
    assert_eq!(ask(&driven, &[]).answer.get("retry-after"), Some("1"));
}

/// Axes: counts and the username are in it, and every origin may read it.
#[test]
fn h07_h08_h17_scripts_get_a_problem_document() {
    let xhr = [("X-Requested-With", "XMLHttpRequest")];
    let (driven, at_limit) = locked(&format!("{COOL_OFF}, {}=False", axes::MODE), &xhr);
    let refused = ask(&driven, &xhr);
    assert_eq!(refused.outcome(), "DENY");
    for seen in [at_limit, refused] {
        assert_eq!(seen.answer.status, 403);
        assert_eq!(seen.answer.get("content-type"), Some("application/problem+json"));
        assert_eq!(seen.answer.get("access-control-allow-origin"), None);
        let document: serde_json::Value = serde_json::from_str(&seen.answer.text()).unwrap();
        assert_eq!(document["status"], 403);
        assert_eq!(document["retry_after"], 5400);
        assert_eq!(document["ref"], seen.answer.get("x-loginward-ref").unwrap());
        tells_nothing(&seen);
    }
    let (_driven, forever) = locked("", &xhr);
    let document: serde_json::Value = serde_json::from_str(&forever.answer.text()).unwrap();
    assert_eq!(document.get("retry_after"), None);
}

/// Axes: the value goes out as it is, whatever the `Origin` was, and without `Vary`.
#[test]
fn h09_only_the_scripts_of_named_origins_may_read_the_answer() {
    let settings = "ALLOWED_CORS_ORIGINS=['https://app.example']";
    for (origin, expected) in
        [("https://app.example", Some("https://app.example")), ("https://evil.example", None)]
    {
        let fields = [("X-Requested-With", "XMLHttpRequest"), ("Origin", origin)];
        let (_driven, seen) = locked(settings, &fields);
        assert_eq!(seen.answer.get("access-control-allow-origin"), expected);
        assert_eq!(seen.answer.get("vary"), Some("Origin"));
    }
}

/// Axes: only the one spelling, and `Accept` is ignored.
#[test]
fn h10_h11_whoever_wants_json_gets_json() {
    for fields in [[("X-Requested-With", "xmlhttprequest")], [("Accept", "application/json")]] {
        let (_driven, seen) = locked("", &fields);
        assert_eq!(seen.answer.get("content-type"), Some("application/problem+json"));
    }
}

/// Axes: the username is added to it, with a question mark that may be the second.
#[test]
fn h12_h13_h16_browsers_can_be_sent_elsewhere() {
    for url in ["/locked", "/locked?x=1"] {
        let settings = format!("LOCKOUT_URL={url}, {COOL_OFF}");
        let (driven, seen) = locked(&settings, &[]);
        for seen in [seen, ask(&driven, &[])] {
            assert_eq!(seen.answer.status, 302);
            assert_eq!(seen.answer.get("location"), Some(url));
            assert_eq!(seen.answer.get("retry-after"), Some("5400"));
            assert_eq!(seen.answer.text(), "");
        }
    }
}

#[test]
fn h14_a_script_gets_its_document_rather_than_a_redirect() {
    let (_driven, seen) = locked("LOCKOUT_URL=/locked", &[("X-Requested-With", "XMLHttpRequest")]);
    assert_eq!(seen.answer.status, 403);
    assert_eq!(seen.answer.get("content-type"), Some("application/problem+json"));
    assert_eq!(seen.answer.get("location"), None);
}

/// Axes: the template is given counts and the username.
#[test]
fn h15_a_page_of_ones_own_wins_over_a_redirect() {
    let text = "lockout:
  limits: { by: ip_address, failures: 3, cool_off: 90m }
  response: { html: own.html, redirect: /locked, status: 418 }
";
    let setup = crate::driven::Setup::new(text)
        .file("own.html", "wait {{ retry_in }}, {{ username }}{{ failure_count }}{{ reference }}");
    let driven = play("H15", &setup, "F(u1,A)×2→fail");
    let seen = ask(&driven, &[]);
    assert_eq!((seen.answer.status, seen.answer.get("location")), (418, None));
    let reference = seen.answer.get("x-loginward-ref").unwrap();
    assert_eq!(seen.answer.text(), format!("wait 90 minutes, {reference}"));
}

#[test]
fn h22_who_is_logged_in_already_is_not_affected() {
    let driven = check_one("H22", "", "F(u1,A)×2→fail; F(u1,A)→LOCK; S(u1,A)→DENY");
    for target in ["/admin/", "/logout"] {
        let ask = Ask::get(target).with("X-Forwarded-For", "10.1.1.1").with("Cookie", "session=1");
        let seen = driven.ask(&ask);
        assert_eq!((seen.hits, seen.answer.status), (1, 200));
    }
}
