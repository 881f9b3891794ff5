//! What was refused lately, by the reference that the client was given.
//!
//! A bounded number of refusals is remembered, in parts with a lock each, so that a flood of them
//! costs little and nobody else anything. Repeated ones of one reference are one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;

use super::Worker;
use crate::clock::Moment;
use crate::events::About;
use crate::policy::key::{Claim, Key};
use crate::policy::reference::Reference;
use crate::rejection::{AnswerKind, Rejection};
use crate::store::memory::lock;

/// How many are remembered.
pub const MOST: usize = 10_000;

const PARTS: usize = 16;

/// What was refused lately.
#[derive(Debug, Default)]
pub struct Refusals {
    parts: [Mutex<Part>; PARTS],
}

#[derive(Debug, Default)]
struct Part {
    known: HashMap<Reference, Refused>,
    /// In the order in which they came first.
    order: VecDeque<Reference>,
}

/// A request that was refused, and how often others were that were given the same reference.
#[derive(Clone, Debug)]
pub struct Refused {
    /// When it was first, since 1970.
    pub first: Duration,
    /// When it was last.
    pub latest: Duration,
    /// How often.
    pub times: u64,
    /// What kind of answer it got.
    pub kind: AnswerKind,
    /// With which status.
    pub status: StatusCode,
    /// Why, in words.
    pub reason: String,
    /// The site, if it came to one.
    pub site: Option<Box<str>>,
    /// The login, if it was an attempt.
    pub login: Option<Box<str>>,
    /// The client's address.
    pub client: Option<Box<str>>,
    /// The peer's, where it is another.
    pub peer: Option<Box<str>>,
    /// What it would have been charged to.
    pub claim: Option<Arc<Claim>>,
    /// The counters that refused it, the one that lasts longest first.
    pub locked: Vec<Key>,
    /// The end of the lockout that it was told.
    pub until: Option<Moment>,
}

impl Refused {
    /// Whether a lock by hand refused it.
    #[must_use]
    pub const fn was_by_hand(&self) -> bool {
        self.until.is_some() && self.locked.is_empty()
    }
}

impl Refusals {
    fn part(&self, reference: Reference) -> &Mutex<Part> {
        let [first, ..] = &self.parts;
        self.parts.get(reference.number() as usize % PARTS).unwrap_or(first)
    }

    /// Remembers a refusal.
    pub fn note(&self, reference: Reference, refused: Refused) {
        let mut part = lock(self.part(reference));
        if let Some(known) = part.known.get_mut(&reference) {
            let (first, times) = (known.first, known.times.saturating_add(1));
            *known = Refused { first, times, ..refused };
            return;
        }
        if part.order.len() >= MOST / PARTS
            && let Some(oldest) = part.order.pop_front()
        {
            part.known.remove(&oldest);
        }
        part.order.push_back(reference);
        part.known.insert(reference, refused);
    }

    /// What is remembered of a reference.
    #[must_use]
    pub fn find(&self, reference: Reference) -> Option<Refused> {
        lock(self.part(reference)).known.get(&reference).cloned()
    }
}

/// Remembers a request that was refused with this reference and status.
pub(super) fn note(
    worker: &Worker,
    rejection: &Rejection,
    (reference, status): (&str, StatusCode),
    about: About<'_>,
    claim: Option<&Arc<Claim>>,
) {
    let Ok(reference) = reference.parse() else { return };
    let shared = &worker.shared;
    let now = shared.store.clock().wall_now();
    let lockout = rejection.lockout();
    let refused = Refused {
        first: now,
        latest: now,
        times: 1,
        kind: rejection.kind(),
        status,
        reason: rejection.to_string(),
        site: about.site.map(Box::from),
        login: about.login.map(Box::from),
        client: about.client.map(Box::from),
        peer: about.peer.map(Box::from),
        claim: claim.map(Arc::clone),
        locked: lockout.map(|lockout| lockout.keys.clone()).unwrap_or_default(),
        until: lockout.map(|lockout| lockout.until),
    };
    shared.refusals.note(reference, refused);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(times: u64) -> Refused {
        Refused {
            first: Duration::from_secs(times),
            latest: Duration::from_secs(times),
            times: 1,
            kind: AnswerKind::Denied,
            status: StatusCode::FORBIDDEN,
            reason: String::new(),
            site: None,
            login: None,
            client: None,
            peer: None,
            claim: None,
            locked: Vec::new(),
            until: None,
        }
    }

    #[test]
    fn the_latest_are_remembered_and_repeated_ones_are_one() {
        let refusals = Refusals::default();
        let of = |number: u128| Reference::of(Key(number << 88));
        for time in 1..=3 {
            refusals.note(of(0), refused(time));
        }
        let known = refusals.find(of(0)).expect("it is remembered");
        assert_eq!((known.times, known.first.as_secs(), known.latest.as_secs()), (3, 1, 3));
        for number in 1..=MOST as u128 {
            refusals.note(of(number), refused(9));
        }
        assert!(refusals.find(of(0)).is_none(), "others had to be remembered");
        assert!(refusals.find(of(MOST as u128)).is_some());
        let count: usize = refusals.parts.iter().map(|part| lock(part).known.len()).sum();
        assert_eq!(count, MOST);
    }
}
