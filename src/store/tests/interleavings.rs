//! Promise 1, whatever happens in whatever order: ask, wait, give up, settle, drop, wait too long,
//! expire, reset, lock by hand, reload.

use proptest::prelude::*;

use super::*;

const MOST_WAIT: u64 = 10_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask { user: u8, client: u8, guesses: u32 },
    Drop(prop::sample::Index),
    GiveUp(prop::sample::Index),
    LockByHand { user: Option<u8>, millis: u16 },
    Reload { failures: u32 },
    Reset { user: Option<u8>, what: Reset },
    Settle(prop::sample::Index, Settlement),
    Wait { millis: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let user = || prop::option::of(0..3u8);
    let settlement = prop::sample::select(vec![
        FAILURE,
        FAILURE,
        Settlement::GivenBack,
        Settlement::Success { reset: ResetOnSuccess::All },
        Settlement::Success { reset: ResetOnSuccess::SameClient },
    ]);
    let reset = prop::sample::select(vec![Reset::Everything, Reset::WithoutVerdict]);
    prop_oneof![
        8 => (0..3u8, 0..3u8, prop_oneof![6 => Just(1), 1 => 2..4u32])
            .prop_map(|(user, client, guesses)| Step::Ask { user, client, guesses }),
        5 => (index(), settlement).prop_map(|(which, what)| Step::Settle(which, what)),
        1 => index().prop_map(Step::Drop),
        1 => index().prop_map(Step::GiveUp),
        2 => (0..6000u16).prop_map(|millis| Step::Wait { millis }),
        1 => (user(), reset).prop_map(|(user, what)| Step::Reset { user, what }),
        1 => (user(), 0..9000u16)
            .prop_map(|(user, millis)| Step::LockByHand { user, millis }),
        1 => (1..5u32).prop_map(|failures| Step::Reload { failures }),
    ]
}

type Asking = std::pin::Pin<Box<dyn Future<Output = Result<Permit, Refusal>>>>;

/// Everybody who is there, and what is in force.
struct Crowd {
    world: World,
    waiting: Vec<(Arc<Claim>, Moment, Asking)>,
    held: Vec<Permit>,
}

fn limits(failures: u32) -> [Limit; 2] {
    let short = |limit: Limit| Limit {
        cool_off: CoolOff::Steps(vec![COOL_OFF / 60, COOL_OFF / 30]),
        forget_after: COOL_OFF / 60,
        ..limit
    };
    [short(limit(Parameter::Username, failures)), short(limit(Parameter::IpAddress, failures + 1))]
}

impl Crowd {
    fn selector(&self, user: Option<u8>) -> Selector {
        let account = user.map(|user| self.claim(user, 0, 1).subject.candidates[0].account);
        Selector { account, ..Selector::default() }
    }

    fn claim(&self, user: u8, client: u8, guesses: u32) -> Arc<Claim> {
        self.world.claim_of(&format!("u{user}"), client.into(), guesses)
    }

    fn apply(&mut self, step: Step) {
        let store = Arc::clone(&self.world.store);
        match step {
            Step::Ask { user, client, guesses } => {
                let claim = self.claim(user, client, guesses);
                if store.hand_lock(&claim.subject, Some(&claim)).is_some() {
                    return; // the guard asks this first
                }
                let asked = Arc::clone(&claim);
                let asking = async move { store.admit(asked, TERMS, WAIT).await };
                self.waiting.push((claim, self.world.clock.now(), Box::pin(asking)));
            }
            Step::Settle(which, what) if !self.held.is_empty() => {
                let at = which.index(self.held.len());
                drop(self.held.remove(at).settled(what));
            }
            Step::Drop(which) if !self.held.is_empty() => {
                let at = which.index(self.held.len());
                drop(self.held.remove(at));
            }
            Step::GiveUp(which) if !self.waiting.is_empty() => {
                let at = which.index(self.waiting.len());
                drop(self.waiting.remove(at));
            }
            Step::Drop(_) | Step::GiveUp(_) | Step::Settle(..) => {}
            Step::LockByHand { user, millis } => {
                let until = store.clock().now().after(Duration::from_millis(millis.into()));
                let hand = HandLock::until(until);
                store.lock_by_hand(self.selector(user), hand, &rules()).expect("room");
            }
            Step::Reload { failures } => self.world.reload(&limits(failures)),
            Step::Reset { user, what } => {
                let removed = store.reset(&self.selector(user), what);
                assert!(removed.counters <= 6, "three usernames and three addresses");
            }
            Step::Wait { millis } => self.world.clock.advance(Duration::from_millis(millis.into())),
        }
    }

