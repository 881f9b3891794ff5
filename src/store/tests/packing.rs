//! Counters that nobody uses are packed: nobody can tell.

use proptest::prelude::*;

use super::*;
use crate::policy::lockout::{Failure, Forget, History, Spelling};
use crate::store::gather::{Gather, Inheritance};
use crate::store::index::{Entry, part_of};
use crate::store::keep::Telling;

#[derive(Clone, Debug)]
enum Step {
    Fail(usize, u32),
    Look(usize),
    Hold(usize, u32),
    Settle(usize, u8),
    Reset(usize, bool),
    Reload(bool),
    Tell,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || (0..9_usize, 0..3_u32);
    prop_oneof![
        8 => who().prop_map(|(user, client)| Step::Fail(user, client)),
        1 => (0..9_usize).prop_map(Step::Look),
        2 => who().prop_map(|(user, client)| Step::Hold(user, client)),
        2 => (any::<usize>(), 0..4_u8).prop_map(|(which, how)| Step::Settle(which, how)),
        1 => (0..9_usize, any::<bool>()).prop_map(|(user, pardon)| Step::Reset(user, pardon)),
        1 => any::<bool>().prop_map(Step::Reload),
        1 => Just(Step::Tell),
        2 => prop_oneof![0..9_u64, 0..900_u64].prop_map(Step::Wait),
    ]
}

/// One that counts by username, another that counts by client, one by one.
fn limits(failures: u32) -> [Limit; 2] {
    let steps = CoolOff::Steps(vec![COOL_OFF, COOL_OFF * 2]);
    [
        Limit { cool_off: steps, ..limit(Parameter::Username, failures) },
        Limit { forget: Forget::Leaky, ..limit(Parameter::IpAddress, failures + 4) },
    ]
}

/// A world of little room, whose counters are packed once so many others are at hand.
struct Packing {
    world: World,
    held: Vec<Permit>,
}

/// No more counters than so many are at hand, unless they are in use.
fn keep_at_hand(world: &World, most: usize) {
    lock(&world.store.ledger).counters.most_at_hand = most;
}

impl Packing {
    fn new(at_hand: usize) -> Self {
        let world = World::new(12, 3, &limits(3));
        keep_at_hand(&world, at_hand);
        lock(&world.store.ledger).counters.gather = Some(Gather::new(Inheritance::Kept));
        Self { world, held: Vec::new() }
    }

    /// What whoever does this is told.
    fn apply(&mut self, step: &Step) -> String {
        let world = &mut self.world;
        match *step {
            Step::Fail(user, client) => {
                let permit = begin(world, user, client);
                format!("{:?}", permit.map(|permit| permit.map(|permit| permit.settled(FAILURE))))
            }
            Step::Look(user) => {
                let claim = world.claim(&name(user), 1);
                format!("{:?}", at_once(world.store.would_refuse(&claim)))
            }
            Step::Hold(user, client) => {
                let permit = begin(world, user, client);
                let told = format!("{:?}", permit.as_ref().map(|permit| permit.as_ref().err()));
                self.held.extend(permit.and_then(Result::ok));
                told
            }
            Step::Settle(_, _) if self.held.is_empty() => String::new(),
            Step::Settle(which, how) => {
                let permit = self.held.remove(which % self.held.len());
                let what = match how {
                    0 => Settlement::GivenBack,
                    1 => Settlement::Success { reset: ResetOnSuccess::All },
                    2 => Settlement::Failure(Proof::NoVerdict),
                    _ => FAILURE,
                };
                format!("{:?}", permit.settled(what))
            }
            Step::Reset(user, pardon) => {
                let account = Account::new(&name(user)).expect("a name");
                let account = Some(world.store.keyer().account(&account));
                let selector = Selector { account, ..Selector::default() };
                let what = if pardon { Reset::WithoutVerdict } else { Reset::Everything };
                format!("{:?}", world.store.reset(&selector, what))
            }
            Step::Reload(is_strict) => {
                world.reload(&limits(if is_strict { 2 } else { 3 }));
                String::new()
            }
            Step::Tell => {
                let (batch, _) = world.store.take_changes();
                let mut telling = Telling::new(&world.store);
                world.store.tell(&batch.counters, &mut telling);
                format!("{:?}", telling.take())
            }
            Step::Wait(seconds) => {
                world.clock.advance(Duration::from_secs(seconds));
                String::new()
            }
        }
    }

    /// What anybody may see of it.
    fn seen(&self) -> String {
        let store = &self.world.store;
        let mut rows = self.world.rows();
        rows.sort_by_key(|row| row.id);
        let evicted = store.take_evicted();
        let evicted: Vec<_> =
            evicted.iter().map(|gone| (gone.slot.key, gone.slot.subject(), gone.history)).collect();
        format!("{rows:?} {evicted:?} {:?}", store.sizes())
    }

