//! Leave to forward an attempt, and how it ends.

use std::sync::Arc;

use super::Store;
use crate::policy::key::Claim;
use crate::policy::lockout::Proof;
use crate::store::ledger::{Held, Settled, Settlement};
use crate::store::memory::lock;
use crate::store::redis::lease::Lease;
use crate::store::redis::outage::Sent;

/// Leave to forward an attempt. Dropped unsettled it charges a failure without a verdict, since
/// nobody can tell what the upstream did with it.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    pub(super) store: Arc<Store>,
    pub(super) held: Option<Held>,
    /// What the places are held under in the shared counters.
    pub(super) lease: Option<Arc<Lease>>,
}

impl Permit {
    /// What it is leave for.
    #[must_use]
    pub fn claim(&self) -> Option<&Arc<Claim>> {
        self.held.as_ref().map(|held| &held.claim)
    }

    /// Ends it: its places are free again, and what the attempt came to is charged or cleared.
    /// Dropping the future settles it all the same.
    pub async fn settle(mut self, what: Settlement) -> Vec<Settled> {
        if self.store.shared.is_none() {
            return self.end(what);
        }
        let store = Arc::clone(&self.store);
        match (store.shared(), self.held.take(), self.lease.take()) {
            (Some(shared), Some(held), Some(lease)) => {
                Box::pin(store.settle_shared(shared, (held, lease), what)).await
            }
            (Some(shared), Some(held), None) => {
                Box::pin(store.settle_unleased(shared, held, what)).await
            }
            (None | Some(_), _, _) => Vec::new(),
        }
    }

    fn end(&mut self, what: Settlement) -> Vec<Settled> {
        let Some(held) = self.held.take() else { return Vec::new() };
        let store = &self.store;
        match (store.shared(), self.lease.take()) {
            (None, _) => lock(&store.ledger).settle(&held, what, store.clock.now()),
            (Some(shared), None) => store.settle_alone(shared, &held, what),
            (Some(shared), Some(lease)) => {
                store.settle_later(shared, (&held, lease), (what, Sent::Never))
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(Settlement::Failure(Proof::NoVerdict));
    }
}
