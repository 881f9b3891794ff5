//! A rejection becomes a response and is reported, once.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode, Uri};
use tracing::warn;

use super::answer::{AnswerBody, Content};
use super::case::Case;
use super::local::{LocalRule, LocalSite};
use super::refusals;
use super::repeat::Refusing;
use super::{Shared, Visit, Worker};
use crate::clock::Moment;
use crate::config::AccessLog;
use crate::events::{self, About, Details, Name};
use crate::link::{Crowd, Link};
use crate::log::line::write_time;
use crate::policy::client::PeerAddr;
use crate::policy::key::Key;
use crate::policy::lockout::Standing;
use crate::policy::reference::Reference;
use crate::policy::route::ResponseSettings;
use crate::rejection::page::Told;
use crate::rejection::reason::Reason;
use crate::rejection::{AnswerKind, Lockout, Rejection, Wanted, respond};
use crate::store::Store;
use crate::store::select::shown_network;

impl Visit<'_> {
    /// The response to a rejected request.
    pub(super) fn refuse(
        &self,
        site: Option<&LocalSite>,
        rejection: &Rejection,
    ) -> Response<AnswerBody> {
        if let Some(case) = &*self.case.borrow() {
            let settings = &case.rule.rule.lockout.response;
            if case.settled.get() && rejection.lockout().is_some() {
                // it reached the upstream, and `locked_out` has said what came of it
                case.site.cells.refused(Reason::AtLimit);
                self.tell(|story| story.refused(Reason::AtLimit, rejection));
                let reference = reference(self.worker, rejection);
                let shown = reference.to_string();
                let response = answer(self.worker, rejection, &self.wanted, settings, &shown);
                let answered = (response, reference);
                return self.own(self.remembered(rejection, answered, case.about(), Some(case)));
            }
            case.site.cells.refused(rejection.reason());
            self.tell(|story| story.refused(rejection.reason(), rejection));
            return self.own(self.refuse_case(case, rejection));
        }
        site.map_or(&self.worker.nowhere, |site| &site.cells).refused(rejection.reason());
        self.tell(|story| story.refused(rejection.reason(), rejection));
        let own = site.and_then(|site| site.site.logins.first());
        let settings = own.map_or(&self.plan.settings.response, |rule| &rule.lockout.response);
        let about = About { site: site.map(|site| &*site.site.name), ..About::default() };
        let (client, peer) = self.shown();
        let about = About { client: Some(&client), peer: peer.as_deref(), ..about };
        let told = tell(self.worker, rejection, &self.wanted, settings, about);
        self.own(self.remembered(rejection, told, about, None))
    }

    /// Says that an attempt is refused; the response.
    fn refuse_case(&self, case: &Case, rejection: &Rejection) -> Response<Bytes> {
        let about = case.about();
        let told = match Refusing::by_counters(case, rejection, &self.wanted) {
            Some(refusing) => {
                let said = self.worker.repeats.said(refusing);
                said.report(about, &case.claim);
                (said.response.clone(), said.reference)
            }
            None => {
                let settings = &case.rule.rule.lockout.response;
                tell(self.worker, rejection, &self.wanted, settings, about)
            }
        };
        self.remembered(rejection, told, about, Some(case))
    }

    /// Remembers a refusal by its reference; the response.
    fn remembered(
        &self,
        rejection: &Rejection,
        (response, reference): (Response<Bytes>, Reference),
        about: About<'_>,
        case: Option<&Case>,
    ) -> Response<Bytes> {
        let claim = case.map(|case| &case.claim);
        let told = (reference, response.status());
        refusals::note(self.worker, rejection, told, about, claim);
        response
    }

    /// The client as events show it, and the peer where it is another.
    pub(super) fn shown(&self) -> (Rc<str>, Option<Rc<str>>) {
        let link = &self.downstream.link;
        let own = Rc::clone(&link.peer_text);
        match self.client {
            Some(client) if link.peer != PeerAddr::Ip(client.ip()) => {
                (client.to_string().into(), Some(own))
            }
            Some(_) | None => (own, None),
        }
    }

    /// What the access log will say that was asked for, if there is one. The query is left out: it
    /// may hold credentials.
    pub(super) fn asked(&self, parts: &Parts) -> Option<(Method, Uri)> {
        let log = self.plan.settings.log;
        (log.access == AccessLog::On).then(|| (parts.method.clone(), parts.uri.clone()))
    }

    /// Writes the line of a request into the access log.
    pub(super) fn log(
        &self,
        site: Option<&LocalSite>,
        (method, uri): &(Method, Uri),
        status: StatusCode,
    ) {
        let (client, peer) = self.shown();
        let site = site.map(|site| &*site.name);
        let (client, peer) = (Some(&*client), peer.as_deref());
        let about = About { client, peer, site, ..About::default() };
        events::access(about, method.as_str(), uri.path(), status.as_u16());
    }

    /// Makes a response of the guard's own go out on this connection.
    pub(super) fn own(&self, response: Response<Bytes>) -> Response<AnswerBody> {
        let link = Rc::clone(&self.downstream.link);
        response.map(|bytes| AnswerBody::new(Content::Own(Some(bytes)), link))
    }
}

impl Worker {
    /// The response to a request that did not even become one.
    pub(super) fn report_rejection(
        &self,
        link: &Link,
        rejection: &Rejection,
        wanted: &Wanted,
        settings: &ResponseSettings,
    ) -> Response<Bytes> {
        self.nowhere.refused(rejection.reason());
        let about = About { client: Some(&link.peer_text), ..About::default() };
        let (response, reference) = tell(self, rejection, wanted, settings, about);
        refusals::note(self, rejection, (reference, response.status()), about, None);
        if let Some(trace) = &self.trace {
            trace.tell(|story| {
                story.refused(rejection.reason(), rejection);
                story.status = Some(response.status().as_u16());
            });
            trace.end();
        }
        response
    }
}

