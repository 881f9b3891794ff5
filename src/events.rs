//! Every event by name with its fields: log line and metric in one call; what is never logged.
//!
//! Never logged: passwords, cookies, queries, bodies. Usernames and addresses are what events are
//! about and are logged as they were typed, escaped and cut.

use tracing::{info, warn};

use crate::policy::lockout::{Limit, Proof};
use crate::policy::outcome::Basis;

/// The names of events; an interface that operators' tools rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// A success forgot the failures of counters.
    CountersCleared,
    /// Somebody was told all counters and locks by hand.
    CountersExported,
    /// An operator brought the counters of another guard.
    CountersImported,
    /// An operator reset counters.
    CountersReset,
    /// A counter that still counted had to make room for others.
    CounterEvicted,
    /// An untrusted peer sends forwarding headers; a trusted one sends none usable; a locked
    /// address is private or trusted.
    IdentitySuspect,
    /// An operator locked somebody out.
    LockedByHand,
    /// A counter reached its limit.
    LockedOut,
    /// A session ended.
    LoggedOut,
    /// An attempt failed.
    LoginFailed,
    /// It was not the first of its counter.
    LoginFailedAgain,
    /// An attempt succeeded.
    LoginSucceeded,
    /// An attempt failed that is never counted.
    NeverLockedFailed,
    /// A request was answered in the upstream's stead.
    Refused,
    /// A rule sees nothing of some kind.
    RuleSuspect,
    /// It would have been, but for `monitor`.
    WouldRefuse,
}

/// All of them.
pub const NAMES: [Name; 16] = [
    Name::CounterEvicted,
    Name::CountersCleared,
    Name::CountersExported,
    Name::CountersImported,
    Name::CountersReset,
    Name::IdentitySuspect,
    Name::LockedByHand,
    Name::LockedOut,
    Name::LoggedOut,
    Name::LoginFailed,
    Name::LoginFailedAgain,
    Name::LoginSucceeded,
    Name::NeverLockedFailed,
    Name::Refused,
    Name::RuleSuspect,
    Name::WouldRefuse,
];

/// The events about the program itself, which are reported where they happen. Those at debug, and
/// the lines of the access log, are none of them: nobody but the log is told.
const OPERATIONAL: [&str; 56] = [
    "accept_failed",
    "admin_listening",
    "admin_token_made",
    "admin_unavailable",
    "audit_failed",
    "audit_recovered",
    "certificate_expires",
    "certificates_failed",
    "certificates_loaded",
    "configuration_error",
    "configuration_warning",
    "connections_shed",
    "events_dropped",
    "handed_over",
    "handing_over",
    "handover_incomplete",
    "leaving",
    "listening",
    "log_lines_dropped",
    "metrics_listening",
    "not_sandboxed",
    "nothing_to_take_over",
    "reload_failed",
    "reloaded",
    "restart_needed",
    "running_as_root",
    "sandboxed",
    "service_manager_unreachable",
    "snapshot_failed",
    "snapshot_late",
    "snapshot_lost",
    "snapshot_loaded",
    "snapshot_new",
    "snapshot_put_aside",
    "snapshot_recovered",
    "snapshot_unfinished",
    "socket_inherited",
    "stopped",
    "stopping",
    "store_back",
    "store_evicts",
    "store_unreachable",
    "taken_over",
    "upgrade_begun",
    "upgrade_failed",
    "upstream_back",
    "upstream_failed",
    "upstream_in",
    "upstream_out",
    "upstream_rests",
    "user_changed",
    "webhook_abandoned",
    "webhook_failed",
    "webhook_recovered",
    "worker_failed",
    "worker_hangs",
];

/// Every event that outlets may be told of.
pub fn known() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|name| name.text()).chain(OPERATIONAL)
}

/// Whether there is an event of that name that outlets may be told of.
#[must_use]
pub fn is_known(name: &str) -> bool {
    known().any(|known| known == name)
}

