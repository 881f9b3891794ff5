//! All counters: how they are found, and who makes room for whom when there is no more.
//!
//! Counters of a single attempt are apart from those that failed again, so that one-off keys evict
//! one-off keys; of them, those that one more failure would lock are by themselves, so that other
//! one-off keys do not evict them. Lockouts in force have a budget of their own. Where somebody
//! holds a place or waits, nothing is evicted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::policy::key::{Charge, Key, LimitId, Subject};
use crate::policy::lockout::{History, Limit};
use crate::store::gather::{Change, Gather};
use crate::store::index::{Index, Name};
use crate::store::order::{Order, Place};
use crate::store::slot::{Rest, Slot, Tier};

/// A counter in constant use tells its table so often, and not with every attempt.
const TOUCH_EVERY: Duration = Duration::from_secs(5);

/// Something that still counted and had to make room.
#[derive(Clone, Debug)]
pub struct Evicted {
    /// The counter.
    pub slot: Arc<Slot>,
    /// What it remembered.
    pub history: History,
}

/// All counters.
#[derive(Debug)]
pub struct Counters {
    /// Finds what the tables keep with one look; the tables decide who stays.
    index: Index,
    last: Order,
    more: Order,
    once: Order,
    by_end: BTreeSet<(Moment, Key)>,
    max_locked: usize,
    evicted: Vec<Evicted>,
    /// What has changed, where somebody keeps it.
    pub(super) gather: Option<Gather>,
}

impl Counters {
    /// Room for `max_counters` counters and, besides, for `max_lockouts` lockouts.
    #[must_use]
    pub fn new(max_counters: u64, max_lockouts: u64) -> Self {
        let (more, last) = (max_counters.div_ceil(2), max_counters.div_ceil(8));
        Self {
            index: Index::default(),
            last: Order::new(last),
            more: Order::new(more),
            once: Order::new(max_counters.saturating_sub(more).saturating_sub(last)),
            by_end: BTreeSet::new(),
            max_locked: usize::try_from(max_lockouts).unwrap_or(usize::MAX).max(1),
            evicted: Vec::new(),
            gather: None,
        }
    }

    /// The counter of `key`.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<&Arc<Slot>> {
        self.index.get(key)
    }

    /// A new counter for `charge`. It stays as long as somebody holds a place in it or waits; lay
    /// it to rest then.
    pub fn begin(&mut self, charge: &Charge, subject: &Arc<Subject>) -> Arc<Slot> {
        let slot = Slot::new(charge, subject);
        self.index.insert(Arc::clone(&slot));
        slot
    }

    /// Lays an idle counter, whose history is [aged](History::aged) under `limit`, where it
    /// belongs.
    pub fn lay(&mut self, slot: &Arc<Slot>, limit: &Limit, now: Moment) {
        let mut state = slot.state();
        let (before, place) = (state.rest(), state.place());
        let after = Rest::of(&state.history(), limit);
        if before == after && after != Rest::Nowhere && now.since(state.touched) < TOUCH_EVERY {
            return;
        }
        state.touched = now;
        match (before, after) {
            // used again, so that others make room before it does
            (Rest::Table(tier), same) if before == same => self.table(tier).touch(place),
            (Rest::Locked(_), same) if before == same => {}
            (before, after) => {
                // nowhere until whatever has to make room has made it: their places are the same
                state.lie(Rest::Nowhere, Place::default());
                drop(state);
                self.leave(before, slot.key, place);
                self.enter(after, slot);
            }
        }
    }

    fn leave(&mut self, rest: Rest, key: Key, place: Place) {
        match rest {
            Rest::Locked(until) => _ = self.by_end.remove(&(until, key)),
            Rest::Nowhere => {}
            Rest::Table(tier) => _ = self.table(tier).remove(place),
        }
    }

    fn enter(&mut self, rest: Rest, slot: &Slot) {
        match rest {
            Rest::Locked(until) => {
                slot.state().lie(rest, Place::default());
                self.by_end.insert((until, slot.key));
                if self.by_end.len() > self.max_locked
                    && let Some((_, first)) = self.by_end.pop_first()
                {
                    self.evict(self.index.get(first).map(Arc::clone));
                }
            }
            Rest::Nowhere => self.index.remove(slot.key),
            Rest::Table(tier) => {
                let (place, evicted) = self.table(tier).insert(Name::of(slot.key));
                if let Some((name, place)) = evicted {
                    let is_it = |slot: &Slot| slot.state().lies_at(tier, place);
                    self.evict(self.index.named(name, is_it).map(Arc::clone));
                }
                slot.state().lie(rest, place);
            }
        }
    }

    fn evict(&mut self, slot: Option<Arc<Slot>>) {
        let Some(slot) = slot else { return };
        let mut state = slot.state();
        state.lie(Rest::Nowhere, Place::default());
        let (history, is_idle) = (state.history(), state.is_idle());
        if is_idle {
            self.note(&slot, &mut state, Change::Places);
        }
        drop(state);
        if is_idle {
            self.index.remove(slot.key);
            self.evicted.push(Evicted { slot, history });
        }
    }

    /// Lockouts that are over by `now` leave room for others; `limit` knows their limits.
    pub fn release_ended<'a>(&mut self, now: Moment, limit: impl Fn(LimitId) -> Option<&'a Limit>) {
        while let Some((until, key)) = self.by_end.first().copied()
            && until <= now
        {
            self.by_end.remove(&(until, key));
            let Some(slot) = self.index.get(key).map(Arc::clone) else { continue };
            let Some(limit) = limit(slot.limit) else { continue };
            let mut state = slot.state();
            state.lie(Rest::Nowhere, Place::default());
            let history = state.history().aged(limit, now);
            state.remember(history);
            let is_idle = state.is_idle();
            drop(state);
            if is_idle {
                self.lay(&slot, limit, now);
            }
        }
    }

    /// What had to make room since this was last asked, whether it still counted or not.
    #[must_use]
    pub fn take_evicted(&mut self) -> Vec<Evicted> {
        std::mem::take(&mut self.evicted)
    }

    /// Every counter, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.index.all()
    }

    /// Every counter of one [part](crate::store::index::PARTS), in no order.
    pub fn part(&self, at: usize) -> impl Iterator<Item = &Arc<Slot>> {
        self.index.part(at)
    }

    /// How many lockouts are in force and at rest, and how many counters there are besides.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.by_end.len(), self.index.len().saturating_sub(self.by_end.len()))
    }

    const fn table(&mut self, tier: Tier) -> &mut Order {
        match tier {
            Tier::Last => &mut self.last,
            Tier::More => &mut self.more,
            Tier::Once => &mut self.once,
        }
    }
}
