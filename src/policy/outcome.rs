//! Upstream response (head, bounded body) -> outcome.
//!
//! Only what a rule calls a success is one; whatever no rule knows is a failure.

pub mod cookies;
mod inferred;
pub mod location;
pub mod weighed;

use std::ops::RangeInclusive;
use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, LOCATION};
use regex::bytes::Regex;
use serde_json::Value;

use crate::policy::glob::{Glob, find};
use crate::policy::lockout::Proof;
use cookies::{SetCookie, set_cookies};
use inferred::{infer_from_form, infer_from_json, wants_json};
use location::{Location, LocationPattern};
use weighed::Condition;

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The login failed.
    Failure,
    /// Neither: the attempt is as if it had not been.
    Ignored,
    /// The login succeeded.
    Success,
}

/// How the answers to a login rule's attempts are read.
#[derive(Clone, Debug)]
pub enum OutcomeRules {
    /// As for HTTP Basic authentication: 401 is a failure.
    Basic,
    /// By what most applications do (`run --upstream --login` without `--success`).
    Inferred,
    /// The first rule that fits decides; where none does, it is a failure.
    Listed(Vec<OutcomeRule>),
}

/// An outcome and the conditions that all have to hold for it.
#[derive(Clone, Debug)]
pub struct OutcomeRule {
    /// What the answer means then.
    pub outcome: Outcome,
    /// Status codes, any of them; empty: every one.
    pub status: Vec<RangeInclusive<u16>>,
    /// Where the answer redirects to, any of these; empty: anywhere or nowhere.
    pub location: Vec<LocationPattern>,
    /// Header fields that must be there with a value that fits.
    pub header: Vec<(HeaderName, Glob)>,
    /// Cookies that must all be set, and not deleted.
    pub set_cookie: Vec<Glob>,
    /// What the body must contain, any of them; empty: whatever it likes.
    pub body: Vec<BodyPattern>,
    /// JSON pointers into the body and the value that must stand there; all of them.
    pub json: Vec<(String, JsonPattern)>,
    /// Not an answer at all, any of these; empty: a real one.
    pub answer: Vec<NoAnswer>,
}

/// What a body must contain.
#[derive(Clone, Debug)]
pub enum BodyPattern {
    /// A match of this.
    Regex(Regex),
    /// This text.
    Text(Box<[u8]>),
}

/// What must stand at a JSON pointer.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonPattern {
    /// Anything but nothing.
    Present,
    /// This.
    Value(Value),
}

/// Why there is no answer to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The upstream broke off.
    Cut,
    /// It took too long.
    Timeout,
}

/// The head of an answer, and what of its request it has to be held against.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: &'a HeaderMap,
    /// The request.
    pub asked: Asked<'a>,
    /// Wall-clock time since 1970.
    pub now: Duration,
}

/// What a request asked for, as far as its answer is read by it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The host.
    pub host: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// Whether `path` is the one that the rule names, so that the upstream surely resolves against
    /// the same.
    pub path_as_written: bool,
    /// Whether the answer leads to a login's path, in whatever spelling; only asked where the
    /// request's own path was spelled otherwise.
    pub leads_to_login: bool,
    /// The `Referer` it carried.
    pub referer: Option<&'a [u8]>,
    /// What its body was.
    pub format: Format,
    /// Whether the same was answered 401 lately without these credentials.
    pub challenged: Challenged,
}

/// What the body of an attempt was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A form, or nothing.
    Form,
    /// JSON.
    Json,
}

/// Whether a method and target are known to want credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenged {
    /// Not known.
    Unknown,
    /// They answered 401 within the last hour.
    Within,
}

/// An outcome and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The outcome.
    pub outcome: Outcome,
    /// Why.
    pub basis: Basis,
}

/// What an outcome rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// The upstream gave no verdict: 5xx, cut off, or too slow.
    NoVerdict,
    /// A rule fits.
    Rule,
    /// No rule does.
    Unmatched,
}

