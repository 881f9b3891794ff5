//! Is this a login attempt, and whose? Reads the body only where a rule wants to.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body::Body as _;

use super::local::{LocalRule, LocalSite};
use super::plan::{Late, ReadsBody, TakesBasic};
use crate::body::{BodyError, ClientBody, Prefix, RequestBody, Watched, read_prefix};
use crate::policy::credentials::{
    Basic, Carries, Credentials, Request, Scan, Scanner, Source, Unreadable, basic, holds, read,
    scannable,
};
use crate::policy::method::is_overridden_by;
use crate::policy::outcome::Format;
use crate::policy::path::{Match, MatchKind, is_plain};
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
}

/// How an attempt's credentials are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// In the `Authorization` header alone; the request is otherwise like any other.
    Basic,
    /// In fields of query or body.
    Fields(Format),
}

/// A body that is read when the first rule asks for it.
enum Arriving {
    Large { begun: VecDeque<Bytes>, rest: ClientBody },
    Unread(ClientBody),
    Whole(Bytes),
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
    (slowest, excuse): (Duration, Excuse<'_>),
) -> Result<Recognised, Rejection> {
    let found = site.logins.find(request.uri.path());
    let found = found.map_err(|_| Rejection::Unclear("the path can be read in too many ways"))?;
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
    let mut reading =
        Reading { request, body: Some(Arriving::Unread(body)), slowest, watching: Vec::new() };
    let mut judged = None;
    let mut takes_basic = None;
    for matched in &found {
        let Some(rule) = site.rule(matched.value.0) else { continue };
        if rule.basic == TakesBasic::Yes {
            takes_basic = takes_basic.or_else(|| Some(Rc::clone(rule)));
        }
        if judged.is_none() && !is_basic_alone(&rule.rule) {
            let credentials = reading.judge(rule, matched).await;
            let credentials = unless_excused(rule, credentials, excuse)?.flatten();
            judged = credentials.map(|credentials| (Rc::clone(rule), credentials));
        }
    }
    let format = reading.format();
    let body = reading.into_body()?;
    let basic = match &takes_basic {
        Some(rule) => {
            let found = basic(&request.headers).map_err(refusal);
            unless_excused(rule, found, excuse)?.unwrap_or_default()
        }
        None => Vec::new(),
    };
    let (rule, credentials, writing) = match (judged, takes_basic) {
        (Some((rule, credentials)), _) => (rule, credentials, Writing::Fields(format)),
        (None, Some(wanting)) if !basic.is_empty() => {
            let names = Request { names: &[], query: None, headers: &request.headers, body: None };
            let credentials = read(&wanting.basic_alone, &names).map_err(refusal);
            match unless_excused(&wanting, credentials, excuse)? {
                Some(credentials) => (wanting, credentials, Writing::Basic),
                None => return Ok(Recognised::Ordinary(body, Some(wanting))),
            }
        }
        (None, wanting) => return Ok(Recognised::Ordinary(body, wanting)),
    };
    Ok(Recognised::Attempt(Box::new(Attempt { rule, credentials, basic, body, writing })))
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

struct Reading<'a> {
    request: &'a Parts,
    body: Option<Arriving>,
    slowest: Duration,
    /// Rules whose fields must not turn up in what could not be read.
    watching: Vec<Rc<LocalRule>>,
}

impl Reading<'_> {
    /// What `plan` makes of the request: credentials, where it is an attempt.
    async fn judge(
        &mut self,
        plan: &Rc<LocalRule>,
        matched: &Match<(usize, Attempts)>,
    ) -> Result<Option<Credentials>, Rejection> {
        let rule = &*plan.rule;
        let by_method = self.is_one_by_method(rule, matched);
        if plan.reads_body == ReadsBody::Yes {
            self.fill(rule.max_body, by_method && !plan.monitors()).await?;
        }
        let whole = match &self.body {
            Some(Arriving::Whole(bytes)) if plan.reads_body == ReadsBody::Yes => {
                Some(bytes.clone())
            }
            _ => None,
        };
        let asked = Request {
            names: &matched.names,
            query: self.request.uri.query(),
            headers: &self.request.headers,
            body: whole.as_deref(),
        };
        let unread = plan.reads_body == ReadsBody::Yes && whole.is_none() && self.has_body();
        let read = read(rule, &asked)
            .and_then(|found| Ok((found, holds(&rule.when, &asked, rule.max_body)?)));
        let (credentials, applies) = match read {
            Ok(read) => read,
            Err(unreadable) if by_method => return Err(refusal(unreadable)),
            Err(unreadable) => return self.unless_hidden(plan, whole.as_deref(), unreadable),
        };
        let carries = makes_attempt(rule, credentials.carries);
        if !applies || !(carries || by_method) {
            if unread && !plan.monitors() {
                self.watching.push(Rc::clone(plan));
            }
            return Ok(None);
        }
        if unread {
            return Err(Rejection::BodyTooLarge);
        }
        Ok(Some(credentials))
    }

    /// Whether the method alone makes it an attempt, as far as the rule's conditions hold.
    fn is_one_by_method(&self, rule: &LoginRule, matched: &Match<(usize, Attempts)>) -> bool {
        if matched.value.1 != Attempts::All || matched.kind == MatchKind::Extended {
            return false;
        }
        let Parts { method, uri, headers, .. } = self.request;
        let listed = |method: &str| rule.methods.iter().any(|one| one.eq_ignore_ascii_case(method));
        listed(method.as_str()) || is_overridden_by(headers, uri.query(), listed)
    }

