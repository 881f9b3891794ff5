//! What the server could not be told at once: it is told as soon as it can be.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::lease::Lease;
use super::request::Owed;
use crate::clock::Moment;
use crate::store::ledger::Settlement;
use crate::store::memory::lock;

/// So much is remembered; beyond that, leases run out and are failures.
const MOST: usize = 65_536;

/// How an attempt ended of which the server may not know.
#[derive(Clone, Debug)]
pub struct Unsettled {
    /// Its places.
    pub lease: Arc<Lease>,
    /// What it came to.
    pub what: Settlement,
    /// What is owed to counters that do not know the lease.
    pub owed: Owed,
    /// When it ended.
    pub ended: Moment,
}

/// How attempts ended of which the server may not know, in the order in which they did.
#[derive(Debug, Default)]
pub struct Later {
    unsettled: Mutex<VecDeque<Unsettled>>,
    come: Notify,
}

impl Later {
    /// One more; whether there is room for it.
    pub fn add(&self, unsettled: Unsettled) -> bool {
        let mut queue = lock(&self.unsettled);
        let has_room = queue.len() < MOST;
        if has_room {
            queue.push_back(unsettled);
        }
        drop(queue);
        self.come.notify_one();
        has_room
    }

    /// Whatever server may have heard of them is gone: another one is there.
    pub fn begin_anew(&self) {
        for one in lock(&self.unsettled).iter_mut().filter(|one| one.owed == Owed::IfKnown) {
            one.owed = Owed::IfUnseen;
        }
    }

    /// The first `most` of them, to be told; whoever cannot puts them [back](Self::put_back).
    #[must_use]
    pub fn take(&self, most: usize) -> Vec<Unsettled> {
        let mut queue = lock(&self.unsettled);
        let count = queue.len().min(most);
        queue.drain(..count).collect()
    }

    /// These could not be told either.
    pub fn put_back(&self, unsettled: Vec<Unsettled>) {
        let mut queue = lock(&self.unsettled);
        for one in unsettled.into_iter().rev() {
            queue.push_front(one);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.unsettled).len()
    }

    /// Waits until there may be one. Nothing is lost by dropping this.
    pub async fn come(&self) {
        if self.count() == 0 {
            self.come.notified().await;
        }
    }
}
