//! `loginward export` and `import`: counters, lockouts and locks by hand on their way from one
//! running guard into another, which hashes under another key.

mod names;
mod wrong;

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::commands::program::{Said, run};
use crate::support::guard::ADMIN;
use crate::support::{Ask, Guard, Upstream};

const LIMITS: &str = "
lockout:
  limits:
    - { by: [username, ip_address], failures: 3, cool_off: 10m }
    - { by: [ip_address], failures: 20, cool_off: [1h, 2h], forget: leaky }
    - { by: [ip_network], failures: 50, cool_off: never, forget_after: 1d }
    - { by: [username], failures: 30, cool_off: 15m }
    - { by: [user_agent, username], name: agents, failures: 40, cool_off: 1h }
trusted_proxies: [\"127.0.0.0/8\"]
";

fn guard(upstream: &Upstream) -> Guard {
    guard_with(LIMITS, upstream)
}

fn guard_with(settings: &str, upstream: &Upstream) -> Guard {
    Guard::start(&format!("{ADMIN}{settings}"), upstream)
}

fn log_in(guard: &Guard, user: &str, ip: &str, password: &str) -> u16 {
    let ask = Ask::login(user, password).with("X-Forwarded-For", ip).with("User-Agent", "tests/1");
    guard.ask(&ask).status
}

fn guess(guard: &Guard, user: &str, ip: &str, times: usize) {
    (0..times).for_each(|_| _ = log_in(guard, user, ip, "wrong"));
}

/// What a command says of `guard`.
fn of(guard: &Guard, words: &[&str]) -> Said {
    run(&[words, &["--admin", &guard.admin()]].concat())
}

/// What `guard` exports.
#[track_caller]
fn export(guard: &Guard) -> String {
    let said = of(guard, &["export"]);
    assert_eq!(said.status, 0, "{}", said.err);
    said.out
}

/// What `guard` says when `text` is imported from a file.
fn import(guard: &Guard, text: &str) -> Said {
    let file = guard.dir().join("import.jsonl");
    std::fs::write(&file, text).unwrap();
    of(guard, &["import", file.to_str().unwrap()])
}

/// What `guard` reports when `text` is imported from a pipe.
#[track_caller]
fn report(guard: &Guard, text: &str) -> Value {
    let said = pipe(guard, text);
    assert!([0, 1].contains(&said.status), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

fn pipe(guard: &Guard, text: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loginward"));
    command.args(["import", "-", "--json", "--admin", &guard.admin()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // one that is refused may not be read to its end
    drop(child.stdin.take().unwrap().write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        status: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Its counters as lists show them, but for what is its own or goes on with time.
fn rows(guard: &Guard) -> Vec<String> {
    let said = of(guard, &["list", "--all", "--json"]);
    let list: Value = serde_json::from_str(&said.out).unwrap();
    let row = |row: &Value| {
        let what = ["site", "login", "limit", "parameters", "failures", "of", "locked"];
        what.map(|name| row[name].to_string()).join(" ")
    };
    let mut rows: Vec<String> = list["counters"].as_array().unwrap().iter().map(row).collect();
    rows.sort_unstable();
    rows
}

/// As if it had been told so many seconds earlier.
fn earlier(text: &str, seconds: u64) -> String {
    let (first, rest) = text.split_once('\n').unwrap();
    let mut header: Value = serde_json::from_str(first).unwrap();
    let at = header["loginward_export"]["at_ms"].as_u64().unwrap();
    header["loginward_export"]["at_ms"] = (at - seconds * 1000).into();
    format!("{header}\n{rest}")
}

#[test]
fn what_counted_at_one_guard_counts_at_the_other() {
    let upstream = Upstream::shop();
    let (one, other) = (guard(&upstream), guard(&upstream));
    guess(&one, "ada", "203.0.113.7", 3);
    guess(&one, "bob", "2001:db8::1", 2);
    let text = export(&one);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["loginward_export"]["version"], 1);
    assert_eq!(lines.last().unwrap()["end"]["counters"], lines.len() - 2);
    assert!(!text.contains("wrong"), "no password is in it");
    let said = import(&other, &text);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let begin =
        "imported: 10 counters (10 new, 0 joined with what was here, 0 known already), 1 of";
    assert!(said.out.starts_with(begin), "{}", said.out);
    assert_eq!(rows(&one), rows(&other));
    let reason = other.wait_for_event("counters_imported").get("reason").to_owned();
    assert!(reason.contains("10 counters new") && reason.starts_with("admin with uid"), "{reason}");
    assert!(one.wait_for_event("counters_exported").get("reason").contains(", 10 counters"));
    assert_eq!(log_in(&other, "ada", "203.0.113.7", "right"), 403);
    assert_eq!(log_in(&other, "bob", "2001:db8::2", "wrong"), 403, "the third of three");
    assert_eq!(log_in(&one, "bob", "2001:db8::3", "right"), 302, "the first one goes on");
}

#[test]
fn an_import_again_changes_nothing_and_what_is_more_counts() {
    let upstream = Upstream::shop();
    let (one, other) = (guard(&upstream), guard(&upstream));
    guess(&one, "ada", "203.0.113.7", 2);
    guess(&one, "bob", "203.0.113.7", 1);
    guess(&other, "ada", "203.0.113.7", 1);
    guess(&other, "bob", "203.0.113.7", 3);
    let text = export(&one);
    let first = report(&other, &text);
    assert_eq!(first["counters"]["new"], 0, "{first}");
    let after = rows(&other);
    let has = |what: &str| after.iter().any(|row| row.contains(what));
    assert!(has(r#""username":"ada"} 2 3 false"#), "{after:#?}");
    assert!(has(r#""username":"bob"} 3 3 true"#), "{after:#?}");
    assert!(has(r#"{"ip_address":"203.0.113.7"} 4 20"#), "{after:#?}");
    for _ in 0..2 {
        let again = report(&other, &text);
        let counted = &again["counters"];
        assert_eq!((&counted["new"], &counted["joined"]), (&0.into(), &0.into()), "{again}");
        assert_eq!(rows(&other), after);
    }
}

#[test]
fn time_has_passed_since() {
    let upstream = Upstream::shop();
    let (one, other) = (guard(&upstream), guard(&upstream));
    guess(&one, "ada", "203.0.113.7", 3);
    let text = export(&one);
    let remaining = |guard: &Guard| {
        let said = of(guard, &["list", "--locked", "--json"]);
        let list: Value = serde_json::from_str(&said.out).unwrap();
        list["counters"][0]["remaining_s"].as_u64()
    };
    let told = report(&other, &earlier(&text, 400));
    assert!((400..460).contains(&told["age_s"].as_u64().unwrap()), "{told}");
    let left = remaining(&other).unwrap();
    assert!((140..=200).contains(&left), "{left}");
    // what lasts longest stands
    report(&other, &earlier(&text, 500));
    assert!(remaining(&other).unwrap() > 120);
    report(&other, &earlier(&text, 100));
    assert!(remaining(&other).unwrap() > 400);
    // a clock that is behind makes nothing longer
    let third = guard(&upstream);
    let future = text.replacen("\"at_ms\":1", "\"at_ms\":9", 1);
    assert_eq!(report(&third, &future)["age_s"], 0);
    assert!(remaining(&third).unwrap() <= 600);
    // and some day all is over
    let fourth = guard(&upstream);
    let said = import(&fourth, &earlier(&text, 5 * 24 * 3600));
    assert_eq!(said.status, 1, "{}", said.out);
    assert!(said.out.contains("over since the export: 5"), "{}", said.out);
}

#[test]
fn locks_by_hand_come_along() {
    let upstream = Upstream::shop();
    let (one, other) = (guard(&upstream), guard(&upstream));
    guess(&one, "bob", "203.0.113.7", 1);
    let said = of(&one, &["list", "--json", "bob"]);
    let list: Value = serde_json::from_str(&said.out).unwrap();
    let pair = |row: &&Value| row["limit"] == "username+ip_address";
    let counter = list["counters"].as_array().unwrap().iter().find(pair).unwrap();
    let id = counter["id"].as_str().unwrap();
    for words in [
        &["198.51.100.0/24", "--for", "1h", "--reason", "credential \"stuffing\""][..],
        &["--username", "Ada", "--site", "shop"],
        &["--counter", id],
        &["2001:db8::/32", "--for", "30s"],
    ] {
        assert_eq!(of(&one, &[&["lock"], words].concat()).status, 0);
    }
    let text = export(&one);
    let told = report(&other, &earlier(&text, 60));
    assert_eq!(told["locks_by_hand"]["new"], 3, "{told}");
    assert_eq!(told["locks_by_hand"]["expired"], 1, "{told}");
    let again = report(&other, &earlier(&text, 60));
    assert_eq!(again["locks_by_hand"]["known"], 3, "{again}");
    for (user, ip, status) in [
        ("eve", "198.51.100.9", 403),
        ("ADA", "192.0.2.1", 403),
        ("bob", "203.0.113.7", 403),
        ("bob", "203.0.113.8", 302),
        ("eve", "2001:db8::5", 302),
    ] {
        assert_eq!(log_in(&other, user, ip, "right"), status, "{user} from {ip}");
    }
    let said = of(&other, &["list"]);
    assert!(
        said.out.contains("credential \\\"stuffing\\\"")
            || said.out.contains("credential \"stuffing\"")
    );
}

#[test]
fn a_great_many_counters_pass_through_and_come_out_as_they_went_in() {
    let upstream = Upstream::shop();
    let (one, other) = (guard(&upstream), guard(&upstream));
    let mut text = String::from(
        "{\"loginward_export\":{\"version\":1,\"program\":\"0.1.0\",\"at\":\"\",\"at_ms\":1}}\n",
    );
    const MANY: u32 = 30_000;
    for number in 0..MANY {
        let ip = std::net::Ipv4Addr::from(0x0a00_0000 + number * 7);
        let who = format!(
            r#"{{"site":"shop","limit":"ip_address","parameters":{{"ip_address":"{ip}"}}}}"#
        );
        text.push_str(&format!(
            "{{\"counter\":{{\"who\":{who},\"failures\":2,\"attempts\":2,\"latest_ms\":-5,\
             \"forget_ms\":{},\"leak_ms\":180000}}}}\n",
            i64::MAX / 2 - i64::from(number),
        ));
    }
    text.push_str(&format!("{{\"end\":{{\"counters\":{MANY},\"locks\":0}}}}\n"));
    let before = one.memory();
    assert_eq!(report(&one, &text)["counters"]["new"], MANY);
    let after = export(&one);
    assert!(one.peak_memory() < before + 64 * 1024 * 1024, "{before}, {}", one.peak_memory());
    assert_eq!(report(&other, &after)["counters"]["new"], MANY);
    assert_eq!(rows(&one), rows(&other));
}

#[test]
fn a_success_clears_what_was_spelled_alike() {
    let upstream = Upstream::shop();
    let (one, other) = (guard(&upstream), guard(&upstream));
    guess(&one, "Ada", "203.0.113.7", 2);
    guess(&one, "bob", "203.0.113.7", 1);
    guess(&one, "BOB", "203.0.113.7", 1);
    report(&other, &export(&one));
    for user in ["Ada", "bob"] {
        assert_eq!(log_in(&other, user, "203.0.113.7", "right"), 302);
    }
    let rows = rows(&other);
    let pairs: Vec<&String> = rows.iter().filter(|row| row.contains("username+ip")).collect();
    assert_eq!(pairs.len(), 1, "{rows:#?}");
    assert!(pairs[0].contains(r#""username":"bob"} 2 3"#), "{pairs:?}");
}
