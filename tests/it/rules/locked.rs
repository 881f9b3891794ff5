//! At the limit and beyond it.

use std::time::Duration;

use super::check;
use crate::driven::{Driven, Login, Setup};

const LIMIT: &str = "limits: { by: ip_address, failures: 3, cool_off: 100s }";

const LOGIN: Login<'_> =
    Login { user: Some("u1"), password: "wrong", ip: "10.1.1.1", agent: None, method: "POST" };

#[test]
fn the_failure_that_reaches_the_limit_gets_the_answer_of_whom_at_limit_names() {
    check(&format!("{LIMIT}, at_limit: lockout"), "F(u1,A)×2→fail; F(u1,A)→LOCK; F(u1,A)→DENY");
    check(&format!("{LIMIT}, at_limit: upstream"), "F(u1,A)×3→fail; F(u1,A)→DENY; [ip=A→3]");
}

#[test]
fn a_refused_attempt_changes_nothing_where_it_does_not_count() {
    check(
        &format!("{LIMIT}, count_while_locked: false"),
        "F(u1,A)×2→fail; F(u1,A)→LOCK; wait 60s; F(u1,A)×5→DENY; [ip=A→3 (ttl 40)]",
    );
}

#[test]
fn a_refused_attempt_that_counts_starts_the_cool_off_of_locked_counters_again() {
    let several = "limits: [{ by: ip_address, failures: 3, cool_off: 100s }, \
                   { by: username, failures: 5, cool_off: 100s }], count_while_locked: true";
    check(
        several,
        "F(u1,A)×2→fail; F(u1,A)→LOCK; wait 60s; F(u1,A)×5→DENY; \
         [ip=A→8 (ttl 100); user=u1→3 (ttl 40)]",
    );
}

#[test]
fn retry_after_says_that_the_cool_off_began_again() {
    for (counts, expected) in [("true", "100"), ("false", "40")] {
        let driven =
            Driven::start(&Setup::lockout(&format!("{LIMIT}, count_while_locked: {counts}")));
        for _ in 0..3 {
            driven.log_in(&LOGIN);
        }
        driven.wait(Duration::from_secs(60));
        for _ in 0..2 {
            let seen = driven.log_in(&LOGIN);
            assert_eq!(seen.outcome(), "DENY");
            assert_eq!(seen.answer.get("retry-after"), Some(expected), "counts: {counts}");
        }
    }
}

#[test]
fn reloads_compare_with_forwarded_failures_alone() {
    check(
        &format!("{LIMIT}, count_while_locked: true"),
        "F(u1,A)×2→fail; F(u1,A)→LOCK; F(u1,A)×5→DENY; [ip=A→8]; \
         set limits: { by: ip_address, failures: 4, cool_off: 100s }; [ip=A→3]; S(u1,A)→ok",
    );
}

/// The longest of several lockouts is what `Retry-After` tells.
#[test]
fn retry_after_is_that_of_the_longest_lockout() {
    let driven = Driven::start(&Setup::lockout(
        "limits: [{ by: ip_address, failures: 1, cool_off: 50s }, \
         { by: username, failures: 1, cool_off: 200s }, \
         { by: [username, ip_address], failures: 1, cool_off: 100s }]",
    ));
    assert_eq!(driven.log_in(&LOGIN).answer.get("retry-after"), Some("200"));
    driven.wait(Duration::from_secs(150));
    assert_eq!(driven.log_in(&LOGIN).answer.get("retry-after"), Some("50"));
}

#[test]
fn monitor_counts_and_publishes_and_refuses_nothing() {
    let driven = check(
        &format!("{LIMIT}, mode: monitor, count_while_locked: true"),
        "F(u1,A)×6→fail; S(u1,A)→ok; [ip=A→3 (ttl 100)]; wait 100s; F(u1,A)→fail; [ip=A→1]",
    );
    assert_eq!(driven.events("locked_out").len(), 1);
    // the one that reached the limit, whose answer would have been a lockout, and all after it
    assert_eq!(driven.events("would_refuse").len(), 5, "four failures and a success");
    assert_eq!(driven.events("refused").len(), 0);
    assert!(driven.events("would_refuse").iter().all(|event| event.get("mode") == "monitor"));
}

#[test]
fn monitor_does_not_delay_either() {
    // a limit of one would let one attempt wait for the other
    let gate = crate::support::Gate::closed();
    let held = gate.clone();
    let upstream = crate::support::Upstream::scripted(move |talk| {
        while let Some(request) = talk.request() {
            held.pass();
            talk.send(crate::driven::app::answer(&request).unwrap());
        }
    });
    let limit = "limits: { by: ip_address, failures: 1, cool_off: 100s }, mode: monitor";
    let driven = Driven::before(upstream, &Setup::lockout(limit));
    let mut clients = [driven.client(), driven.client()];
    for client in &mut clients {
        client.send(LOGIN.ask().bytes());
    }
    gate.wait_for_arrivals(2);
    gate.open();
    assert_eq!(clients.map(|mut client| client.answer().status), [200, 200]);
    assert_eq!(driven.counters(), ["ip=10.1.1.1→1"], "the second failure came too late");
}
