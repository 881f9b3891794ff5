//! What a permit leaves behind, and what it cannot.

use super::*;

#[test]
fn a_permit_that_is_dropped_unsettled_is_a_failure_without_a_verdict() {
    let world = World::by_username(2);
    drop(world.admit(&world.claim("u", 1)).expect("admitted"));
    let row = world.rows().remove(0);
    assert_eq!((row.failures, row.without_verdict, row.places), (1, 1, 0));
    drop(world.admit(&world.claim("u", 1)).expect("admitted"));
    assert!(matches!(world.fail("u", 1), Err(Refusal::Locked { .. })));
}

#[test]
fn an_attempt_that_is_given_back_is_as_if_it_had_not_been() {
    let world = World::by_username(1);
    let permit = world.admit(&world.claim("u", 1)).expect("admitted");
    assert_eq!(world.store.sizes().places, 1);
    assert_eq!(permit.settled(Settlement::GivenBack), []);
    assert_eq!(world.rows(), []);
    assert_eq!(world.store.sizes(), Sizes::default());
}

#[test]
fn an_attempt_takes_a_place_in_every_counter_or_in_none() {
    let limits = [limit(Parameter::Username, 1), limit(Parameter::IpAddress, 5)];
    let world = World::new(1000, 1000, &limits);
    world.fail("u", 1).expect("admitted");
    assert!(matches!(world.fail("u", 2), Err(Refusal::Locked { .. })));
    assert_eq!(world.store.sizes().places, 0);
    assert_eq!(world.counters_of("0.0.0.2"), [], "what was not sent is not charged");
}

#[test]
fn so_many_guesses_need_so_many_places_and_charge_so_many() {
    let world = World::by_username(5);
    let permit = world.admit(&world.claim_of("u", 1, 3)).expect("admitted");
    assert_eq!(world.store.sizes().places, 3);
    assert_eq!(permit.settled(FAILURE)[0].failures, 3);
    let refused = world.admit(&world.claim_of("u", 1, 3));
    assert_eq!(refused.expect_err("only two are left"), Refusal::TooManyGuesses);
    assert_eq!(world.counters_of("u"), [(3, false)]);
    let settled = world.admit(&world.claim_of("u", 1, 2)).expect("admitted").settled(FAILURE);
    assert!(settled[0].locked_until.is_some());
}

/// Settings may change while an attempt is with the upstream.
#[test]
fn a_place_outlives_a_reset_an_expiry_and_a_lowered_limit() {
    let mut world = World::by_username(3);
    world.fail("u", 1).expect("admitted");
    let permits = [1, 2].map(|client| world.admit(&world.claim("u", client)).expect("admitted"));
    assert_eq!(world.store.reset(&Selector::default(), Reset::Everything).counters, 1);
    assert_eq!(world.store.sizes().places, 2);
    world.clock.advance(COOL_OFF * 10);
    assert_eq!(world.store.sizes().places, 2);
    world.reload(&[limit(Parameter::Username, 1)]);
    assert_eq!(world.store.sizes().places, 2);
    let ends = permits.map(|permit| permit.settled(FAILURE)[0].locked_until);
    assert!(ends[0].is_some(), "the first failure locks");
    assert_eq!(ends[1], None, "it is locked already");
    assert_eq!(world.counters_of("u"), [(2, true)]);
    assert_eq!(world.store.sizes().places, 0);
}
