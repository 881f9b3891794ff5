//! The counters: admit (a permit or a refusal), settle, list, reset.
//!
//! One lock guards all of them, since an attempt takes places in several counters at once or in
//! none. It is held for a microsecond or two and never across an await.

pub mod counters;
pub mod detached;
pub mod everywhere;
pub mod gate;
pub mod gather;
pub mod hand;
pub mod handover;
pub mod index;
pub mod keep;
pub mod ledger;
pub mod memory;
pub mod moved;
pub mod operate;
pub mod order;
pub mod packed;
mod permit;
pub mod queue;
pub mod recall;
mod records;
pub mod redis;
pub mod register;
pub mod scan;
pub mod select;
pub mod slot;
pub mod whose;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use self::redis::lease::Lease;
use self::redis::shared::Shared;
use crate::clock::{Clock, Moment};
use crate::config::StoreSettings;
use crate::policy::client::ClientRules;
use crate::policy::key::{Claim, CountedLimit, Key, Keyer, LimitId, ScopeNames, Subject};
use crate::policy::lockout::Limit;
use crate::snapshot::progress::Progress;
use counters::{AT_HAND, Counters, Evicted};
pub use everywhere::Reach;
use hand::{HandLock, TooMany};
use ledger::{Admission, Held, Ledger, Refusal, Settled, Settlement, Terms};
use memory::lock;
use operate::Sizes;
pub use permit::Permit;
use queue::Answer;
use register::LimitName;
use select::{Row, Selector};

/// All counters of this process, shared by its threads.
#[derive(Debug)]
pub struct Store {
    ledger: Mutex<Ledger>,
    clock: Clock,
    keyer: Keyer,
    /// How many locks by hand there are, to be looked at without the lock.
    hand_locks: AtomicUsize,
    /// Nothing is admitted any more. Changed under the lock.
    closed: AtomicBool,
    /// How many counters have room, and how many lockouts.
    room: (u64, u64),
    /// How far what changes is kept, where somebody keeps it.
    progress: OnceLock<Arc<Progress>>,
    /// Where the counters are that all guards share; then those here are a mirror of them.
    shared: Option<Box<Shared>>,
}

/// For how long a test with a driven clock leases places: it renews none.
const DRIVEN_TTL: Duration = Duration::from_hours(24 * 3650);

impl Store {
    /// An empty store that hashes under `keyer`; in front of counters that several guards share,
    /// where the settings say so.
    #[must_use]
    pub fn new(settings: &StoreSettings, clock: Clock, keyer: Keyer) -> Arc<Self> {
        let shared = settings.redis.as_ref().map(|redis| Shared::begin(redis, keyer));
        Self::over(settings, clock, keyer, shared)
    }

    fn over(
        settings: &StoreSettings,
        clock: Clock,
        keyer: Keyer,
        shared: Option<Shared>,
    ) -> Arc<Self> {
        if let Some(shared) = shared.as_ref().filter(|_| clock.driven_now().is_some()) {
            shared.leases.set_ttl(DRIVEN_TTL);
        }
        let counters = Counters::new(settings.max_counters, settings.max_lockouts, AT_HAND);
        Arc::new(Self {
            ledger: Mutex::new(Ledger::new(counters)),
            clock,
            keyer,
            hand_locks: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            room: (settings.max_counters, settings.max_lockouts),
            progress: OnceLock::new(),
            shared: shared.map(Box::new),
        })
    }

    /// The way to the counters that several guards share, where they do.
    #[must_use]
    pub fn shared(&self) -> Option<&Shared> {
        self.shared.as_deref()
    }

    /// An exchange may last so long: places of shared counters are leased for longer.
    pub fn expect_exchanges_of(&self, longest: Duration) {
        if let Some(shared) = self.shared().filter(|_| self.clock.driven_now().is_none()) {
            shared.leases.set_ttl(longest.saturating_add(redis::lease::BEYOND));
        }
    }

