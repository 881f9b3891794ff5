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

/// What a rule has seen, on all threads.
#[derive(Debug)]
pub struct RuleWatch(Mutex<Tally>);

#[derive(Debug)]
struct Tally {
    all: Batch,
    latest: Moment,
    reported: Option<Moment>,
}

/// What a rule has seen on one thread for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    attempts: u64,
    successes: u64,
    failures: u64,
    ignored: u64,
    named: u64,
    /// What an answer looked like that no rule matched.
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

impl Batch {
    /// Nothing was seen.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.attempts == 0
    }

    /// Takes an attempt in. `looks` describes an answer that no rule matched.
    pub fn add(&mut self, sighting: Sighting, looks: impl FnOnce() -> String) {
        self.attempts += 1;
        match sighting.outcome {
            Outcome::Failure => self.failures += 1,
            Outcome::Ignored => self.ignored += 1,
            Outcome::Success => self.successes += 1,
        }
        self.named += u64::from(sighting.named != Named::No);
        if sighting.basis == Basis::Unmatched && self.unmatched.is_none() {
            self.unmatched = Some(looks());
        }
    }

    fn add_all(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.successes += other.successes;
        self.failures += other.failures;
        self.ignored += other.ignored;
        self.named += other.named;
        self.unmatched = other.unmatched.or_else(|| self.unmatched.take());
    }

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

impl RuleWatch {
    /// A rule that has seen nothing until `now`.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self(Mutex::new(Tally { all: Batch::default(), latest: now, reported: None }))
    }

    /// Takes what one thread has seen into account; returns what is wrong with the rule, when it
    /// is time to say so.
    #[must_use]
    pub fn see(&self, batch: Batch, now: Moment) -> Option<String> {
        let mut tally = lock(&self.0);
        tally.latest = now;
        tally.all.add_all(batch);
        let suspicion = tally.all.suspicion()?;
        let is_due = tally.reported.is_none_or(|reported| now.since(reported) >= AGAIN);
        if !is_due {
            return None;
        }
        tally.reported = Some(now);
        Some(told(suspicion, tally.all.unmatched.as_deref()))
    }

    /// What is wrong with the rule at present, whether or not it was said.
    #[must_use]
    pub fn suspicion(&self, now: Moment) -> Option<String> {
        let tally = lock(&self.0);
        match (tally.all.suspicion(), &tally.all.unmatched) {
            (Some(suspicion), looks) => Some(told(suspicion, looks.as_deref())),
            (None, _) if now.since(tally.latest) >= SILENCE => Some(SILENT.to_owned()),
            (None, _) => None,
        }
    }

    /// What is wrong where no request has matched the rule for long; said once a day.
    #[must_use]
    pub fn silence(&self, now: Moment) -> Option<String> {
        let mut tally = lock(&self.0);
        if now.since(tally.latest) < SILENCE {
            return None;
        }
        tally.latest = now;
        Some(SILENT.to_owned())
    }
}

const SILENT: &str = "no request has matched this rule for 24 hours";

/// A suspicion, with what answers look like that no rule matches.
fn told(suspicion: String, looks: Option<&str>) -> String {
    match looks {
        Some(looks) => format!("{suspicion}; unmatched answers look like {looks}"),
        None => suspicion,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(attempts: usize, sighting: Sighting) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..attempts {
            batch.add(sighting, || "status 200".to_owned());
        }
        batch
    }

    fn sighting(outcome: Outcome, basis: Basis) -> Sighting {
        Sighting { outcome, basis, named: Named::Yes }
    }

    #[test]
    fn a_rule_that_never_sees_a_success_is_reported_after_20_attempts_and_then_hourly() {
        let watch = RuleWatch::new(Moment(0));
        let unmatched = sighting(Outcome::Failure, Basis::Unmatched);
        assert_eq!(watch.see(batch(19, unmatched), Moment(1)), None);
        let said = watch.see(batch(1, unmatched), Moment(1)).expect("the twentieth is reported");
        assert_eq!(said, "in 20 attempts never a success; unmatched answers look like status 200");
        assert_eq!(watch.see(batch(5, unmatched), Moment(2)), None);
        let present = watch.suspicion(Moment(2)).expect("it is so, said or not");
        assert!(present.starts_with("in 25 attempts never a success; "), "{present}");
        let later = Moment(1).after(AGAIN);
        assert!(watch.see(batch(1, unmatched), later).is_some());
        let success = batch(1, sighting(Outcome::Success, Basis::Rule));
        assert_eq!(watch.see(success, later.after(AGAIN)), None);
    }

    #[test]
    fn a_rule_that_sees_no_failure_no_username_or_nearly_only_ignored_is_reported() {
        let check = |batches: &[Batch], expected: &str| {
            let watch = RuleWatch::new(Moment(0));
            let said = batches.iter().filter_map(|batch| watch.see(batch.clone(), Moment(1)));
            assert_eq!(said.last().as_deref(), Some(expected));
        };
        let success = sighting(Outcome::Success, Basis::Rule);
        let failure = sighting(Outcome::Failure, Basis::Rule);
        let ignored = sighting(Outcome::Ignored, Basis::Rule);
        check(&[batch(20, success)], "in 20 attempts never a failure");
        let nameless = |sighting| Sighting { named: Named::No, ..sighting };
        let both = [batch(10, nameless(success)), batch(10, nameless(failure))];
        check(&both, "in 20 attempts never a username");
        let mixed = [batch(1, success), batch(1, failure), batch(98, ignored)];
        check(&mixed, "98 of 100 attempts were ignored");
    }

    #[test]
    fn a_rule_that_matches_nothing_for_a_day_is_reported_once_a_day() {
        let watch = RuleWatch::new(Moment(0));
        assert_eq!(watch.silence(Moment(0).after(SILENCE - Duration::from_millis(1))), None);
        assert!(watch.silence(Moment(0).after(SILENCE)).is_some());
        assert_eq!(watch.silence(Moment(1).after(SILENCE)), None);
    }
}
