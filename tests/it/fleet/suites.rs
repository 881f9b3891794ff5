//! The same suites over a shared store: they run once more in a process of their own.

use std::process::Command;

use crate::driven::SHARED;
use crate::support::RedisServer;

/// Runs the tests of `suites` over one server.
#[track_caller]
fn check(suites: &[&str], skipped: &[&str]) {
    let Some(server) = RedisServer::start() else { return };
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.args(suites).env(SHARED, server.port().to_string());
    skipped.iter().for_each(|skipped| _ = tests.args(["--skip", skipped]));
    let output = tests.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("test result: ok. ") && !text.contains(" 0 passed"), "{text}");
}

#[test]
fn what_axes_does_is_done_over_a_shared_store() {
    check(&["vectors::"], &["n07_", "every_number"]);
}

/// But for what is about the room in this process.
#[test]
fn the_rules_hold_over_a_shared_store() {
    check(&["rules::"], &["eviction"]);
}
