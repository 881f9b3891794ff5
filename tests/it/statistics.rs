//! What happened in the last hours, as the page is told.

use serde_json::Value;

use crate::api::operator;
use crate::support::guard::ADMIN;
use crate::support::{Client, Guard, Setup, Upstream, not_run};

const LIMITS: &str = "
lockout:
  limits:
    - { by: [username, ip_address], failures: 2, cool_off: 10m }
    - { by: [ip_address], failures: 50, cool_off: 10m }
";

/// What all values of a series come to.
fn sum(statistics: &Value, series: &str) -> u64 {
    let values = statistics.pointer(&format!("/series/{series}")).unwrap();
    values.as_array().unwrap().iter().map(|value| value.as_u64().unwrap()).sum()
}

#[test]
fn it_tells_how_much_of_everything_happened_and_who_failed_most() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{ADMIN}{LIMITS}"), &upstream);
    let operator = operator(&guard);
    guard.client().log_in("alice", "right");
    for _ in 0..3 {
        guard.client().log_in("bob", "wrong");
    }
    Client::from("127.0.1.7", &guard).log_in("Bob", "wrong");
    Client::from("127.0.1.7", &guard).log_in("eve", "wrong");
    for span in [60, 900, 3600, 86_400] {
        let told = operator.get(&format!("/v1/statistics?span_s={span}"));
        let step = if span <= 900 { 10 } else { 60 };
        assert_eq!(told["step_s"], step);
        let end = told["end"].as_u64().unwrap();
        let now = told["now"].as_u64().unwrap();
        assert!(end.is_multiple_of(step) && end > now && end - now <= step, "{end} {now}");
        for (series, expected) in [
            ("attempts/success", 1),
            ("attempts/failure", 0),
            // the rule names no failure: an answer is one because nothing matches it
            ("attempts/unmatched", 4),
            ("attempts/no_verdict", 0),
            ("attempts/ignored", 0),
            ("refusals/locked", 2),
            ("refusals/denied", 0),
            ("lockouts", 1),
            ("would_refuse", 0),
        ] {
            assert_eq!(sum(&told, series), expected, "{series} of {span}: {told}");
        }
        let in_force = told["series"]["in_force"].as_array().unwrap();
        assert_eq!(in_force.last().unwrap(), 1);
    }
    let told = operator.get("/v1/statistics?tops=2");
    let rows = |kind: &str| -> Vec<(String, u64, u64)> {
        let rows = told["tops"][kind].as_array().unwrap().iter();
        let number = |row: &Value, name: &str| row[name].as_u64().unwrap();
        rows.map(|row| {
            (
                row["value"].as_str().unwrap().to_owned(),
                number(row, "failures"),
                number(row, "locked"),
            )
        })
        .collect()
    };
    let row = |value: &str, failures, locked| (value.to_owned(), failures, locked);
    // a failure counts on two counters, and once here; `Bob` is `bob`
    assert_eq!(rows("username"), [row("bob", 3, 1), row("eve", 1, 0)]);
    assert_eq!(rows("ip_address"), [row("127.0.0.1", 2, 1), row("127.0.1.7", 2, 0)]);
    assert_eq!(rows("ip_network"), [row("127.0.0.0/24", 2, 1), row("127.0.1.0/24", 2, 0)]);
    assert_eq!(told["tops"]["counters"], 5);
}

#[test]
fn it_is_bounded() {
    let upstream = Upstream::hello();
    let guard = Guard::start(ADMIN, &upstream);
    let operator = operator(&guard);
    for wrong in ["span_s=0", "span_s=86401", "span_s=x", "tops=51", "tops=-1", "more=1"] {
        let answer = operator.ask("GET", &format!("/v1/statistics?{wrong}"), ("", ""));
        assert_eq!(answer.status, 400, "{wrong}");
    }
    assert_eq!(operator.get("/v1/statistics?tops=0")["tops"], Value::Null);
    let day = operator.get("/v1/statistics?span_s=86400");
    let values = day["series"]["attempts"]["success"].as_array().unwrap();
    assert!((1..=2).contains(&values.len()), "nothing is told of the time before it ran: {day}");
}

#[test]
fn the_page_is_there_for_whoever_may_ask() {
    let upstream = Upstream::hello();
    let guard = Guard::start(ADMIN, &upstream);
    let operator = operator(&guard);
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
    ] {
        let file = operator.ask("GET", path, ("", ""));
        assert_eq!((file.status, file.get("content-type")), (200, Some(kind)), "{path}");
        let policy = file.get("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert_eq!(file.get("x-content-type-options"), Some("nosniff"));
        assert_eq!(file.get("referrer-policy"), Some("no-referrer"));
        assert_eq!(file.get("cache-control"), Some("no-store"));
    }
    assert_eq!(operator.ask("GET", "/page/", ("", "")).status, 404);
    assert_eq!(operator.ask("GET", "/page/../page/main.js", ("", "")).status, 404);
    assert_eq!(operator.ask("POST", "/", ("", "")).status, 404);
}

