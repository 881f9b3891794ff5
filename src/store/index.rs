//! Finds a counter with one look, and goes through all of them a part at a time.

use std::collections::HashMap;
use std::sync::Arc;

use crate::policy::key::Key;
use crate::store::memory::BuildHashedAlready;
use crate::store::slot::Slot;

/// Into how many parts counters are divided: a thousand are in one where there are a million, so
/// that whoever goes through them never holds up others for long, and no part takes long to grow.
pub const PARTS: usize = 1024;

type Part = HashMap<Key, Arc<Slot>, BuildHashedAlready>;

/// Counters by their keys.
#[derive(Debug)]
pub struct Index {
    parts: Vec<Part>,
    count: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| Part::default()).collect(), count: 0 }
    }
}

impl Index {
    /// The counter of `key`.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&Arc<Slot>> {
        self.parts.get(part_of(key))?.get(&key)
    }

    /// Adds a counter, or puts it in the stead of the one with its key.
    pub fn insert(&mut self, slot: Arc<Slot>) {
        let Some(part) = self.parts.get_mut(part_of(slot.key)) else { return };
        self.count += usize::from(part.insert(slot.key, slot).is_none());
    }

    /// Takes the counter of `key` out.
    pub fn remove(&mut self, key: Key) {
        let removed = self.parts.get_mut(part_of(key)).and_then(|part| part.remove(&key));
        self.count -= usize::from(removed.is_some());
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Those of one part, in no order; a counter is always in the same.
    pub fn part(&self, at: usize) -> impl Iterator<Item = &Arc<Slot>> {
        self.parts.get(at).into_iter().flat_map(HashMap::values)
    }

    /// All of them, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.parts.iter().flat_map(HashMap::values)
    }
}

/// The part that a key is in, for good. Keys are hashes: their first bits are as good as any; these
/// are among those that a reference has.
#[must_use]
pub const fn part_of(key: Key) -> usize {
    (key.0 >> 96) as usize % PARTS
}
