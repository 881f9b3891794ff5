//! Everything that is no attempt: it streams through, both ways, and is not looked at.

use std::mem::take;
use std::pin::pin;
use std::rc::Rc;

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, UPGRADE, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version, response};
use http_body::Body as _;
use hyper::body::Incoming;

use super::Visit;
use super::answer::{AnswerBody, Content, Home, UpstreamBody};
use super::local::{LocalRule, LocalSite};
use crate::body::RequestBody;
use crate::config::{Balance, HostSent, UpstreamServer, UpstreamSettings};
use crate::headers::{self, Forwarding, Framed};
use crate::link::Phase;
use crate::policy::balance::{Tie, cookie};
use crate::policy::key::Fingerprint;
use crate::policy::smuggling::is_bodiless;
use crate::rejection::Rejection;
use crate::upstream::pool::Wanted;
use crate::upstream::{Age, Begun, Lease, Sent, TunnelEnd, UpstreamError};

impl Visit<'_> {
    /// Forwards a request that is no attempt and passes the answer on as it comes.
    pub(super) async fn forward(
        &self,
        site: &Rc<LocalSite>,
        parts: &mut Parts,
        body: RequestBody,
        basic: Option<Rc<LocalRule>>,
    ) -> Result<Response<AnswerBody>, Rejection> {
        let body = body.gather().await;
        let after = After::of(parts, &body);
        let leaving = self.leaving(site, parts);
        let cookies = self.cookies(site, parts);
        let challenge = basic.map(|_| self.target(site, parts));
        let sending = pin!(self.send(site, parts, (body, after)));
        let in_time = self.downstream.link.alarm.in_time(sending);
        let (sent, waited) = self.away.during(pin!(in_time)).await;
        let sent =
            sent.map_or_else(|| Err(self.late()), |sent| sent.map_err(Rejection::unanswered));
        let (response, lease, owned) = sent.inspect_err(|rejection| site.blame(rejection))?;
        site.cells.upstream.record(waited);
        if let Some(leaving) = leaving {
            self.left(site, leaving, response.status());
        } else if let Some(cookies) = cookies {
            self.renew_sessions(site, &cookies, response.headers());
        }
        if let Some(target) = challenge.filter(|_| response.status() == StatusCode::UNAUTHORIZED) {
            let now = self.worker.shared.store.clock().now();
            self.worker.shared.seen.challenge(target, None, now);
        }
        let owned =
            owned || headers::authenticates_connection(response.headers(), &WWW_AUTHENTICATE);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let tunnel = self.tunnel(site, response, lease).map_err(Rejection::Upstream);
            return tunnel.inspect_err(|rejection| site.blame(rejection));
        }
        let home = if owned { Home::Client(Rc::clone(self.downstream)) } else { Home::Pool };
        let (parts, incoming) = response.into_parts();
        let body = UpstreamBody::new(incoming, lease, home);
        Ok(self.pass_on(site, parts, Content::Streamed(body)))
    }

    /// Sends a request, once more if it may be and the connection turns out to be dead. Returns
    /// whether the connection is the client's own, besides.
    async fn send(
        &self,
        site: &LocalSite,
        parts: &mut Parts,
        (body, after): (RequestBody, After),
    ) -> Result<(Response<Incoming>, Lease, bool), UpstreamError> {
        let servers = &site.servers;
        if let Some(mut lease) = self.downstream.take_own(servers) {
            lease.close_if(after);
            let sent = lease.send(self.prepare(site, parts, body, after)).await;
            return sent.map_err(|failure| failure.error).map(|response| (response, lease, true));
        }
        let dedicated = authenticates(&parts.headers);
        let repeatable = parts.method.is_safe() && body.is_end_stream();
        let wanted = match (after, dedicated, repeatable) {
            (After::Tunnel, _, _) => Wanted::Tunnel,
            (_, true, _) => Wanted::Own,
            (_, false, true) => Wanted::Any,
            (_, false, false) => Wanted::Lively,
        };
        let tie = self.tie(site, parts);
        // nothing is made of the request before that: it would be kept, and moved, meanwhile
        let mut lease = servers.lease(wanted, tie).await?;
        lease.close_if(after);
        let request = self.prepare(site, parts, body, after);
        let again = match lease.age() {
            Age::Reused if repeatable => Some(lease.keep(&request)),
            Age::Reused | Age::Fresh => None,
        };
        let failure = match lease.send(request).await {
            Ok(response) => return Ok((response, lease, dedicated)),
            Err(failure) => failure,
        };
        // what was never sent may be sent; what was safe to send may be sent again
        let unsent = failure.request.filter(|_| failure.sent == Sent::Nothing);
        let again = again.filter(|_| failure.answer == Begun::No);
        let request = unsent.or_else(|| again?.request());
        let Some(request) = request.filter(|_| lease.age() == Age::Reused) else {
            return Err(failure.error);
        };
        let mut lease = servers.lease(Wanted::New, tie).await?;
        lease.close_if(after);
        match lease.send(request).await {
            Ok(response) => Ok((response, lease, dedicated)),
            Err(failure) => Err(failure.error),
        }
    }

    /// Who took too long, now that the connection's alarm has rung.
    fn late(&self) -> Rejection {
        match self.downstream.link.overdue() {
            Some(_) => Rejection::Slow,
            None => Rejection::Upstream(UpstreamError::Timeout),
        }
    }

    /// The answer as it goes to the client.
    pub(super) fn pass_on(
        &self,
        site: &Rc<LocalSite>,
        mut parts: response::Parts,
        mut content: Content,
    ) -> Response<AnswerBody> {
        headers::to_client(&mut parts.headers);
        if parts.status == StatusCode::NOT_MODIFIED && parts.headers.contains_key(CONTENT_LENGTH) {
            content = Content::Untold;
        }
        parts.version = Version::HTTP_11; // hyper speaks to the client as the client does
        let link = Rc::clone(&self.downstream.link);
        Response::from_parts(parts, AnswerBody::new(content, link).of(site))
    }

    /// The request as it goes upstream; takes it out of `parts`.
    pub(super) fn prepare(
        &self,
        site: &LocalSite,
        parts: &mut Parts,
        body: RequestBody,
        after: After,
    ) -> Request<RequestBody> {
        let link = &self.downstream.link;
        let by_stream = is_framed_by_stream(parts, &body);
        let forwarding = Forwarding {
            trust: self.trust,
            client: self.client,
            header: &self.plan.settings.clients.header,
            peer: link.peer_value.as_ref(),
            forwarded: link.peer_forwarded.as_ref(),
            proto: self.scheme.name(),
        };
        if parts.version == Version::HTTP_10 && !parts.headers.contains_key(HOST) {
            parts.headers.insert(HOST, host_of(&site.upstream.settings));
        }
        let request_id = || self.worker.request_id();
        let framed = headers::to_upstream(&mut parts.headers, forwarding, request_id);
        if let HostSent::Name(name) = &site.upstream.settings.host {
            parts.headers.insert(HOST, name.clone());
        }
        let has_body = by_stream || framed != Framed::Not;
        headers::frame(&mut parts.headers, body.size_hint().exact().filter(|_| has_body), framed);
        match after {
            After::Reuse => {}
            After::Close => headers::close_after(&mut parts.headers),
            After::Tunnel => headers::upgrade_to_websocket(&mut parts.headers),
        }
        let mut request = Request::new(body);
        *request.method_mut() = take(&mut parts.method);
        *request.uri_mut() = take(&mut parts.uri);
        *request.headers_mut() = take(&mut parts.headers);
        request
    }

    /// What ties the request to one of the site's servers.
    pub(super) fn tie(&self, site: &LocalSite, parts: &Parts) -> Tie {
        if !site.servers.are_several() {
            return Tie(0); // there is no choice
        }
        if let Balance::Cookie(name) = &site.upstream.settings.balance
            && let Some(value) = cookie(&parts.headers, name)
        {
            return Tie::of(value);
        }
        match self.client {
            // a client changes its address within its network as it likes
            Some(client) => {
                let network = client.network(self.plan.settings.clients.address);
                Tie::of(network.to_string().as_bytes())
            }
            None => Tie::of(self.downstream.link.peer_text.as_bytes()),
        }
    }

    /// The client's and the upstream's connection become one, if that is what the upstream means.
    fn tunnel(
        &self,
        site: &Rc<LocalSite>,
        response: Response<Incoming>,
        mut lease: Lease,
    ) -> Result<Response<AnswerBody>, UpstreamError> {
        let agrees = response.headers().get(UPGRADE).is_some_and(headers::is_websocket);
        let end = lease.take_tunnel().filter(|_| agrees).ok_or(UpstreamError::Unexpected)?;
        Ok(self.become_tunnel(site, response.map(|_| Content::Own(None)), end))
    }

    /// The answer with which the client's connection becomes a tunnel to `end`.
    pub(super) fn become_tunnel(
        &self,
        site: &Rc<LocalSite>,
        response: Response<Content>,
        end: TunnelEnd,
    ) -> Response<AnswerBody> {
        self.downstream.tunnel.replace(Some(end));
        self.downstream.link.enter(Phase::Tunnel);
        let (parts, content) = response.into_parts();
        let mut answer = self.pass_on(site, parts, content);
        headers::upgrade_to_websocket(answer.headers_mut());
        answer
    }

    /// What stands for a method and target, of which it is remembered that they want credentials.
    pub(super) fn target(&self, site: &LocalSite, parts: &Parts) -> Fingerprint {
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let fields =
            [site.site.name.as_bytes(), parts.method.as_str().as_bytes(), target.as_bytes()];
        self.worker.shared.seen.fingerprinter().fingerprint("target", &fields)
    }
}

