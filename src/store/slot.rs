//! One counter: what it remembers, who holds places in it, who waits for one, and where it rests.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::clock::Moment;
use crate::policy::key::{Candidate, Charge, Key, LimitId, Subject};
use crate::policy::lockout::{History, Limit, Standing};
use crate::store::memory::lock;
use crate::store::order::Place;

/// The failures of one combination of values under one limit of one site.
// what every attempt looks at comes first: it is beside the count of references in memory
#[derive(Debug)]
#[repr(C)]
pub struct Slot {
    state: Mutex<State>,
    /// What names it.
    pub key: Key,
    /// The limit it belongs to.
    pub limit: LimitId,
    /// Which of the subject's usernames it is about.
    pub candidate: Option<u8>,
    /// Whose failures they are.
    pub subject: Arc<Subject>,
}

/// What changes about a counter. Only the ledger changes it, under its own lock.
#[derive(Debug)]
pub struct State {
    /// Its failures.
    pub history: History,
    /// How many places are held in it.
    pub places: u32,
    /// Where it rests while nobody holds a place in it or waits.
    pub rest: Rest,
    /// Its place in the table where it rests.
    pub place: Place,
    /// When its table was last told that it is used.
    pub touched: Moment,
    /// The batch with the latest change of its history; see [`crate::store::gather`].
    pub changed: u64,
    /// Whoever keeps it will be told of it.
    pub is_noted: bool,
    /// Who waits, by number of arrival; few counters ever have a queue.
    queue: BTreeSet<u64>,
}

/// Where a counter rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Among the lockouts in force, which end then.
    Locked(Moment),
    /// Nowhere: it is new, or has made room while it was in use.
    Nowhere,
    /// In one of the tables.
    Table(Tier),
}

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// A single attempt, and one more failure would lock.
    Last,
    /// Several attempts.
    More,
    /// A single attempt.
    Once,
}

impl Tier {
    /// Where a counter belongs that is not locked.
    const fn of(history: &History, limit: &Limit) -> Self {
        if !history.is_one_off() {
            Self::More
        } else if history.failures() + 1 < limit.failures.get() {
            Self::Once
        } else {
            Self::Last
        }
    }
}

impl Rest {
    /// Where a counter with this history, [aged](History::aged) under `limit`, belongs; nowhere
    /// where nothing of it counts.
    #[must_use]
    pub const fn of(history: &History, limit: &Limit) -> Self {
        match history.standing() {
            Standing::Locked(until) => Self::Locked(until),
            Standing::Open(_) if history.is_blank() => Self::Nowhere,
            Standing::Open(_) => Self::Table(Tier::of(history, limit)),
        }
    }
}

impl Slot {
    /// A counter for `charge` to `subject` that remembers nothing yet.
    #[must_use]
    pub fn new(charge: &Charge, subject: &Arc<Subject>) -> Arc<Self> {
        let (history, rest) = (History::default(), Rest::Nowhere);
        Arc::new(Self {
            key: charge.key,
            limit: charge.limit,
            subject: Arc::clone(subject),
            candidate: charge.candidate,
            state: Mutex::new(State {
                history,
                places: 0,
                rest,
                place: Place::default(),
                touched: Moment(0),
                changed: 0,
                is_noted: false,
                queue: BTreeSet::new(),
            }),
        })
    }

    /// The username that it is about, if it is about one.
    #[must_use]
    pub fn candidate(&self) -> Option<&Candidate> {
        self.candidate.and_then(|at| self.subject.candidates.get(usize::from(at)))
    }

    /// What changes about it. Never hold this across what may evict, which asks for it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Nobody holds a place in it or waits for one.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.places == 0 && self.queue.is_empty()
    }

    /// Who has waited longest.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.queue.first().copied()
    }

    /// How many wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// One waits, in its order of arrival.
    pub fn enqueue(&mut self, arrival: u64) {
        self.queue.insert(arrival);
    }

    /// One waits no more.
    pub fn dequeue(&mut self, arrival: u64) {
        self.queue.remove(&arrival);
    }
}
