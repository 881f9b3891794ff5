//! Numbers that one worker writes, and that are read by whoever asks for the metrics.
//!
//! Each worker has cells of its own, so that counting is a load and a store in memory that no other
//! thread writes: no lock, no contended cache line.

use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::{GUARD, Histogram, REQUEST};
use crate::rejection::reason::Reason;
use crate::upstream::fault::Fault;

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

impl Tally {
    /// So many more. For the one thread that writes it; what others add meanwhile is lost.
    pub fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    /// One fewer. For the same thread.
    pub fn one_less(&self) {
        self.0.store(self.get().saturating_sub(1), Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts of one site.
#[derive(Debug)]
pub struct SiteCells {
    /// How long requests take.
    pub requests: Histogram,
    /// How much of that is the guard's own.
    pub guard: Histogram,
    /// How long the upstream takes to the head of its answer.
    pub upstream: Histogram,
    /// Answers by the first digit of their status, less one.
    pub answers: [Tally; 5],
    /// Refusals by their reason's number.
    pub refusals: [Tally; Reason::ALL.len()],
    /// What would have been refused but for `monitor`, the same way.
    pub excused: [Tally; Reason::ALL.len()],
    /// What its upstream did wrong, by the fault's number.
    pub faults: [Tally; Fault::ALL.len()],
}

impl Default for SiteCells {
    fn default() -> Self {
        Self {
            requests: Histogram::new(&REQUEST),
            guard: Histogram::new(&GUARD),
            upstream: Histogram::new(&REQUEST),
            answers: Default::default(),
            refusals: Default::default(),
            excused: Default::default(),
            faults: Default::default(),
        }
    }
}

impl SiteCells {
    /// Counts an answer by its status.
    pub fn answered(&self, status: u16) {
        if let Some(tally) = self.answers.get(usize::from(status / 100).wrapping_sub(1)) {
            tally.add(1);
        }
    }

    /// Counts a request that was answered in the upstream's stead.
    pub fn refused(&self, reason: Reason) {
        if let Some(tally) = self.refusals.get(reason as usize) {
            tally.add(1);
        }
    }

    /// Counts a request that would have been, but for `monitor`.
    pub fn excused(&self, reason: Reason) {
        if let Some(tally) = self.excused.get(reason as usize) {
            tally.add(1);
        }
    }

    /// Counts what the upstream did wrong.
    pub fn fault(&self, fault: Fault) {
        if let Some(tally) = self.faults.get(fault as usize) {
            tally.add(1);
        }
    }
}

/// What one worker counts besides.
#[derive(Debug, Default)]
pub struct WorkerCells {
    /// Requests that are under way.
    pub requests: Tally,
    /// Attempts that are with the upstream.
    pub attempts: Tally,
    /// Connections that clients opened.
    pub connections: Tally,
}
