//! What the guard makes of one request, step by step, for whoever wants it explained.
//!
//! The guard tells it as it goes, so that nothing is worked out twice. Where nobody listens, a step
//! costs a look at a pointer. Passwords are no part of it.

use std::cell::RefCell;

use tokio::sync::Notify;

use crate::policy::key::Key;
use crate::policy::outcome::weighed::Weighed;
use crate::policy::outcome::{Judgement, OutcomeRules};
use crate::rejection::Rejection;
use crate::rejection::reason::Reason;

/// Takes down what becomes of one request.
#[derive(Debug, Default)]
pub struct Trace {
    story: RefCell<Story>,
    over: Notify,
}

impl Trace {
    /// Adds to the story.
    pub fn tell(&self, tell: impl FnOnce(&mut Story)) {
        tell(&mut self.story.borrow_mut());
    }

    /// There is nothing more to tell.
    pub fn end(&self) {
        self.over.notify_one();
    }

    /// Waits for that.
    pub async fn ended(&self) {
        self.over.notified().await;
    }

    /// The story so far.
    #[must_use]
    pub fn story(&self) -> Story {
        self.story.borrow().clone()
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The client, where it could be told.
    pub client: Option<String>,
    /// The method and the path as they were judged.
    pub asked: Option<(String, String)>,
    /// The site.
    pub site: Option<String>,
    /// The login rules whose path fits.
    pub rules: Vec<RuleStory>,
    /// The attempt that it is.
    pub attempt: Option<AttemptStory>,
    /// Why it may go on.
    pub admitted: Option<&'static str>,
    /// What `monitor` mode let pass, each with its reason in words.
    pub excused: Vec<(Reason, String)>,
    /// How the answer was read.
    pub outcome: Option<OutcomeStory>,
    /// Why the guard answers in the upstream's stead.
    pub refused: Option<(Reason, String)>,
    /// The status of the answer, whoever gives it.
    pub status: Option<u16>,
}

/// What a login rule makes of it.
#[derive(Clone, Debug)]
pub struct RuleStory {
    /// The login's name.
    pub login: String,
    /// How its path fits.
    pub path: &'static str,
    /// Whether that makes the request an attempt.
    pub is_attempt: bool,
    /// Why.
    pub why: String,
}

/// An attempt.
#[derive(Clone, Debug)]
pub struct AttemptStory {
    /// The login that judges.
    pub login: String,
    /// `enforce` or `monitor`.
    pub mode: &'static str,
    /// `form`, `json` or `basic`.
    pub written: &'static str,
    /// How many guesses it brings.
    pub guesses: u32,
    /// The usernames as they were typed, and the accounts they are counted as.
    pub usernames: Vec<(String, String)>,
    /// What it is charged to.
    pub counters: Vec<CounterStory>,
    /// Whether no limit counts it, so that it is counted by client address.
    pub is_uncounted: bool,
}

/// A counter that an attempt is charged to.
#[derive(Clone, Debug)]
pub struct CounterStory {
    /// Which; under a key of this process.
    pub key: Key,
    /// Its limit's name.
    pub limit: String,
    /// How many failures lock.
    pub of: u32,
    /// For how long, in words.
    pub cool_off: String,
    /// What is counted together.
    pub parameters: Vec<(&'static str, String)>,
}

/// How an answer was read.
#[derive(Clone, Debug)]
pub struct OutcomeStory {
    /// What it means, and why.
    pub judgement: Judgement,
    /// `listed`, `basic` or `inferred`.
    pub by: &'static str,
    /// The rules that were asked.
    pub rules: Vec<Weighed>,
}

impl Story {
    /// The answer was read by `rules`, of which those were asked.
    pub fn judged(&mut self, rules: &OutcomeRules, asked: Vec<Weighed>, judgement: Judgement) {
        let by = match rules {
            OutcomeRules::Basic => "basic",
            OutcomeRules::Inferred => "inferred",
            OutcomeRules::Listed(_) => "listed",
        };
        self.outcome = Some(OutcomeStory { judgement, by, rules: asked });
    }

    /// The guard answers itself.
    pub fn refused(&mut self, reason: Reason, rejection: &Rejection) {
        self.refused = Some((reason, rejection.to_string()));
    }
}
