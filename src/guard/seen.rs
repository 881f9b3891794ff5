//! What was seen lately of sessions and of Basic credentials: hashes, bounded, forgotten in time.

mod carried;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::policy::key::{AccountId, Fingerprint, Fingerprinter};
use crate::store::memory::Recent;

const MOST_SESSIONS: u64 = 100_000;
const MOST_CREDENTIALS: u64 = 10_000;
const SESSION_LIFE: Duration = Duration::from_hours(24);
const ACCEPTED_LIFE: Duration = Duration::from_mins(5);
const CHALLENGE_LIFE: Duration = Duration::from_hours(1);
/// No attempt is charged to more accounts than this because of the sessions it carries.
pub const MOST_OWNERS: usize = 8;

/// What was seen lately, by all workers.
#[derive(Debug)]
pub struct Seen {
    fingerprinter: Fingerprinter,
    /// Those that are only claimed, so that claims evict claims.
    claimed: Recent<Arc<[AccountId]>>,
    proven: Recent<Arc<[AccountId]>>,
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

impl Seen {
    /// Nothing was seen yet; secrets are hashed by `fingerprinter`.
    #[must_use]
    pub fn new(fingerprinter: Fingerprinter) -> Self {
        Self {
            fingerprinter,
            claimed: Recent::new(MOST_SESSIONS),
            proven: Recent::new(MOST_SESSIONS),
            accepted: Recent::new(MOST_CREDENTIALS),
            wrong: Recent::new(MOST_CREDENTIALS),
            challenged: Recent::new(MOST_CREDENTIALS),
        }
    }

    /// What hashes the secrets that it knows.
    #[must_use]
    pub const fn fingerprinter(&self) -> &Fingerprinter {
        &self.fingerprinter
    }

    /// Whom a session is known to belong to.
    #[must_use]
    pub fn owners(&self, session: Fingerprint, now: Moment) -> Option<Owners> {
        let owners = |hold| move |accounts| Owners { accounts, hold };
        let proven = self.proven.get(session, now).map(owners(Hold::Proven));
        proven.or_else(|| self.claimed.get(session, now).map(owners(Hold::Claimed)))
    }

    /// An attempt in this session named these accounts and failed: it is theirs, unless it is
    /// somebody's already.
    pub fn claim(&self, session: Fingerprint, accounts: &[AccountId], now: Moment) {
        if self.owners(session, now).is_none() {
            self.claimed.remember(session, accounts.into(), now.after(SESSION_LIFE));
        }
    }

    /// This session belongs to these accounts from now on.
    pub fn belongs(&self, session: Fingerprint, accounts: &[AccountId], now: Moment) {
        self.proven.remember(session, accounts.into(), now.after(SESSION_LIFE));
    }

    /// This session belongs to these accounts too.
    pub fn belongs_also(&self, session: Fingerprint, accounts: &[AccountId], now: Moment) {
        let mut all = self.owners(session, now).map_or_else(Vec::new, |o| o.accounts.to_vec());
        for account in accounts {
            if !all.contains(account) {
                all.push(*account);
            }
        }
        self.belongs(session, &all, now);
    }

    /// A session has ended.
    pub fn ended(&self, session: Fingerprint) {
        self.claimed.forget(session);
        self.proven.forget(session);
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
