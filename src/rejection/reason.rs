//! Why a request was answered in the upstream's stead, in a word: for metrics and explanations.

use super::{AnswerKind, Lockout, Rejection};
use crate::upstream::UpstreamError;

/// Why a request was answered in the upstream's stead. The words are an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It was sent on, failed, and reached a limit: the lockout is its answer.
    AtLimit,
    /// The login body is larger than logins are, or a login field came too late in one.
    BodyTooLarge,
    /// No place came free in time.
    Busy,
    /// An operator has locked the client out.
    ByHand,
    /// The path is closed.
    Closed,
    /// The login body is in a coding, charset or type that is not read here.
    Coding,
    /// The method was `CONNECT`.
    Connect,
    /// The client's network may not come here.
    Denied,
    /// The head is too large.
    HeadTooLarge,
    /// A trusted proxy did not tell the client.
    Identity,
    /// The counters are handed over to another process.
    Leaving,
    /// Too many failures.
    Locked,
    /// No site answers for the host.
    NoSuchSite,
    /// The shared counters are out of reach.
    NoStore,
    /// More usernames, guesses or sessions than may be.
    Overfull,
    /// Too many exchanges go on without their clients, or too many connections.
    Overload,
    /// The client took too long.
    Slow,
    /// The target is too long.
    TargetTooLong,
    /// Something the guard and the upstream might read differently.
    Unclear,
    /// The upstream broke off, or said what nobody asked for.
    UpstreamBroken,
    /// No connection to the upstream could be opened.
    UpstreamConnect,
    /// A check says of each server that it takes no requests.
    UpstreamNone,
    /// The upstream took too long.
    UpstreamTimeout,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 23] = [
        Self::AtLimit,
        Self::BodyTooLarge,
        Self::Busy,
        Self::ByHand,
        Self::Closed,
        Self::Coding,
        Self::Connect,
        Self::Denied,
        Self::HeadTooLarge,
        Self::Identity,
        Self::Leaving,
        Self::Locked,
        Self::NoSuchSite,
        Self::NoStore,
        Self::Overfull,
        Self::Overload,
        Self::Slow,
        Self::TargetTooLong,
        Self::Unclear,
        Self::UpstreamBroken,
        Self::UpstreamConnect,
        Self::UpstreamNone,
        Self::UpstreamTimeout,
    ];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtLimit => "at_limit",
            Self::BodyTooLarge => "body_too_large",
            Self::Busy => "busy",
            Self::ByHand => "locked_by_hand",
            Self::Closed => "closed",
            Self::Coding => "unreadable_body",
            Self::Connect => "connect_method",
            Self::Denied => "denied",
            Self::HeadTooLarge => "head_too_large",
            Self::Identity => "client_unknown",
            Self::Leaving => "leaving",
            Self::Locked => "locked",
            Self::NoSuchSite => "no_site",
            Self::NoStore => "store_unreachable",
            Self::Overfull => "too_many_guesses",
            Self::Overload => "overload",
            Self::Slow => "slow_client",
            Self::TargetTooLong => "target_too_long",
            Self::Unclear => "unclear",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamConnect => "upstream_unreachable",
            Self::UpstreamNone => "upstream_unhealthy",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// What kind of answer goes with it, as `X-Loginward` says.
    #[must_use]
    pub const fn kind(self) -> AnswerKind {
        match self {
            Self::AtLimit | Self::ByHand | Self::Locked => AnswerKind::Locked,
            Self::Busy | Self::Leaving => AnswerKind::Busy,
            Self::Closed | Self::Denied => AnswerKind::Denied,
            Self::NoStore
            | Self::Overload
            | Self::UpstreamBroken
            | Self::UpstreamConnect
            | Self::UpstreamNone
            | Self::UpstreamTimeout => AnswerKind::Error,
            Self::BodyTooLarge
            | Self::Coding
            | Self::Connect
            | Self::HeadTooLarge
            | Self::Identity
            | Self::NoSuchSite
            | Self::Overfull
            | Self::Slow
            | Self::TargetTooLong
            | Self::Unclear => AnswerKind::Refused,
        }
    }
}

impl Rejection {
    /// The word for it.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::BodyTooLarge => Reason::BodyTooLarge,
            Self::Busy => Reason::Busy,
            Self::Closed => Reason::Closed,
            Self::Coding(_) => Reason::Coding,
            Self::Connect => Reason::Connect,
            Self::Denied => Reason::Denied,
            Self::HeadTooLarge => Reason::HeadTooLarge,
            Self::Identity => Reason::Identity,
            Self::Leaving => Reason::Leaving,
            Self::Locked(lockout) => lockout.way(),
            Self::NoSuchSite(_) => Reason::NoSuchSite,
            Self::NoStore => Reason::NoStore,
            Self::Overfull(_) => Reason::Overfull,
            Self::Overload => Reason::Overload,
            Self::Slow => Reason::Slow,
            Self::TargetTooLong => Reason::TargetTooLong,
            Self::Unclear(_) => Reason::Unclear,
            Self::Upstream(error) => of_upstream(error),
        }
    }
}

impl Lockout {
    const fn way(&self) -> Reason {
        if self.keys.is_empty() { Reason::ByHand } else { Reason::Locked }
    }
}

const fn of_upstream(error: &UpstreamError) -> Reason {
    match error {
        UpstreamError::Connect(_) | UpstreamError::Tls(_) => Reason::UpstreamConnect,
        UpstreamError::ConnectTimeout | UpstreamError::Timeout => Reason::UpstreamTimeout,
        UpstreamError::NoneHealthy => Reason::UpstreamNone,
        UpstreamError::LateField => Reason::BodyTooLarge,
        UpstreamError::Unspeakable => Reason::Unclear,
        UpstreamError::Broken(_) | UpstreamError::Unexpected => Reason::UpstreamBroken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_stands_at_its_number_and_has_a_word_of_its_own() {
        let mut names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at, "{reason:?}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
