//! Places: who may go on, who waits, who is refused; one attempt's counters at once or none.
//!
//! Invariants, held by every method:
//! - forwarded failures + places of a counter never exceed its limit, but where a reload lowered it;
//! - a counter stays, whatever has to make room, while somebody holds a place in it or waits;
//! - the first of each queue does not fit on that counter now, so nobody waits without a cause.

mod serve;
mod settle;
pub mod told;

use std::sync::Arc;

use crate::clock::Moment;
use crate::policy::key::{Charge, Claim, Key, LimitId};
use crate::policy::lockout::{History, Limit, Proof, Room};
use crate::policy::route::{ResetOnSuccess, WhileLocked};
use crate::store::counters::{Counters, Evicted};
use crate::store::gather::Change;
use crate::store::hand::{HandLock, HandLocks};
use crate::store::queue::Waiting;
use crate::store::register::Register;
use crate::store::slot::Slot;

/// Every counter and everybody who waits for one.
#[derive(Debug)]
pub struct Ledger {
    /// The limits counters belong to.
    pub register: Register,
    /// Locks by hand.
    pub hand: HandLocks,
    pub(super) counters: Counters,
    pub(super) waiting: Waiting,
    /// Held in all counters together.
    pub(super) places: u64,
}

/// An attempt that was admitted, and the counters it holds its places in.
#[derive(Clone, Debug)]
pub struct Held {
    /// What it asked for.
    pub claim: Arc<Claim>,
    /// One for each of the claim's charges.
    slots: Vec<Arc<Slot>>,
}

/// What an attempt asks besides its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What a refusal does to the counters that are locked.
    pub while_locked: WhileLocked,
    /// How many bytes are kept for it while it waits.
    pub bytes: usize,
}

/// What becomes of an attempt that asks to go on.
#[derive(Clone, Debug)]
#[must_use]
pub enum Admission {
    /// It holds its places.
    Admitted(Held),
    /// It does not go on.
    Refused(Refusal),
    /// It waits, under this number.
    Waits(u64),
}

/// Why an attempt does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many wait already, or it waited too long.
    Busy,
    /// An operator locked it out while it waited.
    ByHand(HandLock),
    /// These counters are locked, the longest until then.
    Locked {
        /// The end of the longest lockout.
        until: Moment,
        /// The counters that are locked, the one that lasts longest first.
        keys: Vec<Key>,
    },
    /// The shared counters are out of reach, and nobody goes on without them.
    NoStore,
    /// It brings more guesses than a counter has left.
    TooManyGuesses,
}

/// What an admitted attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It failed.
    Failure(Proof),
    /// It gives its places back, uncharged.
    GivenBack,
    /// It succeeded; `same_client` says whether that proves who the client is.
    Success {
        /// What is cleared.
        reset: ResetOnSuccess,
    },
}

/// What a settlement did to one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The counter.
    pub key: Key,
    /// Its limit.
    pub limit: LimitId,
    /// Failures that lock.
    pub of: u32,
    /// Failures that count now.
    pub failures: u32,
    /// Failures that a success cleared.
    pub cleared: u32,
    /// The end of the lockout that this failure began.
    pub locked_until: Option<Moment>,
}

/// What becomes of a claim as its counters stand.
enum Judged {
    /// This counter is full, or others were there before.
    Full(Key),
    Refused(Refusal),
    /// There is room; these are the counters that exist.
    Room(Vec<Option<Arc<Slot>>>),
}

impl Ledger {
    /// A ledger over `counters`.
    #[must_use]
    pub fn new(counters: Counters) -> Self {
        Self {
            register: Register::default(),
            hand: HandLocks::default(),
            counters,
            waiting: Waiting::default(),
            places: 0,
        }
    }

    /// Takes `claim`'s places, all or none, lets it wait for them, or refuses it.
    pub fn admit(&mut self, claim: &Arc<Claim>, terms: Terms, now: Moment) -> Admission {
        self.release_ended(now);
        match self.judge(claim, u64::MAX, now) {
            Judged::Room(found) => Admission::Admitted(self.take(claim, found)),
            Judged::Refused(refusal) => {
                Admission::Refused(self.refuse(claim, terms.while_locked, refusal, now))
            }
            Judged::Full(key) => self.enqueue(claim, terms, key),
        }
    }

    /// Whether `claim` would be refused at `now`; changes nothing.
    #[must_use]
    pub fn would_refuse(&mut self, claim: &Claim, now: Moment) -> Option<Refusal> {
        match self.judge(claim, u64::MAX, now) {
            Judged::Refused(refusal) => Some(refusal),
            Judged::Full(_) | Judged::Room(_) => None,
        }
    }

    /// Lockouts that are over leave room for others.
    pub(super) fn release_ended(&mut self, now: Moment) {
        let register = &self.register;
        self.counters.release_ended(now, |id| register.get(id).map(|entry| &*entry.limit));
    }

