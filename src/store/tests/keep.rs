//! What is told to whoever keeps the counters, and what becomes of it in another store.

use proptest::prelude::*;

use super::*;
use crate::snapshot::place::Place;
use crate::store::gather::{Extent, Inheritance};
use crate::store::index::PARTS;
use crate::store::keep::Telling;
use crate::store::recall::{Recalled, Recollection};

/// A store whose changes are remembered, and what was told of them so far.
struct Kept {
    world: World,
    limits: Vec<Limit>,
    told: Vec<(Vec<u8>, Moment)>,
    _dir: tempfile::TempDir,
}

impl Kept {
    fn new(room: u64, limits: &[Limit]) -> Self {
        let world = World::new(room, room, limits);
        let dir = tempfile::tempdir().unwrap();
        let place = Place::take(&dir.path().join("counters.db")).unwrap();
        let progress = Arc::new(Progress::new(place.path(), place.duplicate().unwrap(), Moment(0)));
        world.store.keep_by(progress, Inheritance::Kept);
        Self { world, limits: limits.to_vec(), told: Vec::new(), _dir: dir }
    }

    /// Tells what has changed; how many counters that are.
    fn tell(&mut self) -> usize {
        let (batch, hands) = self.world.store.take_changes();
        assert_eq!(batch.extent, Extent::Changes);
        let mut telling = Telling::new(&self.world.store);
        self.world.store.tell(&batch.counters, &mut telling);
        self.world.store.tell_hands(&hands, &mut telling);
        self.take(telling);
        batch.counters.len()
    }

    fn take(&mut self, mut telling: Telling) {
        let now = self.world.clock.now();
        self.told.extend(telling.take().into_iter().map(|frame| (frame, now)));
    }

    /// Another store with what was told, at the same time.
    fn recall(&self) -> (World, Recollection) {
        let next = World::new(1000, 1000, &self.limits);
        next.clock.advance(self.world.clock.now().since(next.clock.now()));
        let mut recalled = Recalled::default();
        for (frame, written) in &self.told {
            assert_eq!(recalled.take(frame, *written), Some(()));
        }
        let recollection = next.store.recall(recalled);
        (next, recollection)
    }
}

/// What rows have in common that mean the same.
fn shown(world: &World) -> Vec<(u128, u32, u32, Option<Moment>)> {
    let shown = |row: Row| (row.id.0, row.failures, row.without_verdict, row.locked_until);
    let mut rows: Vec<_> = world.rows().into_iter().map(shown).collect();
    rows.sort_unstable();
    rows
}

#[derive(Clone, Debug)]
enum Step {
    Fail(usize),
    Hold(usize),
    GiveBack,
    Reset(usize),
    Lock(usize),
    Succeed(usize),
    Tell,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..9_usize).prop_map(Step::Fail),
        2 => (0..9_usize).prop_map(Step::Hold),
        2 => Just(Step::GiveBack),
        1 => (0..9_usize).prop_map(Step::Reset),
        1 => (0..9_usize).prop_map(Step::Lock),
        1 => (0..9_usize).prop_map(Step::Succeed),
        4 => Just(Step::Tell),
        1 => (0..400_u64).prop_map(Step::Wait),
    ]
}

/// Leave for an attempt, if there is room at once.
fn try_to(world: &World, number: usize, client: u32) -> Option<Permit> {
    let claim = world.claim(&name(number), client);
    let mut admission = pin!(world.store.admit(claim, TERMS, WAIT));
    match poll(&mut admission) {
        Poll::Ready(admitted) => admitted.ok(),
        Poll::Pending => None,
    }
}

