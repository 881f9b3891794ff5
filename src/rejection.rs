//! Every reason to answer in the upstream's stead, and its response.

pub mod page;
pub mod reason;

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, LOCATION, ORIGIN, RETRY_AFTER, VARY,
};
use http::{Response, StatusCode};
use memchr::memchr2;

use crate::body::BodyError;
use crate::clock::Moment;
use crate::headers::{X_LOGINWARD, X_LOGINWARD_REF};
use crate::policy::glob::find;
use crate::policy::key::Key;
use crate::policy::route::{Identify, ResponseSettings};
use crate::upstream::UpstreamError;

const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// A reason to answer in the upstream's stead.
#[derive(Debug)]
pub enum Rejection {
    /// The login body is larger than logins are.
    BodyTooLarge,
    /// No place came free within the wait, or too many wait.
    Busy,
    /// The path is closed to everybody.
    Closed,
    /// The login body is in a coding or charset the guard cannot read.
    Coding(&'static str),
    /// `CONNECT`: the guard is no forward proxy.
    Connect,
    /// The client's network may not come here.
    Denied,
    /// The head is larger than heads are.
    HeadTooLarge,
    /// A trusted proxy did not tell the client.
    Identity,
    /// This process hands its counters over to another one.
    Leaving,
    /// Too many failures; until when, and by which counter.
    Locked(Lockout),
    /// No site answers for that host.
    NoSuchSite(Box<str>),
    /// The shared counters are out of reach, and nobody goes on without them.
    NoStore,
    /// More than four usernames, or more guesses than are left.
    Overfull(&'static str),
    /// Too many exchanges of this client or site go on without a client.
    Overload,
    /// The client took too long.
    Slow,
    /// The target is longer than targets are.
    TargetTooLong,
    /// Something the guard and the upstream might read differently.
    Unclear(&'static str),
    /// The upstream gave no answer.
    Upstream(UpstreamError),
}

/// A lockout that refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// Its end.
    pub until: Moment,
    /// The counters that are locked; none where it is a lock by hand.
    pub keys: Vec<Key>,
    /// An operator's reason.
    pub reason: Option<Arc<str>>,
}

/// What kind of answer the guard gives, as `X-Loginward` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerKind {
    /// Try again in a moment.
    Busy,
    /// Not for this client, or for nobody.
    Denied,
    /// Something is broken.
    Error,
    /// Too many failures.
    Locked,
    /// Not in this form.
    Refused,
}

impl AnswerKind {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Denied => "denied",
            Self::Error => "error",
            Self::Locked => "locked",
            Self::Refused => "refused",
        }
    }
}

impl Rejection {
    /// Why a request got no answer: by the upstream's fault or, where its body broke it off, by
    /// the client's.
    #[must_use]
    pub fn unanswered(error: UpstreamError) -> Self {
        let broken = match &error {
            UpstreamError::Broken(broken) => broken,
            UpstreamError::LateField => return Self::BodyTooLarge,
            UpstreamError::Unspeakable => return Self::Unclear("the Host field is no host"),
            UpstreamError::Connect(_)
            | UpstreamError::ConnectTimeout
            | UpstreamError::NoneHealthy
            | UpstreamError::Timeout
            | UpstreamError::Tls(_)
            | UpstreamError::Unexpected => return Self::Upstream(error),
        };
        match broken.source().and_then(|source| source.downcast_ref()) {
            None => Self::Upstream(error),
            Some(BodyError::Connection(_)) => Self::Unclear("the body broke off"),
            Some(BodyError::LateField) => Self::BodyTooLarge,
        }
    }

    /// The status, where the operator does not choose it.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Closed | Self::Denied | Self::Locked(_) => StatusCode::FORBIDDEN,
            Self::Coding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Identity | Self::Overfull(_) | Self::Unclear(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchSite(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Leaving | Self::NoStore | Self::Overload => StatusCode::SERVICE_UNAVAILABLE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Upstream(error) => match error {
                UpstreamError::ConnectTimeout | UpstreamError::Timeout => {
                    StatusCode::GATEWAY_TIMEOUT
                }
                UpstreamError::NoneHealthy => StatusCode::SERVICE_UNAVAILABLE,
                UpstreamError::LateField => StatusCode::PAYLOAD_TOO_LARGE,
                UpstreamError::Unspeakable => StatusCode::BAD_REQUEST,
                UpstreamError::Broken(_)
                | UpstreamError::Connect(_)
                | UpstreamError::Tls(_)
                | UpstreamError::Unexpected => StatusCode::BAD_GATEWAY,
            },
        }
    }

    /// What kind of answer it is.
    #[must_use]
    pub const fn kind(&self) -> AnswerKind {
        self.reason().kind()
    }

    /// The lockout that it is.
    #[must_use]
    pub const fn lockout(&self) -> Option<&Lockout> {
        if let Self::Locked(lockout) = self { Some(lockout) } else { None }
    }

