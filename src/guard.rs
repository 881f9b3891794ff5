//! One request's way through the guard, top to bottom.
//!
//! Who is this client? Which site? Is this a login attempt? If not: forward. Which accounts are
//! tried? Ask the store for a permit, or refuse. Forward. Read the outcome. Settle. Answer.

mod admission;
pub mod answer;
pub mod attempt;
mod begin;
pub mod case;
pub mod exchange;
pub mod flight;
pub mod forward;
mod https;
pub mod local;
mod named;
mod pass;
pub mod plan;
mod reading;
pub mod recognise;
pub mod refusals;
mod repeat;
pub mod report;
pub mod rollout;
pub mod seen;
pub mod session;
pub mod settle;
pub mod target;
mod telling;
pub mod trace;
pub mod watch;
pub mod worker;

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use http::header::STRICT_TRANSPORT_SECURITY;
use http::request::Parts;
use http::{Request, Response, Version};

use crate::body::ClientBody;
use crate::clock::Tick;
use crate::guard::answer::{AnswerBody, Downstream};
use crate::guard::case::Case;
use crate::guard::flight::{Away, Flight};
use crate::guard::local::{LocalPlan, LocalRule, LocalSite};
use crate::guard::reading::Patience;
use crate::guard::recognise::{Recognised, recognise};
use crate::guard::trace::Story;
use crate::headers::{self, Trust};
use crate::link::Scheme;
use crate::policy::client::{ClientAddr, Identity, identify};
use crate::policy::route::{Access, Covers};
use crate::policy::scheme::spoken;
use crate::rejection::{Rejection, Wanted};
pub use worker::{Shared, Worker};

/// One request and everything that is known of where it comes from.
struct Visit<'a> {
    worker: &'a Rc<Worker>,
    /// What is served and how, as it was when the request began.
    plan: &'a Rc<LocalPlan>,
    downstream: &'a Rc<Downstream>,
    /// The client; `None` where a trusted proxy did not tell.
    client: Option<ClientAddr>,
    trust: Trust,
    /// How the client speaks, where that is known.
    scheme: Scheme,
    wanted: Wanted,
    /// The attempt that the request has turned out to be.
    case: RefCell<Option<Rc<Case>>>,
    /// What of its time is not the guard's own.
    away: Away,
}

/// Answers a request, whatever it is. Dropping the future gives up what it waits for; an attempt
/// that is with the upstream already goes on without it.
///
/// # Errors
///
/// Never: every request ends with a response.
pub fn answer(
    worker: Rc<Worker>,
    downstream: Rc<Downstream>,
    request: Request<ClientBody>,
) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> {
    let (parts, body) = request.into_parts();
    // in a place of its own: it would be moved with each future that it passes through
    respond(worker, downstream, Box::new(parts), body)
}

async fn respond(
    worker: Rc<Worker>,
    downstream: Rc<Downstream>,
    mut parts: Box<Parts>,
    body: ClientBody,
) -> Result<Response<AnswerBody>, Infallible> {
    let (begun, flight) = (Tick::now(), Flight::begin(worker));
    let worker = flight.worker();
    let version = parts.version;
    let plan = worker.serving();
    let visit = Visit::new((worker, &plan), &downstream, &parts);
    let asked = visit.asked(&parts);
    visit.tell(|story| story.client = visit.client.map(|client| client.to_string()));
    let (site, answered) = match visit.site(&mut parts) {
        Ok(site) => (Some(&**site), visit.way(site, &mut parts, body).await),
        Err(rejection) => (None, Err(rejection)),
    };
    let mut response = answered.unwrap_or_else(|rejection| visit.refuse(site, &rejection));
    let hsts = site.and_then(|site| site.hsts.as_ref());
    if let Some(hsts) = hsts.filter(|_| visit.scheme == Scheme::Https) {
        let headers = response.headers_mut();
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert_with(|| hsts.clone());
    }
    if site.is_none() || !visit.may_keep(&response) {
        // where it is not even clear what was asked for, so is what follows
        headers::close_after(response.headers_mut());
        if version == Version::HTTP_10 {
            // or else hyper adds that the connection stays
            *response.version_mut() = version;
        }
    }
    if let Some(asked) = asked {
        visit.log(site, &asked, response.status());
    }
    let cells = site.map_or(&worker.nowhere, |site| &site.cells);
    cells.answered(response.status().as_u16());
    let took = Tick::now().since(begun);
    cells.requests.record(took);
    cells.guard.record(took.saturating_sub(visit.away.nanos()));
    if let Some(trace) = &worker.trace {
        trace.tell(|story| story.status = Some(response.status().as_u16()));
        trace.end();
    }
    response.body_mut().keep(flight);
    Ok(response)
}