    /// A body that cannot be read on a path that serves other things too: it passes, unless the
    /// rule's fields stand in it all the same.
    fn unless_hidden(
        &self,
        plan: &LocalRule,
        whole: Option<&[u8]>,
        unreadable: Unreadable,
    ) -> Result<Option<Credentials>, Rejection> {
        let may_pass = match unreadable {
            Unreadable::TooManyUsernames(carries) => {
                let is_attempt = makes_attempt(&plan.rule, carries);
                return if is_attempt { Err(refusal(unreadable)) } else { Ok(None) };
            }
            Unreadable::Malformed(_) => scannable(&self.request.headers).is_ok(),
            Unreadable::Charset | Unreadable::Coding | Unreadable::TooLarge => false,
        };
        let (Some(bytes), Late::Fields(fields)) = (whole, &plan.late) else {
            return Err(refusal(unreadable));
        };
        let mut scanner = fields.scanner();
        let clean = scanner.push(bytes) != Scan::Found && scanner.finish() != Scan::Found;
        if may_pass && clean { Ok(None) } else { Err(refusal(unreadable)) }
    }

    fn has_body(&self) -> bool {
        match &self.body {
            Some(Arriving::Unread(body)) => !body.is_end_stream(),
            Some(Arriving::Large { .. }) => true,
            Some(Arriving::Whole(_)) | None => false,
        }
    }

    /// Reads the body, up to `bound` bytes. One that is larger or slower than logins are may be
    /// something else, unless the method says that it is a login.
    async fn fill(&mut self, bound: usize, by_method: bool) -> Result<(), Rejection> {
        let Some(Arriving::Unread(mut body)) = self.body.take_if(|body| body.is_unread()) else {
            return Ok(());
        };
        if body.is_end_stream() {
            self.body = Some(Arriving::Whole(Bytes::new()));
            return Ok(());
        }
        if by_method && body.size_hint().lower() > bound as u64 {
            return Err(Rejection::BodyTooLarge);
        }
        let mut begun = VecDeque::new();
        let reading = read_prefix(&mut body, bound, &mut begun);
        let read = match tokio::time::timeout(self.slowest, reading).await {
            Ok(read) => read,
            Err(_) if by_method => return Err(Rejection::Slow),
            Err(_) => Ok(Prefix::Begun),
        };
        match read {
            Ok(Prefix::Whole(bytes)) => self.body = Some(Arriving::Whole(bytes)),
            Ok(Prefix::Begun) if by_method => return Err(Rejection::BodyTooLarge),
            Ok(Prefix::Begun) => self.body = Some(Arriving::Large { begun, rest: body }),
            Err(BodyError::Connection(_) | BodyError::LateField) => {
                return Err(Rejection::Unclear("the body broke off"));
            }
        }
        Ok(())
    }

    fn format(&self) -> Format {
        let declared = self.request.headers.get(CONTENT_TYPE);
        let is_json = |kind: &[u8]| {
            let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            kind.to_ascii_lowercase().ends_with(b"json")
        };
        let looks_like_json = match &self.body {
            Some(Arriving::Whole(bytes)) => {
                bytes.trim_ascii_start().first().is_some_and(|byte| matches!(byte, b'{' | b'['))
            }
            _ => false,
        };
        if looks_like_json || declared.is_some_and(|value| is_json(value.as_bytes())) {
            Format::Json
        } else {
            Format::Form
        }
    }

    fn into_body(self) -> Result<RequestBody, Rejection> {
        Ok(match self.body {
            None => RequestBody::Empty,
            Some(Arriving::Unread(body)) => RequestBody::Streamed(body),
            Some(Arriving::Whole(bytes)) if bytes.is_empty() => RequestBody::Empty,
            Some(Arriving::Whole(bytes)) => RequestBody::Whole(Some(bytes)),
            Some(Arriving::Large { begun, rest }) => {
                let scanners = scanners(&self.watching)?;
                if !scanners.is_empty() {
                    scannable(&self.request.headers).map_err(refusal)?;
                }
                RequestBody::Watched(Box::new(Watched::new(begun, rest, scanners)))
            }
        })
    }
}

/// Whether what a request carries makes it an attempt.
const fn makes_attempt(rule: &LoginRule, carries: Carries) -> bool {
    match carries {
        Carries::Password => true,
        Carries::UsernameOnly => rule.passwords.is_empty(),
        Carries::Nothing => false,
    }
}

/// What must not turn up in a body that the rules `watching` could not read.
fn scanners(watching: &[Rc<LocalRule>]) -> Result<Vec<Scanner>, Rejection> {
    let mut scanners = Vec::new();
    for plan in watching {
        match &plan.late {
            Late::Fields(fields) => scanners.push(fields.scanner()),
            Late::Nothing => {}
            Late::Unscannable => return Err(Rejection::BodyTooLarge),
        }
    }
    Ok(scanners)
}

impl Arriving {
    const fn is_unread(&self) -> bool {
        matches!(self, Self::Unread(_))
    }
}

fn refusal(unreadable: Unreadable) -> Rejection {
    match unreadable {
        Unreadable::Charset => Rejection::Coding("the login body is in a charset nobody reads"),
        Unreadable::Coding => Rejection::Coding("the login body is in a coding nobody reads"),
        Unreadable::Malformed(why) => Rejection::Unclear(why),
        Unreadable::TooLarge => Rejection::BodyTooLarge,
        Unreadable::TooManyUsernames(_) => Rejection::Overfull("more than four usernames"),
    }
}
