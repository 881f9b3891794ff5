//! How much of everything there was since the process began, of all sites.

use super::Metrics;
use crate::policy::outcome::{Basis, Outcome};
use crate::rejection::AnswerKind;
use crate::store::memory::lock;

/// How much of everything there was since the process began, of all sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the metrics")]
pub struct Totals {
    pub success: u64,
    pub failure: u64,
    pub unmatched: u64,
    pub no_verdict: u64,
    pub ignored: u64,
    pub locked: u64,
    pub denied: u64,
    pub refused: u64,
    pub busy: u64,
    pub error: u64,
    pub would_refuse: u64,
    pub lockouts: u64,
}

impl Metrics {
    /// How much of everything there was so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for login in lock(&self.logins).values() {
            totals.lockouts += login.lockouts.get();
            login.each(|outcome, basis, count| match (outcome, basis) {
                (Outcome::Success, _) => totals.success += count,
                (Outcome::Ignored, _) => totals.ignored += count,
                (Outcome::Failure, Basis::Rule) => totals.failure += count,
                (Outcome::Failure, Basis::Unmatched) => totals.unmatched += count,
                (Outcome::Failure, Basis::NoVerdict) => totals.no_verdict += count,
            });
        }
        self.cells.each_refusal(|reason, refused, excused| {
            match reason.kind() {
                AnswerKind::Busy => totals.busy += refused,
                AnswerKind::Denied => totals.denied += refused,
                AnswerKind::Error => totals.error += refused,
                AnswerKind::Locked => totals.locked += refused,
                AnswerKind::Refused => totals.refused += refused,
            }
            totals.would_refuse += excused;
        });
        totals
    }
}
