//! Going through all counters part by part: attempts go on between any two parts.
//! Of a million counters, a part holds them up for less than a millisecond, even where the program is
//! not optimised.
//!
//! A counter stays in its part, so whoever goes through all parts meets each counter once that is
//! there the whole time. Nothing else is found faster that way than by looking at all of them;
//! that is what an index would cost memory for.

use std::ops::Range;
use std::sync::Arc;

use crate::clock::Moment;
use crate::policy::key::Key;
use crate::policy::lockout::History;
use crate::store::Store;
use crate::store::hand::{HandLock, HandLocks};
use crate::store::index::PARTS;
use crate::store::ledger::Ledger;
use crate::store::memory::lock;
use crate::store::operate::{Removed, Reset};
use crate::store::register::Registered;
use crate::store::select::{Row, Selector, row};
use crate::store::slot::Slot;

/// A counter that holds something, be it places alone, as it is met on the way.
#[derive(Debug)]
pub struct Found<'a> {
    /// The counter.
    pub slot: &'a Arc<Slot>,
    /// What it remembers, [aged](History::aged).
    pub history: History,
    /// Its limit.
    pub registered: &'a Registered,
    hand: &'a HandLocks,
    now: Moment,
}

impl Found<'_> {
    /// The lock by hand that refuses whatever it counts.
    #[must_use]
    pub fn by_hand(&self) -> Option<&HandLock> {
        if self.hand.count() == 0 {
            return None;
        }
        self.hand.over(self.slot, &self.registered.limit.by, self.now)
    }

    /// What a list shows of it as far as this guard knows.
    #[must_use]
    pub fn row(&self) -> Row {
        let state = self.slot.state();
        let (places, waiting) = (state.places, state.queued());
        drop(state);
        let by_hand = self.by_hand().cloned();
        Row { places, waiting, by_hand, ..row(self.slot, &self.history, self.registered) }
    }
}

impl Ledger {
    /// Shows `see` every counter of one part that holds something at `now`.
    pub fn scan(&self, part: usize, now: Moment, mut see: impl FnMut(&Found<'_>)) {
        for slot in self.counters.part(part) {
            if let Some(found) = self.found(&slot, now) {
                see(&found);
            }
        }
    }

    /// A counter that holds something.
    pub(super) fn found<'a>(&'a self, slot: &'a Arc<Slot>, now: Moment) -> Option<Found<'a>> {
        let is_idle = slot.state().is_idle();
        self.met(slot, now).filter(|found| !is_idle || !found.history.is_blank())
    }

    /// A counter, whether or not it holds anything, if its limit is configured.
    pub(super) fn met<'a>(&'a self, slot: &'a Arc<Slot>, now: Moment) -> Option<Found<'a>> {
        let registered = self.register.get(slot.limit)?;
        let history = slot.state().history().aged(&registered.limit, now);
        Some(Found { slot, history, registered, hand: &self.hand, now })
    }

    /// Takes away what a reset takes of the counters of one part about which `is_meant`; how many
    /// held any. Places stay, and whoever waits for one may get it.
    pub fn reset_part(
        &mut self,
        part: usize,
        is_meant: impl Fn(&Slot, &Registered) -> bool,
        (what, now): (Reset, Moment),
    ) -> usize {
        let is_it = |slot: &Arc<Slot>| {
            let registered = self.register.get(slot.limit)?;
            let history = slot.state().history().aged(&registered.limit, now);
            (!history.is_blank() && is_meant(slot, registered)).then_some(slot.key)
        };
        let meant: Vec<Key> = self.counters.part(part).filter_map(|slot| is_it(&slot)).collect();
        let mut removed = 0;
        for key in meant {
            let Some(slot) = self.counters.find(key) else { continue };
            if self.wipe(&slot, (what, now)) {
                removed += 1;
                self.serve(&slot, now);
            }
        }
        removed
    }
}

impl Store {
    /// The parts that all counters are in.
    #[must_use]
    pub const fn parts() -> Range<usize> {
        0..PARTS
    }

    /// Shows `see` every counter of one part that holds something. Attempts wait meanwhile.
    pub fn scan(&self, part: usize, see: impl FnMut(&Found<'_>)) {
        lock(&self.ledger).scan(part, self.clock.now(), see);
    }

    /// The counters of these keys, as far as they are there, as they are now.
    #[must_use]
    pub fn slots(&self, keys: &[Key]) -> Vec<Arc<Slot>> {
        let ledger = lock(&self.ledger);
        keys.iter().filter_map(|key| ledger.counters.look(*key)).collect()
    }

    /// Takes away what a reset takes of the counters of one part about which `is_meant`; how many
    /// held any.
    pub fn reset_part(
        &self,
        part: usize,
        is_meant: impl Fn(&Slot, &Registered) -> bool,
        what: Reset,
    ) -> usize {
        lock(&self.ledger).reset_part(part, is_meant, (what, self.clock.now()))
    }

    /// The locks by hand that are in force.
    #[must_use]
    pub fn hand_locks(&self) -> Vec<(Selector, HandLock)> {
        let ledger = lock(&self.ledger);
        let locks = ledger.hand.iter(self.clock.now());
        locks.map(|(what, hand)| (what.clone(), hand.clone())).collect()
    }

    /// Takes away the locks by hand that `selector` means; how many were in force.
    pub fn remove_hand_locks(&self, selector: &Selector) -> usize {
        let mut ledger = lock(&self.ledger);
        let removed = ledger.hand.remove(selector, self.clock.now());
        ledger.note_hands();
        self.hand_locks.store(ledger.hand.count(), std::sync::atomic::Ordering::Release);
        removed
    }

    /// Takes away what `selector` means; places stay. Attempts go on between any two parts.
    #[must_use]
    pub fn reset(&self, selector: &Selector, what: Reset) -> Removed {
        let mut removed = Removed::default();
        if what == Reset::Everything {
            removed.hand_locks = self.remove_hand_locks(selector);
        }
        for part in Self::parts() {
            removed.counters += self.reset_part(part, |slot, of| selector.fits(slot, of), what);
        }
        removed
    }
}
