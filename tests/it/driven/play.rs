//! Plays a sequence of steps on a driven guard and compares.

use std::collections::BTreeSet;
use std::time::Duration;

use loginward::clock::Moment;
use loginward::policy::account::Account;
use loginward::store::hand::HandLock;
use loginward::store::operate::Reset;
use loginward::store::select::Selector;

use super::step::{Attempt, Counter, Selection, Step, Take, steps};
use super::{Driven, Login, Setup};
use crate::support::Ask;

/// Plays the steps `written` on a guard of its own; returns it.
#[track_caller]
pub fn play(name: &str, setup: &Setup, written: &str) -> Driven {
    let steps = steps(written);
    let mut played = Played { name, driven: Driven::start(setup), names: 0 };
    for (at, step) in steps.iter().enumerate() {
        played.step(step, at);
        if let Step::See(counters) = step
            && counters.iter().any(|counter| counter.ttl.is_some())
        {
            see_lives(name, setup, &steps[..at], counters);
        }
    }
    played.driven
}

/// Plays `before` again and lets time pass: each counter is there until its time is over.
#[track_caller]
fn see_lives(name: &str, setup: &Setup, before: &[Step], counters: &[Counter]) {
    let mut played = Played { name, driven: Driven::start(setup), names: 0 };
    for (at, step) in before.iter().enumerate() {
        played.step(step, at);
    }
    let lives: BTreeSet<Duration> = counters.iter().filter_map(|counter| counter.ttl).collect();
    let mut passed = Duration::ZERO;
    for life in lives {
        let almost = life - Duration::from_millis(1);
        played.driven.wait(almost - passed);
        passed = life;
        let ends = || counters.iter().filter(|counter| counter.ttl == Some(life));
        let now = played.driven.counters();
        for counter in ends() {
            assert!(
                now.contains(&counter.shown),
                "{name}: {} is gone before {life:?}",
                counter.shown
            );
        }
        played.driven.wait(Duration::from_millis(1));
        let now = played.driven.counters();
        for counter in ends() {
            assert!(
                !now.contains(&counter.shown),
                "{name}: {} is there after {life:?}",
                counter.shown
            );
        }
    }
}

/// Takes away the counter that refused with this reference; how many that were.
pub fn reset_reference(driven: &Driven, reference: &str) -> usize {
    let rows = driven.rows();
    let meant = rows.iter().filter(|row| row.id.reference() == reference);
    let selectors = meant.map(|row| Selector { counter: Some(row.id), ..Selector::default() });
    selectors.map(|selector| driven.reset(&selector, Reset::Everything).counters).sum()
}

struct Played<'a> {
    name: &'a str,
    driven: Driven,
    names: usize,
}

impl Played<'_> {
    #[track_caller]
    fn step(&mut self, step: &Step, at: usize) {
        let name = self.name;
        match step {
            Step::Wait(time) => self.driven.wait(*time),
            Step::Set(change) => {
                let changed = self.driven.setup().set(change);
                self.driven.reload(&changed);
            }
            Step::See(counters) => {
                let mut expected: Vec<_> = counters.iter().map(|c| c.shown.clone()).collect();
                expected.sort();
                assert_eq!(self.driven.counters(), expected, "{name}, step {at}: the counters");
            }
            Step::Page(ip, expected) => {
                let ask = Ask::get("/login").with("X-Forwarded-For", ip);
                let seen = self.driven.ask(&ask);
                let shown =
                    format!("{}{}", if seen.hits == 1 { "" } else { "!" }, seen.answer.status);
                assert_eq!(shown, *expected, "{name}, step {at}");
            }
            Step::Login(attempt, times, expected) => {
                for time in 1..=*times {
                    let (outcome, login) = self.log_in(attempt);
                    assert_eq!(outcome, *expected, "{name}, step {at}: {login}, time {time}");
                }
            }
            Step::Reset(selection, take, expected) => {
                let removed = self.reset(selection, *take);
                assert_eq!(removed, *expected, "{name}, step {at}: reset {selection:?}");
            }
            Step::Lock(selection, time) => {
                let store = self.driven.store();
                let until = time.map_or(Moment::NEVER, |time| store.clock().now().after(time));
                let plan = self.driven.server().shared().plans.latest();
                let rules = &plan.settings.clients;
                let hand = HandLock::until(until);
                store.lock_by_hand(self.selector(selection), hand, rules).unwrap();
            }
        }
    }

    /// Tries once; the outcome, and what was tried.
    #[track_caller]
    fn log_in(&mut self, attempt: &Attempt) -> (String, String) {
        self.names += 1;
        let unused = format!("name{}", self.names);
        let user = attempt.user.as_deref();
        let elsewhere = format!("172.16.{}.{}", self.names / 256, self.names % 256);
        let login = Login {
            user: user.map(|user| if user == "n*" { &unused } else { user }),
            password: attempt.password,
            ip: if attempt.ip == "*" { &elsewhere } else { &attempt.ip },
            agent: attempt.agent.as_deref(),
            method: attempt.method,
        };
        (self.driven.log_in(&login).outcome(), format!("{login:?}"))
    }

    fn reset(&self, selection: &Selection, take: Take) -> usize {
        if let [(key, reference)] = selection.as_slice()
            && key == "ref"
        {
            return reset_reference(&self.driven, reference);
        }
        let what = if take == Take::Pardon { Reset::WithoutVerdict } else { Reset::Everything };
        let removed = self.driven.reset(&self.selector(selection), what);
        if take == Take::Locks { removed.hand_locks } else { removed.counters }
    }

    fn selector(&self, selection: &Selection) -> Selector {
        let mut selector = Selector::default();
        for (name, value) in selection {
            match name.as_str() {
                "ip" => {
                    let single = value.parse().map(|ip: std::net::IpAddr| ip.into());
                    selector.network = Some(single.or_else(|_| value.parse()).unwrap());
                }
                "username" => {
                    let account = Account::new(value).unwrap();
                    selector.account = Some(self.driven.store().keyer().account(&account));
                }
                "site" if value.is_empty() => selector.site = Some(self.driven.site().into()),
                "site" => selector.site = Some(value.as_str().into()),
                "counter" => {
                    let rows = self.driven.rows();
                    let row = rows.iter().find(|row| &*row.limit == value).unwrap();
                    selector.counter = Some(row.id);
                }
                other => panic!("no selector: {other}"),
            }
        }
        selector
    }
}