impl<'a> Visit<'a> {
    fn new(
        (worker, plan): (&'a Rc<Worker>, &'a Rc<LocalPlan>),
        downstream: &'a Rc<Downstream>,
        parts: &Parts,
    ) -> Self {
        let rules = &plan.settings.clients;
        let peer = downstream.link.peer;
        let client = match identify(rules, peer, &parts.headers) {
            Identity::Known(client) => Some(client),
            Identity::Unusable => None,
        };
        let trust = if rules.trusted.trusts(peer) { Trust::Trusted } else { Trust::Untrusted };
        let own = downstream.link.scheme;
        let scheme = match trust {
            Trust::Trusted => spoken(&rules.header, &parts.headers).unwrap_or(own),
            Trust::Untrusted => own,
        };
        let wanted = Wanted::by(&parts.headers);
        let (case, away) = (RefCell::default(), Away::default());
        Self { worker, plan, downstream, client, trust, scheme, wanted, case, away }
    }

    /// What the request asks for, and which site answers for that.
    fn site(&self, parts: &mut Parts) -> Result<&'a Rc<LocalSite>, Rejection> {
        if self.downstream.link.is_one_too_many() {
            return Err(Rejection::Overload);
        }
        if self.downstream.link.is_doubly_framed() {
            return Err(Rejection::Unclear("both Content-Length and Transfer-Encoding"));
        }
        target::vouch(parts, &self.plan.settings.bounds)?;
        let host = parts.headers.get(http::header::HOST);
        let host = host.map(|host| host.to_str().unwrap_or_default());
        self.plan.site(host).ok_or_else(|| Rejection::NoSuchSite(host.unwrap_or_default().into()))
    }

    async fn way(
        &self,
        site: &'a Rc<LocalSite>,
        parts: &mut Parts,
        body: ClientBody,
    ) -> Result<Response<AnswerBody>, Rejection> {
        self.tell(|story| {
            story.site = Some(site.name.to_string());
            story.asked = Some((parts.method.to_string(), parts.uri.path().to_owned()));
        });
        self.check_access(&site.site.access, Covers::Everything)?;
        if let Some(redirected) = self.redirect(parts)? {
            return Ok(self.own(redirected));
        }
        let unclear = |_| Rejection::Unclear("the path can be read in too many ways");
        if !site.closed.find(parts.uri.path()).map_err(unclear)?.is_empty() {
            return Err(Rejection::Closed);
        }
        let timeouts = &self.plan.settings.timeouts;
        let slowest = timeouts.login_body.min(timeouts.body);
        let excuse = |rule: &LocalRule, why: &Rejection| self.excuse(site, rule, why);
        let patience = Patience { slowest, away: &self.away, trace: self.worker.trace.as_deref() };
        match recognise(site, parts, body, (patience, &excuse)).await? {
            Recognised::Ordinary(body, basic) => self.forward(site, parts, body, basic).await,
            Recognised::Attempt(attempt) => {
                self.check_access(&site.site.access, Covers::Logins)?;
                self.check_access(attempt.rule.rule.access.as_slice(), Covers::Logins)?;
                self.attempt(site, parts, attempt).await
            }
        }
    }

    /// Adds to the story, where somebody wants it.
    fn tell(&self, tell: impl FnOnce(&mut Story)) {
        if let Some(trace) = &self.worker.trace {
            trace.tell(tell);
        }
    }

    /// Whether the client may come here, by the lists that are about such requests.
    fn check_access(&self, lists: &[Access], covers: Covers) -> Result<(), Rejection> {
        for access in lists.iter().filter(|access| access.covers == covers) {
            let is_in = |networks: &crate::policy::client::Networks| {
                self.client.is_some_and(|client| networks.contains(client.ip()))
            };
            if is_in(&access.deny) || access.only_allow.as_ref().is_some_and(|only| !is_in(only)) {
                return Err(Rejection::Denied);
            }
        }
        Ok(())
    }
}
