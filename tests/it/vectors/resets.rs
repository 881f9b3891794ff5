//! G. Resets by hand.
//!
//! In axes they silently miss counters or hit others. Here a reset takes away every counter that
//! names all that was given, and says how many held something.

use super::{Vector, check, check_one, vector};
use crate::driven::play::reset_reference;

const LOCKED: &str = "F(u1,A)×2→fail; F(u1,A)→LOCK";

const VECTORS: &[Vector] = &[
    vector(
        "V106",
        "LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; F(u2,B)→fail; reset()→4; reset()→0; S(u1,A)→ok",
        "—",
    ),
    vector(
        "V107",
        "",
        "F(u1,A)→fail; reset(ip=A, username=u1)→0; [ip=A→1]; reset(username=u1)→0; reset(ip=A)→1",
        "—",
    ),
    vector(
        "V109",
        "LOCKOUT_PARAMETERS=['username']",
        "F(f,A)→fail; F(f,B)→fail; F(b,A)→fail; F(b,B)→fail; [user=b→2; user=f→2]; \
         reset(username=f)→1; [user=b→2]",
        "user=b→2",
    ),
    vector(
        "V111",
        "LOCKOUT_PARAMETERS=[['username', 'ip_address']]",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; reset(ip=B)→0; reset(ip=A)→1; S(u1,A)→ok",
        "—",
    ),
    vector(
        "V112",
        "LOCKOUT_PARAMETERS=[['username', 'ip_address']]",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; reset(username=u2)→0; reset(username=U1)→1; S(u1,A)→ok",
        "—",
    ),
    // only counters that name both are meant, and there are none
    vector(
        "V113",
        "LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; reset(ip=A, username=u1)→0; reset(ip=A)→1; \
         reset(username=u1)→1; S(u1,A)→ok",
        "—",
    ),
    vector(
        "V114",
        "LOCKOUT_PARAMETERS=[['username', 'ip_address']]",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; F(u1,B)→fail; F(u2,A)→fail; reset(ip=A, username=u1)→1; \
         S(u1,A)→ok",
        "user+ip=u1,B→1; user+ip=u2,A→1",
    ),
    vector("V115", "", "F(u1,A)→fail; reset(username=u1)→0; [ip=A→1]", "ip=A→1"),
    vector(
        "V116",
        "LOCKOUT_PARAMETERS=['username', ['username', 'ip_address']]",
        "F(u1,A)→fail; F(u1,B)→fail; F(u2,A)→fail; reset(ip=10.1.0.0/16)→2",
        "user=u1→2; user=u2→1; user+ip=u1,B→1",
    ),
    vector(
        "V117",
        "LOCKOUT_PARAMETERS=[['ip_address', 'user_agent']]",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; reset(ip=A)→1; S(u1,A)→ok",
        "—",
    ),
];

#[test]
fn a_reset_takes_away_what_it_names() {
    check(VECTORS);
}

/// A counter that names neither is found by what the refused client was told, and by its number.
#[test]
fn v118_counters_by_user_agent_can_be_reset() {
    let settings = "LOCKOUT_PARAMETERS=['user_agent']";
    check_one("V118", settings, &format!("{LOCKED}; reset(counter=user_agent)→1; S(u1,A)→ok; [—]"));
    let driven = check_one("V118", settings, LOCKED);
    let login = crate::driven::Login {
        user: Some("u1"),
        password: "good",
        ip: "10.1.1.1",
        agent: Some("ua1"),
        method: "POST",
    };
    let refused = driven.log_in(&login);
    assert_eq!(refused.outcome(), "DENY");
    let reference = refused.answer.get("x-loginward-ref").unwrap();
    assert_eq!(reset_reference(&driven, "00000000"), 0);
    assert_eq!(reset_reference(&driven, reference), 1);
    assert_eq!(driven.log_in(&login).outcome(), "ok");
}
