//! Going through all counters part by part.

use std::collections::HashSet;

use super::*;
use crate::store::operate::Reset;

#[test]
fn the_parts_have_every_counter_once_and_none_has_many() {
    const COUNT: usize = 20_000;
    let world = World::new(4 * COUNT as u64, 1000, &[limit(Parameter::Username, 5)]);
    for number in 0..COUNT {
        world.fail(&name(number), 0).expect("room");
    }
    let (mut met, mut most) = (HashSet::new(), 0);
    for part in Store::parts() {
        let before = met.len();
        world.store.scan(part, |found| assert!(met.insert(found.slot.key), "once"));
        most = most.max(met.len() - before);
    }
    assert_eq!(met.len(), COUNT);
    // so long attempts wait at most: for a thousandth of the whole, and some
    assert!(most < 3 * COUNT / Store::parts().len(), "{most}");
}

#[test]
fn what_is_reset_part_by_part_is_all_of_it_and_nothing_else() {
    let world = World::new(10_000, 1000, &[limit(Parameter::Username, 5)]);
    for number in 0..500 {
        world.fail(&name(number), 0).expect("room");
    }
    let is_named = |slot: &slot::Slot, _: &register::Registered| {
        slot.whose().candidate.and_then(|named| named.shown).is_some_and(|n| n.ends_with('7'))
    };
    let parts = Store::parts();
    let removed: usize =
        parts.map(|part| world.store.reset_part(part, is_named, Reset::Everything)).sum();
    assert_eq!((removed, world.rows().len()), (50, 450));
}
