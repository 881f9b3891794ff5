//! What this guard counted alone while the server was away, to be added to what others counted.

use std::collections::HashMap;
use std::sync::Arc;

use super::counter::Action;
use super::shared::random;
use crate::clock::Moment;
use crate::policy::key::Key;
use crate::policy::lockout::{Failure, History, Limit, Proof, Spelling};
use crate::store::memory::BuildHashedAlready;
use crate::store::slot::Slot;

/// So many counters are told apart; what is counted on others stays here alone.
const MOST: usize = 262_144;

/// Failures that nobody but one guard knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alone {
    /// How many.
    pub failures: u32,
    /// Of them, those without a verdict.
    pub without_verdict: u32,
    /// When the latest was.
    pub latest: Moment,
    /// How the username was spelled in them.
    pub spelling: Spelling,
}

/// What failures are offered under: a server that took them once does not take them again.
pub type OfferId = u128;

/// A counter on which something was counted here alone.
#[derive(Clone, Debug)]
pub struct Local {
    /// The counter.
    pub slot: Arc<Slot>,
    /// What the server last told of it.
    pub seen: History,
    /// How many failures a server that is gone knew of, as far as this guard was told, and those that
    /// it may have heard of from this guard and that count again.
    before: Option<u32>,
    /// Counted since then, and not offered yet.
    fresh: Alone,
    /// Offered, to a server that may have taken it or not.
    offered: Vec<(OfferId, Alone)>,
    /// What the server will be told of by a lease.
    owed: Alone,
}

/// What is offered of one counter.
#[derive(Clone, Debug)]
pub struct Offered {
    /// The counter.
    pub slot: Arc<Slot>,
    /// Failures that only this guard knows of; nothing where it only asks how the counter stands.
    pub alone: Option<(OfferId, Alone)>,
}

/// Counters on which something was counted here alone.
#[derive(Debug, Default)]
pub struct Locals {
    of: HashMap<Key, Local, BuildHashedAlready>,
    /// What the next offer is made under; random at first.
    next: OfferId,
}

impl Locals {
    /// Something is about to happen to a counter of which the server is not told, or not yet;
    /// `seen` is what it remembers until then.
    pub fn see(&mut self, slot: &Arc<Slot>, seen: History) -> Option<&mut Local> {
        if self.of.len() >= MOST && !self.of.contains_key(&slot.key) {
            return None;
        }
        Some(self.of.entry(slot.key).or_insert_with(|| Local {
            slot: Arc::clone(slot),
            seen,
            before: None,
            fresh: Alone::NONE,
            offered: Vec::new(),
            owed: Alone::NONE,
        }))
    }

    /// Everything that the server is to be offered. It stays here until it is [done](Self::done),
    /// and is offered again under the same number until then.
    pub fn offer(&mut self) -> Vec<Offered> {
        if self.next == 0 {
            self.next = random();
        }
        let mut offers = Vec::new();
        for local in self.of.values_mut() {
            if local.fresh.failures > 0 {
                self.next = self.next.wrapping_add(1);
                local.offered.push((self.next, std::mem::replace(&mut local.fresh, Alone::NONE)));
            }
            let offer = |alone| Offered { slot: Arc::clone(&local.slot), alone };
            if local.offered.is_empty() && local.owed.failures == 0 {
                offers.push(offer(None));
            }
            offers.extend(local.offered.iter().map(|offered| offer(Some(*offered))));
        }
        offers
    }

    /// The server has taken an offer.
    pub fn done(&mut self, key: Key, taken: Option<OfferId>) {
        if let Some(local) = self.of.get_mut(&key) {
            local.offered.retain(|(id, _)| Some(*id) != taken);
        }
    }

    /// Another server is there.
    pub fn begin_anew(&mut self) {
        for local in self.of.values_mut() {
            local.before = Some(local.seen.failures());
        }
    }

    /// A counter that has no more failures than these does not know of an attempt that only the
    /// server before may have heard of.
    #[must_use]
    pub fn before(&self, key: Key) -> Option<u32> {
        self.of.get(&key)?.before
    }

    /// The server was told of such an attempt, and has so many failures `now`. Where it knows of more
    /// than can be accounted for, any other one may be among them.
    pub fn told_unseen(&mut self, key: Key, action: Action, now: u32) {
        if let Some(local) = self.of.get_mut(&key) {
            let guesses = if let Action::Fail(guesses, _) = action { guesses } else { 0 };
            let with_it = local.before.map(|before| before.saturating_add(guesses));
            local.before = with_it.filter(|with_it| *with_it == now);
        }
    }

    /// The server was told of an attempt by its lease.
    pub fn told(&mut self, key: Key, action: Action) {
        if let Some(local) = self.of.get_mut(&key) {
            local.owed.take(action);
        }
    }

    /// How the counter stands was told, and is in force here: where nothing else is to be told of
    /// it, it is as any other.
    pub fn settle(&mut self, key: Key) {
        if self.of.get(&key).is_some_and(Local::is_told) {
            self.of.remove(&key);
        }
    }

    /// A success cleared what was counted here.
    pub fn clear(&mut self, key: Key) {
        if let Some(local) = self.of.get_mut(&key) {
            local.fresh = Alone::NONE;
        }
    }

