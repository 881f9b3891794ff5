//! Those of this guard who wait for a place in a shared counter: a line for each counter that is
//! full, in order of arrival. The first of a line asks the server; nobody else does.
//!
//! Whoever waits holds nothing. Other guards have lines of their own.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::policy::key::{Claim, Key};
use crate::policy::route::WhileLocked;
use crate::store::ledger::{Refusal, Terms};
use crate::store::queue::{MOST, MOST_BYTES, MOST_ON_ONE};

/// Everybody who waits.
#[derive(Debug, Default)]
pub struct Lines {
    waiters: HashMap<u64, Waiter>,
    lines: HashMap<Key, BTreeSet<u64>>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiter {
    claim: Arc<Claim>,
    terms: Terms,
    on: Key,
    called: Call,
    waker: Option<Waker>,
}

/// What a waiter is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// To ask, since there may be a place, or since its refusal has to count.
    Ask,
    /// To look at the time and at the store anew.
    Look,
    /// Nothing yet.
    Nothing,
    /// That it does not go on.
    Refused(Refusal),
}

/// There is no room to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl Lines {
    /// One waits on `on`, in its order of arrival.
    ///
    /// # Errors
    ///
    /// When too many do.
    pub fn join(
        &mut self,
        arrival: u64,
        (claim, terms): (&Arc<Claim>, Terms),
        on: Key,
    ) -> Result<(), NoRoom> {
        let bytes = self.bytes.saturating_add(terms.bytes);
        if self.is_long(on) || self.waiters.len() >= MOST || bytes > MOST_BYTES {
            return Err(NoRoom);
        }
        self.bytes = bytes;
        let claim = Arc::clone(claim);
        let waiter = Waiter { claim, terms, on, called: Call::Nothing, waker: None };
        self.waiters.insert(arrival, waiter);
        self.lines.entry(on).or_default().insert(arrival);
        Ok(())
    }

    /// A waiter goes over to the line of `on`, in its order of arrival.
    ///
    /// # Errors
    ///
    /// When too many wait there; then it waits where it was.
    pub fn go_over(&mut self, arrival: u64, on: Key) -> Result<(), NoRoom> {
        if self.is_long(on) {
            return Err(NoRoom);
        }
        let Some(waiter) = self.waiters.get_mut(&arrival) else { return Err(NoRoom) };
        let before = std::mem::replace(&mut waiter.on, on);
        self.lines.entry(on).or_default().insert(arrival);
        self.step_out(arrival, before);
        Ok(())
    }

    /// A waiter is gone.
    pub fn leave(&mut self, arrival: u64) {
        let Some(waiter) = self.waiters.remove(&arrival) else { return };
        self.bytes = self.bytes.saturating_sub(waiter.terms.bytes);
        self.step_out(arrival, waiter.on);
    }

    fn step_out(&mut self, arrival: u64, on: Key) {
        let Some(line) = self.lines.get_mut(&on) else { return };
        let was_first = line.first() == Some(&arrival);
        line.remove(&arrival);
        if line.is_empty() {
            self.lines.remove(&on);
        } else if was_first {
            self.call_first(on);
        }
    }

    /// Whoever is first in the line of `key` asks.
    pub fn call_first(&mut self, key: Key) {
        let first = self.lines.get(&key).and_then(BTreeSet::first).copied();
        if let Some(first) = first.and_then(|first| self.waiters.get_mut(&first)) {
            first.call(Call::Ask);
        }
    }

    /// A counter has locked, or has less room than before: of those who need it, `refusal` says who
    /// has no hope any more. Where their refusal counts they ask, so that it does.
    pub fn call_hopeless(&mut self, key: Key, refusal: impl Fn(&Claim) -> Option<Refusal>) {
        let needs = |waiter: &Waiter| waiter.claim.charges.iter().any(|charge| charge.key == key);
        for waiter in self.waiters.values_mut().filter(|waiter| needs(waiter)) {
            match refusal(&waiter.claim) {
                Some(Refusal::Locked { .. }) if waiter.terms.while_locked == WhileLocked::Count => {
                    waiter.call(Call::Ask);
                }
                Some(refusal) => waiter.call(Call::Refused(refusal)),
                None => {}
            }
        }
    }

    /// Everybody looks at the time and at the store anew.
    pub fn call_all(&mut self) {
        self.waiters.values_mut().for_each(|waiter| waiter.call(Call::Look));
    }

    /// Whether a waiter is first in its line, and which that is.
    #[must_use]
    pub fn stand(&self, arrival: u64) -> Option<(Key, Stand)> {
        let on = self.waiters.get(&arrival)?.on;
        let is_first = self.lines.get(&on)?.first() == Some(&arrival);
        Some((on, if is_first { Stand::First } else { Stand::Behind }))
    }

    /// The first of the counters of `claim` for which somebody waits who came before `arrival`.
    #[must_use]
    pub fn any_before(&self, claim: &Claim, arrival: u64) -> Option<Key> {
        let mut keys = claim.charges.iter().map(|charge| charge.key);
        keys.find(|key| self.is_before(*key, arrival))
    }

    /// The same, for one that waits on `on`: where others come first there too, that counts most.
    #[must_use]
    pub fn before(&self, claim: &Claim, arrival: u64, on: Key) -> Option<Key> {
        if self.is_before(on, arrival) { Some(on) } else { self.any_before(claim, arrival) }
    }

    fn is_before(&self, key: Key, arrival: u64) -> bool {
        self.lines.get(&key).and_then(BTreeSet::first).is_some_and(|first| *first < arrival)
    }

    /// What a waiter is told, once it is told anything.
    pub fn poll(&mut self, arrival: u64, waker: &Waker) -> Poll<Call> {
        let Some(waiter) = self.waiters.get_mut(&arrival) else {
            return Poll::Ready(Call::Refused(Refusal::Busy));
        };
        match std::mem::replace(&mut waiter.called, Call::Nothing) {
            Call::Nothing => {
                waiter.waker = Some(waker.clone());
                Poll::Pending
            }
            called @ (Call::Ask | Call::Look | Call::Refused(_)) => Poll::Ready(called),
        }
    }

    /// How many wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.waiters.len()
    }

    /// How many wait on `key`.
    #[must_use]
    pub fn on(&self, key: Key) -> usize {
        self.lines.get(&key).map_or(0, BTreeSet::len)
    }

    fn is_long(&self, on: Key) -> bool {
        self.on(on) >= MOST_ON_ONE
    }
}

/// Where a waiter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Others came before it.
    Behind,
    /// It is its turn.
    First,
}

impl Waiter {
    /// What is final stays, and asking is more than looking.
    fn call(&mut self, call: Call) {
        let stays = match (&self.called, &call) {
            (Call::Refused(_), _) => true,
            (Call::Ask, Call::Look | Call::Nothing) => true,
            (Call::Ask | Call::Look | Call::Nothing, _) => false,
        };
        if !stays {
            self.called = call;
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
