//! What scripts are told of an attempt and its counters.

use std::time::Duration;

use super::about::{common, own};
use super::answer::Answer;
use super::counter::{Action, Began, kept_for, limit_text};
use super::lease::Lease;
use super::names::{Names, changes, counter};
use crate::clock::{Clock, millis};
use crate::policy::key::{Charge, Claim, Key};
use crate::policy::lockout::Parameter::{IpAddress, Username};
use crate::policy::lockout::text::spelling_text;
use crate::policy::lockout::{Limit, Proof, Standing as Locked};
use crate::policy::route::{ResetOnSuccess, WhileLocked};
use crate::store::ledger::told::{Standing, judge};
use crate::store::ledger::{Refusal, Settled, Settlement};
use crate::store::register::Registered;

/// Keys and arguments of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Its keys, all of one site.
    pub keys: Vec<Vec<u8>>,
    /// How many of them are counters.
    pub counters: usize,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
}

/// Whose counters a script is about.
#[derive(Debug)]
pub struct About<'a> {
    /// What all keys begin with.
    pub site: String,
    /// What is charged to them.
    pub claim: &'a Claim,
    /// Their limits, one for each charge.
    pub limits: Vec<Registered>,
    /// What time it is, where the server is not to look for itself.
    pub now: String,
}

/// When a script is too late, by the server's clock; 0: never.
pub type NotAfter = i64;

impl<'a> About<'a> {
    /// The counters of `claim`, whose limits these are.
    #[must_use]
    pub fn new(names: &Names, claim: &'a Claim, limits: Vec<Registered>, clock: &Clock) -> Self {
        let now = clock.driven_now().map_or_else(|| "0".to_owned(), |now| now.0.to_string());
        Self { site: names.site(&claim.subject.site), claim, limits, now }
    }

    /// For [`super::scripts::ADMIT`].
    #[must_use]
    pub fn admit(
        &self,
        lease: &Lease,
        (ttl, not_after): (u64, NotAfter),
        (known, while_locked): (&str, WhileLocked),
    ) -> Request {
        let counts = if while_locked == WhileLocked::Count { "c" } else { "-" };
        let (not_after, guesses) = (not_after.to_string(), self.claim.guesses.to_string());
        let ttl = ttl.to_string();
        let first = [&self.now, &not_after, known, &guesses, &lease.field, &ttl, counts];
        let mut request = self.request(&first);
        request.keys.insert(0, changes(&self.site));
        self.name_counters(&mut request.arguments);
        request
    }

    /// For [`super::scripts::HOLD`].
    #[must_use]
    pub fn hold(&self, lease: &Lease, (ttl, not_after): (u64, NotAfter)) -> Request {
        let (not_after, guesses) = (not_after.to_string(), self.claim.guesses.to_string());
        let first = [&self.now, &not_after, &guesses, &*lease.field, &ttl.to_string()];
        let mut request = self.request(&first);
        self.name_counters(&mut request.arguments);
        request
    }

