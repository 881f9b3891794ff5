//! Every key there is, and the one that was meant.

use super::places;

/// The keys of one kind of mapping.
#[derive(Debug)]
pub(super) struct Keys {
    /// What the mapping describes.
    pub(super) of: &'static str,
    /// Those that are read.
    pub(super) known: &'static [&'static str],
    /// Those of versions to come.
    pub(super) later: &'static [&'static str],
}

/// Names each table and puts it on the list.
macro_rules! vocabulary {
    ($($name:ident: $of:literal, $known:expr, $later:expr;)*) => {
        $(pub(super) static $name: Keys = Keys { of: $of, known: &$known, later: &$later };)*
        /// All of them.
        pub(super) static ALL: &[&Keys] = &[$(&$name),*];
    };
}

vocabulary! {
    FILE: "the file", [
        "listen", "workers", "trusted_proxies", "client_address", "sites", "lockout", "access",
        "store", "admin", "metrics", "log", "audit", "webhooks", "privacy", "user", "group", "sandbox", "shutdown", "timeouts", "bounds", "anchors",
    ], [];
    LISTENER: "a listener", ["address", "redirect_to_https", "proxy_protocol", "tls"], [];
    REDIRECT: "redirect_to_https", ["port"], [];
    HSTS: "hsts", ["max_age", "include_subdomains", "preload"], [];
    TLS: "tls", ["certificate", "key", "client_ca"], [];
    CLIENT_ADDRESS: "client_address", ["header", "ipv6_prefix", "network"], [];
    NETWORK: "network", ["ipv4_prefix", "ipv6_prefix"], [];
    SITE: "a site", [
        "name", "hosts", "upstream", "closed", "paths", "logins", "logouts", "lockout", "access",
        "hsts",
    ], [];
    UPSTREAM: "upstream", ["servers", "balance", "host", "http2", "health_check", "tls"], [];
    HEALTH_CHECK: "health_check", ["path", "interval", "status"], [];
    UPSTREAM_TLS: "an upstream's tls", ["ca", "certificate", "key", "server_name", "insecure"], [];
    BALANCE: "balance", ["cookie"], [];
    LOGIN: "a login", [
        "name", "path", "attempts", "methods", "when", "username", "username_rewrite", "email_aliases",
        "password", "session_cookie", "outcome", "lockout", "access", "max_body",
    ], [];
    LOGOUT: "a logout", ["path", "methods", "when", "status", "session_cookie"], [];
    WHEN: "when", ["query", "field"], [];
    USERNAME: "a username", ["form", "json", "query", "header", "basic", "path"], [];
    PASSWORD: "a password", ["form", "json", "query", "header"], [];
    REWRITE: "username_rewrite", ["regex", "to"], [];
    VERDICT: "an outcome", ["success", "failure", "ignore"], [];
    CONDITIONS: "an outcome's conditions", [
        "status", "location", "header", "set_cookie", "body", "json", "answer",
    ], [];
    BODY: "body", ["regex"], [];
    LOCKOUT: "lockout", [
        "limits", "mode", "at_limit", "reset_on_success", "count_while_locked", "never_lock",
        "wait", "response",
    ], [];
    LIMIT: "a limit", [
        "name", "by", "failures", "cool_off", "forget_after", "forget", "forget_lockouts_after",
        "except",
    ], [];
    NEVER_LOCK: "never_lock", ["networks", "usernames"], [];
    RESPONSE: "response", [
        "status", "html", "json", "redirect", "contact", "cors_origins", "identify",
    ], [];
    ACCESS: "access", ["deny", "only_allow", "covers"], [];
    STORE: "store", ["memory", "snapshot", "redis"], [];
    REDIS: "redis", [
        "url", "sentinel", "cluster", "username", "password", "database", "prefix", "key", "tls",
        "timeout", "connect_timeout", "on_outage",
    ], [];
    SENTINEL: "sentinel", ["master", "urls", "username", "password"], [];
    REDIS_TLS: "redis's tls", ["ca", "certificate", "key"], [];
    SNAPSHOT: "snapshot", ["file"], [];
    MEMORY: "memory", ["max_counters", "max_lockouts"], [];
    ADMIN: "admin", ["address", "token_file"], [];
    METRICS: "metrics", ["address"], [];
    LOG: "log", ["format", "level", "access"], [];
    AUDIT: "audit", ["to", "file", "rotate", "syslog", "events"], [];
    ROTATE: "rotate", ["size", "keep"], [];
    SYSLOG: "syslog", ["address", "facility"], [];
    WEBHOOK: "a webhook", ["name", "url", "secret", "events", "timeout", "retry_for", "ca"], [];
    PRIVACY: "privacy", ["usernames", "addresses", "key"], [];
    SHUTDOWN: "shutdown", ["delay", "deadline"], [];
    TIMEOUTS: "timeouts", [
        "handshake", "proxy_header", "head", "idle", "login_body", "body", "send", "connect",
        "response_head", "verdict", "exchange", "upstream_idle", "upstream_idle_unsafe",
    ], [];
    BOUNDS: "bounds", ["headers", "head", "target", "connections"], [];
}

