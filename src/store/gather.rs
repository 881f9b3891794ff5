//! What has changed since it was last told to whoever keeps it: marks on counters, in batches.
//!
//! Every change belongs to the batch that gathers when it happens. Once that batch is kept, so is
//! the change.

use crate::policy::key::Key;
use crate::store::counters::Counters;
use crate::store::slot::{Slot, State};

/// Beyond so many changed counters that nobody has asked for, all of them have to be told anew.
const MOST: usize = 131_072;

/// What has changed since somebody asked.
#[derive(Debug)]
pub struct Gather {
    /// The number of the batch that gathers, from 1.
    number: u64,
    counters: Vec<Key>,
    extent: Extent,
    /// The batch with the latest change of locks by hand.
    hands: u64,
    /// The batch that keeps what another process hands over; 0 where it is kept already.
    taken: u64,
}

/// How much has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What has changed.
    Changes,
    /// Everything: more has changed than was remembered.
    Everything,
}

/// What changed about a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// What it remembers, which refusals rest on.
    History,
    /// Who holds places in it, or whether it is there at all.
    Places,
}

/// A batch.
#[derive(Debug)]
pub struct Batch {
    /// Its number.
    pub number: u64,
    /// The counters that have changed, in the order in which they first did.
    pub counters: Vec<Key>,
    /// Whether that is all.
    pub extent: Extent,
}

/// Whether somebody keeps already what another process will hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inheritance {
    /// The same file has it.
    Kept,
    /// Nobody does, or there is none.
    Unkept,
}

impl Gather {
    /// Nothing has changed yet.
    #[must_use]
    pub const fn new(inheritance: Inheritance) -> Self {
        let taken = match inheritance {
            Inheritance::Kept => 0,
            Inheritance::Unkept => 1,
        };
        Self { number: 1, counters: Vec::new(), extent: Extent::Changes, hands: 0, taken }
    }

    fn note(&mut self, slot: &Slot, state: &mut State, change: Change) {
        if change == Change::History {
            state.changed = self.number;
        }
        if std::mem::replace(&mut state.is_noted, true) {
            return;
        }
        if self.counters.len() >= MOST {
            self.counters = Vec::new();
            self.extent = Extent::Everything;
        }
        self.counters.push(slot.key);
    }

    /// The batch that gathers.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The batch with the latest change of locks by hand.
    #[must_use]
    pub const fn hands(&self) -> u64 {
        self.hands
    }

    /// A lock by hand has come, changed or gone.
    pub const fn note_hands(&mut self) {
        self.hands = self.number;
    }

    /// More has changed than is remembered.
    pub const fn need_everything(&mut self) {
        self.extent = Extent::Everything;
    }

    /// What has gathered; the next batch begins.
    pub fn take(&mut self) -> Batch {
        let number = self.number;
        self.number += 1;
        let extent = std::mem::replace(&mut self.extent, Extent::Changes);
        Batch { number, counters: std::mem::take(&mut self.counters), extent }
    }
}

impl Counters {
    /// A counter has changed, of which somebody may have to be told.
    pub fn note(&mut self, slot: &Slot, state: &mut State, change: Change) {
        if let Some(gather) = &mut self.gather {
            gather.note(slot, state, change);
        }
    }

    /// A counter has come from another process.
    pub fn note_taken(&mut self, slot: &Slot, state: &mut State) {
        if let Some(gather) = &mut self.gather {
            gather.note(slot, state, Change::Places);
            state.changed = gather.taken;
        }
    }
}
