//! How calls of the store went, and how long they took: counted by all threads together, as each
//! call costs much more than that.

use std::sync::atomic::{AtomicU64, Ordering};

use super::outage::Outage;

/// What is asked: the scripts by their names, other commands, and what has no name here.
pub const KINDS: [&str; 9] =
    ["admit", "charge", "command", "merge", "other", "peek", "renew", "reset", "settle"];
/// What comes of it.
pub const RESULTS: [&str; 4] = ["ok", "error", "timeout", "unreachable"];
/// The upper bounds of buckets, in microseconds: a call on the same machine to one that crosses
/// oceans.
const BOUNDS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];

/// Counts calls.
#[derive(Debug, Default)]
pub struct Meter {
    calls: [[AtomicU64; RESULTS.len()]; KINDS.len()],
    within: [AtomicU64; BOUNDS.len()],
    beyond: AtomicU64,
    nanos: AtomicU64,
}

/// How long calls took, as Prometheus has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Took {
    /// In seconds, all together.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
    /// Upper bounds in seconds, and how many there were up to each and above the one before.
    pub buckets: Vec<(f64, u64)>,
}

impl Meter {
    /// A call of this kind came to that, after so many nanoseconds. What was not asked is no call.
    pub(super) fn count<T>(&self, kind: &str, answer: &Result<T, Outage>, nanos: u64) {
        let result = answer.as_ref().map_or_else(Outage::kind, |_| "ok");
        let Some(result) = RESULTS.iter().position(|known| *known == result) else { return };
        let kind = KINDS.iter().position(|known| *known == kind);
        let other = KINDS.iter().position(|known| *known == "other").unwrap_or_default();
        let cells = self.calls.get(kind.unwrap_or(other));
        if let Some(cell) = cells.and_then(|cells| cells.get(result)) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
        let micros = nanos.div_ceil(1000);
        let at = BOUNDS.iter().filter(|bound| micros > **bound).count();
        self.within.get(at).unwrap_or(&self.beyond).fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Tells how many calls of each kind came to what.
    ///
    /// # Errors
    ///
    /// The first of `tell`.
    pub fn each<E>(
        &self,
        mut tell: impl FnMut(&'static str, &'static str, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        for (kind, cells) in KINDS.iter().zip(&self.calls) {
            for (result, cell) in RESULTS.iter().zip(cells) {
                tell(kind, result, cell.load(Ordering::Relaxed))?;
            }
        }
        Ok(())
    }

    /// How long they took.
    #[must_use]
    pub fn took(&self) -> Took {
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
        let counts = self.within.iter().chain([&self.beyond]);
        let counts = counts.map(|cell| cell.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Took { sum: self.nanos.load(Ordering::Relaxed) as f64 / 1e9, count, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::super::outage::Why;
    use super::*;

    #[test]
    fn calls_are_counted_by_kind_and_by_what_came_of_them() {
        let meter = Meter::default();
        let failed = |why| Err::<(), _>(Outage::never(why));
        meter.count("admit", &Ok(()), 100_000);
        meter.count("admit", &Ok(()), 100_001);
        meter.count("strange", &failed(Why::Unwilling("OOM".into())), 2_000_000_000);
        meter.count("settle", &failed(Why::Known), 1);
        let mut counted = Vec::new();
        let told = meter.each::<()>(|kind, result, count| {
            counted.extend((count > 0).then_some((kind, result, count)));
            Ok(())
        });
        told.unwrap();
        assert_eq!(counted, [("admit", "ok", 2), ("other", "error", 1)]);
        let took = meter.took();
        assert_eq!((took.count, took.sum), (3, 2.000_200_001));
        let hit: Vec<_> = took.buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(hit, [(0.000_1, 1), (0.000_25, 1), (f64::INFINITY, 1)]);
    }
}
