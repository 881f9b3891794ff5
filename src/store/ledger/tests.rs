//! Random interleavings on several counters hold the ledger's invariants.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::policy::client::Networks;
use crate::policy::key::{Candidate, Counted, ScopeKind, Subject};
use crate::policy::lockout::{CoolOff, Forget, Parameter};
use crate::store::hand::HandLock;
use crate::store::index::PARTS;
use crate::store::operate::Reset;
use crate::store::queue::Answer;
use crate::store::register::{LimitName, Registered};
use crate::store::select::Selector;

const COOL_OFF: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit { user: u8, client: u8, guesses: u32 },
    Settle { which: prop::sample::Index, how: u8 },
    Leave { which: prop::sample::Index },
    Wait { millis: u16 },
    Reset { user: Option<u8>, pardon: bool },
    Reload { failures: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => (0..3u8, 0..3u8, prop_oneof![6 => Just(1), 1 => 2..4u32])
            .prop_map(|(user, client, guesses)| Step::Admit { user, client, guesses }),
        6 => (index(), 0..4u8).prop_map(|(which, how)| Step::Settle { which, how }),
        1 => index().prop_map(|which| Step::Leave { which }),
        1 => (0..6000u16).prop_map(|millis| Step::Wait { millis }),
        1 => (prop::option::of(0..3u8), any::<bool>())
            .prop_map(|(user, pardon)| Step::Reset { user, pardon }),
        1 => (1..5u32).prop_map(|failures| Step::Reload { failures }),
    ]
}

/// Two limits, `[username]` and `[ip_address]`; the second is leaky.
struct World {
    ledger: Ledger,
    limits: [LimitId; 2],
    failures: u32,
    now: Moment,
    held: Vec<Held>,
    waiting: BTreeMap<u64, Arc<Claim>>,
}

