//! Host, method, path -> site and login rule.

use std::sync::Arc;
use std::time::Duration;

use crate::policy::account::Naming;
use crate::policy::client::Networks;
use crate::policy::credentials::{FieldName, Source};
use crate::policy::glob::Glob;
use crate::policy::lockout::{Limit, Parameter};
use crate::policy::outcome::OutcomeRules;
use crate::policy::path::PathPattern;
use crate::policy::session::SessionName;

/// Host names, an upstream, and what is guarded there.
#[derive(Clone, Debug)]
pub struct Site {
    /// Identifies the site across reloads.
    pub name: Arc<str>,
    /// Which hosts it answers for; empty: every one.
    pub hosts: Vec<HostPattern>,
    /// Paths nobody may ask for.
    pub closed: Vec<PathPattern>,
    /// What becomes of a login's path in other words.
    pub spellings: Spellings,
    /// What is an attempt.
    pub logins: Vec<Arc<LoginRule>>,
    /// What ends a session.
    pub logouts: Vec<LogoutRule>,
    /// Who may come at all; the file's rules and then the site's.
    pub access: Vec<Access>,
}

/// What becomes of a request whose path some upstreams take for a login's, though it is written
/// otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spellings {
    /// It is treated as the login.
    #[default]
    Lenient,
    /// It is refused.
    Strict,
}

/// `shop.example.com`, or `*.shop.example.com` for every name below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name, in lower case and without a final dot.
    Exact(Box<str>),
    /// Every name that ends with a dot and this.
    Below(Box<str>),
}

impl When {
    /// Whether there are conditions.
    #[must_use]
    pub const fn is_narrow(&self) -> bool {
        !self.query.is_empty() || !self.field.is_empty()
    }
}

impl LoginRule {
    /// Whether its paths serve nothing but logins.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.paths.iter().all(|(_, attempts)| *attempts == Attempts::All)
    }
}

/// Which requests are attempts, where the username stands, how the answer is read.
#[derive(Clone, Debug)]
pub struct LoginRule {
    /// Identifies the rule within its site across reloads.
    pub name: Arc<str>,
    /// Where it applies, and what is an attempt there; at least one.
    pub paths: Vec<(PathPattern, Attempts)>,
    /// Methods that make a request an attempt under [`Attempts::All`], in upper case.
    pub methods: Vec<Box<str>>,
    /// What else must hold for a request to be an attempt.
    pub when: When,
    /// Where usernames stand; empty: the rule has none.
    pub usernames: Vec<Source>,
    /// How usernames name accounts.
    pub naming: Naming,
    /// Where passwords and codes stand.
    pub passwords: Vec<Source>,
    /// The name of the cookie that is a session.
    pub session_cookie: Option<SessionName>,
    /// How the answer is read.
    pub outcome: OutcomeRules,
    /// The largest login body, in bytes.
    pub max_body: usize,
    /// Who may try here at all.
    pub access: Option<Access>,
    /// How failures are counted.
    pub lockout: Arc<Lockout>,
    /// Whose counters these are: the site's, or this login's own.
    pub counters: CounterScope,
}

/// Whose counters a login's failures are charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterScope {
    /// Those that the site's logins share.
    Site,
    /// Its own.
    Login,
}

/// Which requests on a login path are attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// Those with a listed method, and any that carries a password.
    All,
    /// Those that carry a password, or the username where the rule names no password.
    WithCredentials,
}

/// Conditions that narrow a rule.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// Parameters of the query and the values they must have.
    pub query: Vec<(FieldName, Glob)>,
    /// Fields of query or body and the values they must have.
    pub field: Vec<(FieldName, Glob)>,
}

/// Which requests end a session.
#[derive(Clone, Debug)]
pub struct LogoutRule {
    /// Where it applies.
    pub path: PathPattern,
    /// With which methods, in upper case; empty: any.
    pub methods: Vec<Box<str>>,
    /// What else must hold.
    pub when: When,
    /// Which answers say that it worked; empty: any.
    pub status: Vec<std::ops::RangeInclusive<u16>>,
    /// The name of the cookie that was the session.
    pub session_cookie: Option<SessionName>,
}

/// Who may come at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// These may not.
    pub deny: Networks,
    /// Nobody else may.
    pub only_allow: Option<Networks>,
    /// Which requests that is about.
    pub covers: Covers,
}

/// Which requests a list of networks is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Covers {
    /// All of them.
    Everything,
    /// Attempts alone.
    #[default]
    Logins,
}

/// How failures are counted and what happens at the limit.
#[derive(Clone, Debug)]
pub struct Lockout {
    /// Any one of them locks; at least one, no two of one name.
    pub limits: Vec<Arc<Limit>>,
    /// Whether anything is refused.
    pub mode: Mode,
    /// Who answers the failure that reaches the limit.
    pub at_limit: AtLimit,
    /// What a success clears.
    pub reset_on_success: ResetOnSuccess,
    /// What a refused attempt does to the counters that are locked.
    pub while_locked: WhileLocked,
    /// Who is neither refused nor counted.
    pub never_lock: NeverLock,
    /// How long an attempt waits for a place.
    pub wait: Duration,
    /// What refused clients see.
    pub response: Arc<ResponseSettings>,
}

impl Lockout {
    /// What counts attempts that no limit counts: the first limit's numbers, by client address.
    #[must_use]
    pub fn fallback(&self) -> Limit {
        let mut fallback = self.limits.first().map_or_else(Limit::usual, |first| (**first).clone());
        fallback.by = vec![Parameter::IpAddress];
        fallback.except = Networks::default();
        fallback
    }
}

/// Whether anything is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Yes.
    Enforce,
    /// No: what would be refused is only published.
    Monitor,
}

/// Who answers the failure that reaches the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLimit {
    /// The guard.
    Lockout,
    /// The upstream.
    Upstream,
}

/// What a success clears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetOnSuccess {
    /// Every counter of the attempt.
    All,
    /// Nothing.
    None,
    /// Counters that name both the username and the client's address.
    SameClient,
}

/// What a refused attempt does to the counters that are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhileLocked {
    /// It counts, and their cool-off starts again.
    Count,
    /// Nothing.
    Ignore,
}

/// Who is neither refused nor counted.
#[derive(Clone, Debug, Default)]
pub struct NeverLock {
    /// Clients.
    pub networks: Networks,
    /// Usernames, compared as they are.
    pub usernames: Vec<Box<str>>,
}

/// What refused clients see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseSettings {
    /// The status of a lockout: 403, or another 4xx or 5xx.
    pub status: u16,
    /// An own HTML page, as a template.
    pub html: Option<Arc<str>>,
    /// An own JSON document, as a template.
    pub json: Option<Arc<str>>,
    /// Where browsers are sent instead.
    pub redirect: Option<Box<str>>,
    /// Whom to ask, in words.
    pub contact: Option<Box<str>>,
    /// Origins whose scripts may read the answer; `*` is every one.
    pub cors_origins: Vec<Box<str>>,
    /// Whether the answer says in headers that it is the guard's.
    pub identify: Identify,
}

/// Whether the guard's own answers carry `X-Loginward` and `X-Loginward-Ref`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identify {
    /// They do.
    Headers,
    /// They do not.
    Nothing,
}
