//! Those who wait for a place: in order of arrival, and not too many of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::policy::key::{Claim, Key};
use crate::store::ledger::{Held, Refusal, Terms};

/// How many may wait on one counter.
pub const MOST_ON_ONE: usize = 256;
/// How many may wait in all.
pub const MOST: usize = 4096;
/// How many bytes may be kept for them in all.
pub const MOST_BYTES: usize = 64 * 1024 * 1024;

/// An attempt that waits.
#[derive(Debug)]
pub struct Waiter {
    /// What it asks for.
    pub claim: Arc<Claim>,
    /// On which terms.
    pub terms: Terms,
    /// The counter it waits on.
    pub on: Key,
    /// What came of it, as soon as something did.
    pub answer: Option<Answer>,
    waker: Option<Waker>,
    stirred: Stirred,
}

/// Whether a waiter's time table has changed since it last looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stirred {
    No,
    Yes,
}

/// What came of waiting.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It holds its places.
    Granted(Held),
    /// It does not go on.
    Refused(Refusal),
}

impl Waiter {
    /// An attempt that begins to wait on `on`.
    #[must_use]
    pub const fn new(claim: Arc<Claim>, terms: Terms, on: Key) -> Self {
        Self { claim, terms, on, answer: None, waker: None, stirred: Stirred::No }
    }
}

/// Everybody who waits, by number of arrival.
#[derive(Debug, Default)]
pub struct Waiting {
    waiters: HashMap<u64, Waiter>,
    arrivals: u64,
    bytes: usize,
    /// How many of them bring several guesses.
    several: usize,
}

/// Whom a failure may leave without hope of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hopeless {
    /// The counter is locked: everybody.
    All,
    /// The counter is not locked: those who bring more guesses than it has left.
    SeveralGuesses,
}

impl Waiting {
    /// Whether one more may wait where `queued` do, with so many bytes.
    #[must_use]
    pub fn has_room(&self, queued: usize, bytes: usize) -> bool {
        !self.is_long(queued)
            && self.waiters.len() < MOST
            && self.bytes.saturating_add(bytes) <= MOST_BYTES
    }

    /// Whether a queue of `queued` takes no more.
    #[must_use]
    pub const fn is_long(&self, queued: usize) -> bool {
        queued >= MOST_ON_ONE
    }

    /// Adds one; returns its number.
    pub fn add(&mut self, waiter: Waiter) -> u64 {
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.bytes = self.bytes.saturating_add(waiter.terms.bytes);
        self.several += usize::from(waiter.claim.guesses > 1);
        self.waiters.insert(arrival, waiter);
        arrival
    }

    /// What a waiter that has no answer yet asks for.
    #[must_use]
    pub fn claim(&self, arrival: u64) -> Option<(Arc<Claim>, Terms)> {
        let waiter = self.waiters.get(&arrival).filter(|waiter| waiter.answer.is_none())?;
        Some((Arc::clone(&waiter.claim), waiter.terms))
    }

    /// The counter that one waits on.
    #[must_use]
    pub fn on(&self, arrival: u64) -> Option<Key> {
        self.waiters.get(&arrival).filter(|waiter| waiter.answer.is_none()).map(|waiter| waiter.on)
    }

    /// One waits on another counter from now on.
    pub fn moved(&mut self, arrival: u64, on: Key) {
        if let Some(waiter) = self.waiters.get_mut(&arrival) {
            waiter.on = on;
            waiter.stir();
        }
    }

    /// Answers one and wakes it.
    pub fn answer(&mut self, arrival: u64, answer: Answer) {
        if let Some(waiter) = self.waiters.get_mut(&arrival) {
            waiter.answer = Some(answer);
            waiter.wake();
        }
    }

    /// The answer to one, if there is any, and then it waits no more; ready without one where its
    /// counter's time table may have changed.
    pub fn poll(&mut self, arrival: u64, waker: &Waker) -> Poll<Option<Answer>> {
        let Some(waiter) = self.waiters.get_mut(&arrival) else {
            return Poll::Ready(Some(Answer::Refused(Refusal::Busy)));
        };
        if let Some(answer) = waiter.answer.clone() {
            self.remove(arrival);
            return Poll::Ready(Some(answer));
        }
        if std::mem::replace(&mut waiter.stirred, Stirred::No) == Stirred::Yes {
            return Poll::Ready(None);
        }
        waiter.waker = Some(waker.clone());
        Poll::Pending
    }

    /// Those without an answer who need the counter `key` and may have no hope of it.
    #[must_use]
    pub fn needing(&self, key: Key, hopeless: Hopeless) -> Vec<u64> {
        let fewest = match hopeless {
            Hopeless::All => 0,
            Hopeless::SeveralGuesses if self.several == 0 => return Vec::new(),
            Hopeless::SeveralGuesses => 2,
        };
        let needs = |waiter: &Waiter| {
            waiter.answer.is_none()
                && waiter.claim.guesses >= fewest
                && waiter.claim.charges.iter().any(|charge| charge.key == key)
        };
        self.waiters.iter().filter(|(_, waiter)| needs(waiter)).map(|(at, _)| *at).collect()
    }

    /// Those without an answer.
    #[must_use]
    pub fn all(&self) -> Vec<u64> {
        let unanswered = self.waiters.iter().filter(|(_, waiter)| waiter.answer.is_none());
        unanswered.map(|(at, _)| *at).collect()
    }

    /// Takes one out.
    pub fn remove(&mut self, arrival: u64) -> Option<Waiter> {
        let waiter = self.waiters.remove(&arrival)?;
        self.bytes = self.bytes.saturating_sub(waiter.terms.bytes);
        self.several -= usize::from(waiter.claim.guesses > 1);
        Some(waiter)
    }

    /// Wakes everybody, to look at the time anew.
    pub fn wake_all(&mut self) {
        self.waiters.values_mut().for_each(Waiter::stir);
    }

    /// How many wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.waiters.len()
    }
}

impl Waiter {
    fn stir(&mut self) {
        self.stirred = Stirred::Yes;
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