    /// Why, in words.
    #[must_use]
    pub fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::BodyTooLarge => "the login body is too large",
            Self::Busy => "no place came free in time",
            Self::Closed => "the path is closed",
            Self::Coding(why) | Self::Overfull(why) | Self::Unclear(why) => why,
            Self::Connect => "CONNECT is not for a reverse proxy",
            Self::Denied => "the client's network is denied",
            Self::HeadTooLarge => "the head is too large",
            Self::Identity => "a trusted proxy named no usable client address",
            Self::Leaving => "the counters are handed over to another process",
            Self::Locked(Lockout { reason: Some(reason), .. }) => {
                return Cow::Owned(format!("locked by hand: {reason}"));
            }
            Self::Locked(Lockout { keys, .. }) if keys.is_empty() => "locked by hand",
            Self::Locked(_) => "locked out",
            Self::NoStore => "the shared counters are out of reach",
            Self::NoSuchSite(host) => {
                return Cow::Owned(format!("no site answers for the host `{host}`"));
            }
            Self::Overload => "too many exchanges go on without their clients",
            Self::Slow => "the client took too long",
            Self::TargetTooLong => "the target is too long",
            Self::Upstream(error) => return Cow::Owned(error.to_string()),
        })
    }

    /// What the client is told, in a few words.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Busy | Self::Leaving => "Please try again in a moment",
            Self::Closed | Self::Denied => "Access denied",
            Self::Connect => "Method not allowed",
            Self::Locked(_) => "Too many failed sign-in attempts",
            Self::NoSuchSite(_) => "No such site here",
            Self::NoStore => "Signing in is not possible at the moment",
            Self::Overload => "The site is busy",
            Self::Slow => "The request took too long",
            Self::BodyTooLarge | Self::HeadTooLarge | Self::TargetTooLong => {
                "The request is too large"
            }
            Self::Coding(_) | Self::Identity | Self::Overfull(_) | Self::Unclear(_) => {
                "The request was not understood"
            }
            Self::Upstream(UpstreamError::ConnectTimeout | UpstreamError::Timeout) => {
                "The site took too long to answer"
            }
            Self::Upstream(_) => "The site cannot be reached",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.words())
    }
}

/// What of a request its refusal depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What the client can read.
    pub format: AnswerFormat,
    /// The page whose script asks.
    pub origin: Option<HeaderValue>,
}

/// What a client can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFormat {
    /// A page.
    Html,
    /// `application/problem+json` (RFC 9457).
    Json,
}

impl Wanted {
    /// What the client with these request fields can read: JSON where the request is JSON, asks
    /// for JSON, or is sent by a script.
    #[must_use]
    pub fn by(headers: &HeaderMap) -> Self {
        let mut wanted = Self { format: AnswerFormat::Html, origin: None };
        let (mut accepts_json, mut accepts_page) = (false, false);
        for (name, value) in headers {
            let bytes = value.as_bytes();
            if *name == ACCEPT {
                accepts_json |= mentions_json(bytes);
                accepts_page |= find(bytes, b"text/html").is_some();
            } else if *name == ORIGIN {
                wanted.origin = Some(value.clone());
            } else if (*name == CONTENT_TYPE && mentions_json(bytes))
                || (*name == X_REQUESTED_WITH && bytes.eq_ignore_ascii_case(b"xmlhttprequest"))
            {
                wanted.format = AnswerFormat::Json;
            }
        }
        if accepts_json && !accepts_page {
            wanted.format = AnswerFormat::Json;
        }
        wanted
    }
}

impl Wanted {
    /// A copy to be kept, which keeps nothing else of its request: fields of one share a buffer.
    #[must_use]
    pub fn to_keep(&self) -> Self {
        let copy = |origin: &HeaderValue| HeaderValue::from_bytes(origin.as_bytes()).ok();
        Self { format: self.format, origin: self.origin.as_ref().and_then(copy) }
    }
}

fn mentions_json(value: &[u8]) -> bool {
    if memchr2(b'j', b'J', value).is_none() {
        return false; // what nearly every request says
    }
    let mut types = value.split(|byte| *byte == b',');
    types.any(|kind| {
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let end = kind.len().checked_sub(5).and_then(|at| kind.get(at..)).unwrap_or_default();
        end.eq_ignore_ascii_case(b"/json") || end.eq_ignore_ascii_case(b"+json")
    })
}

/// The response to a rejected request.
#[must_use]
pub fn respond(
    rejection: &Rejection,
    wanted: &Wanted,
    settings: &ResponseSettings,
    told: &page::Told<'_>,
) -> Response<Bytes> {
    let redirect = settings.redirect.as_deref().filter(|_| {
        matches!(rejection, Rejection::Locked(_))
            && wanted.format == AnswerFormat::Html
            && settings.html.is_none() // a page of one's own wins, as in axes
    });
    let (kind, body) = match (redirect, wanted.format) {
        (Some(_), _) => ("text/html; charset=utf-8", Bytes::new()),
        (None, AnswerFormat::Html) => ("text/html; charset=utf-8", page::html(settings, told)),
        (None, AnswerFormat::Json) => ("application/problem+json", page::json(settings, told)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = if redirect.is_some() { StatusCode::FOUND } else { told.status };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(url) = redirect.and_then(|url| HeaderValue::from_str(url).ok()) {
        headers.insert(LOCATION, url);
    }
    if let Some(seconds) = told.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if matches!(rejection, Rejection::Connect) {
        let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        headers.insert(ALLOW, allowed);
    }
    if settings.identify == Identify::Headers {
        headers.insert(X_LOGINWARD, HeaderValue::from_static(rejection.kind().name()));
        if let Ok(reference) = HeaderValue::from_str(told.reference) {
            headers.insert(X_LOGINWARD_REF, reference);
        }
    }
    allow_origin(headers, wanted, settings);
    response
}

/// Lets the scripts of allowed origins read the answer (Fetch, section 3.2.3).
fn allow_origin(headers: &mut HeaderMap, wanted: &Wanted, settings: &ResponseSettings) {
    if settings.cors_origins.is_empty() {
        return;
    }
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = &wanted.origin else { return };
    let named = |allowed: &&str| allowed.as_bytes() == origin.as_bytes();
    let mut allowed = settings.cors_origins.iter().map(|allowed| &**allowed);
    if allowed.clone().any(|allowed| named(&allowed)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    } else if allowed.any(|allowed| allowed == "*") {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else {
        return;
    }
    let readable = HeaderValue::from_static("Retry-After, X-Loginward, X-Loginward-Ref");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, readable);
}
