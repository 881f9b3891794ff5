//! One counter at hand: what it remembers, who holds places in it, who waits for one, and where it
//! rests.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Moment;
use crate::policy::key::{Charge, Key, LimitId, Subject};
use crate::policy::lockout::{History, Limit, Standing};
use crate::store::memory::lock;
use crate::store::order::Place;
use crate::store::packed::ROOM;
use crate::store::whose::{Whose, put_subject};

/// The failures of one combination of values under one limit of one site.
#[derive(Debug)]
pub struct Slot {
    /// What names it.
    pub key: Key,
    /// The limit it belongs to.
    pub limit: LimitId,
    /// The site's name.
    pub site: Arc<str>,
    state: Mutex<State>,
    /// See [`Packed`](crate::store::packed::Packed); what changes is as it was at rest.
    bytes: Box<[u8]>,
    /// Where in them begins whom it is about.
    whose_at: usize,
    /// Somebody has looked for it since this was last asked.
    is_sought: AtomicBool,
    /// When it came to hand, among all that ever did.
    pub turn: u64,
}

/// What changes about a counter. Only the ledger changes it, under its own lock.
#[derive(Debug, Default)]
pub struct State {
    /// Its failures.
    history: History,
    /// The end of the lockout among which it rests, or its place in the table; see `lies`.
    at: u64,
    /// When its table was last told that it is used.
    pub touched: Moment,
    /// The batch with the latest change of its history; see [`crate::store::gather`].
    pub changed: u64,
    /// Few counters ever have one.
    queue: Option<Box<Queue>>,
    /// How many places are held in it.
    pub places: u32,
    /// Where it rests while nobody holds a place in it or waits.
    lies: Lies,
    /// Whoever keeps it will be told of it.
    pub is_noted: bool,
    /// It is not among the counters any more.
    pub is_gone: bool,
}

/// Who waits, by number of arrival.
#[derive(Debug, Default)]
struct Queue(BTreeSet<u64>);

/// Where a counter rests, without what is kept beside it.
#[derive(Clone, Copy, Debug, Default)]
enum Lies {
    Locked,
    #[default]
    Nowhere,
    Last,
    More,
    Once,
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
    /// A counter for `charge` to `subject` that remembers nothing yet. `work` is room to work in.
    #[must_use]
    pub fn new(charge: &Charge, subject: &Subject, work: &mut Vec<u8>) -> Self {
        work.clear();
        work.extend_from_slice(&[0; ROOM]);
        put_subject(subject, charge.candidate, work);
        let names = (charge.key, charge.limit, Arc::clone(&subject.site));
        Self::unpacked(names, State::default(), (work.as_slice().into(), ROOM))
    }

    /// What was packed, at hand again. Whom it is about begins at that place of its bytes.
    #[must_use]
    pub fn unpacked(
        (key, limit, site): (Key, LimitId, Arc<str>),
        state: State,
        (bytes, whose_at): (Box<[u8]>, usize),
    ) -> Self {
        let (state, is_sought) = (Mutex::new(state), AtomicBool::new(false));
        Self { key, limit, site, state, bytes, whose_at, is_sought, turn: 0 }
    }

    /// The same, which comes to hand then.
    #[must_use]
    pub fn at(mut self, turn: u64) -> Self {
        self.turn = turn;
        self
    }

    /// Its bytes, to be packed anew.
    #[must_use]
    pub fn take_bytes(&mut self) -> (Box<[u8]>, usize) {
        (std::mem::take(&mut self.bytes), self.whose_at)
    }

    /// Whom it is about, as it is told in its bytes.
    #[must_use]
    pub fn whose_bytes(&self) -> &[u8] {
        self.bytes.get(self.whose_at..).unwrap_or_default()
    }

