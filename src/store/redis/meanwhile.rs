//! What operators meant while the server was away: it is told as soon as it is back, with the time.

use std::sync::{Arc, Mutex};

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
pub struct Meanwhile(Mutex<Vec<Order>>);

impl Order {
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
        let mut orders = lock(&self.0);
        let weight: usize = orders.iter().map(Order::weight).sum();
        if order.weight() > 0 && weight + order.weight() <= MOST {
            orders.push(order);
        }
    }

    /// All of it; nothing is left.
    #[must_use]
    pub fn take(&self) -> Vec<Order> {
        std::mem::take(&mut *lock(&self.0))
    }

    /// This could not be told, before whatever has come since.
    pub fn put_back(&self, mut orders: Vec<Order>) {
        let mut since = lock(&self.0);
        orders.append(&mut since);
        *since = orders;
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
