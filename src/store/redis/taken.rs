//! The places that all guards held in shared counters when these were looked at last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::policy::key::Key;
use crate::store::Store;
use crate::store::memory::lock;
use crate::store::scan::Found;
use crate::store::select::Row;
use crate::store::slot::Slot;

/// How many places each counter has given away, of those that have given any.
pub(super) type Taken = HashMap<Key, (Arc<Slot>, u32)>;

/// As it was found last; nothing while the server cannot be asked.
#[derive(Debug, Default)]
pub struct Places(Mutex<Option<Taken>>);

impl Places {
    /// So it is now.
    pub(super) fn found(&self, taken: Taken) {
        *lock(&self.0) = Some(taken);
    }

    /// Nobody knows what others hold.
    pub(super) fn unknown(&self) {
        *lock(&self.0) = None;
    }
}

impl Store {
    /// Shows `see` every counter in which other guards held places when all was
    /// [looked at](Self::refresh), and of which nothing else is known here: no
    /// [scan](Self::scan) meets it.
    pub fn scan_held_elsewhere(&self, mut see: impl FnMut(&Found<'_>)) {
        let Some(shared) = self.shared() else { return };
        let (ledger, now) = (lock(&self.ledger), self.clock.now());
        let places = lock(&shared.places.0);
        for (slot, _) in places.iter().flat_map(HashMap::values) {
            let known = ledger.counters.look(slot.key);
            if known.is_none_or(|known| ledger.found(&known, now).is_none())
                && let Some(found) = ledger.met(slot, now)
            {
                see(&found);
            }
        }
    }

    /// What a list shows of these counters, of those that still hold something, be it the places of
    /// other guards alone.
    #[must_use]
    pub fn rows(&self, slots: &[Arc<Slot>]) -> Vec<Row> {
        let (ledger, now) = (lock(&self.ledger), self.clock.now());
        let current = |slot: &Arc<Slot>| ledger.counters.look(slot.key);
        let Some(shared) = self.shared() else {
            let row = |slot: &Arc<Slot>| Some(ledger.found(&current(slot)?, now)?.row());
            return slots.iter().filter_map(row).collect();
        };
        let places = lock(&shared.places.0);
        let held = |key| places.as_ref().and_then(|taken| taken.get(&key)).map_or(0, |(_, n)| *n);
        let rows = slots.iter().filter_map(|slot| {
            let (held, current) = (held(slot.key), current(slot));
            let found = match current.as_ref().and_then(|slot| ledger.found(slot, now)) {
                None if held > 0 => ledger.met(current.as_ref().unwrap_or(slot), now),
                found => found,
            };
            let mut row = found?.row();
            row.places_here = Some(row.places);
            // an attempt may have come here since
            row.places = row.places.max(held);
            row.waiting += shared.with_lines(|lines| lines.on(slot.key));
            Some(row)
        });
        rows.collect()
    }
}
