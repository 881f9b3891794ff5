//! Why the store could not be asked, and whether it may have heard.

use std::fmt;
use std::time::Duration;

use redis::{ErrorKind, RedisError};

/// The store could not be asked, did not answer in time, or answered that it does not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Whether the store may carry out what it was asked.
    pub sent: Sent,
    /// What went wrong.
    pub why: Why,
}

/// Whether the store may carry out what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It never heard of it, or said that it does not.
    Never,
    /// Nobody knows.
    Perhaps,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is known to be out of reach: it was not asked.
    Known,
    /// No answer came within so long.
    Late(Duration),
    /// No connection was made within so long.
    Unconnected(Duration),
    /// There is no connection, or it broke; what the system says of it.
    Unreachable(Box<str>),
    /// The server says that it does not, and why.
    Unwilling(Box<str>),
    /// It answers what no Redis does.
    Stranger,
    /// Another server answers than the one that was brought up to date: a restart, or a failover.
    Another,
}

impl Outage {
    pub(super) const fn never(why: Why) -> Self {
        Self { sent: Sent::Never, why }
    }

    /// The kind that metrics count it under.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.why {
            Why::Known => "not_asked",
            Why::Late(_) => "timeout",
            Why::Unconnected(_) | Why::Unreachable(_) | Why::Another => "unreachable",
            Why::Unwilling(_) | Why::Stranger => "error",
        }
    }

    /// What the error of a call on an open connection means.
    pub(super) fn of(error: &RedisError) -> Self {
        if let Some(code) = error.code() {
            let text = match error.detail() {
                // where in which script it happened says nothing to whoever reads it
                Some(detail) => format!("{code} {}", without_script(detail)),
                None => code.to_owned(),
            };
            let sent = if BEFORE_ANYTHING.contains(&code) { Sent::Never } else { Sent::Perhaps };
            return Self { sent, why: Why::Unwilling(text.into()) };
        }
        if error.kind() == ErrorKind::Parse {
            // what it says instead is of no use to anybody
            return Self { sent: Sent::Perhaps, why: Why::Stranger };
        }
        Self { sent: Sent::Perhaps, why: Why::Unreachable(error.to_string().into()) }
    }

    /// What it means that no connection came to be.
    pub(super) fn unconnected(error: &RedisError, limit: Duration) -> Self {
        if error.is_timeout() {
            return Self::never(Why::Unconnected(limit));
        }
        if error.kind() == ErrorKind::AuthenticationFailed {
            return Self::never(Why::Unwilling(error.to_string().into()));
        }
        Self::never(Self::of(error).why)
    }

    /// Whether a second try may not go well at once: it took its time, or the server said so.
    #[must_use]
    pub const fn is_sure(&self) -> bool {
        !matches!(self.why, Why::Another | Why::Unreachable(_))
    }

    /// Whether the connection is of no use any more.
    pub(super) const fn breaks_connection(&self) -> bool {
        // whoever is no primary any more is not asked again: its successor may be elsewhere
        !matches!(self.why, Why::Known)
    }
}

/// What servers answer before they do anything.
const BEFORE_ANYTHING: [&str; 13] = [
    "BUSY",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNKILLABLE",
];

/// What a server says is wrong, without the script and the line that it names at the end.
fn without_script(detail: &str) -> &str {
    detail.split(" script: ").next().unwrap_or(detail).trim_end_matches(',')
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known => out.write_str("it is known to be out of reach"),
            Self::Late(limit) => write!(out, "no answer within {limit:?}"),
            Self::Unconnected(limit) => write!(out, "no connection within {limit:?}"),
            Self::Unreachable(text) => out.write_str(text),
            Self::Unwilling(text) => write!(out, "it answers: {text}"),
            Self::Stranger => out.write_str("what answers there is no Redis"),
            Self::Another => out.write_str("another server answers, or it was restarted"),
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(out)
    }
}