/// Whether a request has a body, or might have had one, whose end its stream tells (RFC 9113,
/// section 8.1). HTTP/1 wants to be told in the head.
fn is_framed_by_stream(parts: &Parts, body: &RequestBody) -> bool {
    let usually_has_one = [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
    parts.version == Version::HTTP_2 && (usually_has_one || !body.is_end_stream())
}

/// What becomes of the upstream's connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Others may go on it.
    Reuse,
    /// It ends, since the upstream might take part of the body for another request.
    Close,
    /// It may become a tunnel.
    Tunnel,
}

impl After {
    /// What a request with this head and body leaves behind.
    pub(super) fn of(parts: &Parts, body: &RequestBody) -> Self {
        if asks_for_tunnel(parts, body) {
            return Self::Tunnel;
        }
        let is_odd = || is_bodiless(&parts.method) || body.may_hide_request();
        if !body.is_end_stream() && is_odd() { Self::Close } else { Self::Reuse }
    }
}

/// Whether a request asks for what may become a tunnel.
fn asks_for_tunnel(parts: &Parts, body: &RequestBody) -> bool {
    parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && body.is_end_stream()
        && headers::asks_for_websocket(&parts.headers)
}

/// Whether a request authenticates the whole connection that it goes by.
pub(super) fn authenticates(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION)
        && headers::authenticates_connection(headers, &AUTHORIZATION)
}

/// What a request calls its host that names none.
fn host_of(upstream: &UpstreamSettings) -> HeaderValue {
    let host = upstream.servers.first().map(UpstreamServer::authority).unwrap_or_default();
    HeaderValue::try_from(host).unwrap_or_else(|_| HeaderValue::from_static("localhost"))
}

impl Lease {
    /// The connection ends with its exchange, if that is what becomes of it.
    pub(super) const fn close_if(&mut self, after: After) {
        if matches!(after, After::Close) {
            self.close_after();
        }
    }
}
