//! Answers and what rules make of them.

use proptest::prelude::*;

use super::cookies::name_pattern;
use super::*;
use crate::policy::glob::Case;

fn rule(outcome: Outcome) -> OutcomeRule {
    OutcomeRule {
        outcome,
        status: Vec::new(),
        location: Vec::new(),
        header: Vec::new(),
        set_cookie: Vec::new(),
        body: Vec::new(),
        json: Vec::new(),
        answer: Vec::new(),
    }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        headers.append(name, value.parse().expect("a header value"));
    }
    headers
}

/// Reads an answer as the guard does: the head, and the body only if the head does not decide.
fn read(rules: &OutcomeRules, format: Format, answer: (u16, &[(&str, &str)], &str)) -> Judgement {
    let (status, lines, body) = answer;
    let headers = headers(lines);
    let asked = Asked {
        host: "shop.example",
        path: "/login",
        path_as_written: true,
        leads_to_login: false,
        referer: Some(b"http://shop.example/welcome"),
        format,
        challenged: Challenged::Unknown,
    };
    let status = StatusCode::from_u16(status).expect("a status");
    let head = Head { status, headers: &headers, asked, now: Duration::from_secs(1_795_000_000) };
    rules.read_head(head).unwrap_or_else(|| rules.read_body(head, body.as_bytes()))
}

fn usual() -> OutcomeRules {
    let success = OutcomeRule {
        status: vec![302..=303],
        location: vec![LocationPattern::SameHost(Glob::new("/app*", Case::Keep))],
        set_cookie: vec![name_pattern("sessionid")],
        ..rule(Outcome::Success)
    };
    let ignore = OutcomeRule { status: vec![429..=429], ..rule(Outcome::Ignored) };
    OutcomeRules::Listed(vec![success, ignore])
}

#[test]
fn only_a_proven_success_is_free() {
    let check = |status, lines: &[(&str, &str)], outcome, basis| {
        let judged = read(&usual(), Format::Form, (status, lines, ""));
        assert_eq!(judged, Judgement { outcome, basis }, "{status} {lines:?}");
    };
    let cookie = ("set-cookie", "sessionid=abc");
    let gone = ("set-cookie", "sessionid=; Max-Age=0");
    check(302, &[("location", "/app"), cookie], Outcome::Success, Basis::Rule);
    check(302, &[("location", "/login?next=/app"), cookie], Outcome::Failure, Basis::Unmatched);
    check(302, &[("location", "//evil.example/app"), cookie], Outcome::Failure, Basis::Unmatched);
    check(302, &[("location", "/app"), cookie, gone], Outcome::Failure, Basis::Unmatched);
    check(302, &[("location", "/app")], Outcome::Failure, Basis::Unmatched);
    check(200, &[cookie], Outcome::Failure, Basis::Unmatched);
    check(304, &[], Outcome::Failure, Basis::Unmatched);
    check(206, &[], Outcome::Failure, Basis::Unmatched);
    check(500, &[], Outcome::Failure, Basis::NoVerdict);
    check(429, &[], Outcome::Ignored, Basis::Rule);
}

