//! Promise 7: counters cannot be flushed.

use std::collections::BTreeSet;

use super::*;

const CAPACITY: usize = 1000;

fn small(limits: &[Limit]) -> World {
    World::new(CAPACITY as u64, CAPACITY as u64, limits)
}

/// So many keys that fail once.
fn flood(world: &World, names: std::ops::Range<usize>) {
    for number in names {
        let user = name(number);
        world.fail(&user, 1).expect("admitted");
    }
}

#[test]
fn in_a_table_full_of_one_off_keys_a_newcomer_is_locked_at_exactly_its_limit() {
    for failures in [2, 3, 5, 10] {
        let world = small(&[limit(Parameter::Username, failures)]);
        flood(&world, 0..2 * CAPACITY);
        for count in 1..=failures {
            let settled = world.fail("newcomer", 1).expect("admitted");
            let [only] = settled.as_slice() else { panic!("one counter: {settled:?}") };
            assert_eq!(only.failures, count);
            assert_eq!(only.locked_until.is_some(), count == failures, "{count} of {failures}");
            // others come in between
            let from = 10 * CAPACITY + count as usize * 100;
            flood(&world, from..from + 100);
        }
        assert!(matches!(world.fail("newcomer", 1), Err(Refusal::Locked { .. })));
    }
}

#[test]
fn a_flood_leaves_every_lockout_and_every_counter_at_limit_minus_one_as_it_was() {
    for failures in [3, 5] {
        let world = small(&[limit(Parameter::Username, failures)]);
        for number in 0..400 {
            for _ in 0..failures {
                world.fail(&format!("locked-{number}"), 1).expect("admitted");
            }
            for _ in 1..failures {
                world.fail(&format!("almost-{number}"), 1).expect("admitted");
            }
        }
        let before = kept(&world);
        assert_eq!(before.len(), 800);
        world.clock.advance(Duration::from_secs(60));
        flood(&world, 0..10 * CAPACITY);
        assert_eq!(kept(&world), before);
        for number in 0..400 {
            let locked = world.fail(&format!("locked-{number}"), 1);
            assert!(matches!(locked, Err(Refusal::Locked { .. })));
            let settled = world.fail(&format!("almost-{number}"), 1).expect("admitted");
            assert!(settled[0].locked_until.is_some(), "one more locks almost-{number}");
        }
        assert!(world.rows().len() <= 2 * CAPACITY, "memory is bounded");
    }
}

/// What a flood must not change: names, failures, ends of lockouts.
fn kept(world: &World) -> BTreeSet<(String, u32, Option<u64>)> {
    let rows = world.rows().into_iter();
    let rows = rows.map(|row| {
        let name = row.parameters[0].1.clone();
        (name, row.failures, row.locked_until.map(|until| until.0))
    });
    rows.filter(|(name, ..)| !name.starts_with("one-off")).collect()
}

/// One request may bring several guesses, and a limit may be two; that makes no key worth more
/// than one that was tried again and again.
#[test]
fn keys_that_a_single_attempt_brought_near_their_limit_evict_only_their_like() {
    let strict = Limit { name: "strict".into(), ..limit(Parameter::Username, 2) };
    let world = small(&[limit(Parameter::Username, 5)]);
    for number in 0..400 {
        for _ in 0..4 {
            world.fail(&format!("almost-{number}"), 1).expect("admitted");
        }
    }
    let before = kept(&world);
    for number in 0..10 * CAPACITY {
        for guesses in [2, 4] {
            let claim = world.claim_of(&format!("one-off-{number}-{guesses}"), 1, guesses);
            drop(world.admit(&claim).expect("admitted").settled(FAILURE));
        }
    }
    let mut other = World { limits: Vec::new(), ..world };
    other.reload(&[strict]);
    flood(&other, 0..10 * CAPACITY);
    assert_eq!(kept(&other), before);
}

#[test]
fn at_a_limit_of_two_one_failure_outlives_one_off_keys_of_other_limits() {
    let world = small(&[
        limit(Parameter::Username, 5),
        Limit { name: "strict".into(), ..limit(Parameter::IpAddress, 2) },
    ]);
    for client in 1..=100 {
        world.fail("somebody", client * 1000).ok();
    }
    let mut loose = World { limits: Vec::new(), ..world };
    loose.reload(&[limit(Parameter::Username, 5)]);
    flood(&loose, 0..10 * CAPACITY);
    let strict = loose.rows().iter().filter(|row| &*row.limit == "strict").count();
    assert_eq!(strict, 5, "of those that were admitted before `somebody` was locked");
}

#[test]
fn lockouts_have_a_budget_and_the_one_with_least_time_left_yields() {
    let world = World::new(1000, 3, &[limit(Parameter::Username, 1)]);
    for user in ["first", "second", "third"] {
        world.fail(user, 1).expect("admitted");
        world.clock.advance(Duration::from_secs(1));
    }
    assert!(world.store.take_evicted().is_empty());
    world.fail("fourth", 1).expect("admitted");
    let evicted = world.store.take_evicted();
    assert_eq!(evicted.len(), 1, "loudly");
    let gone = evicted[0].slot.whose().candidate.expect("a name");
    assert_eq!(gone.shown, Some("first"));
    assert!(matches!(world.fail("second", 1), Err(Refusal::Locked { .. })));
    assert!(matches!(world.fail("fourth", 1), Err(Refusal::Locked { .. })));
    assert!(world.fail("first", 1).is_ok());
}

