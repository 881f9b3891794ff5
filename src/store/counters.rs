//! The counters at rest: who makes room for whom when there is no more.
//!
//! Counters of a single attempt are apart from those that failed again, so that one-off keys evict
//! one-off keys; of them, those that one more failure would lock are by themselves, so that other
//! one-off keys do not evict them. Lockouts in force have a budget of their own.

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
    /// In one of the tables.
    Table(Tier, Arc<Slot>),
}

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// A single attempt, and one more failure would lock.
    Last,
    /// Several attempts.
    More,
    /// A single attempt.
    Once,
}

impl Tier {
    const ALL: [Self; 3] = [Self::More, Self::Once, Self::Last];

    /// Where a counter belongs that is not locked.
    const fn of(history: &History, limit: &Limit) -> Self {
        if !history.is_one_off() {
            Self::More
        } else if history.failures() + 1 < limit.failures.get() {
            Self::Once
        } else {
            Self::Last
        }
    }
}

impl Home {
    fn slot_in(&self, tier: Tier) -> Option<&Arc<Slot>> {
        match self {
            Self::Table(own, slot) if *own == tier => Some(slot),
            Self::Locked | Self::Nowhere | Self::Table(..) => None,
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
    last: Table,
    more: Table,
    once: Table,
    locked: HashMap<Key, Counter, BuildHashedAlready>,
    by_end: BTreeSet<(Moment, Key)>,
    max_locked: usize,
    evicted: Vec<Evicted>,
}

impl Counters {
    /// Room for `max_counters` counters and, besides, for `max_lockouts` lockouts.
    #[must_use]
    pub fn new(max_counters: u64, max_lockouts: u64) -> Self {
        let (more, last) = (max_counters.div_ceil(2), max_counters.div_ceil(8));
        Self {
            last: Table::new(last.max(1)),
            more: Table::new(more.max(1)),
            once: Table::new(max_counters.saturating_sub(more).saturating_sub(last).max(1)),
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
        let found = |tier| self.table(tier).get(key).map(|slot| (tier, slot));
        let (tier, slot) = Tier::ALL.into_iter().find_map(found)?;
        Some((slot.read(), Home::Table(tier, slot)))
    }

    const fn table(&self, tier: Tier) -> &Table {
        match tier {
            Tier::Last => &self.last,
            Tier::More => &self.more,
            Tier::Once => &self.once,
        }
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
            let tier = Tier::of(&history, limit);
            if let Some(slot) = home.slot_in(tier).filter(|slot| slot.is_resident()) {
                slot.write(counter);
                return;
            }
            self.take_from(key, home);
            self.table(tier).insert(key, Slot::new(counter));
        }
    }

    /// A counter leaves its rest. In the tables its slot stays and is written to when it comes
    /// back; a lockout is taken out, since its end must not pass unseen meanwhile.
    pub fn rouse(&mut self, key: Key, home: Home) -> Home {
        match &home {
            Home::Locked => {
                self.take_from(key, &home);
                Home::Nowhere
            }
            Home::Table(_, slot) => {
                slot.vacate();
                home
            }
            Home::Nowhere => home,
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
            Home::Table(tier, _) => self.table(*tier).remove(key),
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
        let counters = Tier::ALL.into_iter().flat_map(|tier| self.table(tier).take_evicted());
        evicted.extend(counters.map(|(key, counter)| Evicted { key, counter }));
        evicted
    }

    /// Every counter, in no order, and where it rests.
    #[must_use]
    pub fn all(&self) -> Vec<(Key, Counter, Home)> {
        let locked = self.locked.iter().map(|(key, c)| (*key, c.clone(), Home::Locked));
        let tables = Tier::ALL.into_iter().flat_map(|tier| {
            let slots = self.table(tier).iter();
            slots.map(move |(key, slot)| (key, slot.read(), Home::Table(tier, slot)))
        });
        locked.chain(tables).collect()
    }

    /// How many lockouts are in force and how many other counters there are, about.
    #[must_use]
    pub fn sizes(&self) -> (usize, u64) {
        let counters = Tier::ALL.into_iter().map(|tier| self.table(tier).count());
        (self.locked.len(), counters.sum())
    }

    /// Does now what the tables would do by and by; for tests and shutdown.
    pub fn settle_down(&self) {
        Tier::ALL.into_iter().for_each(|tier| self.table(tier).settle_down());
    }
}
