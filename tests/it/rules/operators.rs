//! What operators do: reset, take back, lock by hand.

use super::check;
use crate::driven::play::{play, reset_reference};
use crate::driven::{Login, Setup};
use crate::support::Ask;

const LIMITS: &str = "limits: [{ by: [username, ip_address], failures: 3, cool_off: 1h }, \
                      { by: ip_address, failures: 9, cool_off: 1h }, \
                      { by: username, failures: 9, cool_off: 1h }]";
const FAILED: &str = "F(u1,A)→fail; F(u1,B)→fail; F(u2,A)→fail";
const ALL: &str = "user+ip=u1,A→1; user+ip=u1,B→1; user+ip=u2,A→1; ip=A→2; ip=B→1; user=u1→2; \
                   user=u2→1";

#[test]
fn a_reset_by_address_takes_what_names_the_address() {
    check(
        LIMITS,
        &format!(
            "{FAILED}; [{ALL}]; reset(ip=A)→3; [user+ip=u1,B→1; ip=B→1; user=u1→2; user=u2→1]"
        ),
    );
}

#[test]
fn a_reset_by_network_takes_what_is_in_it() {
    check(
        LIMITS,
        &format!(
            "{FAILED}; reset(ip=192.0.2.0/24)→0; reset(ip=10.2.0.0/16)→2; \
         [user+ip=u1,A→1; user+ip=u2,A→1; ip=A→2; user=u1→2; user=u2→1]"
        ),
    );
    check(
        "limits: { by: ip_network, failures: 3, cool_off: 1h }",
        "F(u1,B)→fail; F(u1,A)→fail; reset(ip=B)→1; [net=10.1.1.0/24→1]",
    );
    check(
        "limits: { by: ip_address, failures: 3, cool_off: 1h }",
        "F(u1,2001:db8::1)→fail; reset(ip=2001:db8:0:1::/64)→0; reset(ip=2001:db8::ffff)→1; [—]",
    );
}

#[test]
fn a_reset_by_username_takes_what_names_the_username_in_any_spelling() {
    check(
        LIMITS,
        &format!(
            "{FAILED}; reset(username=nobody)→0; reset(username=U1)→3; \
                  [user+ip=u2,A→1; ip=A→2; ip=B→1; user=u2→1]"
        ),
    );
}

#[test]
fn a_reset_by_both_takes_only_what_names_both() {
    check(
        LIMITS,
        &format!(
            "{FAILED}; reset(ip=A, username=u1)→1; \
                  [user+ip=u1,B→1; user+ip=u2,A→1; ip=A→2; ip=B→1; user=u1→2; user=u2→1]"
        ),
    );
}

#[test]
fn a_reset_of_a_counter_takes_that_one() {
    check(
        "limits: [{ name: one, by: username, failures: 3, cool_off: 1h }, \
         { name: two, by: ip_address, failures: 3, cool_off: 1h }]",
        "F(u1,A)→fail; reset(counter=one)→1; [ip=A→1]",
    );
}

#[test]
fn a_reset_of_all_takes_all_and_of_a_site_what_is_the_sites() {
    check(LIMITS, &format!("{FAILED}; reset()→7; [—]; reset()→0"));
    check(LIMITS, &format!("{FAILED}; reset(site=another)→0; [{ALL}]; reset(site)→7; [—]"));
    check(LIMITS, &format!("{FAILED}; reset(site=another, ip=A)→0; reset(site, ip=A)→3"));
}

#[test]
fn a_reset_by_reference_takes_the_counter_that_refused() {
    let driven = check(LIMITS, "F(u1,A)×2→fail; F(u1,A)→LOCK; F(u2,A)→fail");
    let login =
        Login { user: Some("u1"), password: "good", ip: "10.1.1.1", agent: None, method: "POST" };
    // however long ago that was
    driven.wait(std::time::Duration::from_secs(3599));
    let refused = driven.log_in(&login);
    let reference = refused.answer.get("x-loginward-ref").unwrap();
    assert!(refused.answer.text().contains(reference), "it is on the page, too");
    assert_eq!(driven.events("locked_out")[0].get("ref"), reference, "and in the log");
    assert_eq!(reset_reference(&driven, reference), 1);
    assert_eq!(driven.log_in(&login).outcome(), "ok");
}

#[test]
fn a_reset_counts_only_what_holds_something() {
    check(
        "limits: { by: ip_address, failures: 3, cool_off: 10s }",
        "F(u1,A)→fail; F(u1,B)→fail; S(u1,C)→ok; wait 10s; F(u1,D)→fail; reset()→1",
    );
}

