//! What an operator may set of a limit: what it counts, how many failures lock, for how long.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::policy::client::Networks;

/// Parameters taken together, the failures they may have, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Identifies the limit within its site across reloads.
    pub name: Arc<str>,
    /// What is counted, sorted and without doubles; never empty.
    pub by: Vec<Parameter>,
    /// How many failures lock.
    pub failures: NonZeroU32,
    /// For how long.
    pub cool_off: CoolOff,
    /// How failures are forgotten.
    pub forget: Forget,
    /// How long after which failure; see [`Forget`].
    pub forget_after: Duration,
    /// How long after the end of the last lockout escalation begins anew.
    pub forget_lockouts_after: Duration,
    /// Clients this limit does not count.
    pub except: Networks,
}

impl Limit {
    /// Five failures of an address, ten minutes.
    #[must_use]
    pub fn usual() -> Self {
        let ten_minutes = Duration::from_mins(10);
        Self {
            name: "ip_address".into(),
            by: vec![Parameter::IpAddress],
            failures: NonZeroU32::MIN.saturating_add(4),
            cool_off: CoolOff::Steps(vec![ten_minutes]),
            forget: Forget::Together,
            forget_after: ten_minutes,
            forget_lockouts_after: Duration::from_hours(24),
            except: Networks::default(),
        }
    }
}

/// What an attempt can be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parameter {
    /// The account, folded.
    Username,
    /// The client's address; an IPv6 client's prefix.
    IpAddress,
    /// A coarser prefix of it.
    IpNetwork,
    /// The first 255 characters of the `User-Agent` header.
    UserAgent,
}

impl Parameter {
    /// The name in configuration, lists and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::IpAddress => "ip_address",
            Self::IpNetwork => "ip_network",
            Self::UserAgent => "user_agent",
        }
    }
}

/// How long a lockout lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoolOff {
    /// Until an operator resets the counter.
    Never,
    /// The first lockout of a counter lasts as long as the first step, and so on; the last step
    /// repeats. Never empty.
    Steps(Vec<Duration>),
}

impl CoolOff {
    /// When the lockout that begins at `now` ends, if `tally` came before it.
    #[must_use]
    pub fn end(&self, now: Moment, tally: u16) -> Moment {
        match self {
            Self::Never => Moment::NEVER,
            Self::Steps(steps) => {
                let step = steps.get(usize::from(tally)).or_else(|| steps.last());
                step.map_or(Moment::NEVER, |step| now.after(*step))
            }
        }
    }

    /// Whether it matters how many lockouts came before.
    pub(super) const fn escalates(&self) -> bool {
        match self {
            Self::Never => false,
            Self::Steps(steps) => steps.len() > 1,
        }
    }
}

/// How failures are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget {
    /// All of them, `forget_after` after the latest.
    Together,
    /// One every `forget_after` divided by `failures`.
    Leaky,
}