    /// Whom it is about.
    #[must_use]
    pub fn whose(&self) -> Whose<'_> {
        Whose::read(self.whose_bytes()).unwrap_or_else(Whose::nobody)
    }

    /// Whose failures they are: of the usernames, the one that it is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        self.whose().subject(&self.site)
    }

    /// The same as an attempt is charged to it.
    #[must_use]
    pub fn charge(&self) -> Charge {
        let candidate = self.whose().candidate.map(|_| 0);
        Charge { key: self.key, limit: self.limit, candidate }
    }

    /// What changes about it. Never hold this across what may evict, which asks for it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The same of one that nobody else has.
    pub fn state_mut(&mut self) -> &mut State {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody looks for it.
    pub fn seek(&self) {
        self.is_sought.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has looked for it since this was last asked.
    pub fn take_sought(&mut self) -> bool {
        std::mem::take(self.is_sought.get_mut())
    }
}

impl State {
    /// Of a counter that remembers this, and that nobody uses.
    #[must_use]
    pub fn of(history: History) -> Self {
        Self { history, ..Self::default() }
    }

    /// Its failures.
    #[must_use]
    pub const fn history(&self) -> History {
        self.history
    }

    /// These are its failures now.
    pub const fn remember(&mut self, history: History) {
        self.history = history;
    }

    /// Where it rests while nobody holds a place in it or waits.
    #[must_use]
    pub const fn rest(&self) -> Rest {
        match self.lies {
            Lies::Locked => Rest::Locked(Moment(self.at)),
            Lies::Nowhere => Rest::Nowhere,
            Lies::Last => Rest::Table(Tier::Last),
            Lies::More => Rest::Table(Tier::More),
            Lies::Once => Rest::Table(Tier::Once),
        }
    }

    /// Its place in the table where it rests; any where it does not.
    #[must_use]
    pub const fn place(&self) -> Place {
        Place(self.at as u32)
    }

    /// It rests elsewhere now; at `place` if in a table.
    pub fn lie(&mut self, rest: Rest, place: Place) {
        let place = u64::from(place.0);
        (self.lies, self.at) = match rest {
            Rest::Locked(until) => (Lies::Locked, until.0),
            Rest::Nowhere => (Lies::Nowhere, 0),
            Rest::Table(Tier::Last) => (Lies::Last, place),
            Rest::Table(Tier::More) => (Lies::More, place),
            Rest::Table(Tier::Once) => (Lies::Once, place),
        };
    }

    /// Nobody holds a place in it or waits for one.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.places == 0 && self.queue.is_none()
    }

    /// Who has waited longest.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.queue.as_ref()?.0.first().copied()
    }

    /// How many wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.0.len())
    }

    /// One waits, in its order of arrival.
    pub fn enqueue(&mut self, arrival: u64) {
        self.queue.get_or_insert_default().0.insert(arrival);
    }

    /// One waits no more.
    pub fn dequeue(&mut self, arrival: u64) {
        let Some(queue) = &mut self.queue else { return };
        queue.0.remove(&arrival);
        if queue.0.is_empty() {
            self.queue = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_rests_where_it_was_laid() {
        let mut state = State::default();
        assert_eq!(state.rest(), Rest::Nowhere);
        let ends = [Moment(0), Moment(1 << 40), Moment::NEVER].map(Rest::Locked);
        let tables = [Tier::Last, Tier::More, Tier::Once].map(Rest::Table);
        for rest in ends.into_iter().chain(tables).chain([Rest::Nowhere]) {
            state.lie(rest, Place(7));
            assert_eq!(state.rest(), rest);
            assert!(!matches!(rest, Rest::Table(_)) || state.place() == Place(7));
        }
    }

    #[test]
    fn whoever_came_first_is_first_and_nobody_is_left_behind() {
        let (mut state, none) = (State::default(), None);
        assert_eq!((state.first(), state.queued()), (none, 0));
        state.dequeue(1);
        state.enqueue(3);
        state.enqueue(2);
        assert_eq!((state.first(), state.queued(), state.is_idle()), (Some(2), 2, false));
        state.dequeue(2);
        assert_eq!((state.first(), state.queued()), (Some(3), 1));
        state.dequeue(3);
        assert_eq!((state.first(), state.queued(), state.is_idle()), (none, 0, true));
    }
}
