//! The state machine of one counter: history + event + now -> history + verdict.
//!
//! As in django-axes' cache handler, failures are forgotten together, some time after the latest
//! one; with `leaky`, one by one. A lockout is kept with the failures that made it, so that a new
//! configuration can be held against them.

mod carried;
mod limit;
pub mod packed;
pub mod text;

use crate::clock::{Moment, millis};

pub use self::carried::Parts;
pub use self::limit::{CoolOff, Forget, Limit, Parameter};

/// Whether the upstream said that the credentials were wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It answered.
    Verdict,
    /// It broke off, took too long, or answered 5xx.
    NoVerdict,
}

/// Which spellings of the username a counter's failures had, as hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// None is known.
    #[default]
    Unknown,
    /// All had this one.
    One(u64),
    /// They differ.
    Mixed,
}

impl Spelling {
    /// Those of failures that had these and of others that had `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, spelling) => spelling,
            (Self::One(a), Self::One(b)) if a == b => self,
            _ => Self::Mixed,
        }
    }
}

/// What is remembered of one counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    failures: u32,
    /// In how many attempts they came, about.
    attempts: u16,
    without_verdict: u32,
    refused: u32,
    latest: Moment,
    /// When all failures (together) or the next one (leaky) will be forgotten.
    forget_at: Moment,
    /// Milliseconds until the one after that; 0 where all are forgotten together.
    leak_every: u64,
    locked_until: Option<Moment>,
    tally: u16,
    forget_tally_at: Moment,
    spelling: Spelling,
}

/// How a counter stands at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Standing {
    /// Attempts are refused until then ([`Moment::NEVER`]: until a reset).
    Locked(Moment),
    /// So many failures count.
    Open(u32),
}

/// Whether a counter has places for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Room {
    /// It has.
    Free,
    /// Only when others give theirs back.
    Full,
    /// Not even then: the attempt brings more guesses than the counter has left.
    TooMany,
    /// It is locked until then.
    Locked(Moment),
}

/// What a failure did to a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// How many failures count now.
    pub failures: u32,
    /// The end of the lockout that this failure began.
    pub locked_until: Option<Moment>,
}

impl History {
    /// This history as it stands at `now` under `limit`: what is over is over, and a limit that a
    /// reload changed is held against the failures.
    #[must_use]
    pub fn aged(mut self, limit: &Limit, now: Moment) -> Self {
        match self.locked_until {
            Some(until) if now >= until => self.begin_anew(),
            Some(_) if self.failures >= limit.failures.get() => return self,
            Some(_) => {
                self.locked_until = None; // the limit was raised above the count
                self.refused = 0;
            }
            None => {}
        }
        self.forget(now);
        if self.tally > 0 && now >= self.forget_tally_at {
            self.tally = 0;
        }
        if self.failures >= limit.failures.get() {
            // the limit was lowered to the count
            if now >= limit.cool_off.end(self.latest, self.tally) {
                self.begin_anew();
            } else {
                self.lock(limit, self.latest);
            }
        }
        self
    }

    /// How the counter stands; of an [aged](Self::aged) history.
    pub const fn standing(&self) -> Standing {
        match self.locked_until {
            Some(until) => Standing::Locked(until),
            None => Standing::Open(self.failures),
        }
    }

    /// Whether an attempt of `guesses` fits, where others hold `places`; of an aged history.
    pub const fn room(&self, limit: &Limit, places: u32, guesses: u32) -> Room {
        if let Some(until) = self.locked_until {
            return Room::Locked(until);
        }
        let most = limit.failures.get() as u64;
        let least = self.failures as u64 + guesses as u64;
        if least > most {
            Room::TooMany
        } else if least + places as u64 > most {
            Room::Full
        } else {
            Room::Free
        }
    }

    /// Charges `guesses` failures at `now`; of an aged history.
    pub fn fail(&mut self, limit: &Limit, failure: Failure, now: Moment) -> Failed {
        let first = self.failures == 0;
        if first {
            self.spelling = Spelling::Unknown;
            self.without_verdict = 0;
            self.attempts = 0;
        }
        self.attempts = self.attempts.saturating_add(1);
        self.failures = self.failures.saturating_add(failure.guesses);
        if failure.proof == Proof::NoVerdict {
            self.without_verdict = self.without_verdict.saturating_add(failure.guesses);
        }
        self.spelling = self.spelling.and(failure.spelling);
        self.latest = now;
        self.forget_later(limit, now, first);
        let locks = self.locked_until.is_none() && self.failures >= limit.failures.get();
        if locks {
            self.lock(limit, now);
        }
        Failed { failures: self.failures, locked_until: self.locked_until.filter(|_| locks) }
    }

    /// Counts a refused attempt on a locked counter and starts its cool-off again; of an aged
    /// history. Does nothing to an open one.
    pub fn refuse(&mut self, limit: &Limit, guesses: u32, now: Moment) {
        if self.locked_until.is_some() {
            self.refused = self.refused.saturating_add(guesses);
            self.tally = self.tally.saturating_sub(1);
            self.lock(limit, now);
        }
    }

