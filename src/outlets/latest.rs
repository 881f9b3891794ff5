//! The latest events, for whoever comes later.

use std::collections::VecDeque;
use std::time::Duration;

use tracing::Metadata;

use super::json_line;
use super::live::Told;
use crate::log::line::Stamp;
use crate::log::pack::{Entry, Packed};
use crate::log::show::Show;

/// How many are kept.
pub const MOST: usize = 1000;

/// The latest events.
#[derive(Debug, Default)]
pub struct Latest {
    kept: VecDeque<Kept>,
    /// How many there were.
    number: u64,
}

#[derive(Debug)]
struct Kept {
    number: u64,
    wall: Duration,
    kind: &'static Metadata<'static>,
    repeated: u64,
    packed: Packed,
}

impl Latest {
    /// Keeps one; its number.
    pub fn keep(&mut self, entry: &Entry<'_>) -> u64 {
        self.number += 1;
        // the room of the oldest is used again
        let oldest = if self.kept.len() < MOST { None } else { self.kept.pop_front() };
        let mut packed = oldest.map(|oldest| oldest.packed).unwrap_or_default();
        packed.keep(entry.packed);
        let Entry { wall, kind, repeated, .. } = *entry;
        self.kept.push_back(Kept { number: self.number, wall, kind, repeated, packed });
        self.number
    }

    /// The latest `most` of those after the one of the number `after`, in order.
    #[must_use]
    pub fn told(&self, (most, after): (usize, u64), show: &Show) -> Vec<Told> {
        let (mut stamp, mut fields) = (Stamp::default(), String::new());
        let begin = self.kept.len().saturating_sub(most);
        let latest = self.kept.iter().skip(begin).filter(|kept| kept.number > after);
        let told = latest.filter_map(|kept| {
            let Kept { number, wall, kind, repeated, packed } = kept;
            let (wall, kind, repeated) = (*wall, *kind, *repeated);
            let entry = Entry { wall, kind, repeated, packed: packed.fields() };
            let line = json_line((&mut stamp, &mut fields), &entry, show);
            Some(Told::new((*number, entry.event()?), &entry, line))
        });
        told.collect()
    }
}
