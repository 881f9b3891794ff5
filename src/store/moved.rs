//! Counters that are told to another guard by hand, and those that come from one.
//!
//! They come under keys that are made here, from what can be read of them. What both guards know is
//! joined as after an outage: see [`History::merged`].

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::policy::client::ClientRules;
use crate::policy::key::{Charge, Key, Subject};
use crate::policy::lockout::History;
use crate::store::Store;
use crate::store::gather::Change;
use crate::store::hand::{HandLock, TooMany};
use crate::store::ledger::Ledger;
use crate::store::memory::lock;
use crate::store::register::Registered;
use crate::store::select::Selector;
use crate::store::slot::Slot;

/// Ends that are nearer to each other are the same one.
const A_MOMENT: Duration = Duration::from_secs(1);

/// A counter as it is told.
#[derive(Clone, Debug)]
pub struct Moving {
    /// The counter.
    pub slot: Arc<Slot>,
    /// What it remembers, [aged](History::aged).
    pub history: History,
    /// Its limit.
    pub registered: Registered,
}

/// A counter that comes.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The counter, by its key here.
    pub charge: Charge,
    /// Whose failures they are.
    pub subject: Arc<Subject>,
    /// What the other guard remembers of it.
    pub history: History,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Nothing of it counts any more.
    Expired,
    /// It was not here.
    New(Locks),
    /// It was here, and counts more now.
    Joined(Locks),
    /// All of that was known.
    Known,
}

/// Whether it is locked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locks {
    /// It counts.
    No,
    /// It refuses.
    Yes,
}

impl Taken {
    /// What became of several that belong together: that of the first, unless it was known.
    #[must_use]
    pub const fn or(self, next: Self) -> Self {
        match self {
            Self::Known => next,
            Self::Expired | Self::Joined(_) | Self::New(_) => self,
        }
    }
}

impl Ledger {
    fn take_in(&mut self, incoming: &Incoming, now: Moment) -> Taken {
        let Some(limit) = self.limit(incoming.charge.limit) else { return Taken::Expired };
        let told = incoming.history.aged(&limit, now);
        if told.is_blank() {
            return Taken::Expired;
        }
        let found = self.counters.find(incoming.charge.key);
        let is_new = found.is_none();
        let slot =
            found.unwrap_or_else(|| self.counters.begin(&incoming.charge, &incoming.subject));
        let mut state = slot.state();
        let before = state.history().aged(&limit, now);
        let after = before.merged(told, &limit, now);
        state.remember(after);
        if before != after {
            self.counters.note(&slot, &mut state, Change::History);
        }
        drop(state);
        if before != after {
            self.fuller(&slot, now);
        }
        let locks = if after.is_locked() { Locks::Yes } else { Locks::No };
        match (is_new, after.is_like(&before)) {
            (true, _) => Taken::New(locks),
            (false, true) => Taken::Known,
            (false, false) => Taken::Joined(locks),
        }
    }
}

impl Store {
    /// The counters of one part that hold something.
    #[must_use]
    pub fn moving(&self, part: usize) -> Vec<Moving> {
        let mut moving = Vec::new();
        self.scan(part, |found| {
            let (slot, registered) = (Arc::clone(found.slot), found.registered.clone());
            moving.push(Moving { slot, history: found.history, registered });
        });
        moving
    }

    /// The counter of `key` and its limit, if it is there.
    #[must_use]
    pub fn counter(&self, key: Key) -> Option<(Arc<Slot>, Registered)> {
        let ledger = lock(&self.ledger);
        let slot = ledger.counters.look(key)?;
        let registered = ledger.register.get(slot.limit)?.clone();
        Some((slot, registered))
    }

    /// Takes counters in; what became of each. Attempts wait meanwhile.
    #[must_use]
    pub fn take_in(&self, incoming: &[Incoming]) -> Vec<Taken> {
        let mut ledger = lock(&self.ledger);
        let now = self.clock.now();
        incoming.iter().map(|one| ledger.take_in(one, now)).collect()
    }

    /// Locks by hand until then, unless the same lock lasts longer already; see
    /// [`Self::lock_by_hand`].
    ///
    /// # Errors
    ///
    /// When there are too many locks by hand already.
    pub fn lock_longer(
        &self,
        mut selector: Selector,
        hand: HandLock,
        rules: &ClientRules,
    ) -> Result<Taken, TooMany> {
        let now = self.clock.now();
        if hand.until <= now {
            return Ok(Taken::Expired);
        }
        selector.widen(rules);
        let own = lock(&self.ledger).hand.get(&selector).filter(|own| now < own.until).cloned();
        // the same end, told twice, differs by how long it was on its way
        if own.as_ref().is_some_and(|own| own.until.after(A_MOMENT) >= hand.until) {
            return Ok(Taken::Known);
        }
        self.lock_by_hand(selector, hand, rules)?;
        Ok(if own.is_some() { Taken::Joined(Locks::Yes) } else { Taken::New(Locks::Yes) })
    }
}
