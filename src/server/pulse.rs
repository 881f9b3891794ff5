//! Whether every worker goes on: each comes by at its sweeps, and whoever watches compares.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often each worker has come by.
#[derive(Debug)]
pub struct Pulses(Box<[AtomicU64]>);

/// Of a worker that has ended, from which nothing is expected any more.
const ENDED: u64 = u64::MAX;

impl Pulses {
    /// Of so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| AtomicU64::new(0)).collect())
    }

    /// The worker at `at` goes on.
    pub fn beat(&self, at: usize) {
        if let Some(pulse) = self.0.get(at) {
            pulse.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The worker at `at` has ended as it should.
    pub fn end(&self, at: usize) {
        if let Some(pulse) = self.0.get(at) {
            pulse.store(ENDED, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Vec<u64> {
        self.0.iter().map(|pulse| pulse.load(Ordering::Relaxed)).collect()
    }
}

/// What was seen of the workers when all of them were last found to go on.
#[derive(Debug)]
pub struct Vigil(Vec<u64>);

impl Vigil {
    /// Nothing is known yet of the workers whose pulses these are.
    #[must_use]
    pub fn over(pulses: &Pulses) -> Self {
        Self(pulses.read())
    }

    /// Whether every worker has come by since they were last all found to go on.
    pub fn finds_all_going(&mut self, pulses: &Pulses) -> bool {
        let now = pulses.read();
        let goes_on = now.iter().zip(&self.0).all(|(now, before)| now != before || *now == ENDED);
        if goes_on {
            self.0 = now;
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_that_hangs_is_enough() {
        let pulses = Pulses::new(2);
        let mut vigil = Vigil::over(&pulses);
        assert!(!vigil.finds_all_going(&pulses), "nobody came by");
        pulses.beat(0);
        assert!(!vigil.finds_all_going(&pulses), "the other one did not");
        pulses.beat(1);
        assert!(vigil.finds_all_going(&pulses), "both did, by and by");
        pulses.beat(0);
        pulses.beat(0);
        assert!(!vigil.finds_all_going(&pulses), "each has to");
    }

    #[test]
    fn nothing_is_expected_of_a_worker_that_has_ended() {
        let pulses = Pulses::new(2);
        let mut vigil = Vigil::over(&pulses);
        pulses.end(0);
        pulses.beat(1);
        assert!(vigil.finds_all_going(&pulses));
        pulses.beat(1);
        assert!(vigil.finds_all_going(&pulses));
        assert!(!vigil.finds_all_going(&pulses));
    }
}
