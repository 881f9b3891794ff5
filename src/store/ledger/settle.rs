//! What an admitted attempt came to: charged to its counters, or cleared of them.

use std::sync::Arc;

use super::{Held, Judged, Ledger, Refusal, Settled, Settlement};
use crate::clock::Moment;
use crate::policy::key::Claim;
use crate::policy::lockout::{Failure, History, Limit, Proof, Spelling};
use crate::policy::route::ResetOnSuccess;
use crate::store::gather::Change;
use crate::store::slot::{Slot, State};

impl Ledger {
    /// Settles an admitted attempt: its places end, and what it came to is charged or cleared.
    pub fn settle(&mut self, held: &Held, what: Settlement, now: Moment) -> Vec<Settled> {
        self.release_ended(now);
        let places = u64::from(held.claim.guesses) * held.slots.len() as u64;
        self.places = self.places.saturating_sub(places);
        let mut settled = Vec::with_capacity(held.slots.len());
        for slot in &held.slots {
            let mut state = slot.state();
            state.places = state.places.saturating_sub(held.claim.guesses);
            if what != Settlement::GivenBack {
                settled.extend(self.change(&held.claim, slot, &mut state, (what, now)));
                self.counters.note(slot, &mut state, Change::History);
            } else {
                self.counters.note(slot, &mut state, Change::Places);
            }
        }
        for slot in &held.slots {
            self.serve(slot, now);
        }
        if what != Settlement::GivenBack {
            settled.iter().for_each(|settled| self.refuse_waiters(settled, now));
        }
        settled
    }

    /// Charges a failure of `claim`, which holds no places, unless one of its counters is locked.
    ///
    /// # Errors
    ///
    /// The refusal that it would have met.
    pub fn charge_unheld(
        &mut self,
        claim: &Arc<Claim>,
        what: Settlement,
        now: Moment,
    ) -> Result<Vec<Settled>, Refusal> {
        match self.judge(claim, 0, now) {
            Judged::Refused(refusal) if matches!(what, Settlement::Failure(_)) => Err(refusal),
            Judged::Refused(_) => Ok(Vec::new()),
            Judged::Full(_) => {
                // others hold places there: theirs stay, this failure counts besides
                let found = claim.charges.iter().map(|charge| self.find(charge)).collect();
                let held = self.take(claim, found);
                Ok(self.settle(&held, what, now))
            }
            Judged::Room(found) => {
                let held = self.take(claim, found);
                Ok(self.settle(&held, what, now))
            }
        }
    }

    /// Applies what `claim` came to, to one counter.
    fn change(
        &self,
        claim: &Claim,
        slot: &Slot,
        state: &mut State,
        (what, now): (Settlement, Moment),
    ) -> Option<Settled> {
        let limit = &*self.register.get(slot.limit)?.limit;
        let spelling = claim.spelling(slot.key);
        let mut history = state.history().aged(limit, now);
        let (mut cleared, mut locked_until) = (0, None);
        match what {
            Settlement::Failure(proof) => {
                let failure = Failure { guesses: claim.guesses, proof, spelling };
                locked_until = history.fail(limit, failure, now).locked_until;
            }
            // one of them was right, and nobody knows which
            Settlement::Success { reset } if claim.guesses > 1 && reset != ResetOnSuccess::All => {
                let guesses = claim.guesses - 1;
                let failure = Failure { guesses, proof: Proof::Verdict, spelling };
                locked_until = history.fail(limit, failure, now).locked_until;
            }
            Settlement::Success { reset } if clears(reset, limit, claim, &history, spelling) => {
                cleared = history.succeed();
            }
            Settlement::GivenBack | Settlement::Success { .. } => {}
        }
        state.remember(history);
        let failures = history.failures();
        let of = limit.failures.get();
        Some(Settled { key: slot.key, limit: slot.limit, of, failures, cleared, locked_until })
    }
}

/// Whether a success of `claim` forgets the failures of a counter.
fn clears(
    reset: ResetOnSuccess,
    limit: &Limit,
    claim: &Claim,
    history: &History,
    spelling: Spelling,
) -> bool {
    use crate::policy::lockout::Parameter::{IpAddress, Username};
    match reset {
        ResetOnSuccess::All => true,
        ResetOnSuccess::None => false,
        ResetOnSuccess::SameClient => {
            let names_both = limit.by.contains(&Username) && limit.by.contains(&IpAddress);
            let one_spelling = history.spelling() == spelling;
            names_both && claim.subject.candidates.len() == 1 && claim.guesses == 1 && one_spelling
        }
    }
}