#[test]
fn failures_without_a_verdict_are_told_apart_and_can_be_taken_back_alone() {
    let driven = check(
        "limits: { by: ip_address, failures: 4, cool_off: 1h }",
        "F(u1,A)→fail; E(u1,A)×2→500; [ip=A→3]",
    );
    assert_eq!(driven.rows()[0].without_verdict, 2);
    check(
        "limits: { by: ip_address, failures: 4, cool_off: 1h }",
        "F(u1,A)→fail; E(u1,A)×2→500; pardon(ip=B)→0; pardon()→1; [ip=A→1]; pardon()→0; \
         F(u1,A)×2→fail; F(u1,A)→LOCK; pardon()→0; S(u1,A)→DENY",
    );
    // a lockout that rests on them ends with them
    check(
        "limits: { by: ip_address, failures: 3, cool_off: 1h }",
        "F(u1,A)→fail; E(u1,A)→500; E(u1,A)→LOCK; S(u1,A)→DENY; pardon()→1; S(u1,A)→ok; [ip=A→1]",
    );
}

#[test]
fn a_lockout_that_was_taken_back_does_not_lengthen_the_next() {
    let limit = "limits: { by: ip_address, failures: 1, cool_off: [5s, 15s] }";
    check(limit, "E(u1,A)→LOCK; pardon()→1; F(u1,A)→LOCK; wait 5s; S(u1,A)→ok");
    check(limit, "F(u1,A)→LOCK; wait 5s; F(u1,A)→LOCK; wait 5s; S(u1,A)→DENY");
}

#[test]
fn a_lock_by_hand_holds_from_the_next_admission_and_ends_in_time() {
    let limit = "limits: { by: ip_address, failures: 3, cool_off: 1h }";
    check(
        limit,
        "S(u1,A)→ok; lock(ip=A) 60s; S(u1,A)→DENY; page(A)→200; S(u1,B)→ok; wait 59999ms; \
         F(u1,A)→DENY; wait 1ms; S(u1,A)→ok; [—]",
    );
    check(limit, "lock(ip=A); wait 1000000000s; S(u1,A)→DENY; reset locks(ip=A)→1; S(u1,A)→ok");
}

#[test]
fn a_lock_by_hand_is_for_a_network_a_username_a_site_a_counter_or_several_of_them() {
    let limit = "limits: { by: ip_address, failures: 3, cool_off: 1h }";
    check(limit, "lock(ip=10.2.2.0/24); S(u1,B)→DENY; S(u1,C)→DENY; S(u1,A)→ok");
    check(limit, "lock(username=u1); S(U1,A)→DENY; S(u2,A)→ok; S(∅,A)→ok");
    check(limit, "lock(username=u1, ip=A); S(u1,A)→DENY; S(u1,B)→ok; S(u2,A)→ok");
    check(
        limit,
        "lock(site); S(u1,A)→DENY; F(∅,B)→DENY; page(A)→200; reset locks(site)→1; S(u1,A)→ok",
    );
    check(limit, "lock(site=another); S(u1,A)→ok");
    check(limit, "F(u1,A)→fail; lock(counter=ip_address); S(u1,A)→DENY; S(u1,B)→ok");
    // an IPv6 client is its prefix
    check(limit, "lock(ip=2001:db8::1); S(u1,2001:db8::2)→DENY; S(u1,2001:db8:0:1::1)→ok");
}

#[test]
fn a_reset_takes_away_the_locks_by_hand_that_it_means() {
    let limit = "limits: { by: ip_address, failures: 3, cool_off: 1h }";
    check(
        limit,
        "lock(ip=A); lock(ip=B); lock(username=u1); reset locks(ip=10.1.0.0/16)→1; S(u2,A)→ok; \
         S(u2,B)→DENY; reset locks(username=u1)→1; S(u1,A)→ok; reset locks()→1; S(u2,B)→ok",
    );
}

#[test]
fn a_lock_by_hand_refuses_also_those_that_are_never_locked() {
    let never = "limits: { by: ip_address, failures: 1, cool_off: 1h }, \
                 never_lock: { networks: 10.1.1.1, usernames: boss }";
    check(never, "F(u1,A)→fail; lock(ip=A) 60s; S(u1,A)→DENY; wait 60s; S(u1,A)→ok");
    check(never, "F(boss,B)→fail; lock(username=boss); S(boss,B)→DENY");
}

#[test]
fn a_lock_by_hand_says_when_it_ends_and_keeps_its_reason_from_the_client() {
    let setup = Setup::lockout("limits: { by: ip_address, failures: 3, cool_off: 1h }");
    let driven = play("by hand", &setup, "lock(ip=A) 90s");
    let ask = Ask::form("/login", "username=u1&password=good").with("X-Forwarded-For", "10.1.1.1");
    assert_eq!(driven.ask(&ask).answer.get("retry-after"), Some("90"));
    let refused = driven.events("refused");
    assert!(refused[0].get("reason").contains("by hand"), "{refused:?}");
}