    /// What hashes are made under.
    #[must_use]
    pub const fn keyer(&self) -> &Keyer {
        &self.keyer
    }

    /// What time it is for the counters.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The counters of the limit of that name; their numbers are `limit`'s from now on. Follow a
    /// change of several with one [`Store::reload`].
    #[must_use]
    pub fn register(&self, name: LimitName, limit: Arc<Limit>) -> CountedLimit {
        let scope = self.keyer.scope(ScopeNames {
            site: &name.site,
            login: name.login.as_deref(),
            limit: &name.limit,
            kind: name.kind,
        });
        let id = lock(&self.ledger).register.register(name, Arc::clone(&limit));
        CountedLimit { id, scope, limit }
    }

    /// Holds every counter against the limits as they are registered now.
    pub fn reload(&self) {
        lock(&self.ledger).reload(self.clock.now());
        if let Some(shared) = self.shared() {
            shared.reloaded.notify_one();
        }
    }

    /// The lock by hand that refuses an attempt, if there is one.
    #[must_use]
    pub fn hand_lock(&self, subject: &Subject, claim: Option<&Claim>) -> Option<HandLock> {
        if self.hand_locks.load(Ordering::Acquire) == 0 {
            return None;
        }
        let ledger = lock(&self.ledger);
        let charges = claim.map_or(&[][..], |claim| &claim.charges);
        let keys: Vec<Key> = charges.iter().map(|charge| charge.key).collect();
        ledger.hand.find(subject, &keys, self.clock.now()).cloned()
    }

    /// The lock by hand that refuses an attempt which asks for nothing else, if there is one: where
    /// counters are shared, other guards may know of it first.
    pub async fn hand_lock_anywhere(&self, claim: &Claim) -> Option<HandLock> {
        match self.shared() {
            None => None, // whoever asks has looked here
            Some(shared) => Box::pin(self.shared_hand_lock(shared, claim)).await,
        }
    }

    /// Leave to forward an attempt; waits for places, in order of arrival, for `wait` at most.
    ///
    /// Dropping the future before it is done leaves the queue and charges nothing.
    ///
    /// # Errors
    ///
    /// Why the attempt must not go on.
    pub async fn admit(
        self: &Arc<Self>,
        claim: Arc<Claim>,
        terms: Terms,
        wait: Duration,
    ) -> Result<Permit, Refusal> {
        match self.shared() {
            None => self.admit_here(claim, terms, wait).await,
            Some(shared) => Box::pin(self.admit_shared(shared, (claim, terms), wait)).await,
        }
    }

