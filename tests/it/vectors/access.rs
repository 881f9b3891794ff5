//! F. Who is never locked, and who may not come at all.

use super::{Vector, check, vector};
use crate::driven::Setup;
use crate::driven::play::play;

const VECTORS: &[Vector] = &[
    // overruled: refused at once, before the upstream, and not counted
    vector("V092", "IP_BLACKLIST=['10.1.1.1']", "F(u1,A)×5→DENIED; S(u1,B)→ok", "—"),
    vector("V093", "IP_BLACKLIST=['10.1.1.1']", "S(u1,A)×3→DENIED", "—"),
    vector("V094", "IP_BLACKLIST=['10.1.0.0/16']", "S(u1,A)×5→DENIED; page(A)→200", "—"),
    vector(
        "V095",
        "NEVER_LOCKOUT_WHITELIST=True, IP_WHITELIST=['10.1.1.1']",
        "F(u1,A)×6→fail; S(u1,A)→ok",
        "—",
    ),
    vector(
        "V097",
        "IP_WHITELIST=['10.1.1.1']",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; F(u1,A)→DENY",
        "ip=A→4",
    )
    .ignoring("ip=A→3"),
    // overruled: who alone may come is counted like anybody
    vector(
        "V099",
        "ONLY_WHITELIST=True, IP_WHITELIST=['10.1.1.1']",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; F(u1,A)×2→DENY; S(u1,A)→DENY; S(u1,B)×4→DENIED",
        "ip=A→6",
    )
    .ignoring("ip=A→3"),
    vector(
        "V101",
        "NEVER_LOCKOUT_WHITELIST=True, IP_WHITELIST=['10.1.1.1'], IP_BLACKLIST=['10.1.1.1']",
        "S(u1,A)×5→DENIED",
        "—",
    ),
    vector(
        "V103",
        "WHITELIST_CALLABLE=['u1']",
        "F(u1,A)×4→fail; F(u2,A)×2→fail; F(u2,A)→LOCK; S(u1,A)→ok; S(u2,A)→DENY",
        "ip=A→4",
    )
    .ignoring("ip=A→3"),
];

#[test]
fn lists_deny_and_exempt() {
    check(VECTORS);
}

/// What axes' `ONLY_WHITELIST` does with those who are listed takes both lists here.
#[test]
fn v100_only_allowed_and_never_locked() {
    let text = "access: { only_allow: 10.1.1.1 }\nlockout:\n  never_lock: { networks: 10.1.1.1 }\n";
    play("V100", &Setup::new(text), "F(u1,A)×60→fail; S(u1,A)→ok; S(u1,B)×4→DENIED; [—]");
}

/// In axes a GET is exempt. Here the rule names its methods, and whatever matches is counted.
#[test]
fn v105_a_get_that_is_an_attempt_counts() {
    let limit = "limits: { by: ip_address, failures: 3, cool_off: 1h }";
    play(
        "V105",
        &Setup::lockout(limit).login(&["methods: [GET, POST]"]),
        "GET X(u1,A)→fail; X(u1,A)→fail; GET X(u1,A)→LOCK; GET S(u1,A)→DENY; [ip=A→3]",
    );
    play(
        "V105, where the rule names POST alone: a password in the query makes it an attempt",
        &Setup::lockout(limit),
        "GET X(u1,A)×2→fail; page(A)→200; GET X(u1,A)→LOCK; X(u1,A)→DENY; [ip=A→3]",
    );
}
