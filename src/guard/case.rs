//! What is known of a login attempt once its request has gone upstream.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use http::Uri;
use http::header::{HeaderMap, HeaderValue, LOCATION};

use super::flight::Away;
use super::local::{LocalPlan, LocalRule, LocalSite};
use super::recognise::Writing;
use super::session::Carried;
use super::{Shared, Worker};
use crate::events::About;
use crate::policy::client::ClientAddr;
use crate::policy::key::{Claim, Fingerprint};
use crate::policy::outcome::location::Location;
use crate::policy::outcome::{Asked, Challenged, Format};
use crate::policy::path::routes;
use crate::policy::route::Mode;
use crate::store::gate::Pass;

/// Everything about an attempt that is needed after its request has gone upstream.
pub(super) struct Case {
    pub worker: Rc<Worker>,
    pub plan: Rc<LocalPlan>,
    pub site: Rc<LocalSite>,
    pub rule: Rc<LocalRule>,
    pub client: ClientAddr,
    /// The client and the usernames as events show them.
    pub shown: Shown,
    /// What it is charged to.
    pub claim: Arc<Claim>,
    /// What its answer is held against.
    pub asked: OwnedAsked,
    /// The sessions that its request carries.
    pub sessions: Vec<Carried>,
    pub basic: Option<BasicCase>,
    pub writing: Writing,
    /// Whoever takes the counters over waits until it is dropped.
    #[expect(dead_code, reason = "it is only held")]
    pub pass: Option<Pass>,
    /// What of its exchange's time is not the guard's own.
    pub away: Away,
    /// Whether its outcome is settled, and reported with that.
    pub settled: Cell<bool>,
}

/// What events show of an attempt.
pub(super) struct Shown {
    pub client: Rc<str>,
    /// Where it is another.
    pub peer: Option<Rc<str>>,
    /// Where there are several; a single one is among the claim's candidates.
    pub usernames: Option<String>,
}

/// See [`Asked`].
pub(super) struct OwnedAsked {
    pub host: Option<HeaderValue>,
    pub target: Uri,
    pub path_as_written: bool,
    pub referer: Option<HeaderValue>,
    pub format: Format,
}

/// The Basic credentials of an attempt.
pub(super) struct BasicCase {
    /// What stands for them, this client and this rule.
    pub credentials: Fingerprint,
    /// What stands for the method and target.
    pub target: Fingerprint,
}

impl Case {
    /// Where and about whom its events are.
    pub(super) fn about(&self) -> About<'_> {
        let candidates = &self.claim.subject.candidates;
        let only = || candidates.iter().find_map(|candidate| candidate.shown.as_deref());
        About {
            client: Some(&self.shown.client),
            peer: self.shown.peer.as_deref(),
            site: Some(&self.site.name),
            login: Some(&self.rule.rule.name),
            username: self.shown.usernames.as_deref().or_else(only),
            mode: (self.rule.rule.lockout.mode == Mode::Monitor).then_some("monitor"),
        }
    }

    /// What its answer is held against.
    pub(super) fn asked(&self, answer: &HeaderMap) -> Asked<'_> {
        Asked {
            host: self.asked.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default(),
            path: self.asked.target.path(),
            path_as_written: self.asked.path_as_written,
            leads_to_login: !self.asked.path_as_written && self.leads_to_login(answer),
            referer: self.asked.referer.as_ref().map(HeaderValue::as_bytes),
            format: self.asked.format,
            challenged: self.challenged(),
        }
    }

    /// Whether an answer leads to a login of this site.
    fn leads_to_login(&self, answer: &HeaderMap) -> bool {
        let Some(location) = answer.get(LOCATION) else { return false };
        let host = self.asked.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
        let location = Location::resolve(location.as_bytes(), host, self.asked.target.path());
        let Some(target) = &location.on_same_host else { return false };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let is_login =
            |path: &str| self.site.logins.find(path).is_ok_and(|found| !found.is_empty());
        is_login(path) || routes(path, query).iter().any(|path| is_login(path))
    }

    fn challenged(&self) -> Challenged {
        let Shared { seen, store, .. } = &*self.worker.shared;
        let was = |basic: &BasicCase| {
            seen.was_challenged(basic.target, basic.credentials, store.clock().now())
        };
        if self.basic.as_ref().is_some_and(was) { Challenged::Within } else { Challenged::Unknown }
    }
}
