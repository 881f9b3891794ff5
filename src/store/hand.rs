//! Locks by hand: what an operator refuses until further notice.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use crate::clock::Moment;
use crate::policy::key::{Key, Subject};
use crate::policy::lockout::Parameter;
use crate::store::select::Selector;
use crate::store::slot::Slot;
use crate::store::whose::Whose;

/// How many there may be.
pub const MOST: usize = 10_000;

/// A lock by hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HandLock {
    /// When it ends; [`Moment::NEVER`]: when somebody takes it away.
    pub until: Moment,
    /// Why, in the operator's words.
    pub reason: Option<Arc<str>>,
    /// The username that it is about, as the operator wrote it.
    pub username: Option<Arc<str>>,
}

impl HandLock {
    /// A lock until then that says no more.
    #[must_use]
    pub const fn until(until: Moment) -> Self {
        Self { until, reason: None, username: None }
    }
}

/// All locks by hand, found by the attempt they refuse without going through all of them: a lock
/// is looked up once for each *shape* (which fields, how long a prefix) that any lock has.
#[derive(Debug, Default)]
pub struct HandLocks {
    locks: HashMap<Selector, HandLock>,
    shapes: Vec<Shape>,
    /// What has changed since somebody asked, where somebody keeps them.
    pub(super) changed: Option<Vec<Selector>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    site: Presence,
    account: Presence,
    counter: Presence,
    network: Option<(Family, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Given,
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// There are [`MOST`] locks by hand in force already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl HandLocks {
    /// Refuses what `selector` means from `now` on.
    ///
    /// # Errors
    ///
    /// When there are [`MOST`] in force already.
    pub fn lock(
        &mut self,
        mut selector: Selector,
        lock: HandLock,
        now: Moment,
    ) -> Result<(), TooMany> {
        selector.network = selector.network.map(|network| network.trunc());
        if self.locks.len() >= MOST {
            self.locks.retain(|_, lock| now < lock.until);
        }
        if self.locks.len() >= MOST && !self.locks.contains_key(&selector) {
            return Err(TooMany);
        }
        let shape = Shape::of(&selector);
        if !self.shapes.contains(&shape) {
            self.shapes.push(shape);
        }
        if let Some(changed) = &mut self.changed {
            changed.push(selector.clone());
        }
        self.locks.insert(selector, lock);
        Ok(())
    }

    /// The lock in force at `now` that refuses an attempt of `subject` on the counters `keys`,
    /// the one that lasts longest.
    #[must_use]
    pub fn find(&self, subject: &Subject, keys: &[Key], now: Moment) -> Option<&HandLock> {
        let shapes = self.shapes.iter();
        let selectors = shapes.flat_map(|shape| shape.selectors(subject, keys));
        let locks = selectors.filter_map(|selector| self.locks.get(&selector));
        locks.filter(|lock| now < lock.until).max_by_key(|lock| lock.until)
    }

    /// The lock in force at `now` that refuses whatever this counter counts, by nothing but what
    /// the counter is about; the one that lasts longest.
    #[must_use]
    pub fn over(&self, slot: &Slot, by: &[Parameter], now: Moment) -> Option<&HandLock> {
        let whose = slot.whose();
        let address = by.contains(&Parameter::IpAddress).then_some(whose.address);
        let coarser = by.contains(&Parameter::IpNetwork).then_some(whose.network);
        let network = address.or(coarser);
        let near = network.unwrap_or(whose.address);
        let about = Whose { address: near, ..whose }.subject(&slot.site);
        let shapes = self.shapes.iter().filter(|shape| match shape.network {
            None => true,
            Some((_, length)) => network.is_some_and(|network| network.prefix_len() >= length),
        });
        let selectors = shapes.flat_map(|shape| shape.selectors(&about, &[slot.key]));
        let locks = selectors.filter_map(|selector| self.locks.get(&selector));
        locks.filter(|lock| now < lock.until).max_by_key(|lock| lock.until)
    }

    /// Takes away what `selector` means; returns how many were in force at `now`.
    pub fn remove(&mut self, selector: &Selector, now: Moment) -> usize {
        let mut removed = 0;
        self.locks.retain(|locked, lock| {
            let in_force = now < lock.until;
            let goes = !in_force || locked.is_within(selector);
            removed += usize::from(goes && in_force);
            if let Some(changed) = self.changed.as_mut().filter(|_| goes) {
                changed.push(locked.clone());
            }
            !goes
        });
        let shapes: Vec<Shape> = self.locks.keys().map(Shape::of).collect();
        self.shapes.retain(|shape| shapes.contains(shape));
        removed
    }

    /// The lock on just what `selector` says.
    #[must_use]
    pub fn get(&self, selector: &Selector) -> Option<&HandLock> {
        self.locks.get(selector)
    }

    /// The locks in force at `now`.
    pub fn iter(&self, now: Moment) -> impl Iterator<Item = (&Selector, &HandLock)> {
        self.locks.iter().filter(move |(_, lock)| now < lock.until)
    }

    /// How many there are, in force or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.locks.len()
    }
}

impl Shape {
    fn of(selector: &Selector) -> Self {
        let given = |is_given| if is_given { Presence::Given } else { Presence::Left };
        let prefix = |network: IpNet| match network {
            IpNet::V4(v4) => (Family::V4, v4.prefix_len()),
            IpNet::V6(v6) => (Family::V6, v6.prefix_len()),
        };
        Self {
            site: given(selector.site.is_some()),
            account: given(selector.account.is_some()),
            counter: given(selector.counter.is_some()),
            network: selector.network.map(prefix),
        }
    }

    /// Every selector of this shape that could mean an attempt of `subject` on `keys`.
    fn selectors(self, subject: &Subject, keys: &[Key]) -> Vec<Selector> {
        let network = match (self.network, subject.address()) {
            (None, _) => None,
            (Some((Family::V4, length)), IpNet::V4(v4)) => prefix(IpNet::V4(v4), length),
            (Some((Family::V6, length)), IpNet::V6(v6)) => prefix(IpNet::V6(v6), length),
            (Some(_), _) => return Vec::new(),
        };
        if self.network.is_some() && network.is_none() {
            return Vec::new();
        }
        let site = (self.site == Presence::Given).then(|| Arc::clone(&subject.site));
        let bare = Selector { site, network, account: None, counter: None };
        let with_account: Vec<Selector> = match self.account {
            Presence::Left => vec![bare],
            Presence::Given => {
                let accounts = subject.candidates.iter().map(|candidate| candidate.account);
                accounts.map(|a| Selector { account: Some(a), ..bare.clone() }).collect()
            }
        };
        if self.counter == Presence::Left {
            return with_account;
        }
        let with_counter =
            |key| with_account.iter().map(move |s| Selector { counter: Some(key), ..s.clone() });
        keys.iter().copied().flat_map(with_counter).collect()
    }
}

fn prefix(network: IpNet, length: u8) -> Option<IpNet> {
    // a lock on single addresses of a network that is counted as one means the whole of it
    IpNet::new(network.addr(), length.min(network.prefix_len())).ok().map(|net| net.trunc())
}
