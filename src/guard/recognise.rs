//! Is this a login attempt, and whose? Reads the body only where a rule wants to.

use std::rc::Rc;

use http::request::Parts;

use super::local::{LocalRule, LocalSite};
use super::plan::TakesBasic;
use super::reading::{Patience, Reading, refusal};
use super::trace::RuleStory;
use crate::body::{ClientBody, RequestBody};
use crate::policy::credentials::{Basic, Credentials, Request, Source, basic, read};
use crate::policy::outcome::Format;
use crate::policy::path::{Match, MatchKind, PathPattern, is_plain, routes};
use crate::policy::route::{Attempts, LoginRule, Spellings};
use crate::rejection::Rejection;

/// What a request is.
#[derive(Debug)]
pub enum Recognised {
    /// A login attempt.
    Attempt(Box<Attempt>),
    /// Anything else; with the rule that would take Basic credentials there, if one does.
    Ordinary(RequestBody, Option<Rc<LocalRule>>),
}

/// A request that a login rule matched.
#[derive(Debug)]
pub struct Attempt {
    /// The rule that judges.
    pub rule: Rc<LocalRule>,
    /// Who tries and how often.
    pub credentials: Credentials,
    /// The Basic credentials it carries, where its rule or another one of its path wants them.
    pub basic: Vec<Basic>,
    /// What goes upstream as its body.
    pub body: RequestBody,
    /// How its credentials are written.
    pub writing: Writing,
    /// Whether its path is one that the rule names, letter by letter.
    pub path_as_written: bool,
}

/// How an attempt's credentials are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// In the `Authorization` header alone; the request is otherwise like any other.
    Basic,
    /// In fields of query or body.
    Fields(Format),
}

/// Is told what a rule in `monitor` mode would have refused.
pub type Excuse<'a> = &'a dyn Fn(&LocalRule, &Rejection);

/// What `rule` makes of a request; nothing, where it is excused from refusing it.
fn unless_excused<T>(
    rule: &LocalRule,
    result: Result<T, Rejection>,
    excuse: Excuse<'_>,
) -> Result<Option<T>, Rejection> {
    match result {
        Err(rejection) if rule.monitors() => {
            excuse(rule, &rejection);
            Ok(None)
        }
        result => result.map(Some),
    }
}

/// Finds out what a request is. What a rule in `monitor` mode would refuse goes on as an ordinary
/// request, once `excuse` has been told.
///
/// # Errors
///
/// When it may be an attempt that the guard cannot read.
pub async fn recognise(
    site: &LocalSite,
    request: &Parts,
    body: ClientBody,
    (patience, excuse): (Patience<'_>, Excuse<'_>),
) -> Result<Recognised, Rejection> {
    let found = matches(site, request)?;
    if found.is_empty() {
        return Ok(Recognised::Ordinary(RequestBody::Streamed(body), None));
    }
    if site.site.spellings == Spellings::Strict
        && let Some(rule) = found.iter().find(|m| is_respelled(request, m))
    {
        let rejection = Rejection::Unclear("another spelling of a login's path");
        let Some(rule) = site.rule(rule.value.0) else { return Err(rejection) };
        unless_excused(rule, Err::<(), _>(rejection), excuse)?;
    }
    let mut reading = Reading::new(request, body, patience);
    let mut judged: Option<(Rc<LocalRule>, Credentials, bool)> = None;
    let mut takes_basic = None;
    for matched in &found {
        let Some(rule) = site.rule(matched.value.0) else { continue };
        if rule.basic == TakesBasic::Yes {
            takes_basic = takes_basic.or_else(|| Some(Rc::clone(rule)));
        }
        // where two rules of a path have conditions, the upstream may see those of either hold
        let is_rival = judged
            .as_ref()
            .is_some_and(|(first, ..)| first.rule.when.is_narrow() || rule.rule.when.is_narrow());
        if (judged.is_none() || is_rival) && !is_basic_alone(&rule.rule) {
            let credentials = reading.judge(rule, matched).await;
            tell(&patience, (rule, matched.kind), &credentials, reading.why());
            let credentials = unless_excused(rule, credentials, excuse)?.flatten();
            let written = is_as_written(&rule.rule, request, matched);
            match (&mut judged, credentials) {
                (_, None) => {}
                (Some((_, first, _)), Some(second)) => first.join(second),
                (None, Some(first)) => judged = Some((Rc::clone(rule), first, written)),
            }
        }
    }
    let format = reading.format();
    let body = reading.into_body()?;
    let basic = match &takes_basic {
        Some(rule) => read_basic(rule, request, (&patience, excuse))?,
        None => None,
    };
    let (rule, credentials, writing, path_as_written) = match (judged, takes_basic, &basic) {
        (Some((rule, mut credentials, written)), ..) => {
            if let Some((_, more)) = &basic {
                credentials.join(more.clone());
            }
            (rule, credentials, Writing::Fields(format), written)
        }
        (None, Some(wanting), Some((_, credentials))) => {
            (wanting, credentials.clone(), Writing::Basic, true)
        }
        (None, wanting, _) => return Ok(Recognised::Ordinary(body, wanting)),
    };
    let basic = basic.map(|(basic, _)| basic).unwrap_or_default();
    let attempt = Attempt { rule, credentials, basic, body, writing, path_as_written };
    Ok(Recognised::Attempt(Box::new(attempt)))
}

