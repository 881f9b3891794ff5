//! Finds a counter with one look, and goes through all of them a part at a time.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::clock::Moment;
use crate::policy::key::{Key, LimitId};
use crate::policy::lockout::Limit;
use crate::store::order::Place;
use crate::store::packed::{Packed, Sites};
use crate::store::slot::{Rest, Slot, Tier};

/// Into how many parts counters are divided: a thousand are in one where there are a million, so
/// that whoever goes through them never holds up others for long, and no part takes long to grow.
pub const PARTS: usize = 1024;

/// A counter where it is kept, for good: there is no other.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Somebody uses it, or may soon.
    AtHand(Arc<Slot>),
    /// Nobody does.
    Packed(Packed),
}

/// A counter knows its key: beside it in the table, each would be there twice.
type Part = HashTable<Entry>;

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
    pub fn get(&self, key: Key) -> Option<&Entry> {
        let name = Name::of(key);
        self.parts.get(name.part())?.find(name.hash(), |entry| entry.key() == key)
    }

    /// The same, to be packed or unpacked.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Entry> {
        let name = Name::of(key);
        self.parts.get_mut(name.part())?.find_mut(name.hash(), |entry| entry.key() == key)
    }

    /// The key of the counter of that name which rests at that place of that table.
    #[must_use]
    pub fn at(&self, name: Name, (tier, place): (Tier, Place)) -> Option<Key> {
        let is_it = |entry: &Entry| Name::of(entry.key()) == name && entry.lies_at(tier, place);
        self.parts.get(name.part())?.find(name.hash(), is_it).map(Entry::key)
    }

    /// Adds a counter, or puts it in the stead of the one with its key.
    pub fn insert(&mut self, slot: Arc<Slot>) {
        use hashbrown::hash_table::Entry::{Occupied, Vacant};
        let (key, name) = (slot.key, Name::of(slot.key));
        let Some(part) = self.parts.get_mut(name.part()) else { return };
        let is_it = |entry: &Entry| entry.key() == key;
        match part.entry(name.hash(), is_it, |other| Name::of(other.key()).hash()) {
            Occupied(mut before) => *before.get_mut() = Entry::AtHand(slot),
            Vacant(room) => {
                room.insert(Entry::AtHand(slot));
                self.count += 1;
            }
        }
    }

    /// Takes the counter of `key` out.
    pub fn remove(&mut self, key: Key) -> Option<Entry> {
        let name = Name::of(key);
        let part = self.parts.get_mut(name.part())?;
        let found = part.find_entry(name.hash(), |entry| entry.key() == key).ok()?;
        self.count -= 1;
        Some(found.remove().0)
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
    pub fn part(&self, at: usize) -> impl Iterator<Item = &Entry> {
        self.parts.get(at).into_iter().flat_map(HashTable::iter)
    }

    /// The same, to be told.
    pub fn part_mut(&mut self, at: usize) -> impl Iterator<Item = &mut Entry> {
        self.parts.get_mut(at).into_iter().flat_map(HashTable::iter_mut)
    }
}

impl Entry {
    /// The counter's key.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::AtHand(slot) => slot.key,
            Self::Packed(packed) => packed.key(),
        }
    }

    fn lies_at(&self, tier: Tier, place: Place) -> bool {
        match self {
            Self::AtHand(slot) => {
                let state = slot.state();
                state.rest() == Rest::Table(tier) && state.place() == place
            }
            Self::Packed(packed) => packed.lies_at(tier, place),
        }
    }

    /// Whether it is the one that came to hand then.
    #[must_use]
    pub fn is_of(&self, turn: u64) -> bool {
        matches!(self, Self::AtHand(slot) if slot.turn == turn)
    }

    /// Packs it, unless somebody uses it or has looked for it since this was last tried; whether it
    /// is packed.
    pub fn pack(&mut self, sites: &mut Sites, work: &mut Vec<u8>) -> bool {
        let Self::AtHand(slot) = self else { return true };
        // whoever else has it may be about to use it
        let Some(slot) = Arc::get_mut(slot) else { return false };
        if slot.take_sought() || !slot.state_mut().is_idle() {
            return false;
        }
        *self = Self::Packed(Packed::of(slot, sites, work));
        true
    }

    /// Whether nobody uses it, and holding it against its limit as that is at `now` changes nothing.
    #[must_use]
    pub fn is_as_it_was<'a>(
        &self,
        limit: impl Fn(LimitId) -> Option<&'a Limit>,
        now: Moment,
    ) -> bool {
        let (id, history, rest) = match self {
            Self::AtHand(slot) => {
                let state = slot.state();
                if !state.is_idle() {
                    return false;
                }
                (slot.limit, state.history(), state.rest())
            }
            Self::Packed(packed) => match packed.standing() {
                Some(standing) => standing,
                None => return true,
            },
        };
        limit(id).is_none_or(|limit| {
            let aged = history.aged(limit, now);
            aged == history && Rest::of(&aged, limit) == rest
        })
    }

    /// Whoever keeps it is told of it.
    pub fn is_told(&mut self) {
        match self {
            Self::AtHand(slot) => slot.state().is_noted = false,
            Self::Packed(packed) => packed.is_told(),
        }
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
    use crate::policy::key::{Charge, LimitId, Subject};

    #[test]
    fn a_key_finds_its_latest_counter_among_those_with_the_same_hash() {
        let net = "192.0.2.1/32".parse().expect("a network");
        let whose = Subject::new("s".into(), net, net);
        let charge = |key| Charge { key, limit: LimitId(0), candidate: None };
        let slot = |key| Arc::new(Slot::new(&charge(key), &whose, &mut Vec::new()));
        // these have one name
        let keys: Vec<Key> = (0..50_u128).map(|n| Key(n << 64 | n)).collect();
        assert!(keys.iter().all(|key| Name::of(*key) == Name(0)));
        let mut index = Index::default();
        for (place, key) in (0..).map(Place).zip(&keys) {
            let slot = slot(*key);
            slot.state().lie(Rest::Table(Tier::Once), place);
            index.insert(slot);
        }
        for (place, key) in (0..).map(Place).zip(&keys) {
            assert_eq!(index.at(Name(0), (Tier::Once, place)), Some(*key));
            assert_eq!(index.at(Name(0), (Tier::Last, place)), None);
        }
        let again = slot(Key(7 << 64 | 7));
        index.insert(Arc::clone(&again));
        assert_eq!((index.len(), index.part(0).count(), index.part(1).count()), (50, 50, 0));
        let is_it = |found: &Entry| matches!(found, Entry::AtHand(own) if Arc::ptr_eq(own, &again));
        assert!(index.get(again.key).is_some_and(is_it));
        for key in &keys {
            assert_eq!(index.get(*key).map(Entry::key), Some(*key));
            assert_eq!(index.remove(*key).map(|entry| entry.key()), Some(*key));
            assert!(index.remove(*key).is_none() && index.get(*key).is_none());
        }
        assert!(index.is_empty());
    }

    #[test]
    fn a_counter_takes_no_more_than_two_pointers_in_the_index() {
        assert_eq!(size_of::<<Part as IntoIterator>::Item>(), 2 * size_of::<usize>());
    }
}
