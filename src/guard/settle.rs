//! What an attempt came to is charged or cleared, remembered and reported.

use std::pin::pin;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, LOCATION, SET_COOKIE};
use http::response::Parts;

use super::case::Case;
use super::exchange::Holding;
use super::recognise::Writing;
use super::report::time_of_day;
use super::session::{Standing, fingerprint};
use super::watch::{Named, Sighting};
use crate::clock::Moment;
use crate::events::{self, Details, Name};
use crate::policy::client::PeerAddr;
use crate::policy::key::{AccountId, Fingerprint, Key};
use crate::policy::lockout::{CoolOff, Parameter};
use crate::policy::outcome::cookies::{SetCookie, set_cookies};
use crate::policy::outcome::location::Location;
use crate::policy::outcome::{Judgement, Outcome};
use crate::policy::route::{AtLimit, Mode, ResetOnSuccess};
use crate::rejection::Lockout;
use crate::rejection::reason::Reason;
use crate::store::ledger::{Settled, Settlement};

/// For how long wrong Basic credentials are known where a lockout has no end.
const LONGEST_KNOWN: Duration = Duration::from_hours(24);

impl Case {
    /// Settles the attempt. Returns the lockout that is the answer, where the failure reached a
    /// limit and the guard answers that itself.
    pub(super) async fn settle(
        &self,
        holding: Holding,
        judgement: Judgement,
        answer: Option<&Parts>,
    ) -> Option<Lockout> {
        self.settled.set(true);
        let cookies = answer.map_or_else(Vec::new, |parts| {
            set_cookies(&parts.headers, self.wall_for(&parts.headers))
        });
        let known = self.remember_basic(judgement.outcome);
        self.remember_session(judgement.outcome, &cookies);
        self.rule.metrics.attempt(judgement.outcome, judgement.basis);
        self.watch(judgement, answer, &cookies);
        let what = match judgement.outcome {
            Outcome::Failure if known => Settlement::GivenBack,
            Outcome::Failure => Settlement::Failure(judgement.proof()),
            Outcome::Ignored => Settlement::GivenBack,
            Outcome::Success => Settlement::Success { reset: self.reset(&cookies) },
        };
        let settled = match holding {
            Holding::Permit(permit) => self.away.during(pin!(permit.settle(what))).await.0,
            Holding::Accepted | Holding::Monitored => self.settle_unheld(what).await,
            Holding::Exempt => {
                if judgement.outcome == Outcome::Failure {
                    events::report(Name::NeverLockedFailed, self.about(), Details::default());
                }
                return None;
            }
            Holding::Uncounted => return None,
        };
        self.report(judgement, answer, &settled);
        let lockout = &self.rule.rule.lockout;
        let begun = longest(&settled).filter(|_| lockout.at_limit == AtLimit::Lockout)?;
        if lockout.mode == Mode::Enforce {
            return Some(begun);
        }
        self.would_answer(&begun);
        None
    }

    /// In `monitor` mode: says that a lockout would have been the answer, in the upstream's stead.
    fn would_answer(&self, begun: &Lockout) {
        const WHY: &str = "the failure reached a limit";
        self.site.cells.excused(Reason::AtLimit);
        if let Some(trace) = &self.worker.trace {
            trace.tell(|story| story.excused.push((Reason::AtLimit, WHY.to_owned())));
        }
        let until = time_of_day(&self.worker.shared.store, begun.until);
        let details = Details { until: until.as_deref(), reason: Some(WHY), ..Details::default() };
        events::report(Name::WouldRefuse, self.about(), details);
    }

    /// The wall-clock time, where an answer's cookies have to be held against it.
    pub(super) fn wall_for(&self, headers: &HeaderMap) -> Duration {
        let clock = self.worker.shared.store.clock();
        if headers.contains_key(SET_COOKIE) { clock.wall_now() } else { Duration::ZERO }
    }

    async fn settle_unheld(&self, what: Settlement) -> Vec<Settled> {
        let settling = self.worker.shared.store.settle_unheld(&self.claim, what);
        match self.away.during(pin!(settling)).await.0 {
            Ok(settled) => settled,
            Err(refusal) => {
                self.would_refuse(&refusal, Some("locked out meanwhile"));
                Vec::new()
            }
        }
    }

