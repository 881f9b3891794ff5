//! Sequences of failures, waits and changed limits on one counter.

use std::num::NonZeroU32;
use std::time::Duration;

use super::*;
use crate::policy::client::Networks;

const MINUTE: u64 = 60;

fn limit(failures: u32, cool_off: &[u64], forget: Forget, forget_after: u64) -> Limit {
    let steps: Vec<_> = cool_off.iter().map(|seconds| Duration::from_secs(*seconds)).collect();
    Limit {
        name: "limit".into(),
        by: vec![Parameter::IpAddress],
        failures: NonZeroU32::new(failures).expect("not zero"),
        cool_off: if steps.is_empty() { CoolOff::Never } else { CoolOff::Steps(steps) },
        forget,
        forget_after: Duration::from_secs(forget_after),
        forget_lockouts_after: Duration::from_hours(24),
        except: Networks::default(),
    }
}

/// A counter, its limit and the time; `see` is what the counter shows after each step.
struct Counter {
    history: History,
    limit: Limit,
    now: Moment,
}

impl Counter {
    fn new(limit: Limit) -> Self {
        Self { history: History::default(), limit, now: Moment(5_000) }
    }

    fn age(&mut self) {
        self.history = self.history.aged(&self.limit, self.now);
    }

    fn fail(&mut self) -> &mut Self {
        self.age();
        let failure = Failure { guesses: 1, proof: Proof::Verdict, spelling: Spelling::Unknown };
        self.history.fail(&self.limit, failure, self.now);
        self
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now.after(Duration::from_secs(seconds));
        self
    }

    fn see(&mut self) -> String {
        self.age();
        match self.history.standing() {
            Standing::Locked(Moment::NEVER) => "locked for good".to_owned(),
            Standing::Locked(until) => format!("locked {}s", until.since(self.now).as_secs()),
            Standing::Open(failures) => format!("open {failures}"),
        }
    }
}

#[test]
fn failures_are_forgotten_together_after_the_latest() {
    let mut counter = Counter::new(limit(3, &[100], Forget::Together, 100));
    assert_eq!(counter.fail().wait(60).fail().wait(99).see(), "open 2");
    assert_eq!(counter.wait(1).see(), "open 0");
}

#[test]
fn a_leaky_counter_forgets_one_failure_after_the_other() {
    let mut counter = Counter::new(limit(4, &[100], Forget::Leaky, 40));
    assert_eq!(counter.fail().fail().fail().see(), "open 3");
    assert_eq!(counter.wait(9).see(), "open 3");
    assert_eq!(counter.wait(1).see(), "open 2");
    assert_eq!(counter.wait(5).fail().see(), "open 3", "a failure does not stop the leak");
    assert_eq!(counter.wait(5).see(), "open 2");
    assert_eq!(counter.wait(20).see(), "open 0");
    assert_eq!(counter.wait(3).fail().wait(9).see(), "open 1");
    assert_eq!(counter.wait(1).see(), "open 0");
}

#[test]
fn a_lockout_lasts_from_the_failure_that_reached_the_limit_to_its_very_end() {
    let mut counter = Counter::new(limit(2, &[100], Forget::Together, 100));
    assert_eq!(counter.fail().wait(50).fail().see(), "locked 100s");
    assert_eq!(counter.wait(99).see(), "locked 1s");
    assert_eq!(counter.wait(1).see(), "open 0", "exactly at the end it is over");
}

#[test]
fn cool_offs_escalate_and_the_tally_is_forgotten_a_day_after_the_last() {
    let steps = [5 * MINUTE, 15 * MINUTE, 60 * MINUTE];
    let mut counter = Counter::new(limit(1, &steps, Forget::Together, 5 * MINUTE));
    assert_eq!(counter.fail().see(), "locked 300s");
    assert_eq!(counter.wait(300).fail().see(), "locked 900s");
    assert_eq!(counter.wait(900).fail().see(), "locked 3600s");
    assert_eq!(counter.wait(3600).fail().see(), "locked 3600s");
    assert_eq!(counter.wait(3600 + 24 * 3600 - 1).fail().see(), "locked 3600s");
    assert_eq!(counter.wait(3600 + 24 * 3600).fail().see(), "locked 300s");
}

