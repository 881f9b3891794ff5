//! The dashboard, the alerts and the README name metrics that there are, and labels that they have.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::exposition::{Exposition, Sample};
use crate::support::{Authority, Guard, Setup, Upstream};

const DASHBOARD: &str = include_str!("../../examples/grafana/loginward.json");
const ALERTS: &str = include_str!("../../examples/prometheus/alerts.yaml");
const SCRAPE: &str = include_str!("../../examples/prometheus/prometheus.yaml");
const README: &str = include_str!("../../README.md");

/// What Prometheus itself adds to every series.
const SCRAPED: [&str; 2] = ["instance", "job"];

/// What a guard says that has seen some traffic and has a certificate.
fn exported() -> Exposition {
    let upstream = Upstream::shop();
    let authority = Authority::new();
    let certificate = authority.certificate(&["shop.test"]);
    let text = r#"
listen:
  - "127.0.0.1:0"
  - { address: "127.0.0.2:0", tls: { certificate: c.pem, key: k.pem } }
lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }
store: { snapshot: { file: counters.db } }
"#;
    let setup = Setup::new(text).upstream(&upstream);
    let guard: Guard = setup.file("c.pem", &certificate.0).file("k.pem", &certificate.1).start();
    for password in ["right", "wrong", "wrong", "wrong"] {
        guard.client().log_in("bob", password);
    }
    guard.client().get("/");
    // there are numbers about a shared store also where nobody answers
    let text = "store: { redis: { url: \"redis://127.0.0.1:1\", key: 0123456789abcdef } }\n";
    let other = Guard::start(text, &upstream);
    let [mut all, other] = [guard.metrics(), other.metrics()].map(|text| Exposition::parse(&text));
    let more = other.families.into_iter().filter(|(name, _)| name.starts_with("loginward_store_"));
    all.families.extend(more);
    all
}

/// The words and quoted texts of an expression, and each other letter by itself.
fn tokens(expression: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let end = if first == '"' {
            rest[1..].find('"').expect(expression) + 2
        } else if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        tokens.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    tokens
}

/// What an expression may contain besides metrics.
const LANGUAGE: [&str; 14] = [
    "sum",
    "max",
    "min",
    "by",
    "rate",
    "increase",
    "histogram_quantile",
    "time",
    "and",
    "or",
    "unless",
    "up",
    "le",
    "instance",
];

/// Checks the matcher that begins at that token; returns where it ends.
#[track_caller]
fn check_matcher(known: &[&Sample], tokens: &[String], at: usize) -> usize {
    let label = &tokens[at];
    let end = if tokens[at + 2] == "~" { at + 4 } else { at + 3 };
    if !SCRAPED.contains(&label.as_str()) {
        let values: Vec<&String> = known.iter().filter_map(|s| s.labels.get(label)).collect();
        assert!(!values.is_empty(), "no label {label}");
        let wanted = tokens[end - 1].trim_matches('"').split('|');
        for value in wanted.filter(|value| !value.contains('$')) {
            assert!(values.iter().any(|known| *known == value), "no {label} {value}");
        }
    }
    end
}

/// Checks an expression; returns the labels that its result may have.
#[track_caller]
fn check(all: &Exposition, expression: &str) -> BTreeSet<String> {
    let tokens = tokens(expression);
    let mut labels: BTreeSet<String> = SCRAPED.map(str::to_owned).into();
    let (mut grouped, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let word = tokens[at].as_str();
        at += 1;
        if word == "by" {
            let end = at + tokens[at..].iter().position(|token| token == ")").unwrap();
            let list = tokens[at + 1..end].iter().filter(|token| *token != ",");
            grouped.extend(list.cloned());
            at = end;
        } else if word.starts_with("loginward_") || word.starts_with("process_") {
            let known: Vec<_> = all.samples().filter(|sample| sample.name == word).collect();
            assert!(!known.is_empty(), "there is no {word}: {expression}");
            labels.extend(known.iter().flat_map(|sample| sample.labels.keys().cloned()));
            while at < tokens.len() && (tokens[at] == "{" || tokens[at] == ",") {
                at = check_matcher(&known, &tokens, at + 1);
            }
        } else if word.starts_with(|c: char| c.is_alphabetic()) {
            let in_range = tokens.get(at.wrapping_sub(2)).is_some_and(|before| before == "[");
            let is_label = ["job", "loginward"].contains(&word);
            assert!(LANGUAGE.contains(&word) || in_range || is_label, "{word} in {expression}");
        }
    }
    for label in &grouped {
        assert!(labels.contains(label), "no {label} in {expression}");
    }
    let is_grouped = !grouped.is_empty();
    if is_grouped { grouped.into_iter().collect() } else { labels }
}

