//! Asking for a lease: where nobody knows whether it was granted, it is given back.

use std::sync::Arc;

use super::later::Unsettled;
use super::lease::Lease;
use super::outage::{Outage, Sent};
use super::request::Owed;
use super::shared::Shared;
use crate::clock::Moment;
use crate::policy::key::Claim;
use crate::store::ledger::Settlement;

/// A lease that is asked for. Dropped before it is known whether it was granted, it is given back.
pub(super) struct Sought<'a> {
    shared: &'a Shared,
    /// What is asked for.
    pub lease: Arc<Lease>,
    began: Moment,
    doubt: Doubt,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    Some,
}

impl<'a> Sought<'a> {
    pub(super) fn new(shared: &'a Shared, claim: &Arc<Claim>, now: Moment) -> Self {
        let lease = Arc::new(shared.leases.begin(claim, now));
        Self { shared, lease, began: now, doubt: Doubt::Some }
    }

    pub(super) fn granted(mut self) -> Arc<Lease> {
        self.doubt = Doubt::None;
        self.shared.leases.open(&self.lease);
        Arc::clone(&self.lease)
    }

    pub(super) fn not_granted(mut self) {
        self.doubt = Doubt::None;
    }

    pub(super) fn failed(mut self, outage: &Outage) {
        if outage.sent == Sent::Never {
            self.doubt = Doubt::None;
        }
    }
}

impl Drop for Sought<'_> {
    fn drop(&mut self) {
        if self.doubt == Doubt::Some {
            let (lease, what) = (Arc::clone(&self.lease), Settlement::GivenBack);
            // nothing of it is charged, whenever it ended
            let ended = self.began;
            self.shared.later.add(Unsettled { lease, what, owed: Owed::IfKnown, ended });
        }
    }
}
