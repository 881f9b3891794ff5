//! What this guard counted alone while the server was away, to be added to what others counted.

use std::collections::HashMap;
use std::sync::Arc;

use super::counter::Action;
use crate::clock::Moment;
use crate::policy::key::Key;
use crate::policy::lockout::{Failure, History, Proof, Spelling};
use crate::store::memory::BuildHashedAlready;
use crate::store::slot::Slot;

/// So many counters are told apart; what is counted on others stays here alone.
const MOST: usize = 262_144;

/// A counter as the server last told it, and what was counted here since.
#[derive(Clone, Debug)]
pub struct Local {
    /// The counter.
    pub slot: Arc<Slot>,
    /// What the server last told.
    pub seen: History,
    /// Failures that only this guard knows of.
    pub failures: u32,
    /// Of them, those without a verdict.
    pub without_verdict: u32,
    /// When the latest was.
    pub latest: Moment,
    /// How the username was spelled in them.
    pub spelling: Spelling,
}

/// Counters on which something was counted here alone.
#[derive(Debug, Default)]
pub struct Locals(HashMap<Key, Local, BuildHashedAlready>);

impl Locals {
    /// Something is about to happen to a counter of which the server is not told, or not yet;
    /// `seen` is what it remembers until then.
    pub fn see(&mut self, slot: &Arc<Slot>, seen: History) -> Option<&mut Local> {
        if self.0.len() >= MOST && !self.0.contains_key(&slot.key) {
            return None;
        }
        Some(self.0.entry(slot.key).or_insert_with(|| Local {
            slot: Arc::clone(slot),
            seen,
            failures: 0,
            without_verdict: 0,
            latest: Moment(0),
            spelling: Spelling::Unknown,
        }))
    }

    /// All of them; none is left.
    #[must_use]
    pub fn take(&mut self) -> Vec<Local> {
        self.0.drain().map(|(_, local)| local).collect()
    }

    /// These could not be told: they are kept, with what has come since.
    pub fn put_back(&mut self, untold: impl Iterator<Item = Local>) {
        for mut local in untold {
            if let Some(since) = self.0.get(&local.slot.key) {
                local.failures = local.failures.saturating_add(since.failures);
                local.without_verdict = local.without_verdict.saturating_add(since.without_verdict);
                local.latest = local.latest.max(since.latest);
                local.spelling = local.spelling.and(since.spelling);
            }
            self.0.insert(local.slot.key, local);
        }
    }

    /// The server knows what was settled on a counter: what it tells of it is in force again, unless
    /// something was counted here besides.
    pub fn forget(&mut self, key: Key) {
        if self.0.get(&key).is_some_and(|local| local.failures == 0) {
            self.0.remove(&key);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl Local {
    /// A settlement of which the server will not be told otherwise.
    pub fn note(&mut self, action: Action, spelling: Spelling, now: Moment) {
        if let Action::Fail(guesses, proof) = action {
            self.failures = self.failures.saturating_add(guesses);
            if proof == Proof::NoVerdict {
                self.without_verdict = self.without_verdict.saturating_add(guesses);
            }
            self.spelling = self.spelling.and(spelling);
            self.latest = now;
        }
    }

    /// The failures that only this guard knows of as two attempts: those that the upstream gave a
    /// verdict on, and the others.
    #[must_use]
    pub fn failed(&self) -> [Failure; 2] {
        let with = self.failures.saturating_sub(self.without_verdict);
        [(with, Proof::Verdict), (self.without_verdict, Proof::NoVerdict)]
            .map(|(guesses, proof)| Failure { guesses, proof, spelling: self.spelling })
    }
}
