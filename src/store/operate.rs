//! What operators do to the counters: list, reset, lock by hand, reload.

use std::sync::Arc;

use crate::clock::Moment;
use crate::policy::key::Key;
use crate::policy::lockout::History;
use crate::store::gather::Change;
use crate::store::hand::MOST as MOST_HANDS;
use crate::store::index::{Entry, PARTS};
use crate::store::ledger::Ledger;
use crate::store::select::{Row, Selector, row};
use crate::store::slot::Slot;

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
        let shown = |slot: Arc<Slot>| {
            let registered = self.register.get(slot.limit)?;
            let state = slot.state();
            let history = state.history().aged(&registered.limit, now);
            if history.is_blank() || !selector.fits(&slot, registered) {
                return None;
            }
            let (places, waiting) = (state.places, state.queued());
            Some(Row { places, waiting, ..row(&slot, &history, registered) })
        };
        self.counters.all().filter_map(shown).collect()
    }

    /// Takes away what a reset takes of a counter; whether it held any.
    pub(super) fn wipe(&mut self, slot: &Slot, (what, now): (Reset, Moment)) -> bool {
        let Some(registered) = self.register.get(slot.limit) else { return false };
        let mut state = slot.state();
        let mut history = state.history().aged(&registered.limit, now);
        if history.is_blank() {
            return false;
        }
        match what {
            Reset::Everything => history = History::default(),
            Reset::WithoutVerdict if history.pardon(&registered.limit) == 0 => return false,
            Reset::WithoutVerdict => {}
        }
        state.remember(history);
        self.counters.note(slot, &mut state, Change::History);
        true
    }

    /// Holds every counter against the limits as they are registered now, after a reload.
    pub fn reload(&mut self, now: Moment) {
        (0..PARTS).for_each(|part| self.reload_part(part, now));
        self.refuse_hopeless(&self.waiting.all(), now);
        self.waiting.wake_all();
    }

    /// Packed counters that stay as they are stay packed: nearly all do.
    fn reload_part(&mut self, part: usize, now: Moment) {
        let limit = |id| self.register.get(id).map(|entry| &*entry.limit);
        let changes = |entry: &&Entry| !entry.is_as_it_was(limit, now);
        let changing: Vec<Key> = self.counters.kept(part).filter(changes).map(Entry::key).collect();
        for key in changing {
            let Some(slot) = self.counters.find(key) else { continue };
            self.age(&slot, now);
            self.serve(&slot, now);
        }
    }

    /// A counter remembers what still counts; also one that is in use, before time passes on.
    fn age(&mut self, slot: &Slot, now: Moment) {
        let Some(limit) = self.limit(slot.limit) else { return };
        let mut state = slot.state();
        let aged = state.history().aged(&limit, now);
        if aged != state.history() {
            state.remember(aged);
            self.counters.note(slot, &mut state, Change::History);
        }
    }

    /// Locks by hand have changed, of which somebody may have to be told.
    pub(super) fn note_hands(&mut self) {
        let Some(gather) = &mut self.counters.gather else { return };
        gather.note_hands();
        if let Some(changed) = self.hand.changed.as_mut().filter(|c| c.len() > 2 * MOST_HANDS) {
            *changed = Vec::new();
            gather.need_everything();
        }
    }

    /// How much there is of everything at `now`.
    #[must_use]
    pub fn sizes(&mut self, now: Moment) -> Sizes {
        self.release_ended(now);
        let (locked, counters) = self.counters.sizes();
        let waiting = self.waiting.count();
        Sizes { locked, counters, places: self.places, waiting }
    }
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Lockouts in force.
    pub locked: usize,
    /// Counters that are not locked.
    pub counters: usize,
    /// Places held, of all counters.
    pub places: u64,
    /// Attempts that wait.
    pub waiting: usize,
}
