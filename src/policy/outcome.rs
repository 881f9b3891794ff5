//! Upstream response (head, bounded body) -> outcome.

use std::ops::RangeInclusive;

use http::header::HeaderName;
use regex::bytes::Regex;

use crate::policy::glob::Glob;

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Neither: the attempt is as if it had not been.
    Ignored,
    /// The login failed.
    Failure,
    /// The login succeeded.
    Success,
}

/// How the answers to a login rule's attempts are read.
#[derive(Clone, Debug)]
pub enum OutcomeRules {
    /// The first rule that fits decides; where none does, it is a failure.
    Listed(Vec<OutcomeRule>),
    /// By what most applications do (`run --upstream --login` without `--success`).
    Inferred,
    /// As for HTTP Basic authentication: 401 is a failure.
    Basic,
}

/// An outcome and the conditions that all have to hold for it.
#[derive(Clone, Debug)]
pub struct OutcomeRule {
    /// What the answer means then.
    pub outcome: Outcome,
    /// Status codes, any of them; empty: every one.
    pub status: Vec<RangeInclusive<u16>>,
    /// Where the answer redirects to, any of these patterns; empty: anywhere or nowhere. One that
    /// begins with `/` is held against path and query on the same host, others against the whole.
    pub location: Vec<Glob>,
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
    /// This text.
    Text(Box<[u8]>),
    /// A match of this.
    Regex(Regex),
}

/// What must stand at a JSON pointer.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonPattern {
    /// Anything but nothing.
    Present,
    /// This.
    Value(serde_json::Value),
}

/// Why there is no answer to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The upstream broke off.
    Cut,
    /// It took too long.
    Timeout,
}