impl Judgement {
    /// Whether the upstream said that the credentials were wrong.
    #[must_use]
    pub const fn proof(self) -> Proof {
        match self.basis {
            Basis::NoVerdict => Proof::NoVerdict,
            Basis::Rule | Basis::Unmatched => Proof::Verdict,
        }
    }

    /// The upstream refused the credentials.
    #[must_use]
    pub const fn refused() -> Self {
        Self::by_rule(Outcome::Failure)
    }

    const fn by_rule(outcome: Outcome) -> Self {
        Self { outcome, basis: Basis::Rule }
    }
}

impl OutcomeRules {
    /// Whether some success is told by where an answer leads.
    #[must_use]
    pub fn go_by_location(&self) -> bool {
        let leads =
            |rule: &OutcomeRule| rule.outcome == Outcome::Success && !rule.location.is_empty();
        match self {
            Self::Basic => false,
            Self::Inferred => true,
            Self::Listed(rules) => rules.iter().any(leads),
        }
    }

    /// Whether an application that sends clients back to where they came from would seem to
    /// welcome one that says it comes from `referer`.
    #[must_use]
    pub fn are_fooled_by(&self, referer: &[u8], host: &str, path: &str) -> bool {
        let Self::Listed(rules) = self else { return false };
        let location = Location::resolve(referer, host, path);
        let successes = rules.iter().filter(|rule| rule.outcome == Outcome::Success);
        successes.flat_map(|rule| &rule.location).any(|pattern| location.fits(pattern))
    }

    /// What an answer's head says by itself; `None` where the body decides.
    #[must_use]
    pub fn read_head(&self, head: Head<'_>) -> Option<Judgement> {
        match self {
            Self::Basic => Some(read_basic(head)),
            Self::Inferred if wants_json(head) => None,
            Self::Inferred => Some(infer_from_form(head)),
            Self::Listed(rules) => {
                let facts = Facts::of(head, rules);
                match rules.iter().find(|rule| rule.fits_head(&facts)) {
                    None => Some(unmatched(head.status)),
                    Some(rule) if rule.needs_body() => None,
                    Some(rule) => Some(Judgement::by_rule(rule.outcome)),
                }
            }
        }
    }

    /// What an answer says whose body decides. `body` is decoded; it may be the beginning of a
    /// longer one, or nothing where it could not be read.
    #[must_use]
    pub fn read_body(&self, head: Head<'_>, body: &[u8]) -> Judgement {
        match self {
            Self::Basic => read_basic(head),
            Self::Inferred => infer_from_json(head, body),
            Self::Listed(rules) => {
                let facts = Facts::of(head, rules);
                let needs_json = rules.iter().any(|rule| !rule.json.is_empty());
                let json = if needs_json { serde_json::from_slice(body).ok() } else { None };
                let fits = |rule: &&OutcomeRule| {
                    rule.fits_head(&facts) && rule.fits_body(body, json.as_ref())
                };
                let found = rules.iter().find(fits);
                found.map_or_else(|| unmatched(head.status), |r| Judgement::by_rule(r.outcome))
            }
        }
    }

    /// What it means that there is no answer.
    #[must_use]
    pub fn read_nothing(&self, why: NoAnswer) -> Judgement {
        let rules = match self {
            Self::Listed(rules) => rules.as_slice(),
            Self::Basic | Self::Inferred => &[],
        };
        let found = rules.iter().find(|rule| rule.answer.contains(&why));
        found.map_or(Judgement { outcome: Outcome::Failure, basis: Basis::NoVerdict }, |rule| {
            Judgement::by_rule(rule.outcome)
        })
    }
}

const fn unmatched(status: StatusCode) -> Judgement {
    let basis = if status.as_u16() >= 500 { Basis::NoVerdict } else { Basis::Unmatched };
    Judgement { outcome: Outcome::Failure, basis }
}

/// What the rules ask of a head, worked out once.
struct Facts<'a> {
    head: Head<'a>,
    location: Option<Location>,
    cookies: Vec<SetCookie<'a>>,
}