    /// Forgets the failures after a success; returns how many. Leaves a lockout and the tally.
    pub const fn succeed(&mut self) -> u32 {
        if self.locked_until.is_some() {
            return 0;
        }
        let cleared = self.failures;
        self.failures = 0;
        self.without_verdict = 0;
        self.spelling = Spelling::Unknown;
        cleared
    }

    /// Takes back the failures without a verdict; returns how many. If what is left is below the
    /// limit, the lockout they made ends with them.
    pub fn pardon(&mut self, limit: &Limit) -> u32 {
        let pardoned = self.without_verdict.min(self.failures);
        self.failures -= pardoned;
        self.without_verdict = 0;
        if pardoned > 0 && self.failures < limit.failures.get() && self.locked_until.is_some() {
            self.locked_until = None;
            self.refused = 0;
            self.tally = self.tally.saturating_sub(1);
        }
        pardoned
    }

    /// Forwarded failures that count.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// How many of them the upstream gave no verdict on.
    #[must_use]
    pub const fn without_verdict(&self) -> u32 {
        self.without_verdict
    }

    /// Forwarded failures and, where refused attempts count, those.
    #[must_use]
    pub const fn shown(&self) -> u32 {
        self.failures.saturating_add(self.refused)
    }

    /// Which spellings the failures had.
    #[must_use]
    pub const fn spelling(&self) -> Spelling {
        self.spelling
    }

    /// Whether a lockout was in force when it was last aged.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        self.locked_until.is_some()
    }

    /// Whether a single attempt is all that is remembered.
    #[must_use]
    pub const fn is_one_off(&self) -> bool {
        self.attempts <= 1 && self.tally == 0
    }

    /// Nothing of it counts any more: it need not be kept.
    #[must_use]
    pub const fn is_blank(&self) -> bool {
        self.failures == 0 && self.tally == 0 && self.locked_until.is_none()
    }

    /// When time alone will next change how the counter stands; of an aged history.
    #[must_use]
    pub const fn next_change(&self) -> Moment {
        match self.locked_until {
            Some(until) => until,
            None if self.failures > 0 => self.forget_at,
            None => Moment::NEVER,
        }
    }

    /// When the history will be blank if nothing more happens; of an aged history.
    #[must_use]
    pub fn blank_at(&self) -> Moment {
        let failures = match self.locked_until {
            Some(until) => until,
            None if self.failures == 0 => Moment(0),
            None => {
                let steps = u64::from(self.failures.saturating_sub(1));
                Moment(self.forget_at.0.saturating_add(self.leak_every.saturating_mul(steps)))
            }
        };
        if self.tally > 0 { failures.max(self.forget_tally_at) } else { failures }
    }

    const fn begin_anew(&mut self) {
        self.locked_until = None;
        self.failures = 0;
        self.without_verdict = 0;
        self.refused = 0;
        self.spelling = Spelling::Unknown;
    }

    fn forget(&mut self, now: Moment) {
        if self.failures == 0 || now < self.forget_at {
            return;
        }
        let late = now.0 - self.forget_at.0;
        match late.checked_div(self.leak_every) {
            None => self.begin_anew(),
            Some(steps) => {
                let steps = steps.saturating_add(1);
                let forgotten = u32::try_from(steps).unwrap_or(u32::MAX);
                self.failures = self.failures.saturating_sub(forgotten);
                self.without_verdict = self.without_verdict.min(self.failures);
                let until_next = self.leak_every.saturating_mul(steps);
                self.forget_at = Moment(self.forget_at.0.saturating_add(until_next));
            }
        }
    }

    fn forget_later(&mut self, limit: &Limit, now: Moment, first: bool) {
        match limit.forget {
            Forget::Together => {
                self.leak_every = 0;
                self.forget_at = now.after(limit.forget_after);
            }
            Forget::Leaky => {
                let every = millis(limit.forget_after) / u64::from(limit.failures.get());
                let was_together = self.leak_every == 0;
                self.leak_every = every.max(1);
                if first || was_together {
                    self.forget_at = Moment(now.0.saturating_add(self.leak_every));
                }
            }
        }
    }

    fn lock(&mut self, limit: &Limit, from: Moment) {
        let until = limit.cool_off.end(from, self.tally);
        self.locked_until = Some(until);
        if limit.cool_off.escalates() {
            self.tally = self.tally.saturating_add(1);
            self.forget_tally_at = until.after(limit.forget_lockouts_after);
        }
    }
}

/// A failing attempt as one counter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How many guesses it brought.
    pub guesses: u32,
    /// Whether the upstream said so.
    pub proof: Proof,
    /// How the username was spelled.
    pub spelling: Spelling,
}

#[cfg(test)]
mod tests;
