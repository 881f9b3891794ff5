//! `loginward explain --live`: what the guard that runs would do now.

use serde_json::{Value, json};

use super::program::{Said, run};
use crate::support::guard::ADMIN;
use crate::support::{Guard, Upstream};

const LIMITS: &str = "lockout: { limits: [{ by: [username, ip_address], failures: 2, cool_off: 10m }, \
                      { by: ip_address, failures: 9, cool_off: 10m }] }";

/// What is explained of a login at `guard` from 127.0.0.1, whose answer is a redirect.
fn explain(guard: &Guard, user: &str, more: &[&str]) -> Said {
    let (config, form) = (guard.config(), format!("user={user}&password=s3cret"));
    let words = ["explain", "--config", config.to_str().unwrap(), "--from", "127.0.0.1", "--live"];
    let answer = ["--status", "302", "-d", &form, "http://shop.test/login"];
    run(&[&words[..], more, &answer].concat())
}

#[test]
fn who_is_locked_out_now_is_said_to_be_refused() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{ADMIN}{LIMITS}"), &upstream);
    (0..2).for_each(|_| _ = guard.client().log_in("Bob", "wrong"));
    let said = explain(&guard, "bob", &[]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let refused = "admission   it is refused now: locked out by username+ip_address until 2";
    assert!(said.out.contains(refused), "{}", said.out);
    assert!(said.out.contains("answer      from the guard, as `response` says (locked): "));
    for wrong in ["it may go on", "outcome", "from the application"] {
        assert!(!said.out.contains(wrong), "{}", said.out);
    }
    assert!(explain(&guard, "eve", &[]).out.contains("it may go on"));
    let told: Value = serde_json::from_str(&explain(&guard, "bob", &["--json"]).out).unwrap();
    assert_eq!((&told["admitted"], &told["forwarded"]), (&Value::Null, &json!(false)));
    assert_eq!(told["refused"]["reason"], "locked");
}

#[test]
fn who_is_locked_by_hand_is_said_to_be_and_nobody_else() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{ADMIN}{LIMITS}"), &upstream);
    let admin = guard.admin();
    let lock = |words: &[&str]| {
        assert_eq!(run(&[&["lock", "--admin", &admin], words].concat()).status, 0, "{words:?}");
    };
    lock(&["EVE", "--site", "shop", "--reason", "left"]);
    lock(&["--username", "ada", "--ip", "198.51.100.0/24"]);
    let said = explain(&guard, "eve", &[]);
    assert!(said.out.contains("by hand     site shop, EVE: locked until never\n"), "{}", said.out);
    let refused = "admission   it is refused now: locked by hand until never: left\n";
    assert!(said.out.contains(refused), "{}", said.out);
    let told: Value = serde_json::from_str(&explain(&guard, "eve", &["--json"]).out).unwrap();
    assert_eq!(told["refused"]["reason"], "locked_by_hand");
    assert_eq!(told["locks_by_hand"][0]["what"]["username"], "EVE");
    for free in ["ada", "bob"] {
        assert!(explain(&guard, free, &[]).out.contains("it may go on"), "{free}");
    }
    lock(&["127.0.0.0/8"]);
    assert!(explain(&guard, "bob", &[]).out.contains("locked by hand until never\n"));
}

#[test]
fn monitor_mode_says_what_it_would_refuse_now() {
    let upstream = Upstream::shop();
    let limits = LIMITS.replace("lockout: {", "lockout: { mode: monitor,");
    let guard = Guard::start(&format!("{ADMIN}{limits}"), &upstream);
    (0..2).for_each(|_| _ = guard.client().log_in("bob", "wrong"));
    let said = explain(&guard, "bob", &[]);
    assert!(said.out.contains("monitor     would be refused: locked out by "), "{}", said.out);
    assert!(said.out.contains("answer      302 from the application"), "{}", said.out);
}
