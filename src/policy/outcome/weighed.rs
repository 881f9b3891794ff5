//! Which rules an answer was held against, and what kept each from fitting: for explanations.

use super::{Facts, Head, Outcome, OutcomeRules};

/// A condition of an outcome rule, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// That there is no answer at all.
    Answer,
    /// What the body contains.
    Body,
    /// A header field.
    Header,
    /// What stands at a JSON pointer.
    Json,
    /// Where the answer redirects to.
    Location,
    /// A cookie that is set.
    SetCookie,
    /// The status code.
    Status,
}

impl Condition {
    /// Its key in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Body => "body",
            Self::Header => "header",
            Self::Json => "json",
            Self::Location => "location",
            Self::SetCookie => "set_cookie",
            Self::Status => "status",
        }
    }
}

/// A rule that was asked, and the first of its conditions that does not hold; none where it fits.
pub type Weighed = (Outcome, Option<Condition>);

impl OutcomeRules {
    /// The rules that were asked about an answer, in order, up to the one that fits. `body` is what
    /// [`Self::read_body`] got, nothing where the head has decided.
    #[must_use]
    pub fn weigh(&self, head: Head<'_>, body: Option<&[u8]>) -> Vec<Weighed> {
        let Self::Listed(rules) = self else { return Vec::new() };
        let facts = Facts::of(head, rules);
        let json = body.and_then(|body| serde_json::from_slice(body).ok());
        let mut weighed = Vec::new();
        for rule in rules {
            let in_body = || body.and_then(|body| rule.miss_in_body(body, json.as_ref()));
            let miss = rule.miss_in_head(&facts).or_else(in_body);
            weighed.push((rule.outcome, miss));
            if miss.is_none() {
                break;
            }
        }
        weighed
    }
}
