//! Whether an attempt may go on: never locked, locked, or once its places are its own.

use std::sync::Arc;

use super::Shared;
use super::case::BasicCase;
use super::case::Case;
use super::exchange::Holding;
use super::recognise::Writing;
use crate::events::{self, Details, Name};
use crate::policy::key::{Candidate, Counted};
use crate::policy::route::{Mode, NeverLock};
use crate::rejection::reason::Reason;
use crate::rejection::{Lockout, Rejection};
use crate::store::hand::HandLock;
use crate::store::ledger::{Refusal, Terms};

impl Case {
    /// Leave to go on, or a refusal that is kept.
    pub(super) async fn leave_to_go_on(&self, bytes: usize) -> Result<Holding, Rejection> {
        let admitted = self.admit(bytes).await;
        if let Err(rejection) = &admitted {
            self.until_kept(rejection).await;
        }
        admitted
    }

    /// Nobody is told of a lockout that a crash could take back.
    pub(super) async fn until_kept(&self, rejection: &Rejection) {
        if let Some(lockout) = rejection.lockout() {
            self.worker.shared.store.until_kept(&lockout.keys).await;
        }
    }

    /// Leave to go on, in the order: locks by hand, never locked, counters.
    async fn admit(&self, bytes: usize) -> Result<Holding, Rejection> {
        let shared = &self.worker.shared;
        let store = &shared.store;
        let lockout = &self.rule.rule.lockout;
        if let Some(known) = store.hand_lock(&self.claim.subject, Some(&self.claim))
            && let Some(hand) = store.if_in_force(known, &self.claim).await
        {
            if lockout.mode == Mode::Enforce {
                return Err(refused(Refusal::ByHand(hand)));
            }
            self.would_refuse(&Refusal::ByHand(hand), None);
            return Ok(Holding::Uncounted);
        }
        let has_room = shared.detached.has_room(self.claim.subject.address(), &self.site.name);
        if lockout.mode == Mode::Enforce && !has_room {
            return Err(Rejection::Overload);
        }
        if self.is_never_locked(&lockout.never_lock) {
            return self.exempt().await;
        }
        if self.claim.counted == Counted::Fallback {
            let reason = "no limit counts this attempt; it is counted by client address";
            let details = Details { reason: Some(reason), ..Details::default() };
            events::report(Name::RuleSuspect, self.about(), details);
        }
        if lockout.mode == Mode::Monitor {
            return Ok(match store.would_refuse(&self.claim).await {
                None => Holding::Monitored,
                Some(refusal) => {
                    self.would_refuse(&refusal, None);
                    Holding::Uncounted
                }
            });
        }
        if self.is_accepted() {
            return match store.would_refuse(&self.claim).await {
                None => Ok(Holding::Accepted),
                Some(refusal) => Err(refused(refusal)),
            };
        }
        let terms = Terms { while_locked: lockout.while_locked, bytes };
        let admitted = store.admit(Arc::clone(&self.claim), terms, lockout.wait).await;
        admitted.map(Holding::Permit).map_err(refused)
    }

    /// An attempt that no counter is asked about; a lock by hand refuses it all the same.
    async fn exempt(&self) -> Result<Holding, Rejection> {
        let hand = self.worker.shared.store.hand_lock_anywhere(&self.claim).await;
        let Some(hand) = hand.map(Refusal::ByHand) else { return Ok(Holding::Exempt) };
        if self.rule.rule.lockout.mode == Mode::Enforce {
            return Err(refused(hand));
        }
        self.would_refuse(&hand, None);
        Ok(Holding::Uncounted)
    }

    /// Basic credentials that were right a moment ago come with every image of a page.
    fn is_accepted(&self) -> bool {
        let Shared { seen, store, .. } = &*self.worker.shared;
        let accepted =
            |basic: &BasicCase| seen.are_accepted(basic.credentials, store.clock().now());
        self.writing == Writing::Basic && self.basic.as_ref().is_some_and(accepted)
    }

    fn is_never_locked(&self, never: &NeverLock) -> bool {
        let candidates = &self.claim.subject.candidates;
        let keyer = self.worker.shared.store.keyer();
        let listed = |candidate: &Candidate| {
            let is = |name: &str| keyer.spelling(name.as_bytes()) == candidate.spelling;
            candidate.shown.is_some() && never.usernames.iter().any(|name| is(name))
        };
        never.networks.contains(self.client.ip())
            || (!candidates.is_empty() && candidates.iter().all(listed))
    }

    /// In `monitor` mode: says what would have been refused.
    pub(super) fn would_refuse(&self, refusal: &Refusal, reason: Option<&str>) {
        self.site.cells.excused(refusal.reason());
        if let Some(trace) = &self.worker.trace {
            let words = refusal.words().to_owned();
            trace.tell(|story| story.excused.push((refusal.reason(), words)));
        }
        let store = &self.worker.shared.store;
        let until = match refusal {
            Refusal::Locked { until, .. } => super::report::time_of_day(store, *until),
            Refusal::Busy | Refusal::ByHand(_) | Refusal::NoStore | Refusal::TooManyGuesses => None,
        };
        let reason = reason.unwrap_or_else(|| refusal.words());
        let details =
            Details { until: until.as_deref(), reason: Some(reason), ..Details::default() };
        events::report(Name::WouldRefuse, self.about(), details);
    }
}

impl Refusal {
    /// Why, in words.
    const fn words(&self) -> &'static str {
        match self {
            Self::Busy => "too many attempts at once",
            Self::ByHand(_) => "locked by hand",
            Self::Locked { .. } => "locked out",
            Self::NoStore => "the shared counters are out of reach",
            Self::TooManyGuesses => "more guesses than are left",
        }
    }

    /// Why, in a word.
    const fn reason(&self) -> Reason {
        match self {
            Self::Busy => Reason::Busy,
            Self::ByHand(_) => Reason::ByHand,
            Self::Locked { .. } => Reason::Locked,
            Self::NoStore => Reason::NoStore,
            Self::TooManyGuesses => Reason::Overfull,
        }
    }
}

fn refused(refusal: Refusal) -> Rejection {
    match refusal {
        Refusal::Busy => Rejection::Busy,
        Refusal::ByHand(HandLock { until, reason, .. }) => {
            Rejection::Locked(Lockout { until, keys: Vec::new(), reason })
        }
        Refusal::Locked { until, keys } => Rejection::Locked(Lockout::by_counters(until, keys)),
        Refusal::NoStore => Rejection::NoStore,
        Refusal::TooManyGuesses => Rejection::Overfull("more guesses than are left"),
    }
}