fn limit(name: &str, by: Parameter, failures: u32, forget: Forget) -> Arc<Limit> {
    Arc::new(Limit {
        name: name.into(),
        by: vec![by],
        failures: NonZeroU32::new(failures).expect("not zero"),
        cool_off: CoolOff::Steps(vec![COOL_OFF, COOL_OFF * 2]),
        forget,
        forget_after: COOL_OFF,
        forget_lockouts_after: COOL_OFF * 10,
        except: Networks::default(),
    })
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            ledger: Ledger::new(Counters::new(1000, 1000, 2)),
            limits: [LimitId(0); 2],
            failures: 0,
            now: Moment(1000),
            held: Vec::new(),
            waiting: BTreeMap::new(),
        };
        world.reload(3);
        world
    }

    fn reload(&mut self, failures: u32) {
        self.failures = failures;
        let limits = [
            limit("user", Parameter::Username, failures, Forget::Together),
            limit("client", Parameter::IpAddress, failures + 1, Forget::Leaky),
        ];
        for (id, limit) in self.limits.iter_mut().zip(limits) {
            let kind = ScopeKind::Limit;
            let name = LimitName { site: "s".into(), login: None, limit: limit.name.clone(), kind };
            *id = self.ledger.register.register(name, limit);
        }
        self.ledger.reload(self.now);
    }

    fn claim(&self, user: u8, client: u8, guesses: u32) -> Arc<Claim> {
        let keyer = crate::policy::key::Keyer::new([7; 16]);
        let account = crate::policy::account::Account::new(&char::from(b'a' + user).to_string())
            .expect("a name");
        let address = ipnet::IpNet::from(std::net::IpAddr::from([10, 0, 0, client]));
        let candidate = Candidate {
            account: keyer.account(&account),
            shown: Some((*char::from(b'a' + user).to_string()).into()),
            spelling: u64::from(user),
            name: None,
        };
        let mut subject = Subject::new("s".into(), address, address);
        subject.candidates = candidate.into();
        let charge = |at: usize, value: u8, candidate| Charge {
            key: Key((at as u128 + 1) << 64 | u128::from(value)),
            limit: self.limits[at],
            candidate,
        };
        let charges = vec![charge(0, user, Some(0)), charge(1, client, None)];
        Arc::new(Claim { subject: Arc::new(subject), charges, guesses, counted: Counted::Limits })
    }

    fn apply(&mut self, step: Step) {
        let terms = Terms { while_locked: WhileLocked::Ignore, bytes: 1 };
        match step {
            Step::Admit { user, client, guesses } => {
                let claim = self.claim(user, client, guesses);
                match self.ledger.admit(&claim, terms, self.now) {
                    Admission::Admitted(held) => self.hold(held),
                    Admission::Refused(_) => {}
                    Admission::Waits(arrival) => {
                        self.waiting.insert(arrival, claim);
                    }
                }
            }
            Step::Settle { which, how } if !self.held.is_empty() => {
                let held = self.held.remove(which.index(self.held.len()));
                let what = match how {
                    0 => Settlement::GivenBack,
                    1 => Settlement::Success { reset: ResetOnSuccess::All },
                    2 => Settlement::Failure(Proof::NoVerdict),
                    _ => Settlement::Failure(Proof::Verdict),
                };
                self.ledger.settle(&held, what, self.now);
            }
            Step::Leave { which } if !self.waiting.is_empty() => {
                let at = which.index(self.waiting.len());
                let arrival = *self.waiting.keys().nth(at).expect("in range");
                self.waiting.remove(&arrival);
                self.ledger.leave(arrival, self.now);
            }
            Step::Settle { .. } | Step::Leave { .. } => {}
            Step::Wait { millis } => {
                self.now = self.now.after(Duration::from_millis(millis.into()));
                let arrivals: Vec<u64> = self.waiting.keys().copied().collect();
                for arrival in arrivals {
                    self.ledger.look_after(arrival, self.now);
                }
            }
            Step::Reset { user, pardon } => {
                let account = user.map(|user| self.claim(user, 0, 1).subject.candidates[0].account);
                let selector = Selector { account, ..Selector::default() };
                let what = if pardon { Reset::WithoutVerdict } else { Reset::Everything };
                for part in 0..PARTS {
                    let is_meant = |slot: &Slot, of: &Registered| selector.fits(slot, of);
                    self.ledger.reset_part(part, is_meant, (what, self.now));
                }
            }
            Step::Reload { failures } => self.reload(failures),
        }
        self.collect_answers();
    }

    /// The counter's history as it stands now, and its places.
    fn look(&self, key: Key) -> (History, Arc<Limit>, u32) {
        let slot = self.ledger.counters.look(key).expect("a counter in use");
        let limit = self.ledger.limit(slot.limit).expect("registered");
        let state = slot.state();
        (state.history().aged(&limit, self.now), limit, state.places)
    }

    fn hold(&mut self, held: Held) {
        for charge in &held.claim.charges {
            let (history, limit, places) = self.look(charge.key);
            let used = history.failures() + places;
            assert!(used <= limit.failures.get(), "more than the limit: {used}");
            assert!(!history.is_locked(), "admitted to a locked counter");
        }
        self.held.push(held);
    }

    /// The counters in which somebody holds a place or waits.
    fn active(&self) -> Vec<Arc<Slot>> {
        let all = self.ledger.counters.all();
        all.filter(|slot| !slot.state().is_idle()).collect()
    }

    fn collect_answers(&mut self) {
        let before = self.waiting.clone();
        for (arrival, claim) in before {
            let waker = std::task::Waker::noop();
            let on = self.ledger.waiting.on(arrival);
            match self.ledger.waiting.poll(arrival, waker) {
                std::task::Poll::Ready(Some(Answer::Granted(held))) => {
                    assert!(on.is_none());
                    assert_eq!(held.claim.charges, claim.charges);
                    self.waiting.remove(&arrival);
                    self.hold(held);
                }
                std::task::Poll::Ready(Some(Answer::Refused(_))) => {
                    self.waiting.remove(&arrival);
                }
                std::task::Poll::Ready(None) | std::task::Poll::Pending => {}
            }
        }
    }

    fn check(&mut self) {
        let mut places: BTreeMap<Key, u32> = BTreeMap::new();
        for held in &self.held {
            for charge in &held.claim.charges {
                *places.entry(charge.key).or_default() += held.claim.guesses;
            }
        }
        assert_eq!(self.ledger.places, places.values().copied().map(u64::from).sum::<u64>());
        for slot in self.active() {
            let held = places.remove(&slot.key).unwrap_or_default();
            let state = slot.state();
            assert_eq!(state.places, held, "places lost or leaked in {:?}", slot.key);
            assert!(held > 0 || state.queued() > 0, "active without a cause: {:?}", slot.key);
        }
        assert!(places.is_empty(), "places lost: {places:?}");
        for (arrival, claim) in &self.waiting {
            let on = self.ledger.waiting.on(*arrival).expect("nobody is forgotten");
            let first = self.ledger.counters.look(on).expect("in use").state().first();
            assert!(first.is_some_and(|first| first <= *arrival), "a waiter stands in its queue");
            let judged = self.ledger.judge(claim, *arrival, self.now);
            assert!(matches!(judged, Judged::Full(_)), "whoever cannot go on is answered at once");
            if first != Some(*arrival) {
                continue;
            }
            let (history, limit, places) = self.look(on);
            let room = history.room(&limit, places, claim.guesses);
            assert_eq!(room, Room::Full, "the first of a queue waits without a cause");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_exceeds_a_limit_loses_a_place_or_forgets_a_waiter(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
            world.check();
        }
        for held in std::mem::take(&mut world.held) {
            world.ledger.settle(&held, Settlement::GivenBack, world.now);
        }
        world.collect_answers();
        while let Some(held) = world.held.pop() {
            world.ledger.settle(&held, Settlement::GivenBack, world.now);
            world.collect_answers();
            world.check();
        }
        prop_assert!(world.waiting.is_empty(), "with all places free nobody waits");
        prop_assert!(world.active().is_empty(), "with nobody there nothing is active");
    }

    #[test]
    fn waiters_are_served_in_order_of_arrival(order in Just((1..6u8).collect::<Vec<_>>()).prop_shuffle()) {
        let mut world = World::new();
        for _ in 0..3 {
            world.apply(Step::Admit { user: 0, client: 0, guesses: 1 });
        }
        for client in &order {
            world.apply(Step::Admit { user: 0, client: *client, guesses: 1 });
        }
        prop_assert_eq!(world.waiting.len(), order.len());
        let mut served = Vec::new();
        for _ in &order {
            let held = world.held.remove(0);
            world.ledger.settle(&held, Settlement::GivenBack, world.now);
            world.collect_answers();
            let last = world.held.last().expect("somebody was served");
            served.push((last.claim.charges[1].key.0 & 0xff) as u8);
        }
        prop_assert_eq!(served, order);
    }
}

