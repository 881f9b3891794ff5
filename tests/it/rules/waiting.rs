//! Promise 1 over sockets: who waits, for how long, and what ends it.

use std::time::Duration;

use crate::driven::{Driven, Login, Setup, app};
use crate::support::{Client, Gate, Upstream, wait};

const LIMIT: &str = "limits: { by: username, failures: 2, cool_off: 1h }";

const LOGIN: Login<'_> =
    Login { user: Some("u1"), password: "wrong", ip: "10.1.1.1", agent: None, method: "POST" };

/// A guard whose application holds every login at the gate.
fn gated(lockout: &str) -> (Driven, Gate) {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::scripted(move |talk| {
        while let Some(request) = talk.request() {
            held.pass();
            talk.send(app::answer(&request).unwrap());
        }
    });
    (Driven::before(upstream, &Setup::lockout(lockout)), gate)
}

fn begin(driven: &Driven, password: &str) -> Client {
    let mut client = driven.client();
    client.send(Login { password, ..LOGIN }.ask().bytes());
    client
}

/// Two logins that hold both places, and one that waits.
fn three(driven: &Driven, gate: &Gate) -> [Client; 3] {
    let first = [begin(driven, "wrong"), begin(driven, "good")];
    gate.wait_for_arrivals(2);
    let third = begin(driven, "good");
    wait::until("one waits", || driven.store().sizes().waiting == 1);
    let [a, b] = first;
    [a, b, third]
}

#[test]
fn who_waits_longer_than_the_wait_is_told_to_come_again_and_counts_nothing() {
    for (setting, wait) in [("", 10_000), (", wait: 3s", 3000)] {
        let (driven, gate) = gated(&format!("{LIMIT}{setting}"));
        let [mut a, mut b, mut third] = three(&driven, &gate);
        driven.wait(Duration::from_millis(wait - 1));
        assert_eq!(driven.store().sizes().waiting, 1);
        driven.wait(Duration::from_millis(1));
        let busy = third.answer();
        assert_eq!((busy.status, busy.get("retry-after")), (429, Some("1")));
        assert_eq!(busy.get("x-loginward"), Some("busy"));
        gate.open();
        assert_eq!((a.answer().status, b.answer().status), (200, 302));
        assert_eq!((driven.upstream().hits(), driven.counters().len()), (2, 1));
        assert_eq!(driven.counters(), ["user=u1→1"]);
    }
}

#[test]
fn who_waits_goes_on_as_soon_as_a_place_is_free() {
    let (driven, gate) = gated(LIMIT);
    let [mut a, mut b, mut third] = three(&driven, &gate);
    assert_eq!(driven.upstream().hits(), 2, "the third is not sent");
    gate.open();
    assert_eq!((a.answer().status, b.answer().status, third.answer().status), (200, 302, 302));
    assert_eq!(driven.counters(), ["user=u1→1"]);
}

#[test]
fn who_waits_for_a_counter_that_locks_is_answered_as_locked_at_once() {
    let (driven, gate) = gated(LIMIT);
    let mut first = [begin(&driven, "wrong"), begin(&driven, "wrong")];
    gate.wait_for_arrivals(2);
    let mut waiters = [begin(&driven, "good"), begin(&driven, "good")];
    wait::until("two wait", || driven.store().sizes().waiting == 2);
    gate.open();
    for waiter in &mut waiters {
        let answer = waiter.answer();
        assert_eq!((answer.status, answer.get("x-loginward")), (403, Some("locked")));
    }
    let mut statuses = first.each_mut().map(|client| client.answer().status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403]);
    assert_eq!(driven.upstream().hits(), 2);
}

#[test]
fn who_leaves_while_it_waits_counts_nothing_and_is_in_nobodys_way() {
    let (driven, gate) = gated(LIMIT);
    let [mut a, mut b, third] = three(&driven, &gate);
    let mut fourth = begin(&driven, "good");
    wait::until("two wait", || driven.store().sizes().waiting == 2);
    third.reset();
    wait::until("one is gone", || driven.store().sizes().waiting == 1);
    gate.open();
    assert_eq!((a.answer().status, b.answer().status, fourth.answer().status), (200, 302, 302));
    assert_eq!((driven.upstream().hits(), driven.counters()), (3, vec!["user=u1→1".to_owned()]));
}

#[test]
fn who_waits_delays_nobody_else() {
    let (driven, gate) = gated(LIMIT);
    let [mut a, mut b, mut third] = three(&driven, &gate);
    let mut other = driven.client();
    other.send(Login { user: Some("u2"), password: "good", ..LOGIN }.ask().bytes());
    // it is with the application while the third still waits
    gate.wait_for_arrivals(3);
    assert_eq!(driven.store().sizes().waiting, 1);
    gate.open();
    for client in [&mut a, &mut b, &mut third, &mut other] {
        client.answer();
    }
}

#[test]
fn as_many_correct_logins_as_one_likes_succeed_at_once() {
    let driven =
        Driven::start(&Setup::lockout("limits: { by: ip_address, failures: 5, cool_off: 1h }"));
    let mut clients: Vec<Client> = (0..64).map(|_| begin(&driven, "good")).collect();
    for client in &mut clients {
        assert_eq!(client.answer().status, 302);
    }
    assert_eq!((driven.upstream().hits(), driven.counters().len()), (64, 0));
}
