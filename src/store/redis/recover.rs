//! When the server is back: what operators meant, how attempts ended, what was counted here alone,
//! and, where it may have lost something, what this guard saw. Only then attempts ask it again.

use std::sync::Arc;
use std::time::Duration;

use super::background::{AT_ONCE, By};
use super::hands::Stands;
use super::local::Local;
use super::merge::{Alone, Offer};
use super::outage::Outage;
use super::shared::Shared;
use super::wire::Reached;
use crate::policy::key::Charge;
use crate::store::Store;
use crate::store::memory::lock;

/// How long it takes until the server is looked for again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Store {
    /// Tries until the server is reached and knows what this guard knows; from then on attempts ask
    /// it. Dropped before that, they do not.
    pub async fn recover(&self, shared: &Shared) {
        let mut pause = FIRST_PAUSE;
        while self.bring_up_to_date(shared).await.is_err() {
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause.saturating_mul(2));
        }
        shared.wire.breaker().close();
        shared.call_all();
    }

    async fn bring_up_to_date(&self, shared: &Shared) -> Result<(), Outage> {
        let reached = shared.wire.reach().await?;
        self.tell_what_waits(shared).await?;
        if reached == Reached::Another {
            self.offer_all(shared).await?;
            self.tell_what_waits(shared).await?;
        }
        Ok(())
    }

    /// Resets before all that they mean, and settlements before what is only seen.
    async fn tell_what_waits(&self, shared: &Shared) -> Result<(), Outage> {
        self.tell_orders(shared, By::Recovery).await?;
        while shared.later.count() > 0 {
            self.tell_later(shared, By::Recovery, AT_ONCE).await?;
        }
        self.offer_locals(shared, By::Recovery).await
    }

    /// Has the server add what was counted here alone.
    ///
    /// # Errors
    ///
    /// When it cannot be told; nothing is lost then, and what it may have taken counts twice.
    pub async fn offer_locals(&self, shared: &Shared, by: By) -> Result<(), Outage> {
        let mut locals = lock(&shared.locals).take().into_iter();
        loop {
            let some: Vec<Local> = locals.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(());
            }
            let offers: Vec<Offer> = some.iter().map(Offer::from).collect();
            if let Err(outage) = self.merge_shared((shared, by), &offers).await {
                lock(&shared.locals).put_back(some.into_iter().chain(locals));
                return Err(outage);
            }
        }
    }

    /// Offers everything that this guard saw to a server that may not have it. What was reset since
    /// it does not take, and what it has already does not become more.
    async fn offer_all(&self, shared: &Shared) -> Result<(), Outage> {
        let to = (shared, By::Recovery);
        for (selector, hand) in self.hand_locks() {
            // there is nobody to tell that there are too many
            self.lock_shared(to, &selector, &hand, Stands::IfLonger).await?.ok();
        }
        for part in Self::parts() {
            let mut offers = Vec::new();
            self.scan(part, |found| {
                let slot = found.slot;
                let charge = Charge { key: slot.key, limit: slot.limit, candidate: slot.candidate };
                let subject = Arc::clone(&slot.subject);
                offers.push(Offer { charge, subject, seen: found.history, alone: None });
            });
            self.merge_shared(to, &offers).await?;
        }
        Ok(())
    }
}

impl From<&Local> for Offer {
    fn from(local: &Local) -> Self {
        let slot = &local.slot;
        Self {
            charge: Charge { key: slot.key, limit: slot.limit, candidate: slot.candidate },
            subject: Arc::clone(&slot.subject),
            seen: local.seen,
            alone: (local.failures > 0).then_some(Alone {
                failures: local.failures,
                without_verdict: local.without_verdict,
                latest: local.latest,
                spelling: local.spelling,
            }),
        }
    }
}
