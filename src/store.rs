//! The counters: admit (a permit or a refusal), settle, list, reset.
//!
//! One lock guards all of them, since an attempt takes places in several counters at once or in
//! none. It is held for a microsecond or two and never across an await.

pub mod counters;
pub mod detached;
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
pub mod queue;
pub mod recall;
mod records;
pub mod redis;
pub mod register;
pub mod scan;
pub mod select;
pub mod slot;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::config::StoreSettings;
use crate::policy::client::ClientRules;
use crate::policy::key::{Claim, CountedLimit, Key, Keyer, LimitId, ScopeNames, Subject};
use crate::policy::lockout::{Limit, Proof};
use crate::snapshot::progress::Progress;
use counters::{Counters, Evicted};
use hand::{HandLock, TooMany};
use ledger::{Admission, Held, Ledger, Refusal, Settled, Settlement, Terms};
use memory::lock;
use operate::{Removed, Reset, Sizes};
use queue::Answer;
use redis::wire::Wire;
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
    /// The way to those that several guards share.
    wire: Option<Wire>,
}

/// Leave to forward an attempt. Dropped unsettled it charges a failure without a verdict, since
/// nobody can tell what the upstream did with it.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    store: Arc<Store>,
    held: Option<Held>,
}

impl Store {
    /// An empty store that hashes under `keyer`.
    #[must_use]
    pub fn new(settings: &StoreSettings, clock: Clock, keyer: Keyer) -> Arc<Self> {
        let counters = Counters::new(settings.max_counters, settings.max_lockouts);
        Arc::new(Self {
            ledger: Mutex::new(Ledger::new(counters)),
            clock,
            keyer,
            hand_locks: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            room: (settings.max_counters, settings.max_lockouts),
            progress: OnceLock::new(),
            wire: settings.redis.as_ref().map(|redis| Wire::new(Arc::clone(redis), Arc::default())),
        })
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
        let now = self.clock.now();
        let admission = {
            let mut ledger = lock(&self.ledger);
            if self.closed.load(Ordering::Acquire) {
                return Err(Refusal::Busy);
            }
            ledger.admit(&claim, terms, now)
        };
        match admission {
            Admission::Admitted(held) => Ok(self.permit(held)),
            Admission::Refused(refusal) => Err(refusal),
            Admission::Waits(arrival) => {
                let place = InQueue { store: self, arrival };
                match place.wait(now.after(wait)).await {
                    Answer::Granted(held) => self.unless_locked_by_hand(self.permit(held)),
                    Answer::Refused(refusal) => Err(refusal),
                }
            }
        }
    }

    fn permit(self: &Arc<Self>, held: Held) -> Permit {
        Permit { store: Arc::clone(self), held: Some(held) }
    }

    /// Whoever has waited is admitted only now, and a lock by hand may have come meanwhile.
    fn unless_locked_by_hand(&self, permit: Permit) -> Result<Permit, Refusal> {
        let hand = permit.claim().and_then(|claim| self.hand_lock(&claim.subject, Some(claim)));
        let Some(hand) = hand else { return Ok(permit) };
        drop(permit.settle(Settlement::GivenBack));
        Err(Refusal::ByHand(hand))
    }

    /// Whether an attempt would be refused now; changes nothing.
    #[must_use]
    pub fn would_refuse(&self, claim: &Claim) -> Option<Refusal> {
        lock(&self.ledger).would_refuse(claim, self.clock.now())
    }

    /// Settles an attempt that holds no places, as `monitor` mode does.
    ///
    /// # Errors
    ///
    /// The refusal that a failure would have met; then nothing is charged.
    pub fn settle_unheld(
        &self,
        claim: &Arc<Claim>,
        what: Settlement,
    ) -> Result<Vec<Settled>, Refusal> {
        lock(&self.ledger).charge_unheld(claim, what, self.clock.now())
    }

    /// The counters that `selector` means and that hold something.
    #[must_use]
    pub fn list(&self, selector: &Selector) -> Vec<Row> {
        lock(&self.ledger).list(selector, self.clock.now())
    }

    /// Takes away the counter that refused with this reference.
    #[must_use]
    pub fn reset_reference(&self, reference: &str) -> Removed {
        let mut removed = Removed::default();
        for row in self.list(&Selector::default()) {
            if row.id.reference() == reference {
                let selector = Selector { counter: Some(row.id), ..Selector::default() };
                removed.counters += self.reset(&selector, Reset::Everything).counters;
            }
        }
        removed
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
        lock(&self.ledger).sizes(self.clock.now())
    }
}

impl Permit {
    /// What it is leave for.
    #[must_use]
    pub fn claim(&self) -> Option<&Arc<Claim>> {
        self.held.as_ref().map(|held| &held.claim)
    }

    /// Ends it: its places are free again, and what the attempt came to is charged or cleared.
    #[must_use]
    pub fn settle(mut self, what: Settlement) -> Vec<Settled> {
        self.end(what)
    }

    fn end(&mut self, what: Settlement) -> Vec<Settled> {
        let Some(held) = self.held.take() else { return Vec::new() };
        let now = self.store.clock.now();
        lock(&self.store.ledger).settle(&held, what, now)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(Settlement::Failure(Proof::NoVerdict));
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