    /// Everybody looks whether there is an answer, until nobody gets one any more; twice at least,
    /// for whoever looks may stir those who have looked already.
    fn look(&mut self) {
        let mut idle = 0;
        while idle < 2 {
            let before = self.waiting.len();
            for (claim, since, mut asking) in std::mem::take(&mut self.waiting) {
                match poll(&mut asking) {
                    Poll::Pending => self.waiting.push((claim, since, asking)),
                    Poll::Ready(Ok(permit)) => self.admitted(permit),
                    Poll::Ready(Err(refusal)) => self.refused(&claim, since, &refusal),
                }
            }
            idle = if self.waiting.len() < before { 0 } else { idle + 1 };
        }
    }

    fn admitted(&mut self, permit: Permit) {
        let claim = Arc::clone(permit.claim().expect("it is unsettled"));
        self.held.push(permit);
        let by_hand = self.world.store.hand_lock(&claim.subject, Some(&claim));
        assert_eq!(by_hand, None, "admitted in spite of a lock by hand");
        let rows = self.world.rows();
        for charge in &claim.charges {
            let places = self.places(charge.key);
            let row = rows.iter().find(|row| row.id == charge.key);
            let failures = row.map_or(0, |row| row.failures);
            let limit = lock(&self.world.store.ledger).limit(charge.limit).expect("registered");
            assert!(
                failures + places <= limit.failures.get(),
                "{failures} and {places}: {limit:?}"
            );
            assert!(row.is_none_or(|row| row.locked_until.is_none()), "it is locked");
        }
    }

    fn refused(&self, claim: &Claim, since: Moment, refusal: &Refusal) {
        let waited = self.world.clock.now().since(since);
        match refusal {
            Refusal::Busy => assert!(waited >= Duration::from_millis(MOST_WAIT), "{waited:?}"),
            Refusal::ByHand(hand) => assert!(self.world.clock.now() < hand.until),
            Refusal::Locked { until, keys } => {
                assert!(*until > since, "it was over when the attempt came");
                let own = claim.charges.iter().map(|charge| charge.key);
                assert!(keys.iter().all(|key| own.clone().any(|own| own == *key)));
            }
            Refusal::NoStore => panic!("its counters are its own"),
            Refusal::TooManyGuesses => assert!(claim.guesses > 0),
        }
    }

    /// How many places are held in a counter.
    fn places(&self, key: Key) -> u32 {
        let claims = self.held.iter().filter_map(Permit::claim);
        let needs = |claim: &&Arc<Claim>| claim.charges.iter().any(|charge| charge.key == key);
        claims.filter(needs).map(|claim| claim.guesses).sum()
    }

    fn check(&self) {
        let sizes = self.world.store.sizes();
        let claims = self.held.iter().filter_map(Permit::claim);
        let places = claims.map(|claim| u64::from(claim.guesses) * claim.charges.len() as u64);
        assert_eq!(sizes.places, places.sum::<u64>(), "a place is lost or leaked");
        assert_eq!(sizes.waiting, self.waiting.len(), "a waiter is forgotten");
        let now = self.world.clock.now();
        for (claim, since, _) in &self.waiting {
            assert!(now.since(*since) < WAIT, "it waits too long");
            let needs_place = claim.charges.iter().any(|charge| self.places(charge.key) > 0);
            let others_wait = self.waiting.len() > 1;
            assert!(needs_place || others_wait, "it waits for nothing");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_happens_exceeds_a_limit_loses_a_place_or_forgets_a_waiter(
        steps in prop::collection::vec(step(), 1..150)
    ) {
        let world = World::new(1000, 1000, &limits(3));
        let mut crowd = Crowd { world, waiting: Vec::new(), held: Vec::new() };
        for step in steps {
            crowd.apply(step);
            crowd.look();
            crowd.check();
        }
        while let Some(permit) = crowd.held.pop() {
            drop(permit.settled(Settlement::GivenBack));
            crowd.look();
            crowd.check();
        }
        prop_assert!(crowd.waiting.is_empty(), "with all places free nobody waits");
        let sizes = crowd.world.store.sizes();
        prop_assert_eq!((sizes.places, sizes.waiting), (0, 0));
    }
}
