//! How long things take, sorted into buckets whose bounds are fixed.

use super::cells::Tally;

/// How many bounds there are.
pub const BOUNDS: usize = 16;

/// The upper bounds of buckets, in microseconds.
pub type Bounds = [i32; BOUNDS];

/// For what includes an application's work: half a millisecond to a minute.
pub static REQUEST: Bounds = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// For the guard's own work: ten microseconds to a second.
pub static GUARD: Bounds = [
    10, 25, 50, 75, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    1_000_000,
];

/// How long things took. Written by one thread; see [`Tally`].
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static Bounds,
    within: [Tally; BOUNDS],
    beyond: Tally,
    nanos: Tally,
}

impl Histogram {
    /// Nothing took any time yet.
    #[must_use]
    pub fn new(bounds: &'static Bounds) -> Self {
        Self {
            bounds,
            within: Default::default(),
            beyond: Tally::default(),
            nanos: Tally::default(),
        }
    }

    /// Something took so many nanoseconds.
    pub fn record(&self, nanos: u64) {
        // rounded up, so that nothing is sorted below a bound that it exceeds
        let micros = i32::try_from(nanos.div_ceil(1000)).unwrap_or(i32::MAX);
        // all at once and without a branch
        let at = self.bounds.iter().filter(|bound| micros > **bound).count();
        self.within.get(at).unwrap_or(&self.beyond).add(1);
        self.nanos.add(nanos);
    }
}

/// What several workers' histograms of one thing come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sum {
    /// In seconds.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
    /// Upper bounds in seconds, and how many there were up to each and above the one before.
    pub buckets: Vec<(f64, u64)>,
}

impl Sum {
    /// What these come to, which must have the same bounds.
    pub fn of<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Self {
        let mut sum = Self::default();
        let mut nanos = 0_u64;
        for histogram in histograms {
            if sum.buckets.is_empty() {
                let seconds = histogram.bounds.iter().map(|bound| f64::from(*bound) / 1e6);
                let seconds = seconds.chain([f64::INFINITY]);
                sum.buckets = seconds.map(|bound| (bound, 0)).collect();
            }
            let cells = histogram.within.iter().chain([&histogram.beyond]);
            for ((_, total), cell) in sum.buckets.iter_mut().zip(cells) {
                let count = cell.get();
                *total += count;
                sum.count += count;
            }
            nanos = nanos.wrapping_add(histogram.nanos.get());
        }
        sum.sum = nanos as f64 / 1e9;
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_bucket_of_the_first_bound_that_it_does_not_exceed() {
        let check = |nanos: u64, expected: f64| {
            let histogram = Histogram::new(&GUARD);
            histogram.record(nanos);
            let sum = Sum::of([&histogram].into_iter());
            let mut hit = sum.buckets.iter().filter(|(_, count)| *count == 1);
            assert_eq!(hit.next().map(|(bound, _)| *bound), Some(expected), "{nanos}");
            assert_eq!((sum.count, sum.sum), (1, nanos as f64 / 1e9));
        };
        check(0, 0.000_01);
        check(10_000, 0.000_01);
        check(10_001, 0.000_025);
        check(999_999_999, 1.0);
        check(1_000_000_000, 1.0);
        check(1_000_000_001, f64::INFINITY);
        check(u64::MAX, f64::INFINITY);
    }

    #[test]
    fn histograms_of_several_workers_are_added_up() {
        let (one, other) = (Histogram::new(&REQUEST), Histogram::new(&REQUEST));
        one.record(1);
        other.record(1);
        other.record(2_000_000_000);
        let sum = Sum::of([&one, &other].into_iter());
        assert_eq!((sum.count, sum.sum), (3, 2.000_000_002));
        assert_eq!(sum.buckets.first(), Some(&(0.000_5, 2)));
    }

    #[test]
    fn bounds_ascend() {
        for bounds in [GUARD, REQUEST] {
            assert!(bounds.is_sorted());
        }
    }
}
