//! Whether a login rule sees what a rule should see; if not, it is said loudly.

use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Moment;
use crate::policy::outcome::{Basis, Outcome};
use crate::store::memory::lock;

/// Fewer attempts than these say nothing.
const ENOUGH: u64 = 20;
/// What is said once is said again after this.
const AGAIN: Duration = Duration::from_hours(1);
/// A rule that matches nothing for so long is suspect.
const SILENCE: Duration = Duration::from_hours(24);

/// What a rule has seen.
#[derive(Debug)]
pub struct RuleWatch(Mutex<Tally>);

#[derive(Debug)]
struct Tally {
    attempts: u64,
    successes: u64,
    failures: u64,
    ignored: u64,
    named: u64,
    latest: Moment,
    reported: Option<Moment>,
    unmatched: Option<String>,
}

/// What one attempt was, as far as it tells of its rule.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// What it came to.
    pub outcome: Outcome,
    /// Why.
    pub basis: Basis,
    /// Whether it named an account.
    pub named: Named,
}

/// Whether an attempt named an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It did not.
    No,
    /// The rule has no source of names.
    NotWanted,
    /// It did.
    Yes,
}

impl RuleWatch {
    /// A rule that has seen nothing until `now`.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self(Mutex::new(Tally {
            attempts: 0,
            successes: 0,
            failures: 0,
            ignored: 0,
            named: 0,
            latest: now,
            reported: None,
            unmatched: None,
        }))
    }

    /// Takes an attempt into account; returns what is wrong with the rule, when it is time to say
    /// so. `looks` describes an answer that no rule matched.
    #[must_use]
    pub fn see(
        &self,
        sighting: Sighting,
        looks: impl FnOnce() -> String,
        now: Moment,
    ) -> Option<String> {
        let mut tally = lock(&self.0);
        tally.attempts += 1;
        tally.latest = now;
        match sighting.outcome {
            Outcome::Failure => tally.failures += 1,
            Outcome::Ignored => tally.ignored += 1,
            Outcome::Success => tally.successes += 1,
        }
        tally.named += u64::from(sighting.named != Named::No);
        if sighting.basis == Basis::Unmatched && tally.attempts % ENOUGH == 1 {
            tally.unmatched = Some(looks());
        }
        let suspicion = tally.suspicion()?;
        let is_due = tally.reported.is_none_or(|reported| now.since(reported) >= AGAIN);
        if !is_due {
            return None;
        }
        tally.reported = Some(now);
        Some(match &tally.unmatched {
            Some(looks) => format!("{suspicion}; unmatched answers look like {looks}"),
            None => suspicion,
        })
    }

    /// Whether no request has matched the rule for so long that it should be said at `now`.
    #[must_use]
    pub fn is_silent(&self, now: Moment) -> bool {
        let mut tally = lock(&self.0);
        let silent = now.since(tally.latest) >= SILENCE;
        if silent {
            tally.latest = now; // and is said again in a day
        }
        silent
    }
}

impl Tally {
    fn suspicion(&self) -> Option<String> {
        let attempts = self.attempts;
        if attempts < ENOUGH {
            return None;
        }
        let never = |what: &str| Some(format!("in {attempts} attempts never {what}"));
        if self.successes == 0 {
            never("a success")
        } else if self.failures == 0 {
            never("a failure")
        } else if self.named == 0 {
            never("a username")
        } else if self.ignored * 10 > attempts * 9 {
            Some(format!("{} of {attempts} attempts were ignored", self.ignored))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(outcome: Outcome) -> Sighting {
        Sighting { outcome, basis: Basis::Rule, named: Named::Yes }
    }

    #[test]
    fn a_rule_that_never_sees_a_success_is_reported_after_20_attempts_and_then_hourly() {
        let watch = RuleWatch::new(Moment(0));
        let unmatched = Sighting { basis: Basis::Unmatched, ..sighting(Outcome::Failure) };
        let looks = || "status 200".to_owned();
        for _ in 0..19 {
            assert_eq!(watch.see(unmatched, looks, Moment(1)), None);
        }
        let said = watch.see(unmatched, looks, Moment(1)).expect("the twentieth is reported");
        assert_eq!(said, "in 20 attempts never a success; unmatched answers look like status 200");
        assert_eq!(watch.see(unmatched, looks, Moment(2)), None);
        let later = Moment(1).after(AGAIN);
        assert!(watch.see(unmatched, looks, later).is_some());
        assert_eq!(watch.see(sighting(Outcome::Success), looks, later.after(AGAIN)), None);
    }

    #[test]
    fn a_rule_that_matches_nothing_for_a_day_is_reported() {
        let watch = RuleWatch::new(Moment(0));
        assert!(!watch.is_silent(Moment(0).after(SILENCE - Duration::from_millis(1))));
        assert!(watch.is_silent(Moment(0).after(SILENCE)));
        assert!(!watch.is_silent(Moment(1).after(SILENCE)));
    }
}
