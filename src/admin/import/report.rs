//! What became of what another guard told: how much was taken, and what was not, and why.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::moved::{Lock, Who};
use super::here::Why;
use crate::store::Reach;
use crate::store::moved::{Locks, Taken};

/// No more reasons are told apart; what is beyond is counted together.
const MOST: usize = 1_000;

/// How much of it there was.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// How long ago it was told.
    pub age: Duration,
    /// How far it reached.
    pub reach: Reach,
    /// Counters whose username was spelled in one way that is not known here: a success does not
    /// clear their failures.
    pub without_spelling: u64,
    counters: Counted,
    locked: u64,
    locks: Counted,
    not_taken: BTreeMap<(Why, Place), u64>,
}

/// Where something would belong: at a site, a login, a limit.
type Place = (Option<String>, Option<String>, Option<String>);

#[derive(Debug, Default)]
struct Counted {
    new: u64,
    joined: u64,
    known: u64,
    expired: u64,
    not_taken: u64,
}

impl Counted {
    const fn count(&mut self, taken: Taken) {
        match taken {
            Taken::Expired => self.expired += 1,
            Taken::Joined(_) => self.joined += 1,
            Taken::Known => self.known += 1,
            Taken::New(_) => self.new += 1,
        }
    }

    fn shown(&self) -> Value {
        json!({
            "new": self.new,
            "joined": self.joined,
            "known": self.known,
            "expired": self.expired,
            "not_taken": self.not_taken,
        })
    }
}

impl Why {
    const fn name(self) -> &'static str {
        match self {
            Self::ClientExcepted => "client_excepted",
            Self::CounterUnknown => "counter_unknown",
            Self::LimitCountsOtherwise => "limit_counts_otherwise",
            Self::LimitNotConfigured => "limit_not_configured",
            Self::NameCut => "name_cut",
            Self::NameEmpty => "name_empty",
            Self::NetworkTooWide => "network_too_wide",
            Self::SessionOnly => "session_only",
            Self::SiteNotConfigured => "site_not_configured",
            Self::TooManyLocks => "too_many_locks",
        }
    }
}

impl Report {
    pub(super) const fn counter(&mut self, taken: Taken) {
        self.counters.count(taken);
        if let Taken::New(Locks::Yes) | Taken::Joined(Locks::Yes) = taken {
            self.locked += 1;
        }
    }

    pub(super) const fn lock(&mut self, taken: Taken) {
        self.locks.count(taken);
    }

    pub(super) fn counter_not_taken(&mut self, why: Why, who: &Who) {
        self.counters.not_taken += 1;
        self.not(why, (Some(who.site.clone()), who.login.clone(), Some(who.limit.clone())));
    }

    pub(super) fn lock_not_taken(&mut self, why: Why, lock: &Lock) {
        self.locks.not_taken += 1;
        let limit = lock.counter.as_ref().map(|who| who.limit.clone());
        let site = lock.counter.as_ref().map(|who| who.site.clone());
        self.not(why, (site.or_else(|| lock.site.clone()), None, limit));
    }

    fn not(&mut self, why: Why, place: Place) {
        let is_known = self.not_taken.contains_key(&(why, place.clone()));
        let place =
            if is_known || self.not_taken.len() < MOST { place } else { (None, None, None) };
        *self.not_taken.entry((why, place)).or_default() += 1;
    }

    /// As programs read it.
    pub(super) fn shown(&self) -> Value {
        let not_taken = self.not_taken.iter().map(|((why, (site, login, limit)), count)| {
            json!({ "why": why.name(), "site": site, "login": login, "limit": limit, "count": count })
        });
        json!({
            "age_s": self.age.as_secs(),
            "counters": self.counters.shown(),
            "locked": self.locked,
            "locks_by_hand": self.locks.shown(),
            "not_taken": not_taken.collect::<Vec<Value>>(),
            "shared": self.reach.is_shared(),
            "without_spelling": self.without_spelling,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counted { new, joined, known, expired, not_taken } = &self.counters;
        write!(
            out,
            "{new} counters new, {joined} joined, {known} known, {expired} over, {not_taken} not \
             taken; {} locks by hand, {} not taken",
            self.locks.new + self.locks.joined + self.locks.known,
            self.locks.not_taken
        )
    }
}
