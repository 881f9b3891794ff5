//! Request -> username candidates and the number of guesses.
//!
//! A request is read in every way in which some upstream may read it, and each username that
//! turns up counts. What cannot be read for certain is [`Unreadable`] and must not be forwarded.

mod basic;
mod body;
mod collect;
mod field;
mod form;
mod json;
mod late;
mod lax;
mod media;
mod multipart;

use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};

pub use self::basic::{Basic, basic};
pub use self::field::FieldName;
pub use self::late::{LateField, Scan, Scanner};

use self::collect::{Collector, Conditions};
use self::field::FoundName;
use crate::policy::account::{Account, Charset};
use crate::policy::coding::{Coding, Undecodable};
use crate::policy::route::{LoginRule, When};

/// Where a rule says that a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A field of the body, whatever its format, or of the query; `user[login]`, `Input.Email`.
    Form(FieldName),
    /// A JSON pointer (RFC 6901) into the body; matched like a form field.
    Json(FieldName),
    /// A parameter of the query.
    Query(FieldName),
    /// A header field.
    Header(HeaderName),
    /// The `Authorization` header with the `Basic` scheme.
    Basic,
    /// What stands for `{NAME}` in the rule's path.
    Path(Box<str>),
}

/// What is looked at of a request.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What stands for the names in the path; see [`Match::names`](super::path::Match::names).
    pub names: &'a [(Box<str>, Box<[u8]>)],
    /// What stands behind the `?` of the target.
    pub query: Option<&'a str>,
    /// The header fields.
    pub headers: &'a HeaderMap,
    /// The whole body, still encoded, where the rule reads it.
    pub body: Option<&'a [u8]>,
}

/// What a request offers to log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Every account that an upstream may be asked for, each once, at most [`MAX_USERNAMES`].
    pub usernames: Vec<Username>,
    /// How many passwords may be tried, at least 1.
    pub guesses: u32,
    /// Which fields are there.
    pub carries: Carries,
}

/// A username candidate; its `Debug` does not tell it.
#[derive(Clone, PartialEq, Eq)]
pub struct Username {
    /// As the request spells it, decoded.
    pub raw: Box<[u8]>,
    /// Whose name it is.
    pub account: Account,
}

/// Which fields of a rule a request has, be they empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// A password, or Basic credentials.
    Password,
    /// A username and no password; what stands in the path or in a cookie alone is none.
    UsernameOnly,
    /// Neither.
    Nothing,
}

/// How many usernames one request may offer.
pub const MAX_USERNAMES: usize = 4;

/// Why it cannot be told what a request would do upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not what it says, or parsers disagree about it; the text says why.
    Malformed(&'static str),
    /// In a charset other than UTF-8 and windows-1252.
    Charset,
    /// In an unknown content coding, or in several.
    Coding,
    /// Too long when decoded.
    TooLarge,
    /// More usernames than [`MAX_USERNAMES`], or one in very many spellings. A request that is no
    /// attempt, by what it carries, may have them.
    TooManyUsernames(Carries),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Malformed(why) => why,
            Self::Charset => "the charset is none that is read here",
            Self::Coding => "the content coding is none that is read here",
            Self::TooLarge => "the decoded body is too large",
            Self::TooManyUsernames(_) => "the request offers too many usernames",
        })
    }
}

impl std::error::Error for Unreadable {}

impl From<Undecodable> for Unreadable {
    fn from(why: Undecodable) -> Self {
        match why {
            Undecodable::Unsupported => Self::Coding,
            Undecodable::TooLarge => Self::TooLarge,
            Undecodable::Damaged => Self::Malformed("the body is not in the coding it says"),
        }
    }
}

impl<'a> Request<'a> {
    /// What a request says in its header fields alone.
    #[must_use]
    pub const fn of_head(headers: &'a HeaderMap) -> Self {
        Self { names: &[], query: None, headers, body: None }
    }
}

impl Credentials {
    /// Takes in what the same request offers elsewhere.
    pub fn join(&mut self, more: Self) {
        for username in more.usernames {
            if !self.usernames.iter().any(|known| known.account == username.account) {
                self.usernames.push(username);
            }
        }
        self.guesses = self.guesses.max(more.guesses);
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Request(…)")
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Username(…)")
    }
}

