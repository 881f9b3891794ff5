//! Request -> username candidates and the number of guesses.

use http::header::HeaderName;
use regex::Regex;

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

/// The name of a field, folded as any upstream might fold it, so that `user[login]`,
/// `User.Login` and the JSON pointer `/user/login` are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldName(Box<str>);

impl FieldName {
    /// The name of a field of a form or a query.
    #[must_use]
    pub fn new(written: &str) -> Self {
        Self(written.into())
    }

    /// The field that a JSON pointer leads to.
    #[must_use]
    pub fn pointer(written: &str) -> Self {
        Self(written.into())
    }
}

/// A change to a username before it is folded.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// What it applies to.
    pub regex: Regex,
    /// What it becomes; `$1` is the first group.
    pub to: String,
}