    /// The same from the counters of this process.
    async fn admit_here(
        self: &Arc<Self>,
        claim: Arc<Claim>,
        terms: Terms,
        wait: Duration,
    ) -> Result<Permit, Refusal> {
        let now = self.clock.now();
        let admission = {
            let mut ledger = lock(&self.ledger);
            if self.is_closed() {
                return Err(Refusal::Busy);
            }
            ledger.admit(&claim, terms, now)
        };
        match admission {
            Admission::Admitted(held) => Ok(self.permit(Some(held), None)),
            Admission::Refused(refusal) => Err(refusal),
            Admission::Waits(arrival) => {
                let place = InQueue { store: self, arrival };
                match place.wait(now.after(wait)).await {
                    Answer::Granted(held) => {
                        self.unless_locked_by_hand(self.permit(Some(held), None)).await
                    }
                    Answer::Refused(refusal) => Err(refusal),
                }
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn permit(self: &Arc<Self>, held: Option<Held>, lease: Option<Arc<Lease>>) -> Permit {
        Permit { store: Arc::clone(self), held, lease }
    }

    /// Whoever has waited is admitted only now, and a lock by hand may have come meanwhile.
    async fn unless_locked_by_hand(&self, permit: Permit) -> Result<Permit, Refusal> {
        let hand = permit.claim().and_then(|claim| self.hand_lock(&claim.subject, Some(claim)));
        let Some(hand) = hand else { return Ok(permit) };
        drop(Box::pin(permit.settle(Settlement::GivenBack)).await);
        Err(Refusal::ByHand(hand))
    }

    /// Whether an attempt would be refused now; changes nothing.
    pub async fn would_refuse(&self, claim: &Claim) -> Option<Refusal> {
        match self.shared() {
            None => self.would_refuse_here(claim),
            Some(shared) => Box::pin(self.would_refuse_shared(shared, claim)).await,
        }
    }

    fn would_refuse_here(&self, claim: &Claim) -> Option<Refusal> {
        lock(&self.ledger).would_refuse(claim, self.clock.now())
    }

    /// Settles an attempt that holds no places, as `monitor` mode does. Dropping the future may
    /// leave it unsettled.
    ///
    /// # Errors
    ///
    /// The refusal that a failure would have met; then nothing is charged.
    pub async fn settle_unheld(
        &self,
        claim: &Arc<Claim>,
        what: Settlement,
    ) -> Result<Vec<Settled>, Refusal> {
        match self.shared() {
            None => lock(&self.ledger).charge_unheld(claim, what, self.clock.now()),
            Some(shared) => Box::pin(self.settle_unheld_shared(shared, claim, what)).await,
        }
    }

    /// The counters that `selector` means and that hold something.
    #[must_use]
    pub fn list(&self, selector: &Selector) -> Vec<Row> {
        lock(&self.ledger).list(selector, self.clock.now())
    }

    /// Refuses what `selector` means from the next admission on, until then. Clients whose
    /// addresses are counted together are locked together.
    ///
    /// # Errors
    ///
    /// When there are too many locks by hand already.
    pub fn lock_by_hand(
        &self,
        mut selector: Selector,
        hand: HandLock,
        rules: &ClientRules,
    ) -> Result<(), TooMany> {
        selector.widen(rules);
        let mut ledger = lock(&self.ledger);
        ledger.hand.lock(selector, hand, self.clock.now())?;
        ledger.note_hands();
        self.hand_locks.store(ledger.hand.count(), Ordering::Release);
        Ok(())
    }

    /// The limit of that number.
    #[must_use]
    pub fn limit(&self, id: LimitId) -> Option<Arc<Limit>> {
        lock(&self.ledger).limit(id)
    }

    /// Counters that still counted and had to make room since this was last asked.
    #[must_use]
    pub fn take_evicted(&self) -> Vec<Evicted> {
        lock(&self.ledger).take_evicted(self.clock.now())
    }

    /// How many counters have room, and how many lockouts.
    #[must_use]
    pub const fn room(&self) -> (u64, u64) {
        self.room
    }

    /// How much there is of everything.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let mut sizes = lock(&self.ledger).sizes(self.clock.now());
        sizes.waiting += self.shared().map_or(0, Shared::waiting);
        sizes
    }
}

/// A place in a queue, left when this is dropped.
struct InQueue<'a> {
    store: &'a Store,
    arrival: u64,
}

impl InQueue<'_> {
    async fn wait(self, deadline: Moment) -> Answer {
        loop {
            let now = self.store.clock.now();
            if now >= deadline {
                return Answer::Refused(Refusal::Busy);
            }
            let next = {
                let mut ledger = lock(&self.store.ledger);
                ledger.look_after(self.arrival, now);
                ledger.next_chance(self.arrival, now).min(deadline)
            };
            let answered = poll_fn(|context| {
                lock(&self.store.ledger).waiting().poll(self.arrival, context.waker())
            });
            tokio::select! {
                biased;
                answer = answered => if let Some(answer) = answer { return answer },
                () = self.store.clock.sleep_until(next) => {}
            }
        }
    }
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        lock(&self.store.ledger).leave(self.arrival, self.store.clock.now());
    }
}

#[cfg(test)]
mod tests;
