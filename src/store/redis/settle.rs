//! What an attempt came to, told to the shared counters: at once, or as soon as it can be.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{What, restless};
use super::background::By;
use super::counter::Action;
use super::later::Unsettled;
use super::lease::{Alone, Lease};
use super::outage::{Outage, Sent};
use super::request::{Due, Owed, action};
use super::scripts::{CHARGE, HOLD, SETTLE};
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
    held: Option<(Held, Arc<Lease>)>,
    what: Settlement,
    /// Whether the server may know already.
    sent: Sent,
}

impl Settling<'_> {
    fn later(&mut self) -> Vec<Settled> {
        let Some((held, lease)) = self.held.take() else { return Vec::new() };
        self.store.settle_later(self.shared, (&held, lease), (self.what, self.sent))
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.later();
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
        let held = Some((held, lease));
        let mut settling = Settling { store: self, shared, held, what, sent: Sent::Never };
        // it was admitted while the server was away
        if !lease_of.is_asked_for()
            && (what == Settlement::GivenBack
                || shared.is_away()
                || self.hold(shared, By::Attempt, &lease_of).await.is_err())
        {
            return settling.later();
        }
        let Some(about) = self.about(shared, &claim) else { return settling.later() };
        let is_sure = lease_of.is_sure(self.clock.now());
        let (owed, due) =
            if is_sure { (Owed::Surely, Due::Surely) } else { (Owed::IfKnown, Due::IfKnown) };
        let times = (Duration::ZERO, shared.may_repeat_for());
        let request = about.settle(&lease_of, (due, times), what);
        settling.sent = Sent::Perhaps;
        let answer = match self.run(shared, &SETTLE, &request).await {
            Ok(answer) => answer,
            Err(outage) => {
                settling.sent = outage.sent;
                return settling.later();
            }
        };
        if let Some((held, _)) = settling.held.take() {
            _ = shared.leases.close(&lease_of);
            let now = self.clock.now();
            let mut ledger = lock(&self.ledger);
            let told = shared.on_top(&ledger, (&held.claim, &answer), now);
            ledger.adopt_settled(&held, &told, now);
        }
        self.describe((shared, By::Attempt), (&about, owed), &answer).await;
        shared.freed(&claim);
        if what == Settlement::GivenBack {
            return Vec::new();
        }
        shared.filled(&claim, |waiting| self.would_refuse_here(waiting));
        about.settled(&answer)
    }

    /// Has the server keep places that were given out here alone.
    ///
    /// # Errors
    ///
    /// When it cannot be asked; it does not keep them then, or is told to give them back.
    pub(in crate::store) async fn hold(
        &self,
        shared: &Shared,
        by: By,
        lease: &Arc<Lease>,
    ) -> Result<(), Outage> {
        let Some(about) = self.about(shared, &lease.claim) else { return Ok(()) };
        let times = (shared.leases.ttl(), shared.not_after(&self.clock));
        if !shared.leases.ask_for(lease, self.clock.now()) {
            return Ok(()); // it has been settled meanwhile
        }
        let came_of_it = self.run_by(shared, by, (&HOLD, &about.hold(lease, times))).await;
        match came_of_it {
            Ok(answer) if answer.what == What::Late => Err(restless(shared)),
            Ok(answer) => {
                self.adopt(&about, &answer);
                Ok(())
            }
            Err(outage) => Err(outage),
        }
    }

    /// Settles places here that are held under a lease; the server is told later: by the lease,
    /// or, where it was never asked for that, of what was counted here alone.
    pub(in crate::store) fn settle_later(
        &self,
        shared: &Shared,
        (held, lease): (&Held, Arc<Lease>),
        (what, sent): (Settlement, Sent),
    ) -> Vec<Settled> {
        let now = self.clock.now();
        let by_lease = shared.leases.close(&lease) == Alone::No;
        let owed = match sent {
            Sent::Never if lease.is_sure(now) => Owed::Surely,
            Sent::Never | Sent::Perhaps => Owed::IfKnown,
        };
        let unsettled = Unsettled { lease, what, owed, ended: now };
        let settled = {
            let mut ledger = lock(&self.ledger);
            let seen = ledger.seen(&held.claim);
            let settled = ledger.settle(held, what, now);
            // under the lock: it is told of only when it is noted
            let told = by_lease && shared.later.add(unsettled);
            let told = if told { Told::ByLease } else { Told::AsOffer };
            note(shared, &ledger, (&held.claim, &seen), (what, told, now));
            settled
        };
        shared.freed(&held.claim);
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
            note(shared, &ledger, (claim, &seen), (what, Told::AsOffer, now));
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

/// How the server will be told of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    AsOffer,
    ByLease,
}

/// Notes of the counters of `claim`, which remembered what was `seen`, what others do not know of.
fn note(
    shared: &Shared,
    ledger: &Ledger,
    (claim, seen): (&Claim, &[History]),
    (what, told, now): (Settlement, Told, Moment),
) {
    let mut locals = lock(&shared.locals);
    for ((charge, seen), found) in claim.charges.iter().zip(seen).zip(ledger.slots(claim)) {
        let Some(limit) = ledger.limit(charge.limit) else { continue };
        let (action, spelling) = (action(claim, &limit, what), claim.spelling(charge.key));
        let is_clear =
            found.as_ref().is_none_or(|(slot, _)| slot.state().history().failures() == 0);
        if is_clear && matches!(action, Action::Clear | Action::ClearSame) {
            locals.clear(charge.key); // the counter may be gone with its failures
        }
        let local = found.and_then(|(slot, _)| locals.see(&slot, *seen));
        match (local, told) {
            (None, _) => {}
            (Some(local), Told::ByLease) => local.note_owed(action, spelling, now),
            (Some(local), Told::AsOffer) => local.note(action, spelling, now),
        }
    }
}