/// Whether `rule` has to see the body of a request.
#[must_use]
pub fn reads_body(rule: &LoginRule) -> bool {
    let in_body = |source: &Source| matches!(source, Source::Form(_) | Source::Json(_));
    rule.usernames.iter().chain(&rule.passwords).any(in_body) || !rule.when.field.is_empty()
}

/// What `request` offers to log in with, as `rule` says where it stands.
///
/// # Errors
///
/// If it cannot be told for certain; such a request must not reach the upstream.
pub fn read(rule: &LoginRule, request: &Request<'_>) -> Result<Credentials, Unreadable> {
    let mut name = FoundName::default();
    let body = if reads_body(rule) { body::open(request, rule.max_body)? } else { None };
    let charset = body.as_ref().map_or(Charset::Utf8, body::Body::charset);
    let mut collector = Collector::new(rule, charset);
    body::walk_query(request, &mut name, &mut collector);
    if let Some(body) = body {
        body.walk(&mut name, &mut collector)?;
    }
    read_head(rule, request, &mut collector)?;
    // where ASP.NET looks last, and PHP without a `php.ini` first
    let mut cookies = Collector::new(rule, charset);
    body::walk_cookies(request, &mut name, &mut cookies);
    collector.fill_from(cookies);
    collector.finish()
}

/// Reads the sources of `rule` that are neither in the query nor in the body.
fn read_head(
    rule: &LoginRule,
    request: &Request<'_>,
    collector: &mut Collector<'_>,
) -> Result<(), Unreadable> {
    for (at, source) in rule.usernames.iter().enumerate() {
        match source {
            Source::Header(header) => {
                for value in fields_of(request.headers, header) {
                    collector.name_field();
                    collector.username(at, value.as_bytes());
                }
            }
            Source::Basic => {
                for credentials in basic(request.headers)? {
                    collector.username(at, credentials.username());
                    // no field of the rule has this place
                    collector.password(usize::MAX, credentials.secret());
                }
            }
            Source::Path(name) => {
                for (_, value) in request.names.iter().filter(|(known, _)| known == name) {
                    collector.username(at, value);
                }
            }
            Source::Form(_) | Source::Json(_) | Source::Query(_) => {}
        }
    }
    for (at, source) in rule.passwords.iter().enumerate() {
        if let Source::Header(header) = source {
            let values = fields_of(request.headers, header);
            values.for_each(|value| collector.password(at, value.as_bytes()));
        }
    }
    Ok(())
}

/// The values of a header field, also under names that become its own when `_` is read as `-`, as
/// CGI and its heirs do.
fn fields_of<'a>(
    headers: &'a HeaderMap,
    wanted: &'a HeaderName,
) -> impl Iterator<Item = &'a HeaderValue> {
    let is_wanted = move |name: &HeaderName| {
        name == wanted
            || (name.as_str().len() == wanted.as_str().len()
                && name.as_str().replace('_', "-") == wanted.as_str().replace('_', "-"))
    };
    headers.iter().filter(move |(name, _)| is_wanted(name)).map(|(_, value)| value)
}

/// Whether `request` fulfils the conditions of `when`: for each, one value that fits is enough,
/// as the upstream may take any. A body may have `max_body` bytes when decoded.
///
/// # Errors
///
/// If the body has to be looked at and cannot be read for certain.
pub fn holds(when: &When, request: &Request<'_>, max_body: usize) -> Result<bool, Unreadable> {
    let mut name = FoundName::default();
    let mut conditions = Conditions::new(when);
    body::walk_query(request, &mut name, &mut conditions);
    if !conditions.hold()
        && !when.field.is_empty()
        && let Some(body) = body::open(request, max_body)?
    {
        body.walk(&mut name, &mut conditions)?;
    }
    if !when.field.is_empty() {
        body::walk_cookies(request, &mut name, &mut conditions);
    }
    Ok(conditions.hold())
}

/// Whether a body begins like JSON in an encoding in which a scan would not see its fields.
#[must_use]
pub fn is_wide_json(beginning: &[u8]) -> bool {
    json::beginning(beginning) == json::Beginning::Wide
}

/// Whether a body too large to be read may be scanned for late fields on its way instead.
///
/// # Errors
///
/// If it is in a coding or charset in which they would not be seen.
pub fn scannable(headers: &HeaderMap) -> Result<(), Unreadable> {
    media::declared(headers)?;
    if Coding::of(headers)? == Coding::Identity { Ok(()) } else { Err(Unreadable::Coding) }
}

#[cfg(test)]
mod tests;
