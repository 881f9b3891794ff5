//! Counters and locks by hand on their way to another guard: lines of JSON that people can read.
//!
//! The first line says what it is and of when, the last one how much there was. Times are
//! milliseconds from the first line's on, negative where they are before it. Names and addresses
//! are clear, since the other guard makes keys of its own from them; nothing secret is among it.

mod reading;

use std::collections::BTreeMap;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::reading::{LONGEST, Reading, Wrong};
use crate::clock::Moment;
use crate::policy::lockout::{History, Parts, Spelling};

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;
/// What the lines are sent as.
pub const KIND: &str = "application/x-ndjson";

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A counter.
    Counter(Box<Counter>),
    /// The last line.
    End(End),
    /// A lock by hand.
    Lock(Box<Lock>),
    /// The first line.
    LoginwardExport(Header),
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`VERSION`].
    pub version: u32,
    /// The program's.
    pub program: String,
    /// When it was told, for people.
    pub at: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// How many lines were counters.
    pub counters: u64,
    /// And locks by hand.
    pub locks: u64,
}

/// What names a counter.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// The site's name.
    pub site: String,
    /// The login's, where the counters are its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The limit's.
    pub limit: String,
    /// Whether it counts what no limit counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncounted: bool,
    /// The values it counts, by the parameters' names.
    pub parameters: BTreeMap<String, Option<String>>,
    /// The username's normal form, where the username does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Why nobody can tell whose account it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

/// Why something cannot be told to another guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// The lock by hand is on a counter that is not there.
    Counter,
    /// What is left of the username is not enough to tell the account.
    Name,
    /// Only a session told the account.
    Session,
}

/// A counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counter {
    /// What names it.
    pub who: Who,
    /// Failures that count.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub failures: u32,
    /// Of them, those without a verdict.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub without_verdict: u32,
    /// Refused attempts, where these count.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub refused: u32,
    /// In how many attempts the failures came.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub attempts: u16,
    /// The latest failure.
    pub latest_ms: i64,
    /// When failures will be forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget_ms: Option<i64>,
    /// How long after that the next one, where it is one by one.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub leak_ms: u64,
    /// The end of the lockout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_ms: Option<Until>,
    /// Lockouts so far, where they escalate.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub lockouts: u16,
    /// When these will be forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget_lockouts_ms: Option<i64>,
    /// How the username was spelled in all failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spelling: Option<Spelled>,
}

/// How a username was spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelled {
    /// In one way, which cannot be told.
    Another,
    /// As it is shown.
    AsShown,
    /// In several ways.
    Mixed,
}

/// A lock by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// At this site alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Clients of this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Whoever is called so, as the operator wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Whatever this counter counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<Who>,
    /// Why it cannot be told whom it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    /// Its end.
    pub until_ms: Until,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A time that may never come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// Then.
    At(i64),
    /// Never.
    #[default]
    Never,
}

impl Serialize for Until {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(millis) => to.serialize_i64(*millis),
            Self::Never => to.serialize_str("never"),
        }
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(UntilVisitor)
    }
}

struct UntilVisitor;

impl Visitor<'_> for UntilVisitor {
    type Value = Until;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("milliseconds or \"never\"")
    }

    fn visit_i64<E: Error>(self, millis: i64) -> Result<Until, E> {
        Ok(Until::At(millis))
    }

    fn visit_u64<E: Error>(self, millis: u64) -> Result<Until, E> {
        Ok(Until::At(i64::try_from(millis).unwrap_or(i64::MAX)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Until, E> {
        match text {
            "never" => Ok(Until::Never),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
}

/// Whether a number is the usual one, which need not be written.
fn is_nothing<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

/// How long after `zero` that is.
#[must_use]
pub fn millis(moment: Moment, zero: Moment) -> i64 {
    i64::try_from(i128::from(moment.0) - i128::from(zero.0)).unwrap_or(i64::MAX)
}

/// The moment so long after `zero`.
#[must_use]
pub const fn moment(millis: i64, zero: Moment) -> Moment {
    let moment = zero.0.saturating_add_signed(millis);
    Moment(if moment == Moment::NEVER.0 { moment - 1 } else { moment })
}

impl Until {
    /// How long after `zero` that is.
    #[must_use]
    pub fn of(moment: Moment, zero: Moment) -> Self {
        if moment == Moment::NEVER { Self::Never } else { Self::At(millis(moment, zero)) }
    }

    /// The moment so long after `zero`.
    #[must_use]
    pub const fn moment(self, zero: Moment) -> Moment {
        match self {
            Self::At(millis) => moment(millis, zero),
            Self::Never => Moment::NEVER,
        }
    }
}

impl Counter {
    /// What is told of a counter with this history; `spelling` is that of the failures.
    #[must_use]
    pub fn of(who: Who, history: History, spelling: Option<Spelled>, zero: Moment) -> Self {
        let parts = Parts::from(history);
        let when = |moment, holds: bool| holds.then(|| millis(moment, zero));
        Self {
            who,
            failures: parts.failures,
            without_verdict: parts.without_verdict,
            refused: parts.refused,
            attempts: parts.attempts,
            latest_ms: millis(parts.latest, zero),
            forget_ms: when(parts.forget_at, parts.failures > 0),
            leak_ms: parts.leak_every,
            locked_ms: parts.locked_until.map(|until| Until::of(until, zero)),
            lockouts: parts.tally,
            forget_lockouts_ms: when(parts.forget_tally_at, parts.tally > 0),
            spelling,
        }
    }

    /// The history that was told, by the clock by which that was at `zero` and it is `now`.
    #[must_use]
    pub fn history(&self, spelling: Spelling, zero: Moment, now: Moment) -> History {
        let when = |told: Option<i64>| told.map_or(Moment(0), |millis| moment(millis, zero));
        History::from(Parts {
            failures: self.failures,
            attempts: self.attempts,
            without_verdict: self.without_verdict,
            refused: self.refused,
            latest: moment(self.latest_ms, zero).min(now),
            forget_at: when(self.forget_ms),
            leak_every: self.leak_ms,
            locked_until: self.locked_ms.map(|until| until.moment(zero)),
            tally: self.lockouts,
            forget_tally_at: when(self.forget_lockouts_ms),
            spelling,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_the_same_later_by_another_clock() {
        let limit = crate::policy::lockout::Limit::usual();
        let (zero, now) = (Moment(5_000), Moment(7_000));
        let mut history = History::default();
        for _ in 0..5 {
            let proof = crate::policy::lockout::Proof::Verdict;
            let spelling = Spelling::Mixed;
            let failure = crate::policy::lockout::Failure { guesses: 1, proof, spelling };
            history.fail(&limit, failure, Moment(4_000));
        }
        let told = Counter::of(Who::default(), history, Some(Spelled::Mixed), zero);
        assert_eq!((told.latest_ms, told.locked_ms), (-1_000, Some(Until::At(599_000))));
        assert_eq!(told.history(Spelling::Mixed, zero, now), history);
        let line = serde_json::to_string(&told).unwrap();
        assert_eq!(serde_json::from_str::<Counter>(&line).unwrap(), told);
    }

    #[test]
    fn whatever_numbers_come_no_time_is_never_but_never() {
        for millis in [i64::MIN, -1, 0, i64::MAX] {
            assert_ne!(moment(millis, Moment(u64::MAX - 5)), Moment::NEVER);
        }
        assert_eq!(Until::Never.moment(Moment(3)), Moment::NEVER);
        assert_eq!(Until::of(Moment::NEVER, Moment(3)), Until::Never);
    }
}
