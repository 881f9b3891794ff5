//! What operators do to the counters, whether these are this process's own or shared by several
//! guards; while the shared ones are out of reach it is done here, and told when they are back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::client::ClientRules;
use crate::policy::key::{Claim, Key};
use crate::store::Store;
use crate::store::hand::{HandLock, TooMany};
use crate::store::memory::lock;
use crate::store::moved::{Incoming, Taken};
use crate::store::operate::Reset;
use crate::store::redis::background::By;
use crate::store::redis::hands::Stands;
use crate::store::redis::meanwhile::Order;
use crate::store::redis::merge::Offer;
use crate::store::redis::reset::Meant;
use crate::store::register::Registered;
use crate::store::select::Selector;
use crate::store::slot::Slot;

/// How far something reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// This guard alone, since the shared counters are out of reach.
    Alone,
    /// All guards that share the counters.
    Everywhere,
    /// This guard, whose counters are its own.
    #[default]
    Here,
}

impl Reach {
    /// How far two things reached together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Alone, _) | (_, Self::Alone) => Self::Alone,
            (Self::Everywhere, _) | (_, Self::Everywhere) => Self::Everywhere,
            (Self::Here, Self::Here) => Self::Here,
        }
    }

    /// Whether all guards know of it; `None` where there are no others.
    #[must_use]
    pub const fn is_shared(self) -> Option<bool> {
        match self {
            Self::Alone => Some(false),
            Self::Everywhere => Some(true),
            Self::Here => None,
        }
    }
}

impl Store {
    /// How far what is done now reaches, as far as it is known.
    #[must_use]
    pub fn reach(&self) -> Reach {
        match self.shared() {
            None => Reach::Here,
            Some(shared) if shared.is_away() => Reach::Alone,
            Some(_) => Reach::Everywhere,
        }
    }

    /// Takes away what a reset takes of the counters of one part about which `is_meant`; how many
    /// held any, and how far it reached. Of shared counters those are meant that are known here:
    /// [refresh](Self::refresh) before.
    pub async fn reset_part_everywhere(
        &self,
        part: usize,
        is_meant: impl Fn(&Slot, &Registered) -> bool,
        what: Reset,
    ) -> (usize, Reach) {
        let Some(shared) = self.shared() else {
            return (self.reset_part(part, is_meant, what), Reach::Here);
        };
        let mut slots: Vec<Arc<Slot>> = Vec::new();
        self.scan(part, |found| {
            if is_meant(found.slot, found.registered) {
                slots.push(Arc::clone(found.slot));
            }
        });
        if slots.is_empty() {
            return (0, self.reach());
        }
        let meant = Meant { what, ago: Duration::ZERO };
        if !shared.is_away()
            && let Ok(removed) =
                Box::pin(self.reset_shared((shared, By::Attempt), &slots, meant)).await
        {
            shared.meanwhile.keep(&slots, what, self.clock.now());
            return (removed, Reach::Everywhere);
        }
        let keys: HashSet<Key> = slots.iter().map(|slot| slot.key).collect();
        let is_one = |slot: &Slot, _: &Registered| keys.contains(&slot.key);
        let removed = self.reset_part(part, is_one, what);
        if what == Reset::Everything {
            let mut locals = lock(&shared.locals);
            slots.iter().for_each(|slot| locals.reset(slot.key));
        }
        shared.meanwhile.add(Order::Reset(slots, what, self.clock.now()));
        (removed, Reach::Alone)
    }

    /// Refuses what `selector` means from the next admission on, until then; how far that reached.
    /// Clients whose addresses are counted together are locked together.
    ///
    /// # Errors
    ///
    /// When there are too many locks by hand already.
    pub async fn lock_everywhere(
        &self,
        mut selector: Selector,
        hand: HandLock,
        (rules, stands): (&ClientRules, Stands),
    ) -> Result<(Taken, Reach), TooMany> {
        selector.widen(rules);
        let here = |store: &Self, selector: Selector, hand: HandLock| match stands {
            Stands::Always => {
                store.lock_by_hand(selector, hand, rules)?;
                Ok(Taken::New(crate::store::moved::Locks::Yes))
            }
            Stands::IfLonger => store.lock_longer(selector, hand, rules),
        };
        let Some(shared) = self.shared() else {
            return Ok((here(self, selector, hand)?, Reach::Here));
        };
        if hand.until <= self.clock.now() {
            return Ok((Taken::Expired, self.reach()));
        }
        let to = (shared, By::Attempt);
        if !shared.is_away()
            && let Ok(taken) = Box::pin(self.lock_shared(to, &selector, &hand, stands)).await
        {
            let taken = taken?;
            // in force here at once, whatever the next admission reads
            _ = here(self, selector, hand);
            return Ok((taken, Reach::Everywhere));
        }
        let taken = here(self, selector.clone(), hand.clone())?;
        shared.meanwhile.add(Order::Lock(selector, hand));
        Ok((taken, Reach::Alone))
    }

    /// Takes these locks by hand away; how far that reached.
    pub async fn unlock_everywhere(&self, locks: &[Selector]) -> Reach {
        if locks.is_empty() {
            return self.reach();
        }
        let told = match self.shared() {
            Some(shared) if !shared.is_away() => {
                Box::pin(self.unlock_shared((shared, By::Attempt), locks)).await.is_ok()
            }
            Some(_) | None => false,
        };
        for lock in locks {
            self.remove_hand_locks(lock);
        }
        match self.shared() {
            None => Reach::Here,
            Some(_) if told => Reach::Everywhere,
            Some(shared) => {
                shared.meanwhile.add(Order::Unlock(locks.to_vec()));
                Reach::Alone
            }
        }
    }

    /// A lock by hand that is known here, if it is still in force: another guard may have lifted it.
    pub async fn if_in_force(&self, hand: HandLock, claim: &Claim) -> Option<HandLock> {
        match self.shared() {
            None => Some(hand),
            Some(shared) => Box::pin(self.shared_hand_lock(shared, claim)).await,
        }
    }

    /// Takes counters in; what became of each, and how far it reached.
    pub async fn take_in_everywhere(&self, incoming: &[Incoming]) -> (Vec<Taken>, Reach) {
        let Some(shared) = self.shared() else { return (self.take_in(incoming), Reach::Here) };
        let offers: Vec<Offer> = incoming.iter().map(Offer::from).collect();
        if !shared.is_away()
            && let Ok(taken) = Box::pin(self.merge_shared((shared, By::Attempt), &offers)).await
        {
            return (taken, Reach::Everywhere);
        }
        // what is here is offered to the server when it is back
        (self.take_in(incoming), Reach::Alone)
    }
}