/// Takes down what a rule makes of a request.
fn tell(
    patience: &Patience<'_>,
    (rule, kind): (&LocalRule, MatchKind),
    judged: &Result<Option<Credentials>, Rejection>,
    why: &str,
) {
    let Some(trace) = patience.trace else { return };
    let path = match kind {
        MatchKind::Exact => "exact",
        MatchKind::Template => "template",
        MatchKind::Prefix => "prefix",
        MatchKind::Respelled => "respelled",
        MatchKind::Extended => "extended",
    };
    let why = match judged {
        Ok(_) => why.to_owned(),
        Err(rejection) => rejection.to_string(),
    };
    let (login, is_attempt) = (rule.rule.name.to_string(), !matches!(judged, Ok(None)));
    trace.tell(|story| story.rules.push(RuleStory { login, path, is_attempt, why }));
}

/// Takes down whether a request carries Basic credentials that a rule wants.
fn tell_basic(patience: &Patience<'_>, rule: &LocalRule, is_attempt: bool) {
    let Some(trace) = patience.trace else { return };
    let verb = if is_attempt { "carries" } else { "carries no" };
    let (login, why) = (rule.rule.name.to_string(), format!("it {verb} Basic credentials"));
    trace.tell(|story| story.rules.push(RuleStory { login, path: "basic", is_attempt, why }));
}

/// The Basic credentials of a request, and what `rule` makes of them.
fn read_basic(
    rule: &LocalRule,
    request: &Parts,
    (patience, excuse): (&Patience<'_>, Excuse<'_>),
) -> Result<Option<(Vec<Basic>, Credentials)>, Rejection> {
    let found = basic(&request.headers).map_err(refusal);
    let found = unless_excused(rule, found, excuse)?.filter(|found| !found.is_empty());
    tell_basic(patience, rule, found.is_some());
    let Some(found) = found else { return Ok(None) };
    let credentials = read(&rule.basic_alone, &Request::of_head(&request.headers));
    let credentials = unless_excused(rule, credentials.map_err(refusal), excuse)?;
    Ok(credentials.map(|credentials| (found, credentials)))
}

/// The rules that may be asked, by the path and by what a front controller takes for one.
fn matches(site: &LocalSite, request: &Parts) -> Result<Vec<Matched>, Rejection> {
    let unclear = |_| Rejection::Unclear("the path can be read in too many ways");
    let mut found = site.logins.find(request.uri.path()).map_err(unclear)?;
    for path in routes(request.uri.path(), request.uri.query().unwrap_or_default()) {
        // a text to search for may look like a path of many meanings
        for matched in site.logins.find(&path).unwrap_or_default() {
            if !found.iter().any(|known| known.value == matched.value) {
                found.push(Match { kind: MatchKind::Extended, ..matched });
            }
        }
    }
    Ok(found)
}

/// A rule by its number, and how its path fits.
type Matched = Match<(usize, Attempts)>;

/// Whether a path is one that the pattern names, and nobody reads it otherwise.
fn is_as_written<T>(rule: &LoginRule, request: &Parts, matched: &Match<T>) -> bool {
    let path = request.uri.path();
    // for IIS the case of letters makes no difference, nor to where a redirect leads
    let is_written = |pattern: &PathPattern| pattern.written.eq_ignore_ascii_case(path);
    if rule.paths.iter().any(|(pattern, _)| is_written(pattern)) {
        return true;
    }
    match matched.kind {
        MatchKind::Exact | MatchKind::Template => true,
        MatchKind::Prefix => is_plain(request.uri.path()),
        MatchKind::Respelled | MatchKind::Extended => false,
    }
}

/// Whether a path fits only as some upstream may take it. One that adds a segment or a suffix in
/// plain letters is a path of its own.
fn is_respelled<T>(request: &Parts, matched: &Match<T>) -> bool {
    match matched.kind {
        MatchKind::Exact | MatchKind::Template | MatchKind::Prefix => false,
        MatchKind::Respelled => true,
        MatchKind::Extended => !is_plain(request.uri.path()),
    }
}

/// Such a rule is about the `Authorization` header and nothing else.
fn is_basic_alone(rule: &LoginRule) -> bool {
    rule.passwords.is_empty()
        && !rule.usernames.is_empty()
        && rule.usernames.iter().all(|source| *source == Source::Basic)
}