#[test]
fn rules_tell_what_they_have_seen_and_what_looks_wrong() {
    let upstream = Upstream::shop();
    let monitor =
        "lockout: { mode: monitor, limits: { by: username, failures: 100, cool_off: 1h } }";
    let guard = Guard::start(&format!("{ADMIN}{monitor}"), &upstream);
    let operator = operator(&guard);
    let told = operator.get("/v1/rules");
    let rule = &told["rules"][0];
    assert_eq!((&rule["site"], &rule["login"]), (&"shop".into(), &"/login".into()));
    assert_eq!((&rule["mode"], &rule["suspicion"]), (&"monitor".into(), &Value::Null));
    for _ in 0..20 {
        guard.client().log_in("bob", "wrong");
    }
    crate::support::wait::until("the rule is suspect", || {
        let told = operator.get("/v1/rules");
        let said = told["rules"][0]["suspicion"].as_str().unwrap_or_default().to_owned();
        said.starts_with("in 20 attempts never a success; unmatched answers look like status 200")
    });
    let told = operator.get("/v1/rules");
    assert_eq!(told["rules"][0]["attempts"]["unmatched"], 20);
    assert_eq!(told["identity"], Value::Array(Vec::new()));
    let forwarded = crate::support::Ask::login("bob", "wrong").with("X-Forwarded-For", "8.8.8.8");
    guard.ask(&forwarded);
    crate::support::wait::until("the client is suspect", || {
        let told = operator.get("/v1/rules");
        told["identity"][0]["peer"] == "127.0.0.1" || told["identity"][0]["client"] == "127.0.0.1"
    });
}

#[test]
fn status_tells_what_was_wrong_with_the_last_configuration() {
    let upstream = Upstream::hello();
    let guard = Guard::start(ADMIN, &upstream);
    let operator = operator(&guard);
    assert_eq!(operator.get("/v1/status")["reload"]["problems"], Value::Array(Vec::new()));
    guard.reconfigure(|text| text.replace("username: {", "usrname: {"));
    guard.hang_up();
    guard.wait_for_event("reload_failed");
    let status = operator.get("/v1/status");
    let is_said = status["reload"]["problems"].as_array().unwrap().iter().any(|problem| {
        problem["severity"] == "error" && problem["text"].as_str().unwrap().contains("usrname")
    });
    assert!(is_said, "{status}");
}

/// Where Debian's faketime has its library.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[test]
fn a_clock_that_is_set_forward_and_back_loses_nothing() {
    if !std::path::Path::new(FAKETIME).exists() {
        return not_run("faketime is not here");
    }
    let upstream = Upstream::shop();
    let setup = Setup::new(&format!("{ADMIN}{LIMITS}")).upstream(&upstream).file("time", "+0\n");
    let time = setup.dir.path().join("time");
    let setup = setup.variable("LD_PRELOAD", FAKETIME).variable("FAKETIME_NO_CACHE", "1");
    let setup = setup.variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let guard = setup.variable("FAKETIME_TIMESTAMP_FILE", time.to_str().unwrap()).start();
    let operator = operator(&guard);
    let told = || operator.get("/v1/statistics?tops=0");
    for _ in 0..2 {
        guard.client().log_in("bob", "wrong");
    }
    let first = told();
    assert_eq!(sum(&first, "attempts/unmatched"), 2, "{first}");
    let begun = first["now"].as_u64().unwrap();
    const DAY: u64 = 86_400;
    for (days, offset) in [(30, "+30d\n"), (0, "+0\n"), (10, "+10d\n")] {
        std::fs::write(&time, offset).unwrap();
        let told = told();
        let now = told["now"].as_u64().unwrap();
        // both are whole seconds, and the two clocks do not begin theirs together
        let set = begun + days * DAY;
        assert!((set - 1..set + 60).contains(&now), "{days}: {told}");
        let end = told["end"].as_u64().unwrap();
        assert!(end > now && end <= now + 60, "{days}: {told}");
        assert_eq!(sum(&told, "attempts/unmatched"), 2, "{days}: {told}");
    }
    guard.client().log_in("eve", "right");
    assert_eq!(sum(&told(), "attempts/success"), 1);
}
