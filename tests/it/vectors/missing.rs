//! E. Logins without a username, and clients without an address.
//!
//! In axes all of them share a counter. Here a limit whose parameter is missing is skipped, and an
//! attempt that no limit is left for is counted by its client's address, apart from all others.

use super::{Vector, check, vector};

const VECTORS: &[Vector] = &[
    vector("V085", "", "X(∅,A)×2→fail; X(∅,A)→LOCK", "ip=A→3"),
    vector(
        "V086",
        "LOCKOUT_PARAMETERS=['username']",
        "X(∅,A)×2→fail; X(∅,A)→LOCK; X(∅,A)→DENY; X(∅,B)→fail; X(u1,A)→fail; S(u1,A)→ok",
        "ip=A→4; ip=B→1; user=u1→1",
    )
    .ignoring("ip=A→3; ip=B→1; user=u1→1"),
    vector(
        "V087",
        "LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "X(∅,A)→fail; X(∅,B)→fail; X(∅,C)→fail; X(∅,D)→fail; X(u1,D)→fail",
        "ip=A→1; ip=B→1; ip=C→1; ip=D→2; user=u1→1",
    ),
    vector(
        "V088",
        "LOCKOUT_PARAMETERS=['username']",
        "X(\"\",A)→fail; X(\" \",A)→fail; X(\"\",A)→LOCK; X(\"\",B)→fail; X(u1,A)→fail",
        "ip=A→3; ip=B→1; user=u1→1",
    ),
    vector(
        "V089",
        "LOCKOUT_PARAMETERS=[['username']]",
        "X(∅,A)×2→fail; X(∅,A)→LOCK; X(∅,B)→fail",
        "ip=A→3; ip=B→1",
    ),
    // whoever cannot be told from others is answered 400 and counted on nobody's account
    vector(
        "V091",
        "",
        "F(u1,unix:)→!400; F(u2,unix:)→!400; F(u3,unix:)→!400; S(u1,unix:)→!400; S(u1,A)→ok",
        "—",
    ),
];

#[test]
fn what_is_missing_is_nobodys_shared_counter() {
    check(VECTORS);
}
