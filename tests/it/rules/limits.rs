//! Limits: how many failures lock, for how long, and when they are forgotten.

use super::check;
use crate::driven::Setup;
use crate::driven::play::play;

#[test]
fn by_default_five_failures_of_a_username_at_an_address_lock_for_ten_minutes() {
    play(
        "the defaults",
        &Setup::new(""),
        "F(u1,A)×4→fail; wait 599999ms; F(u1,A)→LOCK; S(u1,A)→DENY; S(u1,B)→ok; S(u2,A)→ok; \
         wait 599999ms; S(u1,A)→DENY; wait 1ms; S(u1,A)→ok; F(u1,A)×4→fail; wait 600s; F(u1,A)→fail",
    );
}

#[test]
fn by_default_fifty_failures_of_an_address_lock_and_leak_away_in_ten_minutes() {
    play(
        "the defaults",
        &Setup::new(""),
        "F(n*,A)×49→fail; F(n*,A)→LOCK; S(u2,A)→DENY; S(u2,B)→ok; wait 599999ms; S(u2,A)→DENY; \
         wait 1ms; S(u2,A)→ok",
    );
    // one is forgotten every twelve seconds
    play("the defaults", &Setup::new(""), "F(n*,A)×49→fail; wait 11999ms; F(n*,A)→LOCK");
    play("the defaults", &Setup::new(""), "F(n*,A)×49→fail; wait 12s; F(n*,A)→fail; F(n*,A)→LOCK");
}

#[test]
fn by_default_a_hundred_failures_of_a_username_lock_for_a_quarter_of_an_hour() {
    play(
        "the defaults",
        &Setup::new(""),
        "F(u1,*)×99→fail; F(u1,*)→LOCK; S(u1,*)→DENY; S(u2,*)→ok; wait 899999ms; S(u1,*)→DENY; \
         wait 1ms; S(u1,*)→ok",
    );
    // one is forgotten every 36 seconds
    play("the defaults", &Setup::new(""), "F(u1,*)×99→fail; wait 36s; F(u1,*)→fail; F(u1,*)→LOCK");
}

#[test]
fn failures_are_forgotten_together_after_the_latest() {
    check(
        "limits: { by: ip_address, failures: 3, cool_off: 10s, forget_after: 100s }",
        "F(u1,A)→fail; wait 99s; F(u1,A)→fail; [ip=A→2 (ttl 100)]; wait 99s; F(u1,A)→LOCK; \
         [ip=A→3 (ttl 10)]; wait 10s; F(u1,A)×2→fail; wait 100s; F(u1,A)×2→fail; [ip=A→2]",
    );
}

#[test]
fn leaky_failures_are_forgotten_one_by_one() {
    check(
        "limits: { by: ip_address, failures: 4, cool_off: 10s, forget: leaky, forget_after: 40s }",
        "F(u1,A)×3→fail; wait 9999ms; [ip=A→3]; wait 1ms; [ip=A→2]; wait 5s; \
         F(u1,A)→fail; [ip=A→3]; wait 5s; [ip=A→2]; F(u1,A)→fail; F(u1,A)→LOCK; wait 10s; [—]",
    );
}

#[test]
fn cool_offs_escalate_and_the_tally_is_forgotten_after_the_end_of_the_last() {
    let limit = "limits: { by: ip_address, failures: 1, cool_off: [5s, 15s, 60s], \
                 forget_lockouts_after: 100s }";
    check(
        limit,
        "F(u1,A)→LOCK; wait 4999ms; F(u1,A)→DENY; wait 1ms; F(u1,A)→LOCK; wait 14999ms; \
         F(u1,A)→DENY; wait 1ms; F(u1,A)→LOCK; wait 59999ms; F(u1,A)→DENY; wait 1ms; \
         F(u1,A)→LOCK; wait 60s; wait 99999ms; F(u1,A)→LOCK; wait 59999ms; F(u1,A)→DENY",
    );
    check(
        limit,
        "F(u1,A)→LOCK; wait 5s; F(u1,A)→LOCK; wait 115s; F(u1,A)→LOCK; wait 5s; S(u1,A)→ok",
    );
}

#[test]
fn a_success_leaves_the_tally_and_a_reset_does_not() {
    let limit =
        "limits: { by: ip_address, failures: 2, cool_off: [5s, 15s] }, reset_on_success: all";
    let locked = "F(u1,A)→fail; F(u1,A)→LOCK; wait 5s";
    check(
        limit,
        &format!(
            "{locked}; F(u1,A)→fail; S(u1,A)→ok; F(u1,A)→fail; F(u1,A)→LOCK; wait 14999ms; \
             S(u1,A)→DENY; wait 1ms; S(u1,A)→ok"
        ),
    );
    check(
        limit,
        &format!("{locked}; reset(ip=A)→1; [—]; F(u1,A)→fail; F(u1,A)→LOCK; wait 5s; S(u1,A)→ok"),
    );
}

