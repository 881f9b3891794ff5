//! What operators do to the counters: list, reset, lock by hand, reload.

use std::sync::Arc;

use crate::clock::Moment;
use crate::policy::key::Key;
use crate::policy::lockout::{History, Limit};
use crate::store::counters::Counter;
use crate::store::ledger::Ledger;
use crate::store::select::{Row, Selector, row};

/// How much of a counter a reset takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Failures, lockout and tally.
    Everything,
    /// The failures the upstream gave no verdict on, and a lockout that rests on them.
    WithoutVerdict,
}

/// What a reset took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Counters that held something.
    pub counters: usize,
    /// Locks by hand that were in force.
    pub hand_locks: usize,
}

impl Ledger {
    /// The counters that `selector` means and that hold something at `now`.
    #[must_use]
    pub fn list(&self, selector: &Selector, now: Moment) -> Vec<Row> {
        let mut rows = Vec::new();
        for (key, active) in &self.active {
            if let Some(mut row) = self.shown(*key, active.counter.clone(), selector, now) {
                row.places = active.places;
                row.waiting = active.queue.len();
                rows.push(row);
            }
        }
        for (key, counter, _) in self.counters.all() {
            if !self.active.contains_key(&key) {
                rows.extend(self.shown(key, counter, selector, now));
            }
        }
        rows
    }

    fn shown(
        &self,
        key: Key,
        mut counter: Counter,
        selector: &Selector,
        now: Moment,
    ) -> Option<Row> {
        let registered = self.register.get(counter.limit)?;
        counter.history = counter.history.aged(&registered.limit, now);
        let shown = !counter.history.is_blank() && selector.fits(key, &counter, registered);
        shown.then(|| row(key, &counter, registered))
    }

    /// Takes away what `selector` means; places stay, and whoever waits for one may get it.
    pub fn reset(&mut self, selector: &Selector, what: Reset, now: Moment) -> Removed {
        let mut removed = Removed::default();
        if what == Reset::Everything {
            removed.hand_locks = self.hand.remove(selector, now);
        }
        let keys: Vec<Key> = self.active.keys().copied().collect();
        for key in keys {
            let Some(active) = self.active.get(&key) else { continue };
            let wiped = self.wiped(key, &active.counter, selector, (what, now));
            let Some((counter, _)) = wiped else { continue };
            removed.counters += 1;
            if let Some(active) = self.active.get_mut(&key) {
                active.counter = counter;
            }
            self.serve(key, now);
        }
        for (key, counter, home) in self.counters.all() {
            if self.active.contains_key(&key) {
                continue;
            }
            if let Some((counter, limit)) = self.wiped(key, &counter, selector, (what, now)) {
                removed.counters += 1;
                self.counters.lay(key, counter, &home, &limit);
            }
        }
        removed
    }

    /// What a reset leaves of a counter that it means; `None` where it changes nothing.
    fn wiped(
        &self,
        key: Key,
        counter: &Counter,
        selector: &Selector,
        (what, now): (Reset, Moment),
    ) -> Option<(Counter, Arc<Limit>)> {
        let registered = self.register.get(counter.limit)?;
        let mut counter = counter.clone();
        counter.history = counter.history.aged(&registered.limit, now);
        if counter.history.is_blank() || !selector.fits(key, &counter, registered) {
            return None;
        }
        match what {
            Reset::Everything => counter.history = History::default(),
            Reset::WithoutVerdict if counter.history.pardon(&registered.limit) == 0 => return None,
            Reset::WithoutVerdict => {}
        }
        Some((counter, Arc::clone(&registered.limit)))
    }

    /// Holds every counter against the limits as they are registered now, after a reload.
    pub fn reload(&mut self, now: Moment) {
        for (key, mut counter, home) in self.counters.all() {
            let Some(limit) = self.limit(counter.limit) else { continue };
            counter.history = counter.history.aged(&limit, now);
            if !self.active.contains_key(&key) {
                self.counters.lay(key, counter, &home, &limit);
            }
        }
        let keys: Vec<Key> = self.active.keys().copied().collect();
        for key in keys {
            self.serve(key, now);
        }
        self.waiting.wake_all();
    }

    /// How much there is of everything at `now`.
    #[must_use]
    pub fn sizes(&mut self, now: Moment) -> Sizes {
        self.release_ended(now);
        let (locked, counters) = self.counters.sizes();
        let in_force = |active: &&super::ledger::Active| active.counter.history.is_locked();
        Sizes {
            locked: locked + self.active.values().filter(in_force).count(),
            counters,
            active: self.active.len(),
            places: self.active.values().map(|active| u64::from(active.places)).sum(),
            waiting: self.waiting.count(),
        }
    }
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Lockouts in force.
    pub locked: usize,
    /// Counters at rest that are not locked.
    pub counters: u64,
    /// Counters in which somebody holds a place or waits.
    pub active: usize,
    /// Places held, of all counters.
    pub places: u64,
    /// Attempts that wait.
    pub waiting: usize,
}
