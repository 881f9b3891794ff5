//! Counters as somebody else keeps them: what they tell is adopted, and places are taken and given
//! back beside theirs.

use std::sync::Arc;

use super::{Held, Ledger, Refusal, Settlement};
use crate::clock::Moment;
use crate::policy::key::{Charge, Claim, Key, Subject};
use crate::policy::lockout::{History, Limit, Room};
use crate::store::gather::Change;
use crate::store::register::Registered;
use crate::store::slot::Slot;

impl Ledger {
    /// The limits of an attempt's counters, one for each of its charges.
    #[must_use]
    pub fn limits(&self, claim: &Claim) -> Option<Vec<Registered>> {
        claim.charges.iter().map(|charge| self.register.get(charge.limit).cloned()).collect()
    }

    /// An attempt's counters are these now, one for each of its charges.
    pub fn adopt(&mut self, claim: &Claim, told: &[History], now: Moment) {
        self.release_ended(now);
        for (charge, history) in claim.charges.iter().zip(told) {
            let slot = match self.find(charge) {
                Some(slot) => slot,
                None if history.is_blank() => continue,
                None => self.counters.begin(charge, &claim.subject),
            };
            self.set(&slot, *history);
            self.rest(&slot, now);
        }
    }

    /// These counters, as far as they are here, remember this now.
    pub fn adopt_slots<'a>(
        &mut self,
        told: impl Iterator<Item = (&'a Arc<Slot>, History)>,
        now: Moment,
    ) {
        for (slot, history) in told {
            if let Some(slot) = self.counters.find(slot.key) {
                self.set(&slot, history);
                self.rest(&slot, now);
            }
        }
    }

    /// A counter, which need not be known here, remembers this now.
    pub fn adopt_told(
        &mut self,
        charge: &Charge,
        subject: &Arc<Subject>,
        history: History,
        now: Moment,
    ) {
        self.release_ended(now);
        let slot = match self.find(charge) {
            Some(slot) => slot,
            None if history.is_blank() => return,
            None => self.counters.begin(charge, subject),
        };
        self.set(&slot, history);
        self.rest(&slot, now);
    }

    /// A counter is not there any more, unless something has happened to it since it remembered
    /// what was `seen`.
    pub fn forget_told(&mut self, key: Key, seen: &History, now: Moment) {
        let Some(slot) = self.counters.find(key) else { return };
        let is_unchanged = slot.state().history() == *seen;
        if is_unchanged {
            self.set(&slot, History::default());
            self.rest(&slot, now);
        }
    }

    /// The same as [`Self::adopt`], and the attempt has been given its places in all of them.
    pub fn adopt_held(&mut self, claim: &Arc<Claim>, told: &[History], now: Moment) -> Held {
        self.release_ended(now);
        let found = claim.charges.iter().map(|charge| self.find(charge)).collect();
        let held = self.take(claim, found);
        for (slot, history) in held.slots.iter().zip(told) {
            self.set(slot, *history);
        }
        held
    }

    /// The same, and the attempt has ended.
    pub fn adopt_settled(&mut self, held: &Held, told: &[History], now: Moment) {
        for (slot, history) in held.slots.iter().zip(told) {
            self.set(slot, *history);
        }
        // whoever waits here waits for the places that are counted here
        self.settle(held, Settlement::GivenBack, now);
    }

    fn set(&mut self, slot: &Slot, history: History) {
        let mut state = slot.state();
        if state.history() != history {
            state.remember(history);
            self.counters.note(slot, &mut state, Change::History);
        }
    }

    /// What the counters of an attempt remember.
    #[must_use]
    pub fn seen(&self, claim: &Claim) -> Vec<History> {
        let seen = |charge: &Charge| {
            self.counters
                .look(charge.key)
                .map_or_else(History::default, |slot| slot.state().history())
        };
        claim.charges.iter().map(seen).collect()
    }

    /// The counters of an attempt, as far as they are there, and their limits.
    #[must_use]
    pub fn slots(&self, claim: &Claim) -> Vec<Option<(Arc<Slot>, Arc<Limit>)>> {
        let found = |charge: &Charge| self.counters.look(charge.key).zip(self.limit(charge.limit));
        claim.charges.iter().map(found).collect()
    }
}

/// What is told of one counter of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The counter.
    pub key: Key,
    /// Its limit.
    pub limit: &'a Limit,
    /// Its history, aged.
    pub history: &'a History,
    /// The places that are held in it.
    pub places: u32,
}

/// The first counter that has no place for an attempt of `guesses` now, as its counters stand.
///
/// # Errors
///
/// Why it does not go on, whatever comes free.
pub fn judge<'a>(
    counters: impl Iterator<Item = Standing<'a>>,
    guesses: u32,
) -> Result<Option<Key>, Refusal> {
    let (mut until, mut keys) = (Moment(0), Vec::new());
    let (mut full, mut is_too_many) = (None, false);
    for counter in counters {
        match counter.history.room(counter.limit, counter.places, guesses) {
            Room::Locked(end) if end > until => {
                until = end;
                keys.insert(0, counter.key);
            }
            Room::Locked(_) => keys.push(counter.key),
            Room::TooMany => is_too_many = true,
            Room::Full => full = full.or(Some(counter.key)),
            Room::Free => {}
        }
    }
    if !keys.is_empty() {
        Err(Refusal::Locked { until, keys })
    } else if is_too_many {
        Err(Refusal::TooManyGuesses)
    } else {
        Ok(full)
    }
}
