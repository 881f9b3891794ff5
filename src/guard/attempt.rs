//! A login attempt's way: whom it is charged to, whether it may go on, and what came of it.

use std::borrow::Cow;
use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use http::Response;
use http::header::{FORWARDED, HOST, HeaderMap, HeaderName, USER_AGENT};
use http::request::Parts;

use super::Visit;
use super::answer::AnswerBody;
use super::case::{BasicCase, Case, OwnedAsked, Shown};
use super::exchange::{self, Answered, Going};
use super::flight::Away;
use super::forward::{After, authenticates};
use super::local::{LocalRule, LocalSite};
use super::named::{agent, candidate, fingerprint};
use super::plan::CountsAgent;
use super::recognise::{Attempt, Writing};
use super::seen::{Hold, MOST_OWNERS};
use super::session::{Carried, Standing, referer, sessions_of};
use super::target::vouch_for_referer;
use crate::body::RequestBody;
use crate::events::{self, About, Details, Name};
use crate::headers::{self, Trust, ask_for_plain_answer};
use crate::policy::client::ClientAddr;
use crate::policy::key::{Candidate, claim, subject};
use crate::policy::outcome::Format;
use crate::rejection::Rejection;
use crate::store::gate::Pass;

impl Visit<'_> {
    /// Lets an attempt go on, once its places are its own, and answers with what came of it.
    pub(super) async fn attempt(
        &self,
        site: &Rc<LocalSite>,
        parts: &mut Parts,
        attempt: Box<Attempt>,
    ) -> Result<Response<AnswerBody>, Rejection> {
        let Some(client) = self.client else {
            self.suspect_identity(site, "a trusted proxy named no usable client address");
            return Box::pin(self.refuse_attempt(site, parts, attempt, Rejection::Identity)).await;
        };
        self.notice_strangers_claims(site, &parts.headers);
        let bytes = attempt.body.held();
        if let Err(rejection) = self.vouch(&attempt, parts) {
            return Box::pin(self.refuse_attempt(site, parts, attempt, rejection)).await;
        }
        let pass = self.away.during(pin!(self.pass(&attempt))).await.0?;
        let carried = match self.sessions(site, parts, &attempt) {
            Ok(carried) => carried,
            Err(rejection) => {
                return Box::pin(self.refuse_attempt(site, parts, attempt, rejection)).await;
            }
        };
        let (case, body) = self.case((site, client, pass), parts, (*attempt, carried));
        self.case.replace(Some(Rc::clone(&case)));
        let holding = self.away.during(pin!(case.leave_to_go_on(bytes))).await.0?;
        self.tell(|story| story.admitted = Some(holding.words()));
        let body = body.gather().await;
        let after = After::of(parts, &body);
        // Basic credentials come with requests of every kind; a login's fields with a plain one
        let after = match case.writing {
            Writing::Fields(_) => {
                ask_for_plain_answer(&mut parts.headers);
                if after == After::Tunnel { After::Reuse } else { after }
            }
            Writing::Basic => after,
        };
        let tie = self.tie(site, parts);
        let request = self.prepare(site, parts, body, after);
        let own = self.downstream.take_own(&site.servers);
        let streams = !request.body().is_whole();
        let streaming = streams.then(|| self.downstream.link.alarm.share());
        let authenticates = authenticates(request.headers());
        let going = Box::new(Going { request, tie, own, after, authenticates, streaming });
        let answered = exchange::begin(Rc::clone(&case), holding, going).await;
        self.away.add(case.away.nanos());
        let Answered { mut response, tunnel } = answered?;
        if let Some(end) = tunnel {
            return Ok(self.become_tunnel(site, response, end));
        }
        response.body_mut().belong_to(self.downstream);
        let (parts, content) = response.into_parts();
        Ok(self.pass_on(site, parts, content))
    }

    /// A form's attempt says where it comes from in one way, which is not taken for a success.
    fn vouch(&self, attempt: &Attempt, parts: &mut Parts) -> Result<(), Rejection> {
        match attempt.writing {
            Writing::Basic => Ok(()),
            Writing::Fields(_) => {
                let by = (self.downstream.link.scheme, self.trust);
                vouch_for_referer(&attempt.rule.rule.outcome, by, parts)
            }
        }
    }

    /// Refuses an attempt that cannot be charged to anybody; in `monitor` mode it goes on as if it
    /// were none.
    async fn refuse_attempt(
        &self,
        site: &Rc<LocalSite>,
        parts: &mut Parts,
        attempt: Box<Attempt>,
        rejection: Rejection,
    ) -> Result<Response<AnswerBody>, Rejection> {
        if !attempt.rule.monitors() {
            return Err(rejection);
        }
        self.excuse(site, &attempt.rule, &rejection);
        self.forward(site, parts, attempt.body, None).await
    }

    /// Says what would have been refused but for `monitor`.
    pub(super) fn excuse(&self, site: &LocalSite, rule: &LocalRule, why: &Rejection) {
        site.cells.excused(why.reason());
        self.tell(|story| story.excused.push((why.reason(), why.to_string())));
        let (client, peer) = self.shown();
        let about = About {
            client: Some(&client),
            peer: peer.as_deref(),
            site: Some(&site.name),
            login: Some(&rule.rule.name),
            username: None,
            mode: Some("monitor"),
        };
        let reason = why.to_string();
        let details = Details { reason: Some(&reason), ..Details::default() };
        events::report(Name::WouldRefuse, about, details);
    }

    /// The sessions that the request carries, and whom the attempt is charged to.
    fn sessions(
        &self,
        site: &LocalSite,
        parts: &Parts,
        attempt: &Attempt,
    ) -> Result<(Vec<Carried>, Vec<Candidate>), Rejection> {
        let keyer = self.worker.shared.store.keyer();
        let usernames = &attempt.credentials.usernames;
        let mut candidates = usernames.iter().map(|name| candidate(keyer, name)).collect();
        let Some(name) = &attempt.rule.rule.session_cookie else {
            return Ok((Vec::new(), candidates));
        };
        let by = self.worker.shared.seen.fingerprinter();
        let sessions = sessions_of(by, &site.site.name, parts, name);
        let sessions = sessions.map_err(|_| Rejection::Overfull("too many session cookies"))?;
        self.add_sessions_accounts(&mut candidates, &sessions)?;
        Ok((sessions, candidates))
    }

    fn case(
        &self,
        (site, client, pass): (&Rc<LocalSite>, ClientAddr, Option<Pass>),
        parts: &Parts,
        (attempt, (sessions, candidates)): (Attempt, (Vec<Carried>, Vec<Candidate>)),
    ) -> (Rc<Case>, RequestBody) {
        let shared = &self.worker.shared;
        let keyer = shared.store.keyer();
        let guesses = attempt.credentials.guesses;
        let mut subject = subject(&site.name, client, &self.plan.settings.clients);
        subject.candidates = candidates.into();
        if attempt.rule.counts_agent == CountsAgent::Yes {
            subject = subject.calling_itself(parts.headers.get(USER_AGENT).map(agent));
        }
        let claim = claim(keyer, attempt.rule.counting(), (Arc::new(subject), client), guesses);
        self.tell_attempt(&attempt, &claim);
        let basic = (!attempt.basic.is_empty()).then(|| BasicCase {
            credentials: fingerprint(
                shared.seen.fingerprinter(),
                &attempt.rule,
                client,
                &attempt.basic,
            ),
            target: self.target(site, parts),
        });
        let (shown_client, peer) = self.shown();
        let usernames = match claim.subject.shown_names() {
            Some(Cow::Owned(several)) => Some(several),
            Some(Cow::Borrowed(_)) | None => None,
        };
        let shown = Shown { client: shown_client, peer, usernames };
        let asked = OwnedAsked {
            host: parts.headers.get(HOST).cloned(),
            target: parts.uri.clone(),
            path_as_written: attempt.path_as_written,
            referer: referer(&parts.headers),
            format: match attempt.writing {
                Writing::Basic => Format::Form,
                Writing::Fields(format) => format,
            },
        };
        let case = Rc::new(Case {
            worker: Rc::clone(self.worker),
            plan: Rc::clone(self.plan),
            site: Rc::clone(site),
            rule: attempt.rule,
            client,
            shown,
            claim: Arc::new(claim),
            asked,
            sessions,
            basic,
            writing: attempt.writing,
            pass,
            away: Away::default(),
            settled: Cell::new(false),
        });
        (case, attempt.body)
    }

    /// A second factor's codes are guesses too: they belong to whom the session belongs to, also
    /// where the request names somebody else, as soon as an answer has proved the session his.
    ///
    /// Where it is not clear which of several sessions the upstream goes by, a success would add
    /// its accounts to each of them; with too many owners that is refused.
    fn add_sessions_accounts(
        &self,
        candidates: &mut Vec<Candidate>,
        sessions: &[Carried],
    ) -> Result<(), Rejection> {
        if sessions.is_empty() {
            return Ok(());
        }
        let shared = &self.worker.shared;
        let now = shared.store.clock().now();
        let is_nameless = candidates.is_empty();
        let named = candidates.len();
        for carried in sessions {
            let Some(owners) = shared.seen.owners(carried.session, now) else { continue };
            let new = candidates.iter().take(named);
            let new = new.filter(|candidate| !owners.accounts.contains(&candidate.account));
            let is_full = owners.accounts.len() + new.count() > MOST_OWNERS;
            if carried.standing == Standing::Ambiguous && is_full {
                return Err(Rejection::Overfull("sessions of too many accounts"));
            }
            if !is_nameless && owners.hold == Hold::Claimed {
                continue;
            }
            for account in owners.accounts.iter().copied() {
                let known = candidates.iter().any(|known| known.account == account);
                candidates.extend((!known).then_some(Candidate::nameless(account)));
            }
            if candidates.len() > named + MOST_OWNERS {
                return Err(Rejection::Overfull("sessions of too many accounts"));
            }
        }
        Ok(())
    }

    /// A stranger that sends forwarding headers either tests the guard, or is a proxy that should
    /// be trusted and is not.
    fn notice_strangers_claims(&self, site: &LocalSite, sent: &HeaderMap) {
        let own = &self.plan.settings.clients.header;
        let claims =
            |name: &HeaderName| [own, &headers::X_FORWARDED_FOR, &FORWARDED].contains(&name);
        if self.trust == Trust::Untrusted && sent.keys().any(claims) {
            self.suspect_identity(site, "an untrusted peer sends forwarding headers");
        }
    }

    fn suspect_identity(&self, site: &LocalSite, reason: &str) {
        let client = Some(&*self.downstream.link.peer_text);
        let about = About { client, site: Some(&site.name), ..About::default() };
        let details = Details { reason: Some(reason), ..Details::default() };
        events::report(Name::IdentitySuspect, about, details);
    }
}
