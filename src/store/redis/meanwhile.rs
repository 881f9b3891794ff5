//! What operators meant while the server was away: it is told as soon as it is back, with the time.
//! Resets are told again to a server that may know less than the one before: guards that were not
//! told of them may offer what they took away.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::background::By;
use super::hands::Stands;
use super::outage::Outage;
use super::reset::Meant;
use super::shared::Shared;
use crate::clock::Moment;
use crate::store::Store;
use crate::store::hand::HandLock;
use crate::store::memory::lock;
use crate::store::operate::Reset;
use crate::store::select::Selector;
use crate::store::slot::Slot;

/// So many counters and locks are remembered; beyond that, operators have to say it again.
const MOST: usize = 262_144;
/// Resets of so many counters are told again.
const MOST_AGAIN: usize = 65_536;
/// For so long a reset is told again: nobody remembers for longer what it took away.
const AGAIN: Duration = Duration::from_hours(30 * 24);

/// What an operator meant.
#[derive(Clone, Debug)]
pub enum Order {
    /// This is locked.
    Lock(Selector, HandLock),
    /// These counters are reset, as of then.
    Reset(Vec<Arc<Slot>>, Reset, Moment),
    /// These are locked no more.
    Unlock(Vec<Selector>),
}

/// What operators meant, in that order.
#[derive(Debug, Default)]
pub struct Meanwhile {
    /// While the server was away.
    untold: Mutex<Vec<Order>>,
    /// Resets that it knows of.
    told: Mutex<VecDeque<Order>>,
}

impl Order {
    fn is_older(&self, now: Moment, age: Duration) -> bool {
        matches!(self, Self::Reset(_, _, at) if now.since(*at) > age)
    }

    const fn weight(&self) -> usize {
        match self {
            Self::Lock(..) => 1,
            Self::Reset(slots, ..) => slots.len(),
            Self::Unlock(selectors) => selectors.len(),
        }
    }
}

impl Meanwhile {
    /// Somebody means this.
    pub fn add(&self, order: Order) {
        let mut orders = lock(&self.untold);
        let weight: usize = orders.iter().map(Order::weight).sum();
        if order.weight() > 0 && weight + order.weight() <= MOST {
            orders.push(order);
        }
    }

    /// All of it; nothing is left.
    #[must_use]
    pub fn take(&self) -> Vec<Order> {
        std::mem::take(&mut *lock(&self.untold))
    }

    /// This could not be told, before whatever has come since.
    pub fn put_back(&self, mut orders: Vec<Order>) {
        let mut since = lock(&self.untold);
        orders.append(&mut since);
        *since = orders;
    }

    /// The server was told of a reset.
    pub fn keep(&self, slots: &[Arc<Slot>], what: Reset, at: Moment) {
        if slots.is_empty() || slots.len() > MOST_AGAIN {
            return;
        }
        let mut told = lock(&self.told);
        told.push_back(Order::Reset(slots.to_vec(), what, at));
        let mut weight: usize = told.iter().map(Order::weight).sum();
        while weight > MOST_AGAIN || told.front().is_some_and(|first| first.is_older(at, AGAIN)) {
            weight -= told.pop_front().map_or(weight, |first| first.weight());
        }
    }

    /// The resets that servers before this one were told of.
    #[must_use]
    pub fn kept(&self) -> Vec<Order> {
        lock(&self.told).iter().cloned().collect()
    }
}

impl Store {
    /// Tells the server what operators meant while it was away.
    ///
    /// # Errors
    ///
    /// When it cannot be told; nothing is lost then.
    pub async fn tell_orders(&self, shared: &Shared, by: By) -> Result<(), Outage> {
        let mut orders = shared.meanwhile.take().into_iter();
        while let Some(order) = orders.next() {
            if let Err(outage) = self.tell_order((shared, by), &order).await {
                shared.meanwhile.put_back(std::iter::once(order).chain(orders).collect());
                return Err(outage);
            }
            if let Order::Reset(slots, what, at) = &order {
                shared.meanwhile.keep(slots, *what, *at);
            }
        }
        Ok(())
    }

    /// Tells a server that may know less than the one before what operators meant before.
    ///
    /// # Errors
    ///
    /// When it cannot be told.
    pub async fn tell_kept(&self, shared: &Shared) -> Result<(), Outage> {
        for order in shared.meanwhile.kept() {
            self.tell_order((shared, By::Recovery), &order).await?;
        }
        Ok(())
    }

    async fn tell_order(&self, to: (&Shared, By), order: &Order) -> Result<(), Outage> {
        let now = self.clock.now();
        match order {
            Order::Lock(selector, hand) if now < hand.until => {
                // there is nobody to tell that there are too many
                self.lock_shared(to, selector, hand, Stands::Always).await.map(drop)
            }
            Order::Lock(..) => Ok(()),
            Order::Reset(slots, what, at) => {
                let meant = Meant { what: *what, ago: now.since(*at) };
                self.reset_shared(to, slots, meant).await.map(drop)
            }
            Order::Unlock(selectors) => self.unlock_shared(to, selectors).await.map(drop),
        }
    }
}
