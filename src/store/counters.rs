//! All counters: how they are found, and who makes room for whom when there is no more.
//!
//! Counters of a single attempt are apart from those that failed again, so that one-off keys evict
//! one-off keys; of them, those that one more failure would lock are by themselves, so that other
//! one-off keys do not evict them. Lockouts in force have a budget of their own. Where somebody
//! holds a place or waits, nothing is evicted.
//!
//! A counter that nobody has used for a while is [packed](crate::store::packed). There is never
//! more than one of a key: whoever is to use it unpacks it, and whoever only looks unpacks a copy.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::policy::key::{Charge, Key, LimitId, Subject};
use crate::policy::lockout::{History, Limit};
use crate::store::gather::{Change, Gather};
use crate::store::index::{Entry, Index, Name, PARTS};
use crate::store::order::{Order, Place};
use crate::store::packed::Sites;
use crate::store::slot::{Rest, Slot, Tier};

/// So many counters are at hand; beyond that, whoever is unused for longest is packed. Most sites
/// never have more, so that no attempt of theirs packs or unpacks any; where there are a million, so
/// many cost 6 bytes more for each.
pub const AT_HAND: usize = 32_768;
/// So many are looked at for each that comes to hand: of those in use there may be more.
const LOOKED_AT: usize = 2;

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
    /// Those at hand, each once and with its turn, and some that have made room since; the next to
    /// be packed first.
    at_hand: VecDeque<(Key, u64)>,
    /// How many ever came to hand.
    turns: u64,
    /// There are more at hand than so many only where these are in use.
    pub(super) most_at_hand: usize,
    sites: Sites,
    /// Room to pack in.
    work: Vec<u8>,
    /// What has changed, where somebody keeps it.
    pub(super) gather: Option<Gather>,
}

impl Counters {
    /// Room for `max_counters` counters and, besides, for `max_lockouts` lockouts; so many of them
    /// are at hand, see [`AT_HAND`].
    #[must_use]
    pub fn new(max_counters: u64, max_lockouts: u64, most_at_hand: usize) -> Self {
        let (more, last) = (max_counters.div_ceil(2), max_counters.div_ceil(8));
        Self {
            index: Index::default(),
            last: Order::new(last),
            more: Order::new(more),
            once: Order::new(max_counters.saturating_sub(more).saturating_sub(last)),
            by_end: BTreeSet::new(),
            max_locked: usize::try_from(max_lockouts).unwrap_or(usize::MAX).max(1),
            evicted: Vec::new(),
            at_hand: VecDeque::new(),
            turns: 0,
            most_at_hand,
            sites: Sites::default(),
            work: Vec::new(),
            gather: None,
        }
    }

    /// The counter of `key`, to be used.
    pub fn find(&mut self, key: Key) -> Option<Arc<Slot>> {
        let entry = self.index.get_mut(key)?;
        let slot = match entry {
            Entry::AtHand(slot) => {
                slot.seek();
                return Some(Arc::clone(slot));
            }
            Entry::Packed(packed) => Arc::new(packed.unpack(&self.sites)?.at(self.turns + 1)),
        };
        *entry = Entry::AtHand(Arc::clone(&slot));
        self.comes_to_hand(key);
        Some(slot)
    }

    /// The counter of `key`, to be looked at: nothing that is done to it need have any effect.
    #[must_use]
    pub fn look(&self, key: Key) -> Option<Arc<Slot>> {
        self.shown(self.index.get(key)?)
    }

    /// Whether there is a counter of `key`.
    #[must_use]
    pub fn has(&self, key: Key) -> bool {
        self.index.get(key).is_some()
    }

    fn shown(&self, entry: &Entry) -> Option<Arc<Slot>> {
        match entry {
            Entry::AtHand(slot) => Some(Arc::clone(slot)),
            Entry::Packed(packed) => packed.clone().unpack(&self.sites).map(Arc::new),
        }
    }

    /// A new counter for `charge`. It stays as long as somebody holds a place in it or waits; lay
    /// it to rest then.
    pub fn begin(&mut self, charge: &Charge, subject: &Subject) -> Arc<Slot> {
        let slot = Arc::new(Slot::new(charge, subject, &mut self.work).at(self.turns + 1));
        self.index.insert(Arc::clone(&slot));
        self.comes_to_hand(charge.key);
        slot
    }

