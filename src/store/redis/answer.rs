//! What a script answers.

use redis::Value;

use super::counter::Told;
use super::outage::{Outage, Sent, Why};
use super::shared::Shared;
use crate::clock::Moment;
use crate::policy::lockout::History;

/// What a script answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What became of it.
    pub what: What,
    /// What time it is there, in milliseconds since 1970.
    pub now: i64,
    /// The counters, in the order in which they were asked for.
    pub told: Vec<Told>,
}

/// What became of what a script was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It is done.
    Done,
    /// A counter is full.
    Full,
    /// The locks by hand have changed so often.
    Hands(String),
    /// It was too late; nothing was done.
    Late,
    /// A counter is locked.
    Locked,
    /// It brings more guesses than a counter has left.
    Many,
}

impl Answer {
    /// What a script answered at `now`; `None` where it is something else.
    #[must_use]
    pub fn read(value: &Value, now: Moment) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let (Value::BulkString(what), Value::Int(there)) = (parts.first()?, parts.get(1)?) else {
            return None;
        };
        let rest = parts.get(2..)?;
        let (what, counters) = match what.as_slice() {
            b"in" | b"settled" | b"seen" | b"reset" => (What::Done, rest),
            b"full" => (What::Full, rest),
            b"hands" => (What::Hands(text(rest.first()?)?.to_owned()), &[][..]),
            b"late" => (What::Late, &[][..]),
            b"locked" => (What::Locked, rest),
            b"many" => (What::Many, rest),
            _ => return None,
        };
        let told = counters.iter().map(|counter| Told::read(text(counter)?, now));
        Some(Self { what, now: *there, told: told.collect::<Option<_>>()? })
    }
}

impl Answer {
    /// Whether it tells of so many counters, if of any.
    #[must_use]
    pub fn is_about(&self, counters: usize) -> bool {
        match self.what {
            What::Hands(_) | What::Late => true,
            What::Done | What::Full | What::Locked | What::Many => self.told.len() == counters,
        }
    }

    /// What the counters remember.
    #[must_use]
    pub fn histories(&self) -> Vec<History> {
        self.told.iter().map(|told| told.history).collect()
    }
}

fn text(value: &Value) -> Option<&str> {
    let Value::BulkString(bytes) = value else { return None };
    std::str::from_utf8(bytes).ok()
}

/// Of how many counters [`super::scripts::RENEW`] says that they know the lease; `None` where it is
/// something else.
#[must_use]
pub fn known(value: &Value) -> Option<usize> {
    let Value::Array(parts) = value else { return None };
    Some(parts.get(2..)?.iter().filter(|known| **known == Value::Int(1)).count())
}

/// It answers something else again and again.
#[must_use]
pub fn restless(shared: &Shared) -> Outage {
    outage(shared, (Sent::Never, "it says something else again and again"))
}

/// It answers something that no script says.
#[must_use]
pub fn unreadable(shared: &Shared) -> Outage {
    outage(shared, (Sent::Perhaps, "it says what no script says"))
}

fn outage(shared: &Shared, (sent, why): (Sent, &str)) -> Outage {
    let outage = Outage { sent, why: Why::Unwilling(why.into()) };
    shared.wire.breaker().trip(&outage);
    outage
}