    /// Holds `claim` against its counters; waiters that came before `arrival` go first.
    fn judge(&mut self, claim: &Claim, arrival: u64, now: Moment) -> Judged {
        let mut found = Vec::with_capacity(claim.charges.len());
        let mut locked: Vec<Key> = Vec::new();
        let (mut longest, mut full, mut too_many) = (Moment(0), None, false);
        let on = self.waiting.on(arrival);
        for charge in &claim.charges {
            let slot = self.find(charge);
            let (room, first) = self.room(charge, slot.as_deref(), claim.guesses, now);
            match room {
                Room::Locked(until) if until > longest => {
                    longest = until;
                    locked.insert(0, charge.key);
                }
                Room::Locked(_) => locked.push(charge.key),
                Room::TooMany => too_many = true,
                Room::Free if first.is_none_or(|first| first >= arrival) => {}
                // whoever waits goes on to another queue only where this one no longer holds it up
                Room::Free | Room::Full if full.is_none() || on == Some(charge.key) => {
                    full = Some(charge.key);
                }
                Room::Free | Room::Full => {}
            }
            found.push(slot);
        }
        if !locked.is_empty() {
            Judged::Refused(Refusal::Locked { until: longest, keys: locked })
        } else if too_many {
            Judged::Refused(Refusal::TooManyGuesses)
        } else {
            full.map_or(Judged::Room(found), Judged::Full)
        }
    }

    fn find(&mut self, charge: &Charge) -> Option<Arc<Slot>> {
        self.counters.find(charge.key)
    }

    /// Whether one counter has room, and who is first in its queue.
    fn room(
        &self,
        charge: &Charge,
        slot: Option<&Slot>,
        guesses: u32,
        now: Moment,
    ) -> (Room, Option<u64>) {
        let Some(entry) = self.register.get(charge.limit) else { return (Room::Free, None) };
        match slot {
            None => (History::default().room(&entry.limit, 0, guesses), None),
            Some(slot) => {
                let state = slot.state();
                let history = state.history().aged(&entry.limit, now);
                (history.room(&entry.limit, state.places, guesses), state.first())
            }
        }
    }

    fn take(&mut self, claim: &Arc<Claim>, found: Vec<Option<Arc<Slot>>>) -> Held {
        self.places += u64::from(claim.guesses) * claim.charges.len() as u64;
        let counters = &mut self.counters;
        let holding = |(charge, slot): (&Charge, Option<Arc<Slot>>)| {
            let slot = slot.unwrap_or_else(|| counters.begin(charge, &claim.subject));
            let mut state = slot.state();
            state.places = state.places.saturating_add(claim.guesses);
            counters.note(&slot, &mut state, Change::Places);
            drop(state);
            slot
        };
        let slots = claim.charges.iter().zip(found).map(holding).collect();
        Held { claim: Arc::clone(claim), slots }
    }

    /// A refused attempt extends the counters that are locked, if so configured, and no others;
    /// returns the refusal as it is then.
    fn refuse(
        &mut self,
        claim: &Claim,
        rule: WhileLocked,
        refusal: Refusal,
        now: Moment,
    ) -> Refusal {
        let keys = match &refusal {
            Refusal::Locked { keys, .. } if rule == WhileLocked::Count => keys,
            Refusal::Busy
            | Refusal::ByHand(_)
            | Refusal::Locked { .. }
            | Refusal::NoStore
            | Refusal::TooManyGuesses => return refusal,
        };
        for charge in claim.charges.iter().filter(|charge| keys.contains(&charge.key)) {
            let (Some(slot), Some(limit)) = (self.find(charge), self.limit(charge.limit)) else {
                continue;
            };
            let mut state = slot.state();
            let mut history = state.history().aged(&limit, now);
            history.refuse(&limit, claim.guesses, now);
            state.remember(history);
            self.counters.note(&slot, &mut state, Change::History);
            drop(state);
            self.rest(&slot, now);
        }
        match self.judge(claim, u64::MAX, now) {
            Judged::Refused(extended) => extended,
            Judged::Full(_) | Judged::Room(_) => refusal,
        }
    }

    /// Lays a counter to rest that nobody uses any more.
    pub(super) fn rest(&mut self, slot: &Arc<Slot>, now: Moment) {
        let Some(entry) = self.register.get(slot.limit) else { return };
        let mut state = slot.state();
        if !state.is_idle() {
            return;
        }
        let history = state.history().aged(&entry.limit, now);
        state.remember(history);
        drop(state);
        self.counters.lay(slot, &entry.limit, now);
    }

    /// Counters that still counted at `now` and had to make room.
    #[must_use]
    pub fn take_evicted(&mut self, now: Moment) -> Vec<Evicted> {
        let mut evicted = self.counters.take_evicted();
        evicted.retain(|Evicted { slot, history }| {
            let limit = self.register.get(slot.limit);
            limit.is_some_and(|entry| !history.aged(&entry.limit, now).is_blank())
        });
        evicted
    }

    pub(super) fn limit(&self, id: LimitId) -> Option<Arc<Limit>> {
        self.register.get(id).map(|entry| Arc::clone(&entry.limit))
    }
}

#[cfg(test)]
mod tests;