    /// How many are queued to be packed.
    #[cfg(test)]
    pub(super) fn queued_to_be_packed(&self) -> usize {
        self.at_hand.len()
    }

    /// Packs others in the stead of the counter that has just come to hand.
    fn comes_to_hand(&mut self, key: Key) {
        for _ in 0..LOOKED_AT {
            if self.at_hand.len() < self.most_at_hand {
                break;
            }
            let Some((next, turn)) = self.at_hand.pop_front() else { break };
            // one that has made room is none of them, whatever has its key by now
            let entry = self.index.get_mut(next).filter(|entry| entry.is_of(turn));
            if entry.is_some_and(|entry| !entry.pack(&mut self.sites, &mut self.work)) {
                self.at_hand.push_back((next, turn));
            }
        }
        self.turns += 1;
        self.at_hand.push_back((key, self.turns)); // after that: it hardly ever needs twice the room
    }

    /// Lays an idle counter, whose history is [aged](History::aged) under `limit`, where it
    /// belongs.
    pub fn lay(&mut self, slot: &Arc<Slot>, limit: &Limit, now: Moment) {
        let mut state = slot.state();
        if state.is_gone {
            return; // it has made room, just now, and there may be another of its key
        }
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
                    self.evict(first);
                }
            }
            Rest::Nowhere => {
                slot.state().is_gone = true;
                drop(self.index.remove(slot.key));
            }
            Rest::Table(tier) => {
                let (place, evicted) = self.table(tier).insert(Name::of(slot.key));
                let evicted = evicted.and_then(|(name, at)| self.index.at(name, (tier, at)));
                if let Some(key) = evicted {
                    self.evict(key);
                }
                slot.state().lie(rest, place);
            }
        }
    }

    fn evict(&mut self, key: Key) {
        if let Some(Entry::AtHand(slot)) = self.index.get(key) {
            let mut state = slot.state();
            state.lie(Rest::Nowhere, Place::default());
            if !state.is_idle() {
                return;
            }
        }
        let gone = self.index.remove(key).and_then(|entry| self.shown(&entry));
        let Some(slot) = gone else { return };
        let mut state = slot.state();
        state.is_gone = true;
        self.note(&slot, &mut state, Change::Places);
        let history = state.history();
        drop(state);
        self.evicted.push(Evicted { slot, history });
    }

    /// Lockouts that are over by `now` leave room for others; `limit` knows their limits.
    pub fn release_ended<'a>(&mut self, now: Moment, limit: impl Fn(LimitId) -> Option<&'a Limit>) {
        while let Some((until, key)) = self.by_end.first().copied()
            && until <= now
        {
            self.by_end.remove(&(until, key));
            let Some(slot) = self.find(key) else { continue };
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

    /// Every counter of one [part](PARTS), in no order, to be [looked at](Self::look).
    pub fn part(&self, at: usize) -> impl Iterator<Item = Arc<Slot>> {
        self.index.part(at).filter_map(|entry| self.shown(entry))
    }

    /// Every counter, in no order, to be [looked at](Self::look).
    pub fn all(&self) -> impl Iterator<Item = Arc<Slot>> {
        (0..PARTS).flat_map(|part| self.part(part))
    }

    /// The counters of one part as they are kept.
    pub fn kept(&self, at: usize) -> impl Iterator<Item = &Entry> {
        self.index.part(at)
    }

    /// A counter as it was kept, to be looked at.
    #[must_use]
    pub fn unpacked(&self, kept: &Entry) -> Option<Arc<Slot>> {
        self.shown(kept)
    }

    /// The counter of `key`, to be told to whoever keeps it.
    pub fn tell(&mut self, key: Key) -> Option<Arc<Slot>> {
        self.index.get_mut(key)?.is_told();
        self.look(key)
    }

    /// The counters of one part, to be told to whoever keeps them.
    pub fn tell_part(&mut self, at: usize) -> impl Iterator<Item = Arc<Slot>> {
        self.index.part_mut(at).for_each(Entry::is_told);
        self.part(at)
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
