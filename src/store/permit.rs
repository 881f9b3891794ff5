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
        match (store.shared(), self.lease.take()) {
            (Some(shared), Some(lease)) => match self.held.take() {
                Some(held) => Box::pin(store.settle_shared(shared, (held, lease), what)).await,
                None => Vec::new(),
            },
            (None, _) | (_, None) => self.end(what),
        }
    }

    /// The same, of shared counters whose server was not asked for it.
    pub(super) fn begun_alone(mut self) -> Self {
        if let (Some(shared), Some(held)) = (self.store.shared(), &self.held) {
            self.lease = Some(shared.leases.begin_alone(&held.claim, self.store.clock.now()));
        }
        self
    }

    fn end(&mut self, what: Settlement) -> Vec<Settled> {
        let Some(held) = self.held.take() else { return Vec::new() };
        let store = &self.store;
        match (store.shared(), self.lease.take()) {
            (Some(shared), Some(lease)) => {
                store.settle_later(shared, (&held, lease), (what, Sent::Never))
            }
            (None, _) | (_, None) => lock(&store.ledger).settle(&held, what, store.clock.now()),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(Settlement::Failure(Proof::NoVerdict));
    }
}