    /// What a success clears here. Where the rule knows the session's cookie, only an answer that
    /// begins a session proves who the client is: some applications answer success, without
    /// looking, to whoever is logged in.
    fn reset(&self, cookies: &[SetCookie<'_>]) -> ResetOnSuccess {
        let rule = &self.rule.rule;
        let is_known = |session| self.sessions.iter().any(|carried| carried.session == session);
        let is_new = rule.session_cookie.is_none()
            || self.sessions_of(cookies).any(|session| !is_known(session));
        let reset = rule.lockout.reset_on_success;
        if reset == ResetOnSuccess::SameClient && !is_new { ResetOnSuccess::None } else { reset }
    }

    /// Remembers what became of Basic credentials; whether they were known to be wrong.
    fn remember_basic(&self, outcome: Outcome) -> bool {
        let Some(basic) = self.basic.as_ref().filter(|_| self.writing == Writing::Basic) else {
            return false;
        };
        let shared = &self.worker.shared;
        let now = shared.store.clock().now();
        match outcome {
            Outcome::Failure => {
                shared.seen.challenge(basic.target, Some(basic.credentials), now);
                let first = self.rule.rule.lockout.limits.first();
                let cool_off = first.map(|limit| match &limit.cool_off {
                    CoolOff::Never => LONGEST_KNOWN,
                    CoolOff::Steps(steps) => steps.first().copied().unwrap_or(LONGEST_KNOWN),
                });
                shared.seen.refuse(basic.credentials, cool_off.unwrap_or(LONGEST_KNOWN), now)
            }
            Outcome::Ignored => false,
            Outcome::Success => {
                shared.seen.accept(basic.credentials, now);
                false
            }
        }
    }

    /// Remembers whose session this is, for the steps of a login that name nobody. An attempt that
    /// failed does not take a session over from whom it belongs to.
    fn remember_session(&self, outcome: Outcome, cookies: &[SetCookie<'_>]) {
        if self.rule.rule.session_cookie.is_none() {
            return;
        }
        let shared = &self.worker.shared;
        let (seen, now) = (&shared.seen, shared.store.clock().now());
        let accounts: Vec<AccountId> =
            self.claim.subject.candidates.iter().map(|candidate| candidate.account).collect();
        if accounts.is_empty() {
            return;
        }
        let is_failure = outcome == Outcome::Failure;
        for carried in &self.sessions {
            match carried.standing {
                _ if is_failure => seen.claim(carried.session, &accounts, now),
                // it may be the one that the upstream did not look at
                Standing::Ambiguous => seen.belongs_also(carried.session, &accounts, now),
                Standing::Clear => seen.belongs(carried.session, &accounts, now),
            }
        }
        for session in self.sessions_of(cookies) {
            if is_failure {
                seen.claim(session, &accounts, now);
            } else {
                seen.belongs(session, &accounts, now);
            }
        }
    }

    /// The sessions that the answer begins or goes on with.
    fn sessions_of<'a>(
        &'a self,
        cookies: &'a [SetCookie<'_>],
    ) -> impl Iterator<Item = Fingerprint> + 'a {
        let name = self.rule.rule.session_cookie.as_ref();
        let set = cookies.iter().filter_map(|cookie| Some((cookie.name, cookie.value?)));
        let sessions = set.filter_map(move |(named, value)| name?.session(named, value));
        let by = self.worker.shared.seen.fingerprinter();
        sessions.map(move |session| fingerprint(by, &self.site.site.name, &session))
    }

    fn watch(&self, judgement: Judgement, answer: Option<&Parts>, cookies: &[SetCookie<'_>]) {
        let named = match (self.rule.rule.usernames.is_empty(), &self.claim.subject.candidates) {
            (true, _) => Named::NotWanted,
            (false, candidates) if candidates.is_empty() => Named::No,
            (false, _) => Named::Yes,
        };
        let sighting = Sighting { outcome: judgement.outcome, basis: judgement.basis, named };
        let looks = || answer.map_or_else(String::new, |parts| self.looks(parts, cookies));
        self.rule.batch.borrow_mut().add(sighting, looks);
    }

    /// What an answer looks like: never values.
    fn looks(&self, parts: &Parts, cookies: &[SetCookie<'_>]) -> String {
        let mut looks = format!("status {}", parts.status.as_u16());
        if let Some(location) = parts.headers.get(LOCATION) {
            let asked = self.asked(&parts.headers);
            let location = Location::resolve(location.as_bytes(), asked.host, asked.path);
            looks.push_str(", location ");
            // a blank would end it for whoever hides the names that are in it
            looks.push_str(&location.path().unwrap_or("on another host").replace(' ', "%20"));
        }
        for cookie in cookies {
            let verb = if cookie.value.is_some() { ", sets cookie " } else { ", deletes cookie " };
            looks.push_str(verb);
            looks.push_str(&String::from_utf8_lossy(cookie.name));
        }
        let told = [&SET_COOKIE, &LOCATION, &CONTENT_LENGTH, &CONNECTION, &DATE];
        let fields = parts.headers.keys().filter(|name| !told.contains(name));
        for (at, name) in fields.enumerate() {
            looks.push_str(if at == 0 { ", fields " } else { " " });
            looks.push_str(name.as_str());
        }
        looks
    }

    fn report(&self, judgement: Judgement, answer: Option<&Parts>, settled: &[Settled]) {
        let status = answer.map(|parts| parts.status.as_u16());
        match judgement.outcome {
            Outcome::Ignored => {}
            Outcome::Success => {
                let details = Details { status, ..Details::default() };
                events::report(Name::LoginSucceeded, self.about(), details);
                for cleared in settled.iter().filter(|settled| settled.cleared > 0) {
                    let details = Details {
                        limit: self.rule.limit(cleared.limit),
                        failures: Some(cleared.cleared),
                        ..Details::default()
                    };
                    events::report(Name::CountersCleared, self.about(), details);
                }
            }
            Outcome::Failure => self.report_failure(judgement, status, settled),
        }
    }

    /// One line for the attempt, about the counter that is nearest to its limit, and one for each
    /// lockout.
    fn report_failure(&self, judgement: Judgement, status: Option<u16>, settled: &[Settled]) {
        let left = |settled: &&Settled| settled.of.saturating_sub(settled.failures);
        let Some(nearest) = settled.iter().min_by_key(left) else { return };
        let again = nearest.failures > self.claim.guesses;
        let name = if again { Name::LoginFailedAgain } else { Name::LoginFailed };
        let details = Details {
            limit: self.rule.limit(nearest.limit),
            failures: Some(nearest.failures),
            status,
            reason: events::reason_of(judgement.proof(), judgement.basis),
            ..Details::default()
        };
        events::report(name, self.about(), details);
        for locked in settled {
            if let Some(until) = locked.locked_until {
                self.report_lockout(locked, until);
            }
        }
    }

    fn report_lockout(&self, locked: &Settled, until: Moment) {
        let until = time_of_day(&self.worker.shared.store, until);
        let reference = locked.key.reference();
        let details = Details {
            limit: self.rule.limit(locked.limit),
            failures: Some(locked.failures),
            until: Some(until.as_deref().unwrap_or("never")),
            reference: Some(&reference),
            ..Details::default()
        };
        self.rule.metrics.lockouts.inc();
        events::report(Name::LockedOut, self.about(), details);
        let by_address = self.rule.limit(locked.limit).is_some_and(|limit| {
            limit.by.contains(&Parameter::IpAddress) || limit.by.contains(&Parameter::IpNetwork)
        });
        let trusted = &self.plan.settings.clients.trusted;
        let reason = if trusted.trusts(PeerAddr::Ip(self.client.ip())) {
            "a trusted proxy's own address is locked out"
        } else if self.client.is_private() {
            "a private address is locked out: is there a proxy in front that is not trusted?"
        } else {
            return;
        };
        if by_address {
            let details = Details { reason: Some(reason), ..Details::default() };
            events::report(Name::IdentitySuspect, self.about(), details);
        }
    }
}

/// The lockout that lasts longest of those that a failure began.
fn longest(settled: &[Settled]) -> Option<Lockout> {
    let mut locked: Vec<(Moment, Key)> =
        settled.iter().filter_map(|s| Some((s.locked_until?, s.key))).collect();
    locked.sort_unstable_by(|a, b| b.cmp(a));
    let (until, _) = locked.first()?;
    Some(Lockout::by_counters(*until, locked.iter().map(|(_, key)| *key).collect()))
}