    /// A counter was reset here, and so will be what the server knows of it.
    pub fn reset(&mut self, key: Key) {
        if let Some(local) = self.of.get_mut(&key) {
            (local.seen, local.fresh) = (History::default(), Alone::NONE);
        }
    }

    /// A counter as it stands here when the server tells that it is so: what the server does not
    /// know yet comes on top.
    pub fn on_top(&mut self, key: Key, told: History, limit: &Limit, now: Moment) -> History {
        let Some(local) = self.of.get_mut(&key) else { return told };
        local.seen = told;
        let offered = local.offered.iter().map(|(_, alone)| alone);
        let mut history = told.aged(limit, now);
        for alone in offered.chain([&local.fresh, &local.owed]) {
            for failure in alone.failed().into_iter().filter(|failure| failure.guesses > 0) {
                history.fail(limit, failure, alone.latest.max(history.latest()));
            }
        }
        history
    }

    /// What the server last told of a counter, where something was counted here besides.
    #[must_use]
    pub fn seen(&self, key: Key) -> Option<History> {
        self.of.get(&key).map(|local| local.seen)
    }

    /// The same of all of them.
    pub fn all_seen(&self) -> impl Iterator<Item = (Arc<Slot>, History)> {
        self.of.values().map(|local| (Arc::clone(&local.slot), local.seen))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.of.len()
    }

    /// Whether there is something that the server can be told now.
    #[must_use]
    pub fn is_any_untold(&self) -> bool {
        self.of.values().any(|local| local.fresh.failures > 0 || !local.offered.is_empty())
    }
}

impl Local {
    const fn is_told(&self) -> bool {
        self.offered.is_empty() && self.fresh.failures == 0 && self.owed.failures == 0
    }

    /// A settlement of which the server will not be told otherwise.
    pub fn note(&mut self, action: Action, spelling: Spelling, now: Moment) {
        self.fresh.add(action, spelling, now);
    }

    /// One of which it will be told by a lease.
    pub fn note_owed(&mut self, action: Action, spelling: Spelling, now: Moment) {
        self.owed.add(action, spelling, now);
    }
}

impl Alone {
    /// None.
    pub const NONE: Self =
        Self { failures: 0, without_verdict: 0, latest: Moment(0), spelling: Spelling::Unknown };

    fn add(&mut self, action: Action, spelling: Spelling, now: Moment) {
        if let Action::Fail(guesses, proof) = action {
            self.failures = self.failures.saturating_add(guesses);
            if proof == Proof::NoVerdict {
                self.without_verdict = self.without_verdict.saturating_add(guesses);
            }
            self.spelling = self.spelling.and(spelling);
            self.latest = now;
        }
    }

    fn take(&mut self, action: Action) {
        if let Action::Fail(guesses, proof) = action {
            self.failures = self.failures.saturating_sub(guesses);
            if proof == Proof::NoVerdict {
                self.without_verdict = self.without_verdict.saturating_sub(guesses);
            }
        }
    }

    /// These as two attempts: those that the upstream gave a verdict on, and the others.
    #[must_use]
    pub fn failed(&self) -> [Failure; 2] {
        let with = self.failures.saturating_sub(self.without_verdict);
        [(with, Proof::Verdict), (self.without_verdict, Proof::NoVerdict)]
            .map(|(guesses, proof)| Failure { guesses, proof, spelling: self.spelling })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::client::{ClientAddr, ClientRules, Prefixes, TrustedProxies};
    use crate::policy::key::{Charge, LimitId, subject};

    /// One counter, of which three failures had been told when another server came.
    fn anew() -> (Locals, Key) {
        let rules = ClientRules {
            trusted: TrustedProxies::default(),
            header: http::HeaderName::from_static("x-forwarded-for"),
            address: Prefixes { v4: 32, v6: 64 },
            network: Prefixes { v4: 24, v6: 48 },
        };
        let client = ClientAddr::new([192, 0, 2, 1].into());
        let charge = Charge { key: Key(1), limit: LimitId(0), candidate: None };
        let slot =
            Arc::new(Slot::new(&charge, &subject(&"s".into(), client, &rules), &mut Vec::new()));
        let (mut seen, mut locals) = (History::default(), Locals::default());
        let failure = Failure { guesses: 3, proof: Proof::Verdict, spelling: Spelling::Unknown };
        seen.fail(&Limit::usual(), failure, Moment(1000));
        locals.see(&slot, seen);
        assert_eq!(locals.before(slot.key), None);
        locals.begin_anew();
        (locals, slot.key)
    }

    #[test]
    fn of_attempts_that_others_may_have_seen_too_none_counts_twice() {
        let failure = Action::Fail(1, Proof::Verdict);
        let (mut locals, key) = anew();
        assert_eq!(locals.before(key), Some(3));
        locals.told_unseen(key, failure, 4);
        assert_eq!(locals.before(key), Some(4), "the first counts, or was the one that others saw");
        locals.told_unseen(key, failure, 6);
        assert_eq!(locals.before(key), None, "whatever comes next may be among them");
        let (mut locals, key) = anew();
        locals.told_unseen(key, failure, 5);
        assert_eq!(locals.before(key), None, "others have seen both");
    }
}