/// Whether what is said about an event of that name may quote people.
#[must_use]
pub fn is_about_people(name: &str) -> bool {
    let also = ["connections_shed", "request", "tls_handshake_failed", "upstream_failed"];
    NAMES.iter().any(|known| known.text() == name) || also.contains(&name)
}

impl Name {
    /// The name in log lines, metrics and lists.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::CounterEvicted => "counter_evicted",
            Self::CountersCleared => "counters_cleared",
            Self::CountersExported => "counters_exported",
            Self::CountersImported => "counters_imported",
            Self::CountersReset => "counters_reset",
            Self::IdentitySuspect => "identity_suspect",
            Self::LockedByHand => "locked_by_hand",
            Self::LockedOut => "locked_out",
            Self::LoggedOut => "logged_out",
            Self::LoginFailed => "login_failed",
            Self::LoginFailedAgain => "login_failed_again",
            Self::LoginSucceeded => "login_succeeded",
            Self::NeverLockedFailed => "never_locked_failed",
            Self::Refused => "refused",
            Self::RuleSuspect => "rule_suspect",
            Self::WouldRefuse => "would_refuse",
        }
    }
}

/// Where and about whom an event is.
#[derive(Clone, Copy, Debug, Default)]
pub struct About<'a> {
    /// The client's address.
    pub client: Option<&'a str>,
    /// The peer's, where it is another.
    pub peer: Option<&'a str>,
    /// The site's name.
    pub site: Option<&'a str>,
    /// The login's.
    pub login: Option<&'a str>,
    /// The usernames tried.
    pub username: Option<&'a str>,
    /// `monitor`, where nothing is refused.
    pub mode: Option<&'a str>,
}

/// What more there is to say of an event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Details<'a> {
    /// The limit concerned.
    pub limit: Option<&'a Limit>,
    /// Failures that count now.
    pub failures: Option<u32>,
    /// The end of a lockout, as a time of day.
    pub until: Option<&'a str>,
    /// The reference that the client was given.
    pub reference: Option<&'a str>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why, in words.
    pub reason: Option<&'a str>,
}

/// Reports an event.
pub fn report(name: Name, about: About<'_>, details: Details<'_>) {
    let event = name.text();
    let About { client, peer, site, login, username, mode } = about;
    let limit = details.limit.map(|limit| &*limit.name);
    let of = details.limit.map(|limit| u64::from(limit.failures.get()));
    let failures = details.failures.map(u64::from);
    let status = details.status.map(u64::from);
    let (until, reason, reference) = (details.until, details.reason, details.reference);
    match name {
        Name::CounterEvicted
        | Name::IdentitySuspect
        | Name::LockedOut
        | Name::LockedByHand
        | Name::RuleSuspect => warn!(
            event,
            client,
            peer,
            site,
            login,
            mode,
            limit,
            failures,
            of,
            until,
            status,
            r#ref = reference,
            reason,
            username
        ),
        Name::CountersCleared
        | Name::CountersExported
        | Name::CountersImported
        | Name::CountersReset
        | Name::LoggedOut
        | Name::LoginFailed
        | Name::LoginFailedAgain
        | Name::LoginSucceeded
        | Name::NeverLockedFailed
        | Name::Refused
        | Name::WouldRefuse => info!(
            event,
            client,
            peer,
            site,
            login,
            mode,
            limit,
            failures,
            of,
            until,
            status,
            r#ref = reference,
            reason,
            username
        ),
    }
}

/// One served request, for the access log.
pub fn access(about: About<'_>, method: &str, path: &str, status: u16) {
    let status = u64::from(status);
    info!(event = "request", client = about.client, site = about.site, status, method, path);
}

/// Whether a failure's reason is that the upstream gave no verdict.
#[must_use]
pub const fn reason_of(proof: Proof, basis: Basis) -> Option<&'static str> {
    match (proof, basis) {
        (Proof::NoVerdict, _) => Some("no verdict"),
        (Proof::Verdict, Basis::Unmatched) => Some("unmatched"),
        (Proof::Verdict, Basis::NoVerdict | Basis::Rule) => None,
    }
}
