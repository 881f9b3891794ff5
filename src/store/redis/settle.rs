//! What an attempt came to, told to the shared counters: at once, or as soon as it can be.

use std::sync::Arc;

use super::answer::{What, restless};
use super::later::Unsettled;
use super::lease::Lease;
use super::outage::{Outage, Sent};
use super::request::{Owed, action};
use super::scripts::{CHARGE, SETTLE};
use super::shared::Shared;
use crate::clock::Moment;
use crate::policy::key::Claim;
use crate::policy::lockout::History;
use crate::store::Store;
use crate::store::ledger::{Held, Ledger, Refusal, Settled, Settlement};
use crate::store::memory::lock;

/// An attempt that is being settled. Dropped before it is known to be, it is settled here, and the
/// server is told later.
struct Settling<'a> {
    store: &'a Store,
    shared: &'a Shared,
    held: Option<(Held, Option<Arc<Lease>>)>,
    what: Settlement,
}

impl Settling<'_> {
    fn later(&mut self, sent: Sent) -> Vec<Settled> {
        match self.held.take() {
            Some((held, Some(lease))) => {
                self.store.settle_later(self.shared, (&held, lease), (self.what, sent))
            }
            Some((held, None)) => self.store.settle_alone(self.shared, &held, self.what),
            None => Vec::new(),
        }
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.later(Sent::Perhaps);
    }
}

impl Store {
    /// See [`crate::store::Permit::settle`], of places that are held under a lease.
    pub(in crate::store) async fn settle_shared(
        &self,
        shared: &Shared,
        (held, lease): (Held, Arc<Lease>),
        what: Settlement,
    ) -> Vec<Settled> {
        let (claim, lease_of) = (Arc::clone(&held.claim), Arc::clone(&lease));
        let mut settling = Settling { store: self, shared, held: Some((held, Some(lease))), what };
        let Some(about) = self.about(shared, &claim) else { return settling.later(Sent::Never) };
        let is_sure = lease_of.is_sure(self.clock.now());
        let owed = if is_sure { Owed::Surely } else { Owed::IfKnown };
        let answer = match self.run(shared, &SETTLE, &about.settle(&lease_of, owed, what)).await {
            Ok(answer) => answer,
            Err(outage) => return settling.later(outage.sent),
        };
        if let Some((held, _)) = settling.held.take() {
            shared.leases.close(&lease_of);
            let now = self.clock.now();
            lock(&self.ledger).adopt_settled(&held, &answer.histories(), now);
        }
        shared.freed(&claim);
        if what == Settlement::GivenBack {
            return Vec::new();
        }
        shared.filled(&claim, |waiting| self.would_refuse_here(waiting));
        about.settled(&answer)
    }

    /// The same of places that are held here alone: the server was away when they were taken.
    pub(in crate::store) async fn settle_unleased(
        &self,
        shared: &Shared,
        held: Held,
        what: Settlement,
    ) -> Vec<Settled> {
        let claim = Arc::clone(&held.claim);
        let mut settling = Settling { store: self, shared, held: Some((held, None)), what };
        if what == Settlement::GivenBack || shared.is_away() {
            return settling.later(Sent::Never);
        }
        let charged = match self.charge(shared, &claim, what).await {
            Ok(charged) => charged,
            Err(outage) => return settling.later(outage.sent),
        };
        if let Some((held, _)) = settling.held.take() {
            lock(&self.ledger).settle(&held, Settlement::GivenBack, self.clock.now());
        }
        charged.unwrap_or_default()
    }

    /// Settles places here that are held under a lease; the server is told later.
    pub(in crate::store) fn settle_later(
        &self,
        shared: &Shared,
        (held, lease): (&Held, Arc<Lease>),
        (what, sent): (Settlement, Sent),
    ) -> Vec<Settled> {
        let now = self.clock.now();
        shared.leases.close(&lease);
        let owed = match sent {
            Sent::Never if lease.is_sure(now) => Owed::Surely,
            Sent::Never | Sent::Perhaps => Owed::IfKnown,
        };
        let settled = {
            let mut ledger = lock(&self.ledger);
            let seen = ledger.seen(&held.claim);
            let settled = ledger.settle(held, what, now);
            // the server will be told of it by the lease
            note(shared, &ledger, (&held.claim, &seen), (Settlement::GivenBack, now));
            settled
        };
        shared.later.add(Unsettled { lease, what, owed });
        shared.freed(&held.claim);
        settled
    }

    /// Settles places that are held here alone, and notes what others do not know of.
    pub(in crate::store) fn settle_alone(
        &self,
        shared: &Shared,
        held: &Held,
        what: Settlement,
    ) -> Vec<Settled> {
        let now = self.clock.now();
        let mut ledger = lock(&self.ledger);
        let seen = ledger.seen(&held.claim);
        let settled = ledger.settle(held, what, now);
        note(shared, &ledger, (&held.claim, &seen), (what, now));
        settled
    }

    /// See [`Store::settle_unheld`].
    pub(in crate::store) async fn settle_unheld_shared(
        &self,
        shared: &Shared,
        claim: &Arc<Claim>,
        what: Settlement,
    ) -> Result<Vec<Settled>, Refusal> {
        if what == Settlement::GivenBack {
            return Ok(Vec::new());
        }
        if let Ok(charged) = self.charge(shared, claim, what).await {
            return charged;
        }
        let now = self.clock.now();
        let mut ledger = lock(&self.ledger);
        let seen = ledger.seen(claim);
        let settled = ledger.charge_unheld(claim, what, now)?;
        if !settled.is_empty() {
            note(shared, &ledger, (claim, &seen), (what, now));
        }
        Ok(settled)
    }

    async fn charge(
        &self,
        shared: &Shared,
        claim: &Arc<Claim>,
        what: Settlement,
    ) -> Result<Result<Vec<Settled>, Refusal>, Outage> {
        let Some(about) = self.about(shared, claim) else { return Ok(Ok(Vec::new())) };
        let request = about.charge(shared.not_after(&self.clock), what);
        let answer = self.run(shared, &CHARGE, &request).await?;
        if answer.what == What::Late {
            return Err(restless(shared));
        }
        self.adopt(&about, &answer);
        Ok(match (about.judge(&answer), what) {
            _ if answer.what == What::Done => Ok(about.settled(&answer)),
            (Err(refusal), Settlement::Failure(_)) => Err(refusal),
            (Err(_) | Ok(_), _) => Ok(Vec::new()),
        })
    }
}

/// Notes of the counters of `claim`, which remembered what was `seen`, what others do not know of.
fn note(
    shared: &Shared,
    ledger: &Ledger,
    (claim, seen): (&Claim, &[History]),
    (what, now): (Settlement, Moment),
) {
    let mut locals = lock(&shared.locals);
    for ((charge, seen), found) in claim.charges.iter().zip(seen).zip(ledger.slots(claim)) {
        let Some((slot, limit)) = found else { continue };
        if let Some(local) = locals.see(&slot, *seen) {
            local.note(action(claim, &limit, what), claim.spelling(charge.key), now);
        }
    }
}