#[test]
fn the_first_rule_that_fits_decides() {
    let text = |text: &str| vec![BodyPattern::Text(text.as_bytes().into())];
    let rules = OutcomeRules::Listed(vec![
        OutcomeRule { body: text("wrong"), ..rule(Outcome::Failure) },
        OutcomeRule {
            json: vec![("/ok".to_owned(), JsonPattern::Value(Value::Bool(true)))],
            ..rule(Outcome::Success)
        },
        OutcomeRule {
            json: vec![("/token".to_owned(), JsonPattern::Present)],
            ..rule(Outcome::Success)
        },
    ]);
    let check = |body, outcome| {
        assert_eq!(read(&rules, Format::Json, (200, &[], body)).outcome, outcome, "{body}");
    };
    check(r#"{"ok":true}"#, Outcome::Success);
    check(r#"{"ok":false}"#, Outcome::Failure);
    check(r#"{"ok":true,"why":"wrong"}"#, Outcome::Failure);
    check(r#"{"token":"x"}"#, Outcome::Success);
    check(r#"{"token":null}"#, Outcome::Failure);
    check(r#"{"ok":true"#, Outcome::Failure);
    check("", Outcome::Failure);
}

#[test]
fn no_answer_is_a_failure_without_a_verdict_unless_a_rule_ignores_it() {
    let judged = usual().read_nothing(NoAnswer::Cut);
    assert_eq!(judged, Judgement { outcome: Outcome::Failure, basis: Basis::NoVerdict });
    let ignore = OutcomeRule { answer: vec![NoAnswer::Timeout], ..rule(Outcome::Ignored) };
    let rules = OutcomeRules::Listed(vec![ignore]);
    assert_eq!(rules.read_nothing(NoAnswer::Timeout).outcome, Outcome::Ignored);
    assert_eq!(rules.read_nothing(NoAnswer::Cut).outcome, Outcome::Failure);
    let judged = read(&rules, Format::Form, (200, &[], ""));
    assert_eq!(judged.outcome, Outcome::Failure, "a rule about no answer fits no answer");
}

#[test]
fn without_rules_a_form_succeeds_by_a_redirect_elsewhere_with_a_cookie() {
    let check = |location: &str, outcome| {
        let lines = [("location", location), ("set-cookie", "sid=abc")];
        let judged = read(&OutcomeRules::Inferred, Format::Form, (302, &lines, ""));
        assert_eq!(judged.outcome, outcome, "{location}");
    };
    check("/", Outcome::Success);
    check("/my/page", Outcome::Success);
    check("http://shop.example/my/page", Outcome::Success);
    check("/login", Outcome::Failure);
    check("/?next=1", Outcome::Success);
    check("/loginError", Outcome::Failure);
    check("/account/LoginWith2fa", Outcome::Failure);
    check("/welcome", Outcome::Failure);
    check("http://other.example/my/page", Outcome::Failure);
    let bare = read(&OutcomeRules::Inferred, Format::Form, (302, &[("location", "/")], ""));
    assert_eq!(bare.outcome, Outcome::Failure);
    let page = read(&OutcomeRules::Inferred, Format::Form, (200, &[("set-cookie", "a=b")], ""));
    assert_eq!(page.outcome, Outcome::Failure);
}

#[test]
fn without_rules_json_succeeds_by_a_cookie_or_a_token_and_no_error() {
    let check = |status, lines: &[(&str, &str)], body, outcome| {
        let judged = read(&OutcomeRules::Inferred, Format::Json, (status, lines, body));
        assert_eq!(judged.outcome, outcome, "{status} {body}");
    };
    check(200, &[], r#"{"access_token":"x"}"#, Outcome::Success);
    check(201, &[], r#"{"data":{"jwtToken":"x"}}"#, Outcome::Success);
    check(200, &[], r#"{"token":"x","errors":[]}"#, Outcome::Failure);
    check(200, &[("set-cookie", "sid=1")], r#"{"message":"Logged in"}"#, Outcome::Success);
    check(200, &[("set-cookie", "sid=1")], r#"{"error":"wrong"}"#, Outcome::Failure);
    check(200, &[], r#"{"message":"hello"}"#, Outcome::Failure);
    check(401, &[], r#"{"token":"x"}"#, Outcome::Failure);
}

#[test]
fn basic_fails_by_401_and_succeeds_only_where_others_were_refused() {
    let check = |status, challenged, outcome| {
        let headers = HeaderMap::new();
        let asked = Asked {
            host: "h",
            path: "/",
            path_as_written: true,
            leads_to_login: false,
            referer: None,
            format: Format::Form,
            challenged,
        };
        let status = StatusCode::from_u16(status).expect("a status");
        let head = Head { status, headers: &headers, asked, now: Duration::ZERO };
        let judged = OutcomeRules::Basic.read_head(head).expect("decided by the head");
        assert_eq!(judged.outcome, outcome, "{status} {challenged:?}");
    };
    check(401, Challenged::Unknown, Outcome::Failure);
    check(401, Challenged::Within, Outcome::Failure);
    check(200, Challenged::Unknown, Outcome::Ignored);
    check(200, Challenged::Within, Outcome::Success);
    check(304, Challenged::Within, Outcome::Success);
    check(403, Challenged::Within, Outcome::Ignored);
    check(500, Challenged::Within, Outcome::Ignored);
}

proptest! {
    #[test]
    fn no_answer_panics_and_no_other_status_succeeds(
        status in 100u16..600,
        location in "[ -~]{0,40}|(/|\\.\\.|app|%2e|//|\\?|#|http:|shop\\.example|\\\\){0,8}",
        cookie in "[ -~]{0,40}|(sessionid=|x|;|Max-Age=0|Expires=|Thu, 01-Jan-70 00:00:00|\"){0,6}",
        body in "\\PC{0,60}",
    ) {
        let lines = [("location", &*location), ("set-cookie", &*cookie)];
        for rules in [usual(), OutcomeRules::Inferred, OutcomeRules::Basic] {
            for format in [Format::Form, Format::Json] {
                let judged = read(&rules, format, (status, &lines, &body));
                let may_succeed = (200..400).contains(&status);
                prop_assert!(may_succeed || judged.outcome != Outcome::Success, "{judged:?}");
            }
        }
    }

    #[test]
    fn no_other_host_is_this_one(host in "[a-z0-9.]{1,12}(:[0-9]{1,4})?", scheme in "(https?:)?", slashes in "[/\\\\]{2,4}") {
        prop_assume!(!host.starts_with("shop.example"));
        let location = format!("{scheme}{slashes}{host}/app/x");
        let judged = read(&usual(), Format::Form, (302, &[("location", &location), ("set-cookie", "sessionid=1")], ""));
        prop_assert_eq!(judged.outcome, Outcome::Failure);
    }
}

#[test]
fn a_relative_location_says_nothing_where_the_path_was_spelled_otherwise() {
    let check = |location, written, rules: &OutcomeRules, expected| {
        let headers = headers(&[("location", location), ("set-cookie", "sessionid=1")]);
        let asked = Asked {
            host: "shop.example",
            path: "/app//../login.php",
            path_as_written: written,
            leads_to_login: false,
            referer: None,
            format: Format::Form,
            challenged: Challenged::Unknown,
        };
        let head =
            Head { status: StatusCode::FOUND, headers: &headers, asked, now: Duration::ZERO };
        let judged = rules.read_head(head).expect("decided by the head");
        assert_eq!(judged.outcome, expected, "{location}");
    };
    for location in ["login.php?error=1", "?error=1", "", "./x", "app"] {
        check(location, false, &usual(), Outcome::Failure);
        check(location, false, &OutcomeRules::Inferred, Outcome::Failure);
    }
    check("/app/home", false, &usual(), Outcome::Success);
    check("/app.php/login.php", false, &usual(), Outcome::Failure);
    check("/app.php/LOGIN.php/?x", false, &usual(), Outcome::Failure);
    check("http://shop.example/app/home", false, &usual(), Outcome::Success);
    check("/app/home", false, &OutcomeRules::Inferred, Outcome::Failure);
    check("/app/home", true, &OutcomeRules::Inferred, Outcome::Success);
    let fails = OutcomeRule {
        location: vec![LocationPattern::SameHost(Glob::new("/login*", Case::Keep))],
        ..rule(Outcome::Failure)
    };
    let succeeds = OutcomeRule { status: vec![302..=302], ..rule(Outcome::Success) };
    let rules = OutcomeRules::Listed(vec![fails, succeeds]);
    check("?error=1", false, &rules, Outcome::Failure);
    check("/app", false, &rules, Outcome::Success);
}
