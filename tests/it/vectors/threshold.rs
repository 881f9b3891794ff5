//! A. How many failures lock.

use loginward::config::Settings;

use super::{Vector, check, check_one, vector};
use crate::driven::{Login, Setup};

const VECTORS: &[Vector] = &[
    vector("V001", "", "S(u1,A)→ok", "—"),
    vector("V003", "FAILURE_LIMIT=10", "F(n*,A)×9→fail; F(n*,A)→LOCK; F(n*,A)×10→DENY", "ip=A→20")
        .ignoring("ip=A→10"),
    vector("V005", "FAILURE_LIMIT=1", "F(u1,A)→LOCK; S(u1,A)→DENY", "ip=A→2").ignoring("ip=A→1"),
    vector("V009", "", "F(u1,A)×2→fail; S(u1,A)×2→ok", "ip=A→2"),
    vector(
        "V011",
        "",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; S(u1,A)→DENY; S(u2,A)→DENY; S(u1,B)→ok",
        "ip=A→5",
    )
    .ignoring("ip=A→3"),
    // overruled: what would have been refused changes no counter, whatever the mode of counting
    vector("V012", "LOCK_OUT_AT_FAILURE=False", "F(u1,A)×5→fail; S(u1,A)→ok", "ip=A→3"),
    vector("V013", "ENABLED=False", "F(u1,A)×5→fail; S(u1,A)→ok", "—"),
    vector("V015", "", "F(u1,A)×2→fail; F(u1,A)→LOCK; set FAILURE_LIMIT=5; S(u1,A)→ok", "ip=A→3"),
];

#[test]
fn so_many_failures_lock() {
    check(VECTORS);
}

/// Axes refuses everybody.
#[test]
fn v006_v007_a_limit_below_one_is_no_configuration() {
    for failures in ["0", "-1"] {
        let limit = format!("limits: {{ by: ip_address, failures: {failures}, cool_off: 1m }}");
        let text = Setup::lockout(&limit).text("http://127.0.0.1:1", "site");
        let problems = Settings::parse(&text, ".".as_ref(), "test.yaml").unwrap_err().to_string();
        assert!(problems.contains("failures: "), "{problems}");
        assert!(problems.contains("write a whole number from 1 to 1000000"), "{problems}");
    }
}

/// The form still renders while its client is locked out. A path whose GET is an attempt, too,
/// refuses that; and counts it, as it does every attempt (V105).
#[test]
fn v019_only_attempts_are_refused() {
    let locked = "F(u1,A)×2→fail; F(u1,A)→LOCK; page(A)→200; [ip=A→3]";
    check_one("V019", "", locked);
    let driven = crate::driven::play::play(
        "V019",
        &Setup::lockout("limits: { by: ip_address, failures: 3, cool_off: 1h }")
            .login(&["methods: [GET, POST]"]),
        "F(u1,A)×2→fail; F(u1,A)→LOCK; page(A)→!403; [ip=A→3]",
    );
    let elsewhere =
        Login { user: None, password: "wrong", ip: "10.2.2.2", agent: None, method: "GET" };
    assert_eq!(driven.log_in(&elsewhere).outcome(), "fail");
}