/// What others call it: django-axes, fail2ban, Authelia, nginx, Caddy.
const FOREIGN: &[(&str, &str)] = &[
    ("backend", "upstream"),
    ("ban_time", "cool_off"),
    ("bantime", "cool_off"),
    ("bind", "listen"),
    ("blacklist", "deny"),
    ("capacity", "failures"),
    ("cooloff_time", "cool_off"),
    ("failure_limit", "failures"),
    ("find_time", "forget_after"),
    ("findtime", "forget_after"),
    ("ignoreip", "never_lock"),
    ("ip_blacklist", "deny"),
    ("ip_whitelist", "never_lock"),
    ("lock_out_at_failure", "mode"),
    ("lockout_parameters", "by"),
    ("lockout_template", "html"),
    ("lockout_url", "redirect"),
    ("max_retries", "failures"),
    ("maxretry", "failures"),
    ("only_whitelist", "only_allow"),
    ("parameters", "by"),
    ("proxy_pass", "upstream"),
    ("reverse_proxy", "upstream"),
    ("server", "upstream"),
    ("server_name", "hosts"),
    ("whitelist", "never_lock"),
];

impl Keys {
    /// The key of these that `written` begins with, where no blank is behind its colon.
    pub(super) fn joined<'a>(&self, written: &'a str) -> Option<&'a str> {
        let (key, rest) = written.split_once(':')?;
        (self.known.contains(&key) && !rest.is_empty()).then_some(key)
    }

    /// What to do about a key that is not known here.
    pub(super) fn advice(&'static self, unknown: &str) -> String {
        if let Some(key) = self.joined(unknown) {
            return format!("write a blank behind `{key}:`");
        }
        let folded = unknown.to_ascii_lowercase().replace('-', "_");
        let theirs = folded.trim_start_matches("axes_");
        let ours = FOREIGN.iter().find(|(foreign, _)| *foreign == theirs).map(|(_, ours)| *ours);
        let meant = ours.filter(|ours| self.known.contains(ours));
        if let Some(near) = meant.or_else(|| nearest(theirs, self.known)) {
            return format!("did you mean `{near}`?");
        }
        let wanted = ours.unwrap_or(unknown);
        match places::home(self, wanted) {
            Some(home) if ours.is_some() => format!("here that is `{wanted}` of {home}"),
            Some(home) => format!("it belongs to {home}"),
            None => format!("{} may have {}", self.of, listed(self.known)),
        }
    }
}

/// The word that `written` was probably meant to be.
pub(super) fn nearest<'a>(written: &str, words: &[&'a str]) -> Option<&'a str> {
    let near = words.iter().map(|word| (distance(written, word), *word));
    let most = (written.chars().count() / 3).max(1);
    near.filter(|(far, _)| *far <= most).min_by_key(|(far, _)| *far).map(|(_, word)| word)
}

/// `` `a`, `b` or `c` ``
pub(super) fn listed(words: &[&str]) -> String {
    let quoted = |word: &&str| format!("`{word}`");
    match words.split_last() {
        Some((last, [])) => quoted(last),
        Some((last, rest)) => {
            let rest: Vec<_> = rest.iter().map(quoted).collect();
            format!("{} or {}", rest.join(", "), quoted(last))
        }
        None => String::new(),
    }
}

/// How many characters have to be added, dropped or changed to get from `from` to `to`; one, where
/// they only stand in another order.
fn distance(from: &str, to: &str) -> usize {
    if from != to && ordered(from) == ordered(to) {
        return 1;
    }
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (dropped, a) in from.chars().enumerate() {
        let mut left = dropped + 1;
        let mut diagonal = std::mem::replace(row.first_mut().unwrap_or(&mut 0), left);
        for (b, above) in to.chars().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(a != b);
            diagonal = *above;
            left = changed.min(left + 1).min(*above + 1);
            *above = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn ordered(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.chars().collect();
    letters.sort_unstable();
    letters
}
