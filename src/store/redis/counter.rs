//! A counter on its way to the store server and back.
//!
//! Times are told relative to a counter's now, since every machine has a clock of its own.

use std::fmt::Write as _;
use std::time::Duration;

use crate::clock::{Moment, millis};
use crate::policy::lockout::text::{number, spelling_text};
use crate::policy::lockout::{CoolOff, Forget, History, Limit, Proof, Spelling};

/// Larger numbers are not exact in a script: times beyond it never come.
const MOST: u64 = (1 << 53) - 1;

/// What a script tells of one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// How many places are held in it, by all guards.
    pub places: u32,
    /// Whether the script found what it was asked for: the lease, or something to take away.
    pub found: Found,
    /// Failures that were cleared.
    pub cleared: u32,
    /// Whether this failure began the lockout.
    pub began: Began,
    /// What it remembers, as it stands now.
    pub history: History,
}

/// Whether a script found what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It did not.
    No,
    /// It did.
    Yes,
}

/// Whether a failure began a lockout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// It did.
    Lockout,
    /// It did not.
    Nothing,
}

impl Told {
    /// What a script told at `now`; `None` where it is something else.
    #[must_use]
    pub fn read(text: &str, now: Moment) -> Option<Self> {
        let mut words = text.split(' ');
        let told = Self {
            places: number(words.next()?)?,
            found: if words.next()? == "1" { Found::Yes } else { Found::No },
            cleared: number(words.next()?)?,
            began: if words.next()? == "1" { Began::Lockout } else { Began::Nothing },
            history: History::from_text(&mut words, now)?,
        };
        words.next().is_none().then_some(told)
    }
}

/// The numbers of a limit as scripts read them.
#[must_use]
pub fn limit_text(limit: &Limit) -> String {
    let forget = match limit.forget {
        Forget::Together => 't',
        Forget::Leaky => 'l',
    };
    let (after, tallies) = (millis(limit.forget_after), millis(limit.forget_lockouts_after));
    let (after, tallies) = (after.min(MOST), tallies.min(MOST));
    let mut text = format!("{} {forget} {after} {tallies}", limit.failures);
    if let CoolOff::Steps(steps) = &limit.cool_off {
        for step in steps {
            // writing to a text cannot fail
            _ = write!(text, " {}", millis(*step).min(MOST));
        }
    }
    text
}

/// For how long a counter may matter after whatever happens to it; `None`: without end.
#[must_use]
pub fn kept_for(limit: &Limit) -> Option<Duration> {
    let CoolOff::Steps(steps) = &limit.cool_off else { return None };
    let longest = steps.iter().copied().max()?.max(limit.forget_after);
    Some(longest.saturating_add(limit.forget_lockouts_after))
}

/// What a settlement does to one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Its failures are cleared.
    Clear,
    /// Its failures are cleared if all of them were spelled the same as this attempt.
    ClearSame,
    /// So many failures are charged.
    Fail(u32, Proof),
    /// The places are given back, and nothing else.
    GiveBack,
    /// Nothing is done that time has not done.
    Observe,
}

impl Action {
    /// The action as scripts read it.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Clear => "c".to_owned(),
            Self::ClearSame => "s".to_owned(),
            Self::Fail(guesses, Proof::Verdict) => format!("f{guesses}"),
            Self::Fail(guesses, Proof::NoVerdict) => format!("n{guesses}"),
            Self::GiveBack => "-".to_owned(),
            Self::Observe => "o".to_owned(),
        }
    }
}

/// A spelling as scripts read it.
#[must_use]
pub fn spelling(spelling: Spelling) -> String {
    spelling_text(spelling)
}
