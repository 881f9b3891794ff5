//! Sessions: whom they belong to, and when they end.

use std::rc::Rc;

use http::header::{COOKIE, HeaderMap, REFERER, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::Visit;
use super::local::LocalSite;
use super::seen::{Hold, Owners};
use crate::events::{self, About, Details, Name};
use crate::policy::key::{Fingerprint, Fingerprinter};
use crate::policy::outcome::cookies::set_cookies;
use crate::policy::path::{Match, MatchKind};
use crate::policy::route::When;
use crate::policy::session::{Session, SessionName, TooMany, is_ambiguous};

/// A request that may end a session.
pub(super) struct Leaving {
    rule: usize,
    sessions: Vec<Fingerprint>,
}

/// A session that a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// What stands for it.
    pub session: Fingerprint,
    /// Whether the upstream may go by another one of the request's.
    pub standing: Standing,
}

/// Whether a session is the one of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The request has several of that name, and some upstreams take the first, others the last.
    Ambiguous,
    /// It is the only one.
    Clear,
}

/// The sessions that a request carries.
pub(super) fn sessions_of(
    by: &Fingerprinter,
    site: &str,
    parts: &Parts,
    name: &SessionName,
) -> Result<Vec<Carried>, TooMany> {
    let sessions = name.carried(&parts.headers, &parts.uri)?;
    let carried = |session: &Session| Carried {
        session: fingerprint(by, site, session),
        standing: match is_ambiguous(session, &sessions) {
            true => Standing::Ambiguous,
            false => Standing::Clear,
        },
    };
    Ok(sessions.iter().map(carried).collect())
}

/// What stands for a session.
pub(super) fn fingerprint(by: &Fingerprinter, site: &str, session: &Session) -> Fingerprint {
    by.fingerprint("session", &[site.as_bytes(), &session.name, &session.value])
}

impl Visit<'_> {
    /// Whether the request may end a session, by the logout rules of its site.
    pub(super) fn leaving(&self, site: &Rc<LocalSite>, parts: &Parts) -> Option<Leaving> {
        if site.site.logouts.is_empty() {
            return None;
        }
        let found = site.logouts.find(parts.uri.path()).ok()?;
        let fits = |at: &usize| {
            let rule = site.logout(*at)?;
            let method = parts.method.as_str();
            let by_method = rule.methods.is_empty()
                || rule.methods.iter().any(|listed| listed.eq_ignore_ascii_case(method));
            (by_method && query_holds(&rule.when, parts)).then_some(rule)
        };
        // other spellings may be other pages, which end nothing
        let as_written = |m: &&Match<usize>| {
            matches!(m.kind, MatchKind::Exact | MatchKind::Template | MatchKind::Prefix)
        };
        let mut found = found.iter().filter(as_written);
        let (at, rule) = found.find_map(|m| Some((m.value, fits(&m.value)?)))?;
        let by = self.worker.shared.seen.fingerprinter();
        let cookie = rule.session_cookie.as_ref();
        let carried = cookie.map(|name| sessions_of(by, &site.site.name, parts, name));
        // of several the upstream ends one, and nobody knows which
        let carried = carried.and_then(Result::ok).unwrap_or_default();
        let clear = carried.iter().filter(|carried| carried.standing == Standing::Clear);
        Some(Leaving { rule: at, sessions: clear.map(|carried| carried.session).collect() })
    }

    /// The cookies of a request, where the answer may go on with a session under another value.
    pub(super) fn cookies(&self, site: &LocalSite, parts: &Parts) -> Option<Parts> {
        let has_sessions = site.rules().iter().any(|rule| rule.rule.session_cookie.is_some());
        if !has_sessions || !parts.headers.contains_key(COOKIE) {
            return None;
        }
        let (mut kept, ()) = http::Request::new(()).into_parts();
        for line in parts.headers.get_all(COOKIE) {
            kept.headers.append(COOKIE, line.clone());
        }
        Some(kept)
    }

    /// Some applications give a session a new value with every answer: it has the same owner.
    pub(super) fn renew_sessions(&self, site: &LocalSite, request: &Parts, answer: &HeaderMap) {
        if !answer.contains_key(SET_COOKIE) {
            return;
        }
        let shared = &self.worker.shared;
        let (by, now) = (shared.seen.fingerprinter(), shared.store.clock().now());
        let cookies = set_cookies(answer, shared.store.clock().wall_now());
        for name in site.rules().iter().filter_map(|rule| rule.rule.session_cookie.as_ref()) {
            let Ok(carried) = sessions_of(by, &site.site.name, request, name) else { continue };
            let owners = carried.iter().filter_map(|one| shared.seen.owners(one.session, now));
            let Some(owners) = owners.reduce(join) else { continue };
            let set = cookies.iter().filter_map(|cookie| name.session(cookie.name, cookie.value?));
            for session in set {
                let renewed = fingerprint(by, &site.site.name, &session);
                match owners.hold {
                    Hold::Proven => shared.seen.belongs_also(renewed, &owners.accounts, now),
                    Hold::Claimed => shared.seen.claim(renewed, &owners.accounts, now),
                }
            }
        }
    }

    /// The upstream has answered a request that may end a session.
    pub(super) fn left(&self, site: &LocalSite, leaving: Leaving, status: StatusCode) {
        let Some(rule) = site.logout(leaving.rule) else { return };
        let code = status.as_u16();
        if !rule.status.is_empty() && !rule.status.iter().any(|range| range.contains(&code)) {
            return;
        }
        for session in leaving.sessions {
            self.worker.shared.seen.ended(session);
        }
        let client = self.client.map(|client| client.to_string());
        let about = About {
            client: client.as_deref(),
            site: Some(&site.site.name),
            login: Some(&rule.path.written),
            ..About::default()
        };
        events::report(
            Name::LoggedOut,
            about,
            Details { status: Some(code), ..Details::default() },
        );
    }
}

/// Whoever owns one of two sessions that a request carries, those for certain first.
fn join(one: Owners, other: Owners) -> Owners {
    match (one.hold, other.hold) {
        (Hold::Proven, Hold::Claimed) => one,
        (Hold::Claimed, Hold::Proven) => other,
        (Hold::Proven, Hold::Proven) | (Hold::Claimed, Hold::Claimed) => {
            let all = one.accounts.iter().chain(other.accounts.iter()).copied();
            Owners { accounts: all.collect(), hold: one.hold }
        }
    }
}

fn query_holds(when: &When, parts: &Parts) -> bool {
    let asked = crate::policy::credentials::Request {
        names: &[],
        query: parts.uri.query(),
        headers: &parts.headers,
        body: None,
    };
    crate::policy::credentials::holds(when, &asked, 0).unwrap_or_default()
}

/// The referer of a request, as bytes.
pub(super) fn referer(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(REFERER).cloned()
}
