//! Finds a counter with one look, and goes through all of them a part at a time.

use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::policy::key::Key;
use crate::store::slot::Slot;

/// Into how many parts counters are divided: a thousand are in one where there are a million, so
/// that whoever goes through them never holds up others for long, and no part takes long to grow.
pub const PARTS: usize = 1024;

/// A counter knows its key: beside it in the table, each would be there twice.
type Part = HashTable<Arc<Slot>>;

/// The first bits of a key, which tell nearly all counters apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(pub(super) u32);

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
        self.parts.get(part_of(key))?.find(Name::of(key).hash(), |slot| slot.key == key)
    }

    /// The counter of that name which `is_it`.
    pub fn named(&self, name: Name, is_it: impl Fn(&Slot) -> bool) -> Option<&Arc<Slot>> {
        let is_it = |slot: &Arc<Slot>| Name::of(slot.key) == name && is_it(slot);
        self.parts.get(name.part())?.find(name.hash(), is_it)
    }

    /// Adds a counter, or puts it in the stead of the one with its key.
    pub fn insert(&mut self, slot: Arc<Slot>) {
        let key = slot.key;
        let Some(part) = self.parts.get_mut(part_of(key)) else { return };
        let hash = |key| Name::of(key).hash();
        match part.entry(hash(key), |other| other.key == key, |other| hash(other.key)) {
            Entry::Occupied(mut before) => *before.get_mut() = slot,
            Entry::Vacant(room) => {
                room.insert(slot);
                self.count += 1;
            }
        }
    }

    /// Takes the counter of `key` out.
    pub fn remove(&mut self, key: Key) {
        let Some(part) = self.parts.get_mut(part_of(key)) else { return };
        if let Ok(found) = part.find_entry(Name::of(key).hash(), |slot| slot.key == key) {
            drop(found.remove());
            self.count -= 1;
        }
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
        self.parts.get(at).into_iter().flat_map(HashTable::iter)
    }

    /// All of them, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.parts.iter().flat_map(HashTable::iter)
    }
}

impl Name {
    /// That of the counter of `key`.
    #[must_use]
    pub const fn of(key: Key) -> Self {
        Self((key.0 >> 96) as u32)
    }

    const fn part(self) -> usize {
        self.0 as usize % PARTS
    }

    /// Keys are keyed hashes already: hashing them once more would only cost. Within a part these
    /// bits are as good as any; a table looks at the last of a hash, and at its first.
    const fn hash(self) -> u64 {
        let bits = self.0 as u64 / PARTS as u64;
        bits | bits << (64 - (u32::BITS - PARTS.ilog2()))
    }
}

/// The part that a key is in, for good: by bits which are among those that a reference has.
#[must_use]
pub const fn part_of(key: Key) -> usize {
    Name::of(key).part()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::client::{ClientAddr, ClientRules, Prefixes, TrustedProxies};
    use crate::policy::key::{Charge, LimitId, subject};

    #[test]
    fn a_key_finds_its_latest_counter_among_those_with_the_same_hash() {
        let client = ClientAddr::new([192, 0, 2, 1].into());
        let rules = ClientRules {
            trusted: TrustedProxies::default(),
            header: http::HeaderName::from_static("x-forwarded-for"),
            address: Prefixes { v4: 32, v6: 64 },
            network: Prefixes { v4: 24, v6: 48 },
        };
        let whose = Arc::new(subject(&"s".into(), client, &rules));
        let slot = |key| Slot::new(&Charge { key, limit: LimitId(0), candidate: None }, &whose);
        // these have one name
        let keys: Vec<Key> = (0..50_u128).map(|n| Key(n << 64 | n)).collect();
        assert!(keys.iter().all(|key| Name::of(*key) == Name(0)));
        let mut index = Index::default();
        for key in &keys {
            index.insert(slot(*key));
        }
        let again = slot(Key(7 << 64 | 7));
        index.insert(Arc::clone(&again));
        assert_eq!((index.len(), index.part(0).count(), index.all().count()), (50, 50, 50));
        assert!(index.get(again.key).is_some_and(|found| Arc::ptr_eq(found, &again)));
        for key in &keys {
            let named = index.named(Name(0), |slot| slot.key == *key);
            assert_eq!(named.map(|slot| slot.key), Some(*key));
            assert_eq!(index.get(*key).map(|slot| slot.key), Some(*key));
            index.remove(*key);
            index.remove(*key);
            assert!(index.get(*key).is_none());
        }
        assert!(index.is_empty() && index.all().next().is_none());
    }

    #[test]
    fn a_counter_takes_no_more_than_a_pointer_in_the_index() {
        assert_eq!(size_of::<<Part as IntoIterator>::Item>(), size_of::<usize>());
    }
}
