//! What was refused lately, by the reference that the client was given.
//!
//! A bounded number of refusals is remembered, in parts with a lock each, so that a flood of them
//! costs little and nobody else anything. Repeated ones of one reference are one. A reference is a
//! counter's, and whoever that refuses is told it: the latest few of them are remembered.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;

use super::Worker;
use crate::clock::Moment;
use crate::events::About;
use crate::policy::key::{AccountId, Claim, Key};
use crate::policy::reference::Reference;
use crate::rejection::{AnswerKind, Rejection};
use crate::store::memory::{BuildHashedAlready, lock};

/// How many are remembered.
pub const MOST: usize = 10_000;

/// Of how many people that were told a reference, besides the latest.
pub const MOST_OTHERS: usize = 4;

const PARTS: usize = 16;

/// What was refused lately.
#[derive(Debug, Default)]
pub struct Refusals {
    parts: [Mutex<Part>; PARTS],
}

#[derive(Debug, Default)]
struct Part {
    known: HashMap<Reference, Remembered, BuildHashedAlready>,
    /// In the order in which they came first.
    order: VecDeque<Reference>,
}

/// What is remembered of a reference.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// When it was given first, since 1970.
    pub first: Duration,
    /// How often it was given, to whomever.
    pub times: u64,
    /// The request that was refused last.
    pub latest: Refused,
    /// The latest of other people, the last of them first.
    pub others: Vec<Refused>,
}

/// A request that was refused, and how often the same person's were.
#[derive(Clone, Debug)]
pub struct Refused {
    /// When it was last, since 1970.
    pub when: Duration,
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

impl Remembered {
    /// The latest of each of the people, the last of them first.
    pub fn people(&self) -> impl Iterator<Item = &Refused> {
        std::iter::once(&self.latest).chain(&self.others)
    }

    /// What they would have been charged to.
    pub fn claims(&self) -> impl Iterator<Item = &Arc<Claim>> {
        self.people().filter_map(|person| person.claim.as_ref())
    }

    /// The counters that refused them.
    #[must_use]
    pub fn locked(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.people().flat_map(|person| &person.locked).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Another one was refused with it.
    fn add(&mut self, told: &Told<'_>) {
        self.times = self.times.saturating_add(1);
        if self.latest.was_told(told) {
            // whoever is refused again and again costs no memory
            self.latest.times = self.latest.times.saturating_add(1);
            self.latest.when = told.when;
            return;
        }
        let mut refused = told.remembered();
        let before = match self.others.iter().position(|other| other.is_same(&refused)) {
            _ if self.latest.is_same(&refused) => {
                refused.times = self.latest.times.saturating_add(1);
                self.latest = refused;
                return;
            }
            Some(at) => self.others.remove(at).times,
            None => 0,
        };
        refused.times = before.saturating_add(1);
        self.others.insert(0, std::mem::replace(&mut self.latest, refused));
        self.others.truncate(MOST_OTHERS);
    }
}

/// A refusal that is about to be remembered.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// When it is, since 1970.
    pub when: Duration,
    /// What kind of answer it is.
    pub kind: AnswerKind,
    /// With which status.
    pub status: StatusCode,
    /// Why, in words.
    pub reason: &'a str,
    /// Of whom, and where.
    pub about: About<'a>,
    /// What it would have been charged to.
    pub claim: Option<&'a Arc<Claim>>,
    /// The counters that refuse it, the one that lasts longest first.
    pub locked: &'a [Key],
    /// The end of the lockout that it is told.
    pub until: Option<Moment>,
}

impl Told<'_> {
    /// It, as it is remembered.
    fn remembered(self) -> Refused {
        let About { client, peer, site, login, .. } = self.about;
        Refused {
            when: self.when,
            times: 1,
            kind: self.kind,
            status: self.status,
            reason: self.reason.to_owned(),
            site: site.map(Box::from),
            login: login.map(Box::from),
            client: client.map(Box::from),
            peer: peer.map(Box::from),
            claim: self.claim.map(Arc::clone),
            locked: self.locked.to_owned(),
            until: self.until,
        }
    }
}

/// The accounts that a claim is charged to.
fn accounts(claim: Option<&Arc<Claim>>) -> impl Iterator<Item = AccountId> {
    let candidates = claim.into_iter().flat_map(|claim| &claim.subject.candidates);
    candidates.map(|candidate| candidate.account)
}

/// Whether two claims are on the same counters, by somebody of the same names.
fn is_same_claim(one: Option<&Claim>, other: Option<&Claim>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.charges == other.charges && one.subject == other.subject,
        (one, other) => one.is_none() && other.is_none(),
    }
}

impl Refused {
    /// Whether it was the same person, as far as that can be told.
    fn is_same(&self, other: &Self) -> bool {
        self.client == other.client
            && accounts(self.claim.as_ref()).eq(accounts(other.claim.as_ref()))
    }

    /// Whether the same person was told the same.
    fn was_told(&self, told: &Told<'_>) -> bool {
        let About { client, peer, site, login, .. } = told.about;
        self.client.as_deref() == client
            && self.peer.as_deref() == peer
            && (self.site.as_deref(), self.login.as_deref()) == (site, login)
            && (self.kind, self.status, self.until) == (told.kind, told.status, told.until)
            && self.locked == told.locked
            && self.reason == told.reason
            && is_same_claim(self.claim.as_deref(), told.claim.map(|claim| &**claim))
    }

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
    pub fn note(&self, reference: Reference, told: &Told<'_>) {
        let mut part = lock(self.part(reference));
        if let Some(known) = part.known.get_mut(&reference) {
            known.add(told);
            return;
        }
        let refused = told.remembered();
        if part.order.len() >= MOST / PARTS
            && let Some(oldest) = part.order.pop_front()
        {
            part.known.remove(&oldest);
        }
        part.order.push_back(reference);
        let (first, times, others) = (refused.when, refused.times, Vec::new());
        part.known.insert(reference, Remembered { first, times, latest: refused, others });
    }