/// The labels that a text of `{{ … }}` wants.
fn wanted(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim());
    inner.map(|label| label.trim_start_matches("$labels."))
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let all = exported();
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut asked = 0;
    for panel in panels {
        for target in panel["targets"].as_array().unwrap_or(&Vec::new()) {
            let labels = check(&all, target["expr"].as_str().unwrap());
            for label in wanted(target["legendFormat"].as_str().unwrap()) {
                assert!(labels.contains(label), "{label} in {target}");
            }
            asked += 1;
        }
        let place = &panel["gridPos"];
        let (x, width) = (place["x"].as_u64().unwrap(), place["w"].as_u64().unwrap());
        assert!(x + width <= 24, "{}", panel["title"]);
    }
    assert!(asked > 25, "{asked}");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<&str> = variables.iter().filter_map(|v| v["name"].as_str()).collect();
    for used in DASHBOARD.split('$').skip(1) {
        let name = used.trim_start_matches('{');
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap();
        assert!(name[..end].starts_with("__") || names.contains(&&name[..end]), "{used:.20}");
    }
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
}

#[test]
fn the_alerts_ask_for_what_there_is() {
    let all = exported();
    let alerts: Value = serde_yaml::from_str(ALERTS).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 10);
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(name.starts_with("Loginward"), "{name}");
        let labels = check(&all, rule["expr"].as_str().unwrap());
        let texts = rule["annotations"].as_object().unwrap().values();
        for label in texts.flat_map(|text| wanted(text.as_str().unwrap())) {
            assert!(labels.contains(label), "{label} in {name}");
        }
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}");
    }
    let scrape: Value = serde_yaml::from_str(SCRAPE).unwrap();
    assert_eq!(scrape["scrape_configs"][0]["job_name"], "loginward");
    assert_eq!(scrape["rule_files"][0], "alerts.yaml");
}

#[test]
fn wrong_passwords_that_no_rule_names_are_no_alarm_where_people_log_in() {
    let all = exported();
    let alerts: Value = serde_yaml::from_str(ALERTS).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["alert"] == "LoginwardUnmatchedAnswers").unwrap();
    let (wanted, unless) = rule["expr"].as_str().unwrap().split_once("unless").expect("unless");
    let attempts = |expression: &str| -> f64 {
        let bases = expression.split("basis=").nth(1).unwrap().split('"').nth(1).unwrap();
        let is_one = |sample: &&Sample| {
            sample.name == "loginward_attempts_total"
                && bases.split('|').any(|basis| sample.labels["basis"] == basis)
        };
        all.samples().filter(is_one).map(|sample| sample.value).sum()
    };
    assert!(attempts(wanted) > 0.0, "there are such answers");
    assert!(attempts(unless) > 0.0, "and a success, which is enough");
}

#[test]
fn there_is_a_panel_for_the_file_that_keeps_the_counters() {
    for name in ["snapshot_behind_seconds", "snapshot_errors_total", "snapshot_bytes"] {
        assert!(DASHBOARD.contains(&format!("loginward_{name}{{")), "{name}");
    }
}

#[test]
fn there_are_panels_and_an_alert_for_the_store_that_guards_share() {
    for name in ["store_up", "store_calls_total", "store_call_seconds_bucket"] {
        assert!(DASHBOARD.contains(&format!("loginward_{name}{{")), "{name}");
    }
    assert!(DASHBOARD.contains("result=~\\\"error|timeout|unreachable\\\""), "what failed");
    assert!(ALERTS.contains("expr: loginward_store_up == 0\n"));
}

#[test]
fn the_readme_names_every_metric_and_no_other() {
    let all = exported();
    let named: BTreeSet<&str> = README
        .split('`')
        .map(|text| text.split('{').next().unwrap())
        .filter(|text| text.starts_with("loginward_") || text.starts_with("process_"))
        .collect();
    let sample = |name: &str| all.samples().any(|sample| sample.name == name);
    for name in &named {
        assert!(sample(name) || sample(&format!("{name}_count")), "there is no {name}");
    }
    for (name, family) in &all.families {
        let suffix = match &*family.kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        assert!(named.contains(&*format!("{name}{suffix}")), "{name} is not in the README");
    }
}

#[test]
fn what_is_wrong_with_an_expression_is_found() {
    let all = exported();
    let refuse = |expression: &'static str| {
        let checked = std::panic::catch_unwind(|| check(&all, expression));
        assert!(checked.is_err(), "{expression}");
    };
    refuse("sum(loginward_nothing_total)");
    refuse(r#"loginward_attempts_total{outcom="failure"}"#);
    refuse(r#"loginward_attempts_total{outcome="failed"}"#);
    refuse("sum by (user) (loginward_waiting)");
    refuse("median(loginward_waiting)");
}
