//! How much happened in the last hours: what is counted anyway, looked at now and then.
//!
//! Nothing is counted here. The main thread compares the metrics with what they were and adds the
//! difference to rings that forget: one of ten seconds each for a quarter of an hour, one of a
//! minute each for a day.

pub mod ring;
pub mod tops;

use std::time::Duration;

use self::ring::Ring;
use crate::metrics::Totals;

/// What is counted: a group, if it belongs to one, and a name.
pub const COUNTED: [(&str, &str); 12] = [
    ("attempts", "success"),
    ("attempts", "failure"),
    ("attempts", "unmatched"),
    ("attempts", "no_verdict"),
    ("attempts", "ignored"),
    ("refusals", "locked"),
    ("refusals", "denied"),
    ("refusals", "refused"),
    ("refusals", "busy"),
    ("refusals", "error"),
    ("", "would_refuse"),
    ("", "lockouts"),
];

/// How often they are looked at.
pub const EVERY: Duration = Duration::from_secs(10);

/// Of how many steps of a ring the shortest and the longest history consist.
const FINE: (u64, usize) = (10, 90);
const COARSE: (u64, usize) = (60, 24 * 60);

/// Numbers in the order of [`COUNTED`].
pub type Counts = [u64; COUNTED.len()];

/// What the metrics say, in that order.
#[must_use]
pub const fn counts(totals: &Totals) -> Counts {
    let Totals { success, failure, unmatched, no_verdict, ignored, .. } = *totals;
    let Totals { locked, denied, refused, busy, error, would_refuse, lockouts, .. } = *totals;
    [
        success,
        failure,
        unmatched,
        no_verdict,
        ignored,
        locked,
        denied,
        refused,
        busy,
        error,
        would_refuse,
        lockouts,
    ]
}

/// The last hours.
#[derive(Debug)]
pub struct Statistics {
    fine: Ring,
    coarse: Ring,
    since: Duration,
    latest: (Duration, Counts),
}

/// A piece of the last hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// How many seconds each value stands for.
    pub step: u64,
    /// When the last of them ends, in seconds since 1970.
    pub end: u64,
    /// The oldest first.
    pub points: Vec<ring::Point>,
}

impl Statistics {
    /// From `now` on, since 1970, at which so much had happened.
    #[must_use]
    pub fn begin(now: Duration, totals: Counts) -> Self {
        let (fine, coarse) = (Ring::new(FINE.0, FINE.1), Ring::new(COARSE.0, COARSE.1));
        Self { fine, coarse, since: now, latest: (now, totals) }
    }

    /// Since when there are any, since 1970.
    #[must_use]
    pub const fn since(&self) -> Duration {
        self.since
    }

    /// So much has happened until `now`, and so many lockouts are in force.
    pub fn look(&mut self, now: Duration, totals: Counts, in_force: u64) {
        let (before, counted) = std::mem::replace(&mut self.latest, (now, totals));
        let mut more = [0; COUNTED.len()];
        for (more, (total, known)) in more.iter_mut().zip(totals.iter().zip(counted)) {
            // what belonged to a site that is there no more has gone
            *more = total.saturating_sub(known);
        }
        // it happened between then and now; a clock that was set back tells nothing
        let middle = now.checked_sub(before).map_or(now, |between| before + between / 2);
        for ring in [&mut self.fine, &mut self.coarse] {
            ring.add(middle.as_secs(), &more, in_force);
        }
    }

    /// The last `span` until `now`, as fine as it is known for so long.
    #[must_use]
    pub fn last(&self, span: Duration, now: Duration) -> Series {
        let known = Duration::from_secs(FINE.0 * FINE.1 as u64);
        let ring = if span <= known { &self.fine } else { &self.coarse };
        let first = self.since.as_secs();
        ring.last(span.as_secs(), now.as_secs(), first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(successes: u64, lockouts: u64) -> Counts {
        let mut counts = [0; COUNTED.len()];
        (counts[0], counts[11]) = (successes, lockouts);
        counts
    }

    fn successes(series: &Series) -> Vec<u32> {
        series.points.iter().map(|point| point.counts[0]).collect()
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_happened_between_two_looks_belongs_to_the_time_between_them() {
        let mut statistics = Statistics::begin(at(600), counts(7, 0));
        statistics.look(at(610), counts(10, 1), 1);
        statistics.look(at(613), counts(11, 1), 1);
        statistics.look(at(620), counts(15, 1), 0);
        let series = statistics.last(at(900), at(620));
        assert_eq!((series.step, series.end), (10, 630));
        assert_eq!(successes(&series), [3, 5, 0]);
        let locked: Vec<u32> = series.points.iter().map(|point| point.in_force).collect();
        assert_eq!(locked, [1, 1, 0], "the most that there were");
        let coarse = statistics.last(at(3600), at(620));
        assert_eq!((coarse.step, coarse.end, successes(&coarse)), (60, 660, vec![8]));
    }

    #[test]
    fn only_what_is_asked_for_is_told_and_only_so_much_is_kept() {
        let mut statistics = Statistics::begin(at(6000), counts(0, 0));
        for minute in 1..=3000 {
            statistics.look(at(6000 + minute * 60), counts(minute, 0), 0);
        }
        let now = at(6000 + 3000 * 60);
        let day = statistics.last(at(86_400), now);
        assert_eq!(day.points.len(), 24 * 60);
        assert_eq!(successes(&day).iter().sum::<u32>(), 24 * 60 - 1, "the last has just begun");
        assert_eq!(statistics.last(at(1800), now).points.len(), 30);
        assert_eq!(statistics.last(at(60), now).points.len(), 6);
    }

    #[test]
    fn a_clock_that_jumps_and_numbers_that_shrink_do_no_harm() {
        let mut statistics = Statistics::begin(at(6000), counts(5, 0));
        statistics.look(at(6010), counts(3, 0), 0);
        statistics.look(at(5000), counts(4, 0), 0);
        let sum = |series: &Series| successes(series).iter().sum::<u32>();
        assert_eq!(sum(&statistics.last(at(900), at(6010))), 1);
        statistics.look(at(10_000_000), counts(6, 0), 0);
        statistics.look(at(10_000_010), counts(9, 0), 0);
        assert_eq!(sum(&statistics.last(at(900), at(10_000_010))), 3);
    }
}
