//! A history of bounded length, in steps of equal length that begin at round times.

use std::collections::VecDeque;

use super::{COUNTED, Counts, Series};

/// What happened in one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// How often, in the order of [`COUNTED`].
    pub counts: [u32; COUNTED.len()],
    /// How many lockouts were in force, at most.
    pub in_force: u32,
}

/// The latest steps.
#[derive(Debug)]
pub struct Ring {
    /// In seconds.
    step: u64,
    room: usize,
    /// The number of the newest step: how many fit between 1970 and it.
    newest: u64,
    points: VecDeque<Point>,
    /// How many lockouts were in force when it was last looked.
    in_force: u32,
}

impl Ring {
    /// An empty one of steps of so many seconds, which remembers `room` of them.
    #[must_use]
    pub const fn new(step: u64, room: usize) -> Self {
        Self { step, room, newest: 0, points: VecDeque::new(), in_force: 0 }
    }

    /// So much more happened at that second since 1970. What happened before the newest step counts
    /// for it: times that have been told do not change.
    pub fn add(&mut self, second: u64, more: &Counts, in_force: u64) {
        let number = second / self.step;
        self.go_on(number);
        self.in_force = u32::try_from(in_force).unwrap_or(u32::MAX);
        let Some(point) = self.points.back_mut() else { return };
        for (sum, more) in point.counts.iter_mut().zip(more) {
            *sum = sum.saturating_add(u32::try_from(*more).unwrap_or(u32::MAX));
        }
        point.in_force = point.in_force.max(self.in_force);
    }

    /// Begins the steps up to that number.
    fn go_on(&mut self, number: u64) {
        if self.points.is_empty() {
            self.newest = number;
            self.points.push_back(Point::default());
        }
        let missing = number.saturating_sub(self.newest);
        if missing >= self.room as u64 {
            self.points.clear();
        }
        // nothing was looked at meanwhile, so that what was in force is as it was
        let in_force = self.in_force;
        for _ in 0..missing.min(self.room as u64) {
            self.points.push_back(Point { in_force, ..Point::default() });
        }
        if let Some(point) = self.points.back_mut().filter(|_| missing > 0) {
            point.in_force = 0;
        }
        while self.points.len() > self.room {
            self.points.pop_front();
        }
        self.newest = self.newest.max(number);
    }

    /// The steps of the last `span` seconds until `now`, of which the last one is the one that `now`
    /// is in. There are none before the `first` second.
    #[must_use]
    pub fn last(&self, span: u64, now: u64, first: u64) -> Series {
        let last = (now / self.step).max(self.newest);
        let wanted = span.div_ceil(self.step).min(self.room as u64);
        let begin = (last + 1).saturating_sub(wanted).max(first / self.step);
        let oldest = (self.newest + 1).saturating_sub(self.points.len() as u64);
        let point = |number: u64| {
            let at = number.checked_sub(oldest).and_then(|at| usize::try_from(at).ok());
            let known = at.and_then(|at| self.points.get(at)).copied();
            let later = if number > self.newest { self.in_force } else { 0 };
            known.unwrap_or_else(|| Point { in_force: later, ..Point::default() })
        };
        let points = (begin..=last).map(point).collect();
        Series { step: self.step, end: (last + 1) * self.step, points }
    }
}