#[test]
fn lockouts_that_are_over_make_no_lockout_yield() {
    // of which the tally is left
    let steps = CoolOff::Steps(vec![COOL_OFF, COOL_OFF * 2]);
    let limit = Limit { cool_off: steps, ..limit(Parameter::Username, 1) };
    let world = World::new(1000, 3, std::slice::from_ref(&limit));
    let late = ["d", "e", "f"].map(|user| world.admit(&world.claim(user, 1)).expect("admitted"));
    for user in ["a", "b", "c"] {
        world.fail(user, 1).expect("admitted");
    }
    world.clock.advance(COOL_OFF);
    for permit in late {
        assert!(permit.settled(FAILURE)[0].locked_until.is_some());
    }
    assert!(world.store.take_evicted().is_empty());
    // attempts without places, as `monitor` mode has them, make room as well
    for unheld in [false, true] {
        let world = World::new(1000, 3, std::slice::from_ref(&limit));
        let fail = |user: &str| match unheld {
            false => drop(world.fail(user, 1).expect("admitted")),
            true => {
                let unheld = world.claim(user, 1);
                drop(at_once(world.store.settle_unheld(&unheld, FAILURE)).expect("room"));
            }
        };
        ["a", "b", "c"].into_iter().for_each(fail);
        world.clock.advance(COOL_OFF);
        assert_eq!(world.store.sizes().locked, 0);
        ["d", "e", "f"].into_iter().for_each(fail);
        assert!(world.store.take_evicted().is_empty());
        assert_eq!(world.store.sizes().locked, 3);
    }
}

#[test]
fn counters_that_hold_places_are_never_evicted() {
    let world = small(&[limit(Parameter::Username, 3)]);
    world.fail("held", 1).expect("admitted");
    let permit = world.admit(&world.claim("held", 1)).expect("admitted");
    let fresh = world.admit(&world.claim("fresh", 1)).expect("admitted");
    flood(&world, 0..10 * CAPACITY);
    assert_eq!(permit.settled(FAILURE)[0].failures, 2, "the first failure was kept");
    assert_eq!(fresh.settled(FAILURE)[0].failures, 1);
    assert_eq!(world.counters_of("held"), [(2, false)]);
}

#[test]
fn every_eviction_of_what_still_counted_is_reported_once_and_nothing_else_is() {
    let world = small(&[limit(Parameter::Username, 3)]);
    let keys = |evicted: Vec<Evicted>| evicted.into_iter().map(|e| e.slot.key).collect::<Vec<_>>();
    let mut reported = Vec::new();
    // these are forgotten before they have to make room
    flood(&world, 0..CAPACITY / 4);
    world.clock.advance(COOL_OFF);
    for number in 0..5 * CAPACITY {
        flood(&world, CAPACITY + number..CAPACITY + number + 1);
        if number % 7 == 0 {
            reported.extend(keys(world.store.take_evicted()));
        }
    }
    reported.extend(keys(world.store.take_evicted()));
    let once: BTreeSet<Key> = reported.iter().copied().collect();
    assert_eq!(once.len(), reported.len(), "none is reported twice");
    let here: BTreeSet<Key> = world.rows().iter().map(|row| row.id).collect();
    assert!(once.is_disjoint(&here), "what is still here was not evicted");
    assert_eq!(once.len() + here.len(), 5 * CAPACITY, "each is here or reported");
}

/// While somebody holds a place in a counter, its slot in the table may have to make room; the
/// counter itself goes nowhere.
#[test]
fn a_counter_whose_slot_made_room_while_it_held_a_place_is_not_reported() {
    let world = small(&[limit(Parameter::Username, 3)]);
    world.fail("held", 1).expect("admitted");
    let claim = world.claim("held", 1);
    let permit = world.admit(&claim).expect("admitted");
    flood(&world, 0..5 * CAPACITY);
    // it is back at rest before anybody asks
    drop(permit.settled(Settlement::GivenBack));
    assert_eq!(world.counters_of("held"), [(1, false)]);
    let of_held = |evicted: &Evicted| evicted.slot.key == claim.charges[0].key;
    assert!(!world.store.take_evicted().iter().any(of_held));
}

#[test]
fn a_counter_that_was_lost_is_reported_even_if_its_key_is_in_use_again() {
    let world = small(&[limit(Parameter::Username, 3)]);
    world.fail("lost", 1).expect("admitted");
    flood(&world, 0..5 * CAPACITY);
    assert_eq!(world.counters_of("lost"), []);
    let claim = world.claim("lost", 1);
    let permit = world.admit(&claim).expect("admitted");
    let of_lost = |evicted: &&Evicted| evicted.slot.key == claim.charges[0].key;
    assert_eq!(world.store.take_evicted().iter().filter(of_lost).count(), 1);
    assert_eq!(permit.settled(FAILURE)[0].failures, 1);
}

#[test]
fn a_success_a_reset_and_the_end_of_a_lockout_are_no_evictions() {
    let world = small(&[limit(Parameter::Username, 2)]);
    world.fail("cleared", 1).expect("admitted");
    let permit = world.admit(&world.claim("cleared", 1)).expect("admitted");
    drop(permit.settled(Settlement::Success { reset: ResetOnSuccess::All }));
    world.fail("reset", 1).expect("admitted");
    let removed = world.store.reset(&Selector::default(), Reset::Everything);
    assert_eq!(removed.counters, 1);
    world.fail("locked", 1).expect("admitted");
    world.fail("locked", 1).expect("admitted");
    assert!(world.store.take_evicted().is_empty());
    world.clock.advance(COOL_OFF);
    flood(&world, 0..3);
    assert!(world.store.take_evicted().is_empty());
    assert_eq!(world.rows().len(), 3);
}