    /// For [`super::scripts::SETTLE`], of an attempt that ended so long ago. The server remembers for
    /// `over` that the lease is over, where it may be asked for again, in milliseconds.
    #[must_use]
    pub fn settle(
        &self,
        lease: &Lease,
        (due, (ago, over)): (Due<'_>, (Duration, u64)),
        what: Settlement,
    ) -> Request {
        let (ago, over) = (millis(ago).to_string(), over.to_string());
        let mut request = self.request(&[&self.now, &lease.field, &due.text(), &ago, &over]);
        for (charge, registered) in self.counters() {
            request.arguments.extend(self.done(charge, &registered.limit, what));
        }
        request
    }

    /// For [`super::scripts::CHARGE`].
    #[must_use]
    pub fn charge(&self, not_after: NotAfter, what: Settlement) -> Request {
        let guesses = self.claim.guesses.to_string();
        let mut request = self.request(&[&self.now, &not_after.to_string(), &guesses]);
        request.arguments.push(common(&self.claim.subject));
        for (charge, registered) in self.counters() {
            request.arguments.extend(self.done(charge, &registered.limit, what));
            request.arguments.push(own(&registered.name, charge.candidate));
        }
        request
    }

    /// For [`super::scripts::PEEK`]; without counters it only looks at the locks by hand.
    #[must_use]
    pub fn peek(&self, known: &str) -> Request {
        let mut request = self.request(&[&self.now, known]);
        request.keys.insert(0, changes(&self.site));
        let limits = self.limits.iter().map(|registered| limit_text(&registered.limit));
        request.arguments.extend(limits.map(String::into_bytes));
        request
    }

    /// For [`super::scripts::RENEW`].
    #[must_use]
    pub fn renew(&self, lease: &Lease, ttl: u64) -> Request {
        let mut request = self.request(&[&self.now, &lease.field, &ttl.to_string()]);
        let kept = |registered: &Registered| match kept_for(&registered.limit) {
            Some(kept) => millis(kept.saturating_add(Duration::from_millis(ttl))).to_string(),
            None => "n".to_owned(),
        };
        request.arguments.extend(self.limits.iter().map(|limit| kept(limit).into_bytes()));
        request
    }

    /// The first counter that has no place, as a script told them.
    ///
    /// # Errors
    ///
    /// Why the attempt does not go on.
    pub fn judge(&self, answer: &Answer) -> Result<Option<Key>, Refusal> {
        let standing = self.counters().zip(&answer.told).map(|((charge, registered), told)| {
            let (limit, history) = (&*registered.limit, &told.history);
            Standing { key: charge.key, limit, history, places: told.places }
        });
        judge(standing, self.claim.guesses)
    }

    /// What a settlement did, as a script told it.
    #[must_use]
    pub fn settled(&self, answer: &Answer) -> Vec<Settled> {
        let settled = self.counters().zip(&answer.told).map(|((charge, registered), told)| {
            let locked_until = match told.history.standing() {
                Locked::Locked(until) if told.began == Began::Lockout => Some(until),
                Locked::Locked(_) | Locked::Open(_) => None,
            };
            Settled {
                key: charge.key,
                limit: charge.limit,
                of: registered.limit.failures.get(),
                failures: told.history.failures(),
                cleared: told.cleared,
                locked_until,
            }
        });
        settled.collect()
    }

    fn request(&self, first: &[&str]) -> Request {
        let keys: Vec<Vec<u8>> =
            self.counters().map(|(charge, _)| counter(&self.site, charge.key)).collect();
        let arguments = first.iter().map(|word| word.as_bytes().to_vec()).collect();
        Request { counters: keys.len(), keys, arguments }
    }

    /// What is kept with counters, so that whoever reads them knows whose they are.
    fn name_counters(&self, to: &mut Vec<Vec<u8>>) {
        to.push(common(&self.claim.subject));
        for (charge, registered) in self.counters() {
            to.push(limit_text(&registered.limit).into_bytes());
            to.push(own(&registered.name, charge.candidate));
        }
    }

    fn counters(&self) -> impl Iterator<Item = (&Charge, &Registered)> {
        self.claim.charges.iter().zip(&self.limits)
    }

    fn done(&self, charge: &Charge, limit: &Limit, what: Settlement) -> [Vec<u8>; 3] {
        let action = action(self.claim, limit, what).text();
        let spelling = spelling_text(self.claim.spelling(charge.key));
        [limit_text(limit), action, spelling].map(String::into_bytes)
    }
}

/// What is owed to counters that do not know the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    /// Nothing: it was settled, or is a failure already.
    IfKnown,
    /// Whatever it came to, where nobody saw it: the server that may have heard of it is gone.
    IfUnseen,
    /// Whatever it came to: the server has lost it.
    Surely,
}

/// What is [`Owed`], as a script is told it.
#[derive(Clone, Copy, Debug)]
pub enum Due<'a> {
    /// Nothing to counters that do not know the lease.
    IfKnown,
    /// Whatever it came to, to a counter that has no more failures than a server before had, which
    /// is gone: it does not know of it. One number for each counter, where there is one.
    IfUnseen(&'a [Option<u32>]),
    /// Whatever it came to.
    Surely,
}

impl Owed {
    /// It, to counters that had so many failures on a server before.
    #[must_use]
    pub const fn due(self, before: &[Option<u32>]) -> Due<'_> {
        match self {
            Self::IfKnown => Due::IfKnown,
            Self::IfUnseen => Due::IfUnseen(before),
            Self::Surely => Due::Surely,
        }
    }
}

impl Due<'_> {
    fn text(self) -> String {
        match self {
            Self::IfKnown => "-".to_owned(),
            Self::Surely => "sure".to_owned(),
            Self::IfUnseen(before) => {
                let mut text = "unseen".to_owned();
                for failures in before {
                    text.push(' ');
                    let failures = failures.map(|failures| failures.to_string());
                    text.push_str(failures.as_deref().unwrap_or("-1"));
                }
                text
            }
        }
    }
}

/// What a settlement does to a counter.
#[must_use]
pub fn action(claim: &Claim, limit: &Limit, what: Settlement) -> Action {
    match what {
        Settlement::GivenBack => Action::GiveBack,
        Settlement::Failure(proof) => Action::Fail(claim.guesses, proof),
        Settlement::Success { reset: ResetOnSuccess::All } => Action::Clear,
        // one of them was right, and nobody knows which
        Settlement::Success { .. } if claim.guesses > 1 => {
            Action::Fail(claim.guesses - 1, Proof::Verdict)
        }
        Settlement::Success { reset: ResetOnSuccess::None } => Action::Observe,
        Settlement::Success { reset: ResetOnSuccess::SameClient } => {
            let names_both = limit.by.contains(&Username) && limit.by.contains(&IpAddress);
            let is_clear = names_both && claim.subject.candidates.len() == 1;
            if is_clear { Action::ClearSame } else { Action::Observe }
        }
    }
}
