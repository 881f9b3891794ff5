//! Locks by hand: how many there may be.

use super::*;
use crate::store::hand::MOST;

fn of(world: &World, number: usize) -> Selector {
    let account = Account::new(&name(number)).map(|account| world.store.keyer().account(&account));
    Selector { account, ..Selector::default() }
}

#[test]
fn there_may_be_so_many_in_force_and_those_that_are_over_are_in_nobodys_way() {
    let world = World::by_username(3);
    let lock = |number, until| {
        world.store.lock_by_hand(of(&world, number), HandLock::until(until), &rules())
    };
    let soon = world.clock.now().after(Duration::from_secs(60));
    for number in 0..MOST {
        lock(number, soon).expect("room");
    }
    assert_eq!(lock(MOST, Moment::NEVER), Err(TooMany));
    assert_eq!(lock(0, soon), Ok(()), "one that is there may be changed");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(lock(MOST, Moment::NEVER), Ok(()));
    let claim = world.claim(&name(MOST), 1);
    assert!(world.store.hand_lock(&claim.subject, Some(&claim)).is_some());
    let claim = world.claim(&name(0), 1);
    assert_eq!(world.store.hand_lock(&claim.subject, Some(&claim)), None);
}