fn selector(world: &World, number: usize) -> Selector {
    let account = Account::new(&name(number)).map(|account| world.store.keyer().account(&account));
    Selector { account, ..Selector::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever happens, what was told in pieces is what there is; and so is what is told of all
    /// parts. There is so little room that counters have to make room all the time.
    #[test]
    fn what_was_told_is_what_there_is(steps in prop::collection::vec(step(), 0..80)) {
        let limits = [limit(Parameter::Username, 3), limit(Parameter::IpAddress, 7)];
        let mut kept = Kept::new(12, &limits);
        let mut held = Vec::new();
        for step in steps {
            let world = &kept.world;
            match step {
                Step::Fail(number) => {
                    if let Some(permit) = try_to(world, number, number as u32 % 3) {
                        drop(permit.settled(FAILURE));
                    }
                }
                Step::Hold(number) => held.extend(try_to(world, number, 100 + number as u32)),
                Step::GiveBack => {
                    if let Some(permit) = held.pop() {
                        drop(permit.settled(Settlement::GivenBack));
                    }
                }
                Step::Reset(number) => {
                    let _removed = world.store.reset(&selector(world, number), Reset::Everything);
                }
                Step::Lock(number) => {
                    let hand = HandLock::until(Moment::NEVER);
                    let selector = selector(world, number);
                    prop_assert!(world.store.lock_by_hand(selector, hand, &rules()).is_ok());
                }
                Step::Succeed(number) => {
                    if let Some(permit) = try_to(world, number, number as u32 % 3) {
                        let reset = ResetOnSuccess::All;
                        drop(permit.settled(Settlement::Success { reset }));
                    }
                }
                Step::Tell => _ = kept.tell(),
                Step::Wait(seconds) => kept.world.clock.advance(Duration::from_secs(seconds)),
            }
        }
        kept.tell();
        let places = held.len();
        let (next, recollection) = kept.recall();
        let mut all = Kept { told: Vec::new(), ..Kept::new(12, &limits) };
        std::mem::swap(&mut all.world, &mut kept.world);
        let mut telling = Telling::new(&all.world.store);
        all.world.store.tell_all_hands(&mut telling);
        for part in 0..PARTS {
            all.world.store.tell_part(part, &mut telling);
        }
        all.take(telling);
        let (other, again) = all.recall();
        prop_assert_eq!(shown(&next), shown(&other), "piece by piece and all at once");
        prop_assert_eq!(recollection, again);
        prop_assert_eq!(next.store.hand_locks().len(), all.world.store.hand_locks().len());
        if places == 0 {
            prop_assert_eq!(shown(&next), shown(&all.world));
        }
    }
}

#[test]
fn only_what_has_changed_is_told_and_once() {
    let mut kept = Kept::new(1000, &[limit(Parameter::Username, 3)]);
    for number in 0..50 {
        kept.world.fail(&name(number), 1).expect("room");
    }
    assert_eq!(kept.tell(), 50);
    assert_eq!(kept.tell(), 0, "nothing has changed");
    for _ in 0..2 {
        kept.world.fail(&name(7), 1).expect("room");
    }
    assert_eq!(kept.tell(), 1);
    let (next, recollection) = kept.recall();
    assert_eq!((recollection.counters, recollection.locked), (50, 1));
    assert_eq!(next.counters_of(&name(7)), [(3, true)]);
}

#[test]
fn more_changes_than_are_remembered_are_told_with_everything() {
    let kept = Kept::new(400_000, &[limit(Parameter::Username, 3)]);
    for number in 0..131_073 {
        kept.world.fail(&name(number), 1).expect("room");
    }
    let (batch, _) = kept.world.store.take_changes();
    assert_eq!((batch.extent, batch.counters.len()), (Extent::Everything, 1));
    let mut telling = Telling::new(&kept.world.store);
    let told: usize = (0..PARTS).map(|part| kept.world.store.tell_part(part, &mut telling)).sum();
    assert_eq!(told, 131_073);
    kept.world.fail(&name(5), 1).expect("room");
    assert_eq!(kept.world.store.take_changes().0.counters.len(), 1, "it is remembered again");
}

#[test]
fn places_are_failures_for_whoever_recalls_them() {
    let mut kept = Kept::new(1000, &[limit(Parameter::Username, 3)]);
    kept.world.fail("eve", 1).expect("room");
    let held = [0, 0].map(|_| kept.world.admit(&kept.world.claim("eve", 1)).expect("room"));
    kept.tell();
    let (next, recollection) = kept.recall();
    assert_eq!((recollection.counters, recollection.locked), (1, 1));
    assert_eq!(next.counters_of("eve"), [(3, true)]);
    assert_eq!(next.rows()[0].without_verdict, 2);
    held.into_iter().for_each(|permit| drop(permit.settled(Settlement::GivenBack)));
    kept.tell();
    assert_eq!(kept.recall().0.counters_of("eve"), [(1, false)]);
}