impl<'a> Facts<'a> {
    fn of(head: Head<'a>, rules: &[OutcomeRule]) -> Self {
        let asks_cookies = rules.iter().any(|rule| !rule.set_cookie.is_empty());
        let asks_location = rules.iter().any(|rule| !rule.location.is_empty());
        Self {
            location: if asks_location { location_of(head) } else { None },
            cookies: if asks_cookies { set_cookies(head.headers, head.now) } else { Vec::new() },
            head,
        }
    }
}

/// Where the answer leads, as far as that does not depend on how the upstream read the path.
fn location_of(head: Head<'_>) -> Option<Location> {
    let value = head.headers.get(LOCATION)?.as_bytes();
    let asked = head.asked;
    if asked.path_as_written {
        return Some(Location::resolve(value, asked.host, asked.path));
    }
    let location = Location::is_absolute(value);
    let location = location.then(|| Location::resolve(value, asked.host, asked.path))?;
    // back to the login, under the name by which it was asked for
    (!asked.leads_to_login && !location.is_back_at(asked.path)).then_some(location)
}

impl OutcomeRule {
    const fn needs_body(&self) -> bool {
        !self.body.is_empty() || !self.json.is_empty()
    }

    fn fits_head(&self, facts: &Facts<'_>) -> bool {
        self.miss_in_head(facts).is_none()
    }

    /// The first condition that a head does not fulfil.
    fn miss_in_head(&self, facts: &Facts<'_>) -> Option<Condition> {
        let status = facts.head.status.as_u16();
        // what cannot be told is the worst for whoever made it so
        let location = |pattern| match &facts.location {
            Some(at) => at.fits(pattern),
            None => self.outcome == Outcome::Failure && facts.head.headers.contains_key(LOCATION),
        };
        let header = |(name, pattern): &(HeaderName, Glob)| {
            facts.head.headers.get_all(name).iter().any(|value| pattern.matches(value.as_bytes()))
        };
        let cookie = |pattern: &Glob| {
            facts.cookies.iter().any(|c| c.value.is_some() && pattern.matches(c.name))
        };
        if !self.answer.is_empty() {
            Some(Condition::Answer)
        } else if !self.status.is_empty() && !self.status.iter().any(|r| r.contains(&status)) {
            Some(Condition::Status)
        } else if !self.location.is_empty() && !self.location.iter().any(location) {
            Some(Condition::Location)
        } else if !self.header.iter().all(header) {
            Some(Condition::Header)
        } else if !self.set_cookie.iter().all(cookie) {
            Some(Condition::SetCookie)
        } else {
            None
        }
    }

    fn fits_body(&self, body: &[u8], json: Option<&Value>) -> bool {
        self.miss_in_body(body, json).is_none()
    }

    /// The first condition that a body does not fulfil.
    fn miss_in_body(&self, body: &[u8], json: Option<&Value>) -> Option<Condition> {
        let text = |pattern: &BodyPattern| match pattern {
            BodyPattern::Regex(regex) => regex.is_match(body),
            BodyPattern::Text(text) => find(body, text).is_some(),
        };
        let member = |(pointer, pattern): &(String, JsonPattern)| {
            let found = json.and_then(|json| json.pointer(pointer));
            match pattern {
                JsonPattern::Present => found.is_some_and(|value| !value.is_null()),
                JsonPattern::Value(value) => found == Some(value),
            }
        };
        if !self.body.is_empty() && !self.body.iter().any(text) {
            Some(Condition::Body)
        } else if !self.json.iter().all(member) {
            Some(Condition::Json)
        } else {
            None
        }
    }
}

/// A 401 is a failure; a success is what was refused to other credentials, or to none.
fn read_basic(head: Head<'_>) -> Judgement {
    if head.status == StatusCode::UNAUTHORIZED {
        return Judgement::by_rule(Outcome::Failure);
    }
    let granted = head.status.is_success() || head.status.is_redirection();
    let proven = granted && head.asked.challenged == Challenged::Within;
    Judgement::by_rule(if proven { Outcome::Success } else { Outcome::Ignored })
}

#[cfg(test)]
mod tests;
