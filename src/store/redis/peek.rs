//! How shared counters stand, for whoever takes no places.

use super::answer::{What, restless};
use super::outage::Outage;
use super::scripts::PEEK;
use super::settings::OnOutage;
use super::shared::Shared;
use crate::policy::key::Claim;
use crate::store::Store;
use crate::store::hand::HandLock;
use crate::store::ledger::Refusal;

/// One more than it takes until it does not matter whether the locks by hand have changed again.
const ROUNDS: u32 = 4;

impl Store {
    /// See [`Store::would_refuse`].
    pub(in crate::store) async fn would_refuse_shared(
        &self,
        shared: &Shared,
        claim: &Claim,
    ) -> Option<Refusal> {
        if let Ok(refusal) = self.peek(shared, claim).await {
            return refusal;
        }
        match shared.wire.settings().on_outage {
            OnOutage::Allow => None,
            OnOutage::Local => self.would_refuse_here(claim),
            OnOutage::Refuse => Some(Refusal::NoStore),
        }
    }

    /// See [`Store::hand_lock_anywhere`].
    pub(in crate::store) async fn shared_hand_lock(
        &self,
        shared: &Shared,
        claim: &Claim,
    ) -> Option<HandLock> {
        let alone = Claim { charges: Vec::new(), ..claim.clone() };
        drop(self.peek(shared, &alone).await); // while the server is away, those known here hold
        self.hand_lock(&claim.subject, Some(claim))
    }

    /// Looks how the counters of `claim` stand, and whether it is locked by hand.
    pub(in crate::store) async fn peek(
        &self,
        shared: &Shared,
        claim: &Claim,
    ) -> Result<Option<Refusal>, Outage> {
        let Some(about) = self.about(shared, claim) else { return Ok(None) };
        for round in 1..=ROUNDS {
            let known = shared.changes.known_in(round, &claim.subject.site);
            let answer = self.run(shared, &PEEK, &about.peek(&known)).await?;
            let What::Hands(changes) = &answer.what else {
                self.adopt(&about, &answer);
                return Ok(about.judge(&answer).err());
            };
            let refusal = self.refresh_hands(shared, claim, changes).await?;
            if refusal.is_some() {
                return Ok(refusal);
            }
        }
        Err(restless(shared))
    }
}