#[test]
fn when_a_counter_locks_its_waiters_are_refused_at_once() {
    let mut world = World::new();
    for _ in 0..5 {
        world.apply(Step::Admit { user: 0, client: 0, guesses: 1 });
    }
    assert_eq!((world.held.len(), world.waiting.len()), (3, 2));
    for _ in 0..3 {
        let held = world.held.remove(0);
        world.ledger.settle(&held, Settlement::Failure(Proof::Verdict), world.now);
    }
    world.collect_answers();
    assert_eq!((world.held.len(), world.waiting.len()), (0, 0));
    assert!(world.active().is_empty());
}

#[test]
fn a_waiter_holds_no_place_in_its_other_counters() {
    let mut world = World::new();
    for _ in 0..4 {
        world.apply(Step::Admit { user: 0, client: 0, guesses: 1 });
    }
    assert_eq!(world.waiting.len(), 1, "user 0 is full");
    world.apply(Step::Admit { user: 1, client: 0, guesses: 1 });
    assert_eq!(world.held.len(), 4, "the fourth place of client 0 was free for user 1");
}

#[test]
fn more_guesses_than_are_left_are_refused_and_never_queued() {
    let mut world = World::new();
    let claim = world.claim(0, 0, 4);
    let terms = Terms { while_locked: WhileLocked::Ignore, bytes: 1 };
    assert!(matches!(
        world.ledger.admit(&claim, terms, world.now),
        Admission::Refused(Refusal::TooManyGuesses)
    ));
}

#[test]
fn a_refused_attempt_extends_only_the_counters_that_are_locked() {
    let mut world = World::new();
    for _ in 0..3 {
        world.apply(Step::Admit { user: 0, client: 0, guesses: 1 });
        let held = world.held.remove(0);
        world.ledger.settle(&held, Settlement::Failure(Proof::Verdict), world.now);
    }
    let rows = |world: &World| {
        let mut rows = world.ledger.list(&Selector::default(), world.now);
        rows.sort_by_key(|row| row.id);
        rows.iter().map(|row| (row.failures, row.locked_until)).collect::<Vec<_>>()
    };
    let first_end = world.now.after(COOL_OFF);
    assert_eq!(rows(&world), [(3, Some(first_end)), (3, None)]);
    world.now = world.now.after(Duration::from_secs(1));
    let terms = Terms { while_locked: WhileLocked::Count, bytes: 1 };
    let claim = world.claim(0, 0, 1);
    let refused = world.ledger.admit(&claim, terms, world.now);
    assert!(matches!(refused, Admission::Refused(Refusal::Locked { .. })));
    let later_end = world.now.after(COOL_OFF);
    assert_eq!(rows(&world), [(4, Some(later_end)), (3, None)]);
}

#[test]
fn a_lock_by_hand_refuses_what_it_names_and_a_reset_takes_it_away() {
    let mut world = World::new();
    let subject = world.claim(0, 5, 1);
    let network = Some("10.0.0.0/24".parse().expect("a network"));
    let selector = Selector { network, ..Selector::default() };
    let hand = HandLock::until(Moment::NEVER);
    world.ledger.hand.lock(selector, hand, world.now).expect("room");
    assert!(world.ledger.hand.find(&subject.subject, &[], world.now).is_some());
    let address = "10.0.1.1/32".parse().expect("a network");
    let other = Subject::new("s".into(), address, subject.subject.network());
    assert!(world.ledger.hand.find(&other, &[], world.now).is_none());
    assert_eq!(world.ledger.hand.remove(&Selector::default(), world.now), 1);
    assert!(world.ledger.hand.find(&subject.subject, &[], world.now).is_none());
}
