//! The counters at rest: who makes room for whom when there is no more.
//!
//! Counters that failed once are apart from those that failed more often, so that one-off keys
//! evict one-off keys; lockouts in force are apart from both and have a budget of their own.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::clock::Moment;
use crate::policy::key::{Key, LimitId, Subject};
use crate::policy::lockout::{History, Limit, Standing};
use crate::store::memory::{BuildHashedAlready, Slot, Table};

/// What is remembered of one combination of values under one limit of one site.
#[derive(Clone, Debug)]
pub struct Counter {
    /// The limit it belongs to.
    pub limit: LimitId,
    /// Whose failures they are.
    pub subject: Arc<Subject>,
    /// Which of the subject's usernames it is about.
    pub candidate: Option<u8>,
    /// The failures.
    pub history: History,
}

/// Where a counter rests.
#[derive(Clone, Debug)]
pub enum Home {
    /// Among the lockouts in force.
    Locked,
    /// Nowhere: it is new.
    Nowhere,
    /// Among those that failed once.
    Once(Arc<Slot>),
    /// Among those that failed more often, or that one more failure would lock.
    More(Arc<Slot>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    More,
    Once,
}

impl Home {
    const fn slot_in(&self, tier: Tier) -> Option<&Arc<Slot>> {
        match (self, tier) {
            (Self::Once(slot), Tier::Once) | (Self::More(slot), Tier::More) => Some(slot),
            _ => None,
        }
    }
}

/// Something that still counted and had to make room.
#[derive(Clone, Debug)]
pub struct Evicted {
    /// What named it.
    pub key: Key,
    /// What was remembered.
    pub counter: Counter,
}

/// All counters that nobody holds a place in.
#[derive(Debug)]
pub struct Counters {
    once: Table,
    more: Table,
    locked: HashMap<Key, Counter, BuildHashedAlready>,
    by_end: BTreeSet<(Moment, Key)>,
    max_locked: usize,
    evicted: Vec<Evicted>,
}

impl Counters {
    /// Room for `max_counters` counters and, besides, for `max_lockouts` lockouts.
    #[must_use]
    pub fn new(max_counters: u64, max_lockouts: u64) -> Self {
        let more = max_counters.div_ceil(2);
        Self {
            once: Table::new(max_counters.saturating_sub(more).max(1)),
            more: Table::new(more.max(1)),
            locked: HashMap::default(),
            by_end: BTreeSet::new(),
            max_locked: usize::try_from(max_lockouts).unwrap_or(usize::MAX).max(1),
            evicted: Vec::new(),
        }
    }

    /// The counter of `key` and where it rests.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<(Counter, Home)> {
        if let Some(counter) = self.locked.get(&key) {
            return Some((counter.clone(), Home::Locked));
        }
        if let Some(slot) = self.more.get(key) {
            return Some((slot.read(), Home::More(slot)));
        }
        self.once.get(key).map(|slot| (slot.read(), Home::Once(slot)))
    }

    /// Lays `counter`, which came from `home`, where it belongs. `counter` is
    /// [aged](History::aged) to `now` under `limit`.
    pub fn lay(&mut self, key: Key, counter: Counter, home: &Home, limit: &Limit) {
        let history = counter.history;
        if let Standing::Locked(until) = history.standing() {
            self.take_from(key, home);
            self.lay_locked(key, counter, until);
        } else if history.is_blank() {
            self.take_from(key, home);
        } else {
            let tier = if is_one_off(&history, limit) { Tier::Once } else { Tier::More };
            if let Some(slot) = home.slot_in(tier).filter(|slot| slot.is_resident()) {
                slot.write(counter);
                return;
            }
            self.take_from(key, home);
            match tier {
                Tier::Once => self.once.insert(key, Slot::new(counter)),
                Tier::More => self.more.insert(key, Slot::new(counter)),
            }
        }
    }

    /// A counter leaves its rest. In the tables its slot stays and is written to when it comes
    /// back; a lockout is taken out, since its end must not pass unseen meanwhile.
    pub fn rouse(&mut self, key: Key, home: Home) -> Home {
        match home {
            Home::Locked => {
                self.take_from(key, &home);
                Home::Nowhere
            }
            Home::Nowhere | Home::Once(_) | Home::More(_) => home,
        }
    }

    /// Takes a counter out for good.
    pub fn take_from(&mut self, key: Key, home: &Home) {
        match home {
            Home::Locked => {
                if let Some(counter) = self.locked.remove(&key)
                    && let Standing::Locked(until) = counter.history.standing()
                {
                    self.by_end.remove(&(until, key));
                }
            }
            Home::Nowhere => {}
            Home::Once(_) => self.once.remove(key),
            Home::More(_) => self.more.remove(key),
        }
    }

    fn lay_locked(&mut self, key: Key, counter: Counter, until: Moment) {
        self.by_end.insert((until, key));
        self.locked.insert(key, counter);
        if self.locked.len() > self.max_locked
            && let Some((_, first)) = self.by_end.pop_first()
            && let Some(yielding) = self.locked.remove(&first)
        {
            self.evicted.push(Evicted { key: first, counter: yielding });
        }
    }

    /// Lockouts that are over by `now` become ordinary counters; `limit` knows their limits.
    pub fn release_ended<'a>(&mut self, now: Moment, limit: impl Fn(LimitId) -> Option<&'a Limit>) {
        while let Some((until, key)) = self.by_end.first().copied()
            && until <= now
        {
            self.by_end.remove(&(until, key));
            let Some(mut counter) = self.locked.remove(&key) else { continue };
            if let Some(limit) = limit(counter.limit) {
                counter.history = counter.history.aged(limit, now);
                self.lay(key, counter, &Home::Nowhere, limit);
            }
        }
    }

    /// What had to make room since this was last asked, whether it still counted or not.
    #[must_use]
    pub fn take_evicted(&mut self) -> Vec<Evicted> {
        let mut evicted = std::mem::take(&mut self.evicted);
        let counters = self.once.take_evicted().into_iter().chain(self.more.take_evicted());
        evicted.extend(counters.map(|(key, counter)| Evicted { key, counter }));
        evicted
    }

    /// Every counter, in no order, and where it rests.
    #[must_use]
    pub fn all(&self) -> Vec<(Key, Counter, Home)> {
        let locked = self.locked.iter().map(|(key, c)| (*key, c.clone(), Home::Locked));
        let more = self.more.iter().map(|(key, slot)| (key, slot.read(), Home::More(slot)));
        let once = self.once.iter().map(|(key, slot)| (key, slot.read(), Home::Once(slot)));
        locked.chain(more).chain(once).collect()
    }

    /// How many lockouts are in force and how many other counters there are, about.
    #[must_use]
    pub fn sizes(&self) -> (usize, u64) {
        (self.locked.len(), self.once.count() + self.more.count())
    }

    /// Does now what the tables would do by and by; for tests and shutdown.
    pub fn settle_down(&self) {
        self.once.settle_down();
        self.more.settle_down();
    }
}

/// One more failure of the same kind would not lock it, and there was only one.
const fn is_one_off(history: &History, limit: &Limit) -> bool {
    history.failures() <= 1 && limit.failures.get() > 2 && !history.has_tally()
}