    fn told(&self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let store = &self.world.store;
        let mut telling = Telling::new(store);
        for part in Store::parts() {
            store.tell_part(part, &mut telling);
        }
        (telling.take(), store.hand_over(self.world.clock.now()))
    }
}

/// Leave for an attempt, unless it would have to wait.
fn begin(world: &World, user: usize, client: u32) -> Option<Result<Permit, Refusal>> {
    let claim = world.claim(&name(user), client);
    match poll(&mut pin!(world.store.admit(claim, TERMS, WAIT))) {
        Poll::Ready(admitted) => Some(admitted),
        Poll::Pending => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// There is so little room that counters have to make room all the time.
    #[test]
    fn nobody_can_tell_whether_and_when_counters_are_packed(
        steps in prop::collection::vec(step(), 0..100),
    ) {
        let [mut never, mut late, mut at_once] = [usize::MAX, 3, 0].map(Packing::new);
        for step in steps {
            let expected = never.apply(&step);
            prop_assert_eq!(&late.apply(&step), &expected, "{:?}", &step);
            prop_assert_eq!(&at_once.apply(&step), &expected, "{:?}", &step);
            let expected = never.seen();
            prop_assert_eq!(&late.seen(), &expected, "{:?}", &step);
            prop_assert_eq!(&at_once.seen(), &expected, "{:?}", &step);
        }
        let expected = never.told();
        prop_assert_eq!(&late.told(), &expected);
        prop_assert_eq!(&at_once.told(), &expected);
    }
}

/// How many counters are packed.
fn packed(world: &World) -> usize {
    let ledger = lock(&world.store.ledger);
    let kept = Store::parts().flat_map(|part| ledger.counters.kept(part));
    kept.filter(|kept| matches!(kept, Entry::Packed(_))).count()
}

#[test]
fn who_comes_again_and_again_stays_at_hand_and_who_does_not_is_packed() {
    let world = World::new(40_000, 1000, &[limit(Parameter::Username, 1000)]);
    keep_at_hand(&world, 1000);
    let held = world.admit(&world.claim("held", 1)).expect("room");
    for number in 0..10_000 {
        world.fail(&name(number), 1).expect("room");
        if number % 400 == 0 {
            world.fail("again", 1).expect("room");
        }
    }
    assert_eq!((packed(&world), world.rows().len()), (10_002 - 1000, 10_001));
    let of = |user| {
        let key = world.claim(user, 1).charges[0].key;
        let ledger = lock(&world.store.ledger);
        let mut kept = ledger.counters.kept(part_of(key));
        kept.any(|kept| kept.key() == key && matches!(kept, Entry::AtHand(_)))
    };
    assert!(of("again") && of("held"), "they are in use");
    world.store.reload();
    let _rows = (world.rows(), world.store.hand_over(world.clock.now()));
    assert_eq!(packed(&world), 10_002 - 1000, "looking at counters unpacks none");
    drop(held.settled(FAILURE));
    assert_eq!(world.counters_of("held"), [(1, false)]);
}

#[test]
fn a_counter_that_has_made_room_does_nothing_to_the_next_of_its_key() {
    let limit = limit(Parameter::Username, 3);
    let world = World::new(1000, 1000, std::slice::from_ref(&limit));
    let mut counters = Counters::new(1, 1, 1000);
    let mut begin = |user| {
        let claim = world.claim(user, 1);
        counters.begin(&claim.charges[0], &claim.subject)
    };
    let [first, other] = ["first", "other"].map(&mut begin);
    let failure = Failure { guesses: 1, proof: Proof::Verdict, spelling: Spelling::Unknown };
    let mut history = History::default();
    history.fail(&limit, failure, world.clock.now());
    for slot in [&first, &other] {
        slot.state().remember(history);
        counters.lay(slot, &limit, world.clock.now());
    }
    assert_eq!(counters.take_evicted()[0].slot.key, first.key);
    let claim = world.claim("first", 1);
    let next = counters.begin(&claim.charges[0], &claim.subject);
    for history in [history, History::default()] {
        first.state().remember(history);
        counters.lay(&first, &limit, world.clock.now());
        assert!(counters.find(first.key).is_some_and(|found| Arc::ptr_eq(&found, &next)));
        assert!(counters.take_evicted().is_empty(), "the other one has not made room");
    }
}

/// As a monitor does, or the client of an API.
#[test]
fn right_logins_of_one_account_leave_nothing_behind() {
    let limits = [limit(Parameter::Username, 5), limit(Parameter::IpAddress, 50)];
    let world = World::new(1000, 1000, &limits);
    keep_at_hand(&world, 1000);
    for _ in 0..20_000 {
        let permit = world.admit(&world.claim("monitor", 1)).expect("room");
        drop(permit.settled(Settlement::Success { reset: ResetOnSuccess::SameClient }));
    }
    assert_eq!(world.store.sizes(), Default::default(), "nothing is counted");
    let queued = lock(&world.store.ledger).counters.queued_to_be_packed();
    assert!(queued <= 2000, "{queued}");
}