    /// Shows `see` all that is remembered, in no order.
    pub fn each(&self, mut see: impl FnMut(Reference, &Remembered)) {
        for part in &self.parts {
            lock(part).known.iter().for_each(|(reference, known)| see(*reference, known));
        }
    }

    /// What is remembered of a reference.
    #[must_use]
    pub fn find(&self, reference: Reference) -> Option<Remembered> {
        lock(self.part(reference)).known.get(&reference).cloned()
    }
}

/// Remembers a request that was refused with this reference and status.
pub(super) fn note(
    worker: &Worker,
    rejection: &Rejection,
    (reference, status): (Reference, StatusCode),
    about: About<'_>,
    claim: Option<&Arc<Claim>>,
) {
    let lockout = rejection.lockout();
    let words = rejection.words();
    let told = Told {
        when: worker.shared.store.clock().wall_now(),
        kind: rejection.kind(),
        status,
        reason: &words,
        about,
        claim,
        locked: lockout.map_or(&[], |lockout| &lockout.keys),
        until: lockout.map(|lockout| lockout.until),
    };
    worker.shared.refusals.note(reference, &told);
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ipnet::IpNet;

    use super::*;
    use crate::policy::account::Account;
    use crate::policy::key::{Candidate, Charge, Counted, Keyer, LimitId, Subject};

    fn told(when: u64) -> Told<'static> {
        Told {
            when: Duration::from_secs(when),
            kind: AnswerKind::Denied,
            status: StatusCode::FORBIDDEN,
            reason: "",
            about: About::default(),
            claim: None,
            locked: &[],
            until: None,
        }
    }

    #[test]
    fn the_latest_are_remembered_and_repeated_ones_are_one() {
        let refusals = Refusals::default();
        let of = |number: u128| Reference::of(Key(number << 88));
        for time in 1..=3 {
            refusals.note(of(0), &told(time));
        }
        let known = refusals.find(of(0)).expect("it is remembered");
        let (first, latest) = (known.first.as_secs(), known.latest.when.as_secs());
        assert_eq!((known.times, first, latest, known.others.len()), (3, 1, 3, 0));
        for number in 1..=MOST as u128 {
            refusals.note(of(number), &told(9));
        }
        assert!(refusals.find(of(0)).is_none(), "others had to be remembered");
        assert!(refusals.find(of(MOST as u128)).is_some());
        let count: usize = refusals.parts.iter().map(|part| lock(part).known.len()).sum();
        assert_eq!(count, MOST);
    }

    #[test]
    fn the_latest_few_people_that_were_told_one_reference_are_remembered() {
        let refusals = Refusals::default();
        let reference = Reference::of(Key(0));
        for (when, client) in (1..).zip(["a", "b", "a", "c", "d", "e", "f", "a"]) {
            let about = About { client: Some(client), ..About::default() };
            refusals.note(reference, &Told { about, ..told(when) });
        }
        let known = refusals.find(reference).expect("it is remembered");
        let people =
            known.people().map(|who| (who.client.as_deref().unwrap_or_default(), who.times));
        assert_eq!(people.collect::<Vec<_>>(), [("a", 3), ("f", 1), ("e", 1), ("d", 1), ("c", 1)]);
        assert_eq!((known.first.as_secs(), known.times), (1, 8));
    }

    #[test]
    fn whoever_is_told_the_same_again_is_counted_and_whatever_changes_is_remembered() {
        let refusals = Refusals::default();
        let reference = Reference::of(Key(0));
        let about = About { client: Some("a"), ..About::default() };
        let first = Told { about, until: Some(Moment(5)), ..told(1) };
        let later = Told { until: Some(Moment(7)), reason: "why", ..first };
        for (when, told) in (1..).zip([first, first, later, later]) {
            refusals.note(reference, &Told { when: Duration::from_secs(when), ..told });
            let latest = refusals.find(reference).expect("it is remembered").latest;
            let (times, reason, until) = (latest.times, &*latest.reason, latest.until);
            assert_eq!((times, latest.when.as_secs()), (when, when));
            assert_eq!((reason, until), (told.reason, told.until));
        }
    }

    #[test]
    fn the_latest_spelling_and_the_latest_limits_are_remembered() {
        let refusals = Refusals::default();
        let reference = Reference::of(Key(0));
        let keyer = Keyer::new([7; 16]);
        let claim = |name: &str, limits: &[u32]| {
            let account = Account::new("bob").unwrap();
            let client = IpNet::from(IpAddr::from([192, 0, 2, 1]));
            let mut subject = Subject::new("shop".into(), client, client);
            subject.candidates = vec![Candidate::typed(&keyer, name.as_bytes(), &account)].into();
            let charge = |limit: &u32| Charge {
                key: Key((*limit).into()),
                limit: LimitId(*limit),
                candidate: Some(0),
            };
            let charges = limits.iter().map(charge).collect();
            let counted = Counted::Limits;
            Arc::new(Claim { subject: Arc::new(subject), charges, guesses: 1, counted })
        };
        let claims =
            [claim("bob", &[1]), claim("bob", &[1]), claim("Bob", &[1]), claim("Bob", &[1, 2])];
        for (times, claim) in (1..).zip(&claims) {
            refusals.note(reference, &Told { claim: Some(claim), ..told(times) });
            let latest = refusals.find(reference).expect("it is remembered").latest;
            let known = latest.claim.expect("it has one");
            assert_eq!(latest.times, times);
            assert_eq!((&known.charges, &known.subject), (&claim.charges, &claim.subject));
        }
    }
}