/// Reports what still counted and had to make room, of whoever it was.
pub(super) fn evictions(shared: &Shared) {
    for evicted in shared.store.take_evicted() {
        let whose = evicted.slot.whose();
        let address = shown_network(whose.address);
        let site = Some(&*evicted.slot.site);
        let about = About { client: Some(&address), site, ..About::default() };
        let failures = Some(evicted.history.failures());
        let Standing::Locked(until) = evicted.history.standing() else {
            shared.metrics.counter_evicted();
            // lines that are alike are merged, and in a flood of keys they are many
            let details = Details { failures, ..Details::default() };
            events::report(Name::CounterEvicted, about, details);
            continue;
        };
        shared.metrics.lockout_evicted();
        let username = whose.candidate.and_then(|candidate| candidate.shown);
        let about = About { username, ..about };
        let until = time_of_day(&shared.store, until);
        let limit = shared.store.limit(evicted.slot.limit);
        let details = Details {
            limit: limit.as_deref(),
            failures,
            until: Some(until.as_deref().unwrap_or("never")),
            reason: Some("a lockout in force had to make room for others"),
            ..Details::default()
        };
        events::report(Name::CounterEvicted, about, details);
    }
}

/// Reports what happened to connections for want of room.
pub(super) fn crowd(Crowd { address, shed, refused }: &Crowd) {
    let client = Some(&**address).filter(|address| !address.is_empty());
    let reason = "as many connections as there may be: see `bounds.connections`";
    warn!(event = "connections_shed", client, shed, refused, reason);
}

/// Reports a login rule that does not see what a rule should see.
pub(super) fn rule(site: &LocalSite, rule: &LocalRule, now: Moment) {
    let suspicion = match rule.batch.take() {
        batch if batch.is_empty() => rule.watch.silence(now),
        batch => rule.watch.see(batch, now),
    };
    if let Some(suspicion) = suspicion {
        let (site, login) = (Some(&*site.name), Some(&*rule.rule.name));
        let details = Details { reason: Some(&suspicion), ..Details::default() };
        events::report(Name::RuleSuspect, About { site, login, ..About::default() }, details);
    }
}

/// Makes the response and reports it; with the reference that is on it.
pub(super) fn tell(
    worker: &Worker,
    rejection: &Rejection,
    wanted: &Wanted,
    settings: &ResponseSettings,
    about: About<'_>,
) -> (Response<Bytes>, Reference) {
    let reference = reference(worker, rejection);
    let shown = reference.to_string();
    let response = answer(worker, rejection, wanted, settings, &shown);
    let store = &worker.shared.store;
    let until = rejection.lockout().and_then(|lockout| time_of_day(store, lockout.until));
    let reason = &*rejection.words();
    let details = Details {
        until: until.as_deref(),
        reference: Some(&shown),
        status: Some(response.status().as_u16()),
        reason: Some(reason),
        ..Details::default()
    };
    events::report(Name::Refused, about, details);
    if rejection.kind() == AnswerKind::Error {
        tracing::warn!(event = "upstream_failed", site = about.site, r#ref = shown, reason);
    }
    (response, reference)
}

/// By what support finds it: that of the counter that is locked, or one of its own.
fn reference(worker: &Worker, rejection: &Rejection) -> Reference {
    let locked = rejection.lockout().and_then(|lockout| lockout.keys.first());
    Reference::of(locked.copied().unwrap_or_else(|| Key(worker.random())))
}

/// Makes the response, which shows `reference`.
pub(super) fn answer(
    worker: &Worker,
    rejection: &Rejection,
    wanted: &Wanted,
    settings: &ResponseSettings,
    reference: &str,
) -> Response<Bytes> {
    let store = &worker.shared.store;
    let locked = rejection.lockout();
    let retry_after = match locked {
        Some(lockout) => seconds_left(store, lockout.until),
        None => matches!(rejection, Rejection::Busy | Rejection::Leaving).then_some(1),
    };
    let status = locked
        .and_then(|_| StatusCode::from_u16(settings.status).ok())
        .unwrap_or_else(|| rejection.status());
    let kind = rejection.kind();
    let told = Told { status, title: rejection.title(), kind: kind.name(), reference, retry_after };
    respond(rejection, wanted, settings, &told)
}

/// Seconds until `until`, rounded up; none where there is no end.
pub(super) fn seconds_left(store: &Store, until: Moment) -> Option<u64> {
    let left = until.since(store.clock().now());
    (until != Moment::NEVER).then(|| left.as_millis().div_ceil(1000) as u64).map(|s| s.max(1))
}

/// The wall-clock time of `until`; none where there is no end.
pub(super) fn time_of_day(store: &Store, until: Moment) -> Option<String> {
    (until != Moment::NEVER).then(|| {
        // whole seconds, so that the lines about one lockout are alike
        let wall = store.clock().wall(until).saturating_add(Duration::from_millis(500));
        let mut text = String::with_capacity(24);
        write_time(&mut text, Duration::from_secs(wall.as_secs()));
        text
    })
}

impl Lockout {
    /// A lockout by counters, the longest first.
    #[must_use]
    pub const fn by_counters(until: Moment, keys: Vec<Key>) -> Self {
        Self { until, keys, reason: None }
    }
}