#[test]
fn after_a_lockout_nothing_is_left_of_a_counter_whose_cool_off_does_not_grow() {
    for (cool_off, is_blank) in [(&[100][..], true), (&[100, 100], false)] {
        let mut counter = Counter::new(limit(2, cool_off, Forget::Together, 100));
        counter.fail().fail().wait(100).age();
        assert_eq!(counter.history.is_blank(), is_blank, "{cool_off:?}");
    }
}

#[test]
fn a_lockout_that_a_reload_finds_to_be_over_is_none_and_does_not_escalate() {
    let mut counter = Counter::new(limit(3, &[10, 1000], Forget::Together, 100));
    counter.fail().fail().wait(10);
    counter.limit = limit(2, &[10, 1000], Forget::Together, 100);
    assert_eq!(counter.see(), "open 0");
    assert_eq!(counter.fail().fail().see(), "locked 10s");
}

#[test]
fn never_lasts_until_a_reset() {
    let mut counter = Counter::new(limit(1, &[], Forget::Together, 60));
    assert_eq!(counter.fail().wait(10_000_000).see(), "locked for good");
}

#[test]
fn a_raised_limit_lifts_the_lockout_and_a_lowered_one_locks_from_the_latest_failure() {
    let mut counter = Counter::new(limit(3, &[100], Forget::Together, 100));
    assert_eq!(counter.fail().fail().fail().wait(10).see(), "locked 90s");
    counter.limit = limit(5, &[100], Forget::Together, 100);
    assert_eq!(counter.see(), "open 3");
    counter.limit = limit(2, &[100], Forget::Together, 100);
    assert_eq!(counter.wait(20).see(), "locked 70s");
    assert_eq!(counter.wait(70).see(), "open 0");
}

#[test]
fn a_refused_attempt_starts_the_cool_off_again_without_escalating() {
    let mut counter = Counter::new(limit(2, &[100, 200], Forget::Together, 100));
    assert_eq!(counter.fail().fail().wait(60).see(), "locked 40s");
    counter.history.refuse(&counter.limit, 1, counter.now);
    assert_eq!(counter.see(), "locked 100s");
    assert_eq!(counter.history.shown(), 3);
    assert_eq!(counter.history.failures(), 2, "reloads compare with forwarded failures alone");
}

#[test]
fn failures_without_a_verdict_can_be_taken_back_alone() {
    let mut counter = Counter::new(limit(3, &[100], Forget::Together, 100));
    counter.fail();
    let failure = Failure { guesses: 2, proof: Proof::NoVerdict, spelling: Spelling::Unknown };
    let failed = counter.history.fail(&counter.limit, failure, counter.now);
    assert!(failed.locked_until.is_some());
    assert_eq!(counter.history.pardon(&counter.limit), 2);
    assert_eq!(counter.see(), "open 1");
}

#[test]
fn spellings_are_told_apart_until_the_failures_are_forgotten() {
    let limit = limit(9, &[100], Forget::Together, 100);
    let mut history = History::default();
    let mut fail = |spelling, now| {
        let failure = Failure { guesses: 1, proof: Proof::Verdict, spelling };
        history = history.aged(&limit, now);
        history.fail(&limit, failure, now);
        history.spelling()
    };
    assert_eq!(fail(Spelling::One(1), Moment(0)), Spelling::One(1));
    assert_eq!(fail(Spelling::One(1), Moment(1)), Spelling::One(1));
    assert_eq!(fail(Spelling::One(2), Moment(2)), Spelling::Mixed);
    assert_eq!(fail(Spelling::One(2), Moment(200_000)), Spelling::One(2));
}