#[test]
fn never_lasts_until_a_reset_and_failures_below_the_limit_are_forgotten_all_the_same() {
    check(
        "limits: { by: ip_address, failures: 2, cool_off: never, forget_after: 1h }",
        "F(u1,A)→fail; wait 3599s; [ip=A→1]; wait 1s; [—]; F(u1,A)→fail; F(u1,A)→LOCK; \
         wait 1000000000s; S(u1,A)→DENY; reset(ip=A)→1; S(u1,A)→ok",
    );
}

#[test]
fn exactly_at_the_end_it_is_over_and_its_failures_with_it() {
    check(
        "limits: { by: ip_address, failures: 3, cool_off: 10s, forget_after: 1h }",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; wait 9999ms; S(u1,A)→DENY; wait 1ms; [—]; \
         F(u1,A)×2→fail; [ip=A→2]; F(u1,A)→LOCK",
    );
}

#[test]
fn networks_are_counted_by_their_prefix() {
    check(
        "limits: { by: ip_network, failures: 3, cool_off: 1h }",
        "F(u1,B)→fail; F(u1,C)→fail; F(u1,10.2.2.77)→LOCK; S(u1,10.2.2.1)→DENY; \
         S(u1,10.2.3.1)→ok; [net=10.2.2.0/24→3]",
    );
    check(
        "limits: { by: ip_address, failures: 2, cool_off: 1h }",
        "F(u1,2001:db8:1:2:3::4)→fail; F(u1,2001:db8:1:2:ffff::)→LOCK; \
         S(u1,2001:db8:1:2::1)→DENY; S(u1,2001:db8:1:3::1)→ok; [ip=2001:db8:1:2::/64→2]",
    );
}

#[test]
fn what_a_limit_excepts_it_does_not_count_but_others_do() {
    check(
        "limits: [{ by: ip_address, failures: 3, cool_off: 1h, except: 10.1.0.0/16 }, \
         { by: username, failures: 5, cool_off: 1h }]",
        "F(u1,A)×4→fail; [user=u1→4]; F(u1,B)→LOCK; S(u1,A)→DENY; S(u2,A)→ok; \
         [user=u1→5; ip=B→1]",
    );
    // and it is not counted by address instead, as an attempt is that no limit is for
    check(
        "limits: { by: ip_address, failures: 3, cool_off: 1h, except: 10.1.0.0/16 }",
        "F(u1,A)×9→fail; [—]; F(u1,B)×2→fail; F(u1,B)→LOCK",
    );
}

#[test]
fn a_reload_that_raises_the_limit_lifts_the_lockout() {
    check(
        "limits: { by: ip_address, failures: 3, cool_off: 100s }",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; wait 10s; S(u1,A)→DENY; \
         set limits: { by: ip_address, failures: 4, cool_off: 100s }; \
         [ip=A→3]; F(u1,A)→LOCK; [ip=A→4 (ttl 100)]",
    );
}

#[test]
fn a_reload_that_lowers_the_limit_to_the_count_locks_until_latest_failure_and_cool_off() {
    check(
        "limits: { by: ip_address, failures: 5, cool_off: 100s }",
        "F(u1,A)×2→fail; wait 30s; F(u1,A)→fail; wait 20s; \
         set limits: { by: ip_address, failures: 3, cool_off: 100s }; \
         S(u1,A)→DENY; [ip=A→3 (ttl 80)]; wait 79999ms; S(u1,A)→DENY; wait 1ms; S(u1,A)→ok",
    );
}

#[test]
fn new_durations_hold_from_the_next_failure() {
    check(
        "limits: { by: ip_address, failures: 3, cool_off: 100s }",
        "F(u1,A)×2→fail; set limits: { by: ip_address, failures: 3, cool_off: 10s }; \
         [ip=A→2 (ttl 100)]; F(u1,A)→LOCK; [ip=A→3 (ttl 10)]",
    );
    // a lockout in force ends when it was to end
    check(
        "limits: { by: ip_address, failures: 1, cool_off: 100s }",
        "F(u1,A)→LOCK; set limits: { by: ip_address, failures: 1, cool_off: 10s }; \
         [ip=A→1 (ttl 100)]",
    );
}
