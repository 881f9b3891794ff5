//! Handing over to another store, whose clock is another one.

use super::*;
use crate::store::handover::Arrival;

/// Another store that has taken over from that of `world`, three minutes of its own later.
fn successor(world: &World, limits: &[Limit]) -> (World, Arrival) {
    let next = World::new(1000, 1000, limits);
    next.clock.advance(Duration::from_mins(3));
    let mut arrival = Arrival::default();
    for frame in world.store.hand_over(world.clock.now()) {
        assert_eq!(next.store.take_over(&mut arrival, &frame), Some(()));
    }
    (next, arrival)
}

#[test]
fn everything_that_counts_counts_for_as_long_as_before() {
    let limits = [limit(Parameter::Username, 3), limit(Parameter::IpAddress, 100)];
    let world = World::new(1000, 1000, &limits);
    for _ in 0..3 {
        world.fail("eve", 1).expect("room");
    }
    world.clock.advance(Duration::from_mins(4));
    world.fail("bob", 2).expect("room");
    let until = world.clock.now().after(Duration::from_mins(5));
    let account = Account::new("ann").map(|account| world.store.keyer().account(&account));
    let selector = Selector { account, site: Some("s".into()), ..Selector::default() };
    let hand = HandLock { until, reason: Some("on leave".into()), username: Some("Eve".into()) };
    assert_eq!(world.store.lock_by_hand(selector, hand, &rules()), Ok(()));
    let held = world.admit(&world.claim("bob", 2)).expect("room");
    let (next, arrival) = successor(&world, &limits);
    assert_eq!((arrival.counters, arrival.unknown, arrival.hand_locks), (4, 0, 1));
    // whose answer nobody knows counts
    assert_eq!(next.counters_of("bob"), [(2, false)]);
    drop(held.settled(Settlement::GivenBack));
    assert_eq!(next.counters_of("eve"), [(3, true)]);
    let locked = |user| {
        let claim = next.claim(user, 9);
        next.store.hand_lock(&claim.subject, Some(&claim))
    };
    assert_eq!(locked("ann").and_then(|lock| lock.reason).as_deref(), Some("on leave"));
    assert_eq!(locked("bob"), None);
    next.clock.advance(Duration::from_mins(5));
    assert_eq!(locked("ann"), None, "it is over");
    assert!(next.fail("eve", 9).is_err(), "it has a minute left");
    next.clock.advance(Duration::from_mins(1));
    assert!(next.fail("eve", 9).is_ok());
}

#[test]
fn counters_of_a_limit_that_is_not_there_are_left_behind() {
    let world = World::by_username(3);
    world.fail("eve", 1).expect("room");
    let (next, arrival) = successor(&world, &[limit(Parameter::IpAddress, 3)]);
    assert_eq!((arrival.counters, arrival.unknown), (1, 1));
    assert!(next.rows().is_empty());
}

#[test]
fn what_has_failed_there_meanwhile_counts_besides() {
    let world = World::by_username(3);
    world.fail("eve", 1).expect("room");
    let next = World::by_username(3);
    next.fail("eve", 1).expect("room");
    let mut arrival = Arrival::default();
    for frame in world.store.hand_over(world.clock.now()) {
        assert_eq!(next.store.take_over(&mut arrival, &frame), Some(()));
        assert_eq!(next.store.take_over(&mut Arrival::default(), &[9]), None);
        let cut = frame.split_last().expect("something").1;
        assert_eq!(next.store.take_over(&mut Arrival::default(), cut), None);
    }
    assert!(next.counters_of("eve")[0].0 >= 2);
}

#[test]
fn a_closed_store_admits_nobody_and_turns_away_who_waits() {
    let world = World::by_username(1);
    let claim = world.claim("eve", 1);
    let held = world.admit(&claim).expect("room");
    let mut waiting = pin!(world.store.admit(Arc::clone(&claim), TERMS, WAIT));
    assert!(poll(&mut waiting).is_pending());
    world.store.close();
    assert_eq!(poll(&mut waiting).map(|admitted| admitted.err()), Poll::Ready(Some(Refusal::Busy)));
    assert_eq!(world.admit(&world.claim("bob", 1)).err(), Some(Refusal::Busy));
    drop(held.settled(Settlement::GivenBack));
    world.store.reopen();
    assert!(world.admit(&claim).is_ok());
}
