//! What is said to whoever is locked out and goes on all the same: made once, told again and again.
//!
//! For a second the answer to every such request is the same, and so is its line in the log, where
//! it names the same people. A flood of them shall cost as little as it can.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use bytes::Bytes;
use http::Response;

use super::Worker;
use super::case::Case;
use super::local::LocalRule;
use super::report::{answer, seconds_left, time_of_day};
use crate::events::{self, About, Details, Name};
use crate::log::again::{Retraced, Traced};
use crate::policy::key::Claim;
use crate::policy::reference::Reference;
use crate::rejection::{Lockout, Rejection, Wanted};

/// How many are kept at hand.
const MOST: usize = 64;
/// Larger answers are not kept: an operator's page may have a MiB.
const LARGEST: usize = 8 * 1024;
/// Nor those to such an origin.
const LONGEST_ORIGIN: usize = 256;

/// What a worker said lately.
#[derive(Debug)]
pub(super) struct Repeats(RefCell<Vec<Option<Rc<Said>>>>);

/// An attempt that counters refuse.
#[derive(Clone, Copy)]
pub(super) struct Refusing<'a> {
    case: &'a Case,
    rejection: &'a Rejection,
    lockout: &'a Lockout,
    wanted: &'a Wanted,
    reference: Reference,
}

/// What was said for a second, and all that it depends on.
#[derive(Debug)]
pub(super) struct Said {
    lockout: Lockout,
    /// What it says and where it stands never changes: a reload makes other rules.
    rule: Weak<LocalRule>,
    wanted: Wanted,
    retry_after: Option<u64>,
    /// The answer.
    pub response: Response<Bytes>,
    /// The reference that is on it.
    pub reference: Reference,
    shown: String,
    until: Option<String>,
    reason: Cow<'static, str>,
    /// Whom it was told last, as a mark that may be the same for others.
    marked: Cell<u128>,
    event: RefCell<Option<Event>>,
}

/// The line about somebody to whom it was said more than once.
#[derive(Debug)]
struct Event {
    client: Option<Box<str>>,
    peer: Option<Box<str>>,
    username: Option<Box<str>>,
    traced: Traced,
}

impl Default for Repeats {
    fn default() -> Self {
        Self(RefCell::new((0..MOST).map(|_| None).collect()))
    }
}

impl<'a> Refusing<'a> {
    /// An attempt that is refused by counters; `None` where it is by anything else. A lock by hand
    /// is told with another reference each time.
    pub(super) fn by_counters(
        case: &'a Case,
        rejection: &'a Rejection,
        wanted: &'a Wanted,
    ) -> Option<Self> {
        let lockout = rejection.lockout()?;
        let reference = Reference::of(*lockout.keys.first()?);
        Some(Self { case, rejection, lockout, wanted, reference })
    }

    fn seconds_left(&self) -> Option<u64> {
        seconds_left(&self.case.worker.shared.store, self.lockout.until)
    }
}

impl Repeats {
    /// What is said to `refusing`: what was said before, if that is it.
    pub(super) fn said(&self, refusing: Refusing<'_>) -> Rc<Said> {
        let place = refusing.reference.number() as usize % MOST;
        let before = self.0.borrow().get(place).and_then(Option::clone);
        if let Some(said) = before.filter(|said| said.fits(refusing)) {
            return said;
        }
        let said = Rc::new(Said::to(refusing));
        if said.is_small()
            && let Some(place) = self.0.borrow_mut().get_mut(place)
        {
            *place = Some(Rc::clone(&said));
        }
        said
    }
}

impl Said {
    fn to(refusing: Refusing<'_>) -> Self {
        let Refusing { case, rejection, lockout, wanted, reference } = refusing;
        let (worker, shown): (&Worker, _) = (&case.worker, reference.to_string());
        let settings = &case.rule.rule.lockout.response;
        let wanted = wanted.to_keep();
        Self {
            lockout: lockout.clone(),
            rule: Rc::downgrade(&case.rule),
            retry_after: refusing.seconds_left(),
            response: answer(worker, rejection, &wanted, settings, &shown),
            wanted,
            reference,
            shown,
            reason: rejection.words(),
            until: time_of_day(&worker.shared.store, lockout.until),
            marked: Cell::default(),
            event: RefCell::default(),
        }
    }

    /// Whether it may be kept.
    fn is_small(&self) -> bool {
        let origin = self.wanted.origin.as_ref();
        self.response.body().len() <= LARGEST
            && origin.is_none_or(|origin| origin.len() <= LONGEST_ORIGIN)
    }

    /// Whether it is also what is to be said to `refusing`.
    fn fits(&self, refusing: Refusing<'_>) -> bool {
        let Refusing { case, lockout, wanted, .. } = refusing;
        std::ptr::eq(self.rule.as_ptr(), Rc::as_ptr(&case.rule))
            && self.lockout == *lockout
            && self.wanted == *wanted
            && self.retry_after == refusing.seconds_left()
    }

    /// Reports that it is said to whom `about` names, who is charged with `claim`.
    pub(super) fn report(&self, about: About<'_>, claim: &Claim) {
        let mut event = self.event.borrow_mut();
        let known = event.as_ref().filter(|event| event.is(&about));
        if known.is_some_and(|event| event.traced.again() == Retraced::Yes) {
            return;
        }
        let details = Details {
            until: self.until.as_deref(),
            reference: Some(&self.shown),
            status: Some(self.response.status().as_u16()),
            reason: Some(&self.reason),
            ..Details::default()
        };
        let report = || events::report(Name::Refused, about, details);
        let mark = claim.charges.iter().fold(0, |mark, charge| mark ^ charge.key.0);
        if self.marked.replace(mark) != mark {
            return report(); // a name that comes once need not be kept
        }
        *event = Traced::by(report).map(|traced| Event {
            client: about.client.map(Box::from),
            peer: about.peer.map(Box::from),
            username: about.username.map(Box::from),
            traced,
        });
    }
}

impl Event {
    fn is(&self, about: &About<'_>) -> bool {
        self.client.as_deref() == about.client
            && self.peer.as_deref() == about.peer
            && self.username.as_deref() == about.username
    }
}
