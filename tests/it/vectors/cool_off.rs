//! D. How long a lockout lasts, and how long failures are remembered.

use loginward::config::Settings;

use super::{Vector, check, vector};
use crate::driven::Setup;
use crate::driven::play::play;

const VECTORS: &[Vector] = &[
    vector(
        "V069",
        "COOLOFF_TIME=100s",
        "F(u1,A)→fail; wait 101s; F(u1,A)→fail; wait 101s; F(u1,A)→fail; [ip=A→1 (ttl 100)]",
        "ip=A→1 (ttl 100)",
    ),
    vector(
        "V071",
        "FAILURE_LIMIT=2, COOLOFF_TIME=10s, RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT=True",
        "F(u1,A)→fail; F(u1,A)→LOCK; wait 5s; F(u1,A)→DENY; wait 5s; S(u1,A)→DENY",
        "ip=A→4 (ttl 10)",
    ),
    vector(
        "V073",
        "COOLOFF_TIME=100s, RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT=False",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; wait 50s; F(u1,A)×5→DENY; [ip=A→3 (ttl 50)]; wait 50s; \
         S(u1,A)→ok",
        "—",
    ),
    vector(
        "V075",
        "COOLOFF_TIME=None",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; wait 100000000s; S(u1,A)→DENY",
        "ip=A→4",
    )
    .ignoring("ip=A→3"),
    vector(
        "V079",
        "COOLOFF_TIME=50s",
        "F(u1,A)→fail; set COOLOFF_TIME=5s; [ip=A→1 (ttl 50)]; F(u1,A)→fail; [ip=A→2 (ttl 5)]",
        "ip=A→2 (ttl 5)",
    ),
    vector(
        "V081",
        "COOLOFF_TIME=100s, LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "F(u1,A)→fail; wait 60s; F(u1,B)→fail; \
         [ip=A→1 (ttl 40); ip=B→1 (ttl 100); user=u1→2 (ttl 100)]; wait 50s; F(u2,A)→fail",
        "ip=A→1 (ttl 100); ip=B→1 (ttl 50); user=u1→2 (ttl 50); user=u2→1 (ttl 100)",
    ),
    vector(
        "V083",
        "COOLOFF_TIME=100s",
        "F(u1,A,a)→fail; wait 60s; F(u1,A,b)→fail; wait 60s; F(u1,A,c)→LOCK",
        "ip=A→3 (ttl 100)",
    ),
];

#[test]
fn cool_offs_begin_and_end() {
    check(VECTORS);
}

/// In axes both switch the protection off.
#[test]
fn v076_v077_a_cool_off_below_a_second_is_no_configuration() {
    for cool_off in ["0s", "500ms", "0.4s", "0"] {
        let limit = format!("limits: {{ by: ip_address, failures: 3, cool_off: {cool_off} }}");
        let text = Setup::lockout(&limit).text("http://127.0.0.1:1", "site");
        let problems = Settings::parse(&text, ".".as_ref(), "test.yaml").unwrap_err().to_string();
        assert!(problems.contains("is no duration that fits here"), "{cool_off}: {problems}");
    }
}

/// In axes they are cut.
#[test]
fn v078_fractions_of_a_second_count() {
    play(
        "V078",
        &Setup::lockout("limits: { by: ip_address, failures: 2, cool_off: 1.5s }"),
        "F(u1,A)→fail; F(u1,A)→LOCK; wait 1499ms; S(u1,A)→DENY; wait 1ms; S(u1,A)→ok; [—]",
    );
}
