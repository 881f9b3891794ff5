//! A request as rules read it: its body when the first of them asks for it, and once for all.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body::Body as _;
use tokio::time::timeout;

use super::flight::Away;
use super::local::LocalRule;
use super::plan::{Late, ReadsBody};
use super::trace::Trace;
use crate::body::{BodyError, ClientBody, Prefix, RequestBody, Watched, read_prefix};
use crate::policy::credentials::{
    Carries, Credentials, Request, Scanner, Unreadable, holds, is_wide_json, read, scannable,
};
use crate::policy::method::is_overridden_by;
use crate::policy::outcome::Format;
use crate::policy::path::{Match, MatchKind};
use crate::policy::route::{Attempts, LoginRule};
use crate::rejection::Rejection;

/// A body that is read when the first rule asks for it.
enum Arriving {
    Large { begun: VecDeque<Bytes>, rest: ClientBody },
    Unread(ClientBody),
    Whole(Bytes),
}

/// How long is waited for a client.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    /// For a login's body, at most.
    pub slowest: Duration,
    /// Takes down how long it was.
    pub away: &'a Away,
    /// Takes down what is made of the request, where somebody wants to know.
    pub trace: Option<&'a Trace>,
}

impl Patience<'_> {
    /// Waits for `future`; not for ever. Mostly the body came with its head, and no timer is needed.
    async fn wait_for<T>(&self, mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        if let Poll::Ready(here) =
            poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
        {
            return Some(here);
        }
        self.away.during(pin!(timeout(self.slowest, future))).await.0.ok()
    }
}

/// A request as rules read it.
pub(super) struct Reading<'a> {
    request: &'a Parts,
    body: Option<Arriving>,
    patience: Patience<'a>,
    /// Rules whose fields must not turn up in what could not be read.
    watching: Vec<Rc<LocalRule>>,
    /// Why the rule that was asked last makes of the request what it does.
    why: &'static str,
}

impl<'a> Reading<'a> {
    /// A request of which nothing was read yet.
    pub(super) const fn new(request: &'a Parts, body: ClientBody, patience: Patience<'a>) -> Self {
        let body = Some(Arriving::Unread(body));
        Self { request, body, patience, watching: Vec::new(), why: "" }
    }

    /// What `plan` makes of the request: credentials, where it is an attempt.
    pub(super) async fn judge(
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
            Err(unreadable) => {
                self.why = "its body cannot be read, and no login field is in sight";
                return self.unless_hidden(plan, whole.as_deref(), unreadable);
            }
        };
        let carries = makes_attempt(rule, credentials.carries);
        if !applies || !(carries || by_method) {
            if unread && !plan.monitors() {
                self.watching.push(Rc::clone(plan));
            }
            self.why = why_not(applies, matched);
            return Ok(None);
        }
        if unread {
            return Err(Rejection::BodyTooLarge);
        }
        if credentials.carries == Carries::Nothing && whole.is_some() && self.is_xml() {
            return Err(Rejection::Coding("the login body is XML, which is not read here"));
        }
        self.why = if carries { "it carries credentials" } else { "its method makes it one" };
        Ok(Some(credentials))
    }

    /// Why the rule that was asked last makes of the request what it does, in words.
    pub(super) const fn why(&self) -> &'static str {
        self.why
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
        let hidden = fields.is_mentioned(bytes);
        if may_pass && !hidden { Ok(None) } else { Err(refusal(unreadable)) }
    }

    fn is_xml(&self) -> bool {
        let mut lines = self.request.headers.get_all(CONTENT_TYPE).iter();
        lines.any(|line| line.as_bytes().to_ascii_lowercase().windows(3).any(|w| w == b"xml"))
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
        let read = self.patience.wait_for(pin!(reading)).await;
        let read = match read {
            Some(read) => read,
            None if by_method => return Err(Rejection::Slow),
            None => Ok(Prefix::Begun),
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

    pub(super) fn format(&self) -> Format {
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

    pub(super) fn into_body(self) -> Result<RequestBody, Rejection> {
        Ok(match self.body {
            None => RequestBody::Empty,
            Some(Arriving::Unread(body)) => RequestBody::Streamed(body),
            Some(Arriving::Whole(bytes)) if bytes.is_empty() => RequestBody::Empty,
            Some(Arriving::Whole(bytes)) => RequestBody::Whole(Some(bytes)),
            Some(Arriving::Large { begun, rest }) => {
                let scanners = scanners(&self.watching)?;
                let first = begun.front().map_or(&b""[..], |first| first);
                if !scanners.is_empty() && is_wide_json(first) {
                    return Err(Rejection::BodyTooLarge);
                }
                if !scanners.is_empty() {
                    scannable(&self.request.headers).map_err(refusal)?;
                }
                RequestBody::Watched(Box::new(Watched::new(begun, rest, scanners)))
            }
        })
    }
}

/// Why a request is no attempt under a rule.
fn why_not(applies: bool, matched: &Match<(usize, Attempts)>) -> &'static str {
    match (applies, matched.value.1, matched.kind) {
        (false, ..) => "the rule's `when` does not hold",
        (true, _, MatchKind::Extended) => {
            "the path adds to the login's, and it carries no credentials that the rule names"
        }
        (true, Attempts::WithCredentials, _) => {
            "it carries no credentials that the rule names (`attempts: with_credentials`)"
        }
        (true, Attempts::All, _) => {
            "its method is none of the rule's, and it carries no credentials that the rule names"
        }
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

/// What is said of a request that cannot be read.
pub(super) fn refusal(unreadable: Unreadable) -> Rejection {
    match unreadable {
        Unreadable::Charset => Rejection::Coding("the login body is in a charset nobody reads"),
        Unreadable::Coding => Rejection::Coding("the login body is in a coding nobody reads"),
        Unreadable::Malformed(why) => Rejection::Unclear(why),
        Unreadable::TooLarge => Rejection::BodyTooLarge,
        Unreadable::TooManyUsernames(_) => Rejection::Overfull("more than four usernames"),
    }
}
