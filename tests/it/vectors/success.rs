//! B. What a success forgets.

use super::{Vector, check, vector};
use crate::driven::Setup;
use crate::driven::play::play;

const VECTORS: &[Vector] = &[
    vector(
        "V021",
        "FAILURE_LIMIT=10, RESET_ON_SUCCESS=True",
        "F(n*,A)×9→fail; [ip=A→9]; S(u1,A)→ok; [—]; F(n*,A)×9→fail; F(n*,A)→LOCK",
        "ip=A→10",
    ),
    vector(
        "V025",
        "RESET_ON_SUCCESS=True, LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "F(u1,A)×2→fail; S(u2,A)→ok; [user=u1→2]",
        "user=u1→2",
    ),
    vector(
        "V027",
        "RESET_ON_SUCCESS=True, LOCKOUT_PARAMETERS=[['ip_address', 'user_agent']]",
        "F(u1,A,a)×2→fail; F(u1,A,b)→fail; S(u1,A,b)→ok; [ip+ua=A,a→2]",
        "ip+ua=A,a→2",
    ),
];

#[test]
fn a_success_forgets_what_it_is_told_to() {
    check(VECTORS);
}

/// Axes lets whoever has an account of his own guess without end. Here only counters that name
/// both the username and the address are forgotten, and only `all` does as axes does.
#[test]
fn v023_an_account_of_ones_own_buys_no_guesses_on_others() {
    let limit = "limits: { by: ip_address, failures: 3, cool_off: 1h }";
    play(
        "V023 as it comes",
        &Setup::lockout(limit),
        "F(u1,A)×2→fail; S(u2,A)→ok; [ip=A→2]; F(u1,A)→LOCK; S(u2,A)→DENY; [ip=A→3]",
    );
    play(
        "V023 with `all`",
        &Setup::lockout(&format!("{limit}, reset_on_success: all")),
        "F(u1,A)×2→fail; S(u2,A)→ok; F(u1,A)×2→fail; S(u2,A)→ok; F(u1,A)×2→fail; S(u2,A)→ok; [—]",
    );
}
