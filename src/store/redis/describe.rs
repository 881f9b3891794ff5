//! What counters are about that the server had lost and that a settlement made anew: lists need it.

use std::sync::Arc;

use super::answer::Answer;
use super::background::By;
use super::counter::{Found, Told};
use super::merge::{Offer, Server};
use super::request::{About, Owed};
use super::shared::Shared;
use crate::store::Store;

impl Store {
    /// Says what counters are about that this settlement made anew. The next admission would say so
    /// otherwise, unless they are locked.
    pub(in crate::store) async fn describe(
        &self,
        to: (&Shared, By),
        (about, owed): (&About<'_>, Owed),
        answer: &Answer,
    ) {
        let claim = about.claim;
        let is_bare = |told: &Told| told.found == Found::No && !told.history.is_blank();
        let told = claim.charges.iter().zip(&answer.told);
        let bare = told.filter(|(_, told)| owed != Owed::IfKnown && is_bare(told));
        let offers: Vec<Offer> = bare
            .map(|(charge, told)| Offer {
                charge: *charge,
                subject: Arc::clone(&claim.subject),
                seen: Some(told.history),
                on: Server::Any,
                alone: None,
            })
            .collect();
        if !offers.is_empty() {
            // without it nothing is wrong but lists
            drop(Box::pin(self.merge_shared(to, &offers)).await);
        }
    }
}
