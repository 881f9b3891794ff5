//! What is traced until it is written: one packed event after the other, alike ones merged.

use std::collections::HashMap;
use std::time::Duration;

use tracing::Metadata;

use super::pack::{Entry, Fields, Packed, Place};
use crate::store::memory::BuildHashedAlready;

/// How much may wait to be written.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How much room a batch keeps that was written.
const KEPT_BYTES: usize = 512 * 1024;
/// The same, in events.
const KEPT_HEADS: usize = 4096;
/// The same, in their fields.
const KEPT_PLACES: usize = 12 * KEPT_HEADS;
/// How many different events are watched for repetition.
const MOST_REPEATED: usize = 4096;

/// Packed events in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// The line of each, and what stands behind it.
    text: String,
    places: Vec<Place>,
    heads: Vec<Head>,
    /// How many did not fit.
    pub dropped: u64,
}

/// What is known of a packed event besides its fields.
#[derive(Clone, Copy, Debug)]
struct Head {
    wall: Duration,
    kind: &'static Metadata<'static>,
    repeated: u64,
    /// Where its line ends in the text, and what stands behind it.
    ends: (usize, usize),
    /// Where its places end.
    last: usize,
}

impl Batch {
    /// There is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.dropped == 0
    }

    /// Takes one more.
    pub fn push(&mut self, entry: Entry<'_>) {
        let Entry { wall, kind, repeated, packed } = entry;
        self.text.push_str(packed.line);
        let end = self.text.len();
        self.text.push_str(packed.behind);
        self.places.extend_from_slice(packed.places);
        let (ends, last) = ((end, self.text.len()), self.places.len());
        self.heads.push(Head { wall, kind, repeated, ends, last });
    }

    /// How much room it takes.
    const fn size(&self) -> usize {
        self.text.len() + self.places.len() * size_of::<Place>()
    }

    /// All of it, in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let (mut begin, mut first) = (0, 0);
        self.heads.iter().map(move |head| {
            let Head { wall, kind, repeated, ends: (end, behind), last } = *head;
            let packed = Fields {
                line: self.text.get(begin..end).unwrap_or_default(),
                behind: self.text.get(end..behind).unwrap_or_default(),
                places: self.places.get(first..last).unwrap_or_default(),
            };
            (begin, first) = (behind, last);
            Entry { wall, kind, repeated, packed }
        })
    }

    /// It was written.
    pub fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES);
        self.places.clear();
        self.places.shrink_to(KEPT_PLACES);
        self.heads.clear();
        self.heads.shrink_to(KEPT_HEADS);
        self.dropped = 0;
    }
}

/// What waits to be written, and what came again meanwhile.
#[derive(Debug, Default)]
pub struct Buffer {
    /// What waits.
    pub batch: Batch,
    repeated: HashMap<u64, Repeated, BuildHashedAlready>,
}

/// How often an event came again that was written, and what it said.
#[derive(Debug, Default)]
struct Repeated {
    times: u64,
    latest: Option<(Duration, &'static Metadata<'static>, Packed)>,
}

impl Buffer {
    /// Nothing waits, and nothing may have come again.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.batch.is_empty() && self.repeated.is_empty()
    }

    /// Appends an event, or counts it where one with the same hash, `same`, came lately.
    pub fn add(&mut self, same: u64, entry: Entry<'_>) {
        if let Some(repeated) = self.repeated.get_mut(&same) {
            repeated.times += 1;
            match &mut repeated.latest {
                Some((wall, ..)) => *wall = entry.wall,
                none => *none = Some((entry.wall, entry.kind, Packed::of(entry.packed))),
            }
            return;
        }
        if self.batch.size() >= MOST_BYTES {
            self.batch.dropped += 1;
            return;
        }
        self.batch.push(entry);
        if self.repeated.len() < MOST_REPEATED {
            self.repeated.insert(same, Repeated::default());
        }
    }

    /// Appends what came again, once, with how often it did.
    pub fn flush_repeated(&mut self) {
        let again =
            self.repeated.drain().filter_map(|(_, again)| Some((again.times, again.latest?)));
        let mut again: Vec<_> = again.collect();
        again.sort_unstable_by_key(|(_, (wall, ..))| *wall);
        for (repeated, (wall, kind, packed)) in again {
            self.batch.push(Entry { wall, kind, repeated, packed: packed.fields() });
        }
    }
}
