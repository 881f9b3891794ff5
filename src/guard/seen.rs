//! What was seen lately of sessions and of Basic credentials: hashes, bounded, forgotten in time.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::policy::key::{AccountId, Fingerprint};
use crate::store::memory::Recent;

const MOST_SESSIONS: u64 = 100_000;
const MOST_CREDENTIALS: u64 = 10_000;
const SESSION_LIFE: Duration = Duration::from_hours(24);
const ACCEPTED_LIFE: Duration = Duration::from_mins(5);
const CHALLENGE_LIFE: Duration = Duration::from_hours(1);
/// An account that a session may belong to, at most so many.
const MOST_ACCOUNTS: usize = 4;

/// What was seen lately, by all workers.
#[derive(Debug)]
pub struct Seen {
    sessions: Recent<Owners>,
    accepted: Recent<()>,
    wrong: Recent<()>,
    challenged: Recent<Option<Fingerprint>>,
}

/// Whom a session belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    /// These accounts; an attempt may have named several.
    pub accounts: Arc<[AccountId]>,
    /// How surely.
    pub hold: Hold,
}

/// How surely a session belongs to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// An attempt in it named him and failed.
    Claimed,
    /// An attempt in it named him and did not fail.
    Proven,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            sessions: Recent::new(MOST_SESSIONS),
            accepted: Recent::new(MOST_CREDENTIALS),
            wrong: Recent::new(MOST_CREDENTIALS),
            challenged: Recent::new(MOST_CREDENTIALS),
        }
    }
}

impl Seen {
    /// Whom a session is known to belong to.
    #[must_use]
    pub fn owners(&self, session: Fingerprint, now: Moment) -> Option<Owners> {
        self.sessions.get(session, now)
    }

    /// A session belongs to these accounts from now on, unless that is only claimed and it is
    /// somebody's already.
    pub fn belongs(&self, session: Fingerprint, accounts: &[AccountId], hold: Hold, now: Moment) {
        if hold == Hold::Proven || self.owners(session, now).is_none() {
            let accounts = accounts.get(..MOST_ACCOUNTS).unwrap_or(accounts).into();
            self.sessions.remember(session, Owners { accounts, hold }, now.after(SESSION_LIFE));
        }
    }

    /// A session has ended.
    pub fn ended(&self, session: Fingerprint) {
        self.sessions.forget(session);
    }

    /// Whether these credentials were accepted lately.
    #[must_use]
    pub fn are_accepted(&self, credentials: Fingerprint, now: Moment) -> bool {
        self.accepted.get(credentials, now).is_some()
    }

    /// These credentials were accepted.
    pub fn accept(&self, credentials: Fingerprint, now: Moment) {
        self.accepted.remember(credentials, (), now.after(ACCEPTED_LIFE));
    }

    /// These credentials were refused; whether that was known already. Known for `time`.
    #[must_use]
    pub fn refuse(&self, credentials: Fingerprint, time: Duration, now: Moment) -> bool {
        self.accepted.forget(credentials);
        let known = self.wrong.get(credentials, now).is_some();
        if !known {
            self.wrong.remember(credentials, (), now.after(time));
        }
        known
    }

    /// A target was refused with these credentials, or with none.
    pub fn challenge(&self, target: Fingerprint, with: Option<Fingerprint>, now: Moment) {
        self.challenged.remember(target, with, now.after(CHALLENGE_LIFE));
    }

    /// Whether a target was refused lately with other credentials than these, or with none.
    #[must_use]
    pub fn was_challenged(&self, target: Fingerprint, with: Fingerprint, now: Moment) -> bool {
        self.challenged.get(target, now).is_some_and(|others| others != Some(with))
    }
}
