//! Waiting: in order of arrival, on one full counter at a time, and never without a cause.

use std::sync::Arc;

use super::{Admission, Judged, Ledger, Refusal, Settled, Settlement, Terms};
use crate::clock::Moment;
use crate::policy::key::{Claim, Key};
use crate::store::queue::{Answer, Hopeless, Waiter, Waiting};
use crate::store::slot::Slot;

impl Ledger {
    /// Lets `claim` wait on the counter of `key`, unless too many do.
    pub(super) fn enqueue(&mut self, claim: &Arc<Claim>, terms: Terms, key: Key) -> Admission {
        let Some(slot) = self.counters.find(key) else { return Admission::Refused(Refusal::Busy) };
        let mut state = slot.state();
        if !self.waiting.has_room(state.queued(), terms.bytes) {
            return Admission::Refused(Refusal::Busy);
        }
        let arrival = self.waiting.add(Waiter::new(Arc::clone(claim), terms, key));
        state.enqueue(arrival);
        Admission::Waits(arrival)
    }

    /// Lets those who wait on a counter go on, as far as they fit, in order of arrival; lays it to
    /// rest where nobody is left.
    pub(in crate::store) fn serve(&mut self, slot: &Arc<Slot>, now: Moment) {
        loop {
            let first = slot.state().first();
            let Some(first) = first else { break };
            let Some((claim, terms)) = self.waiting.claim(first) else {
                slot.state().dequeue(first);
                continue;
            };
            let answer = match self.judge(&claim, first, now) {
                Judged::Full(other) if other == slot.key => return,
                Judged::Full(other) => self.move_on(first, other),
                Judged::Room(found) => Some(Answer::Granted(self.take(&claim, found))),
                Judged::Refused(refusal) => {
                    let refusal = self.refuse(&claim, terms.while_locked, refusal, now);
                    Some(Answer::Refused(refusal))
                }
            };
            slot.state().dequeue(first);
            if let Some(answer) = answer {
                self.waiting.answer(first, answer);
            }
        }
        self.rest(slot, now);
    }

    /// Sends a waiter on to the queue of `other`, in its order of arrival.
    fn move_on(&mut self, arrival: u64, other: Key) -> Option<Answer> {
        let slot = self.counters.find(other)?;
        let mut state = slot.state();
        if self.waiting.is_long(state.queued()) {
            return Some(Answer::Refused(Refusal::Busy));
        }
        state.enqueue(arrival);
        self.waiting.moved(arrival, other);
        None
    }

    /// A counter has locked, or has less room than before: whoever needs it and can get no place
    /// any more is answered at once, whichever queue it stands in.
    pub(super) fn refuse_waiters(&mut self, fuller: &Settled, now: Moment) {
        let is_locked = fuller.locked_until.is_some();
        let hopeless = if is_locked { Hopeless::All } else { Hopeless::SeveralGuesses };
        self.refuse_hopeless(&self.waiting.needing(fuller.key, hopeless), now);
    }

    /// A counter may have locked, or have less room than before, for another reason than that an
    /// attempt failed.
    pub(in crate::store) fn fuller(&mut self, slot: &Arc<Slot>, now: Moment) {
        self.refuse_hopeless(&self.waiting.needing(slot.key, Hopeless::All), now);
        self.serve(slot, now);
    }

    /// Answers those of `arrivals` who can get no place whatever comes free.
    pub(in crate::store) fn refuse_hopeless(&mut self, arrivals: &[u64], now: Moment) {
        for arrival in arrivals.iter().copied() {
            let Some((claim, terms)) = self.waiting.claim(arrival) else { continue };
            let Judged::Refused(refusal) = self.judge(&claim, arrival, now) else { continue };
            let refusal = self.refuse(&claim, terms.while_locked, refusal, now);
            let on = self.waiting.on(arrival);
            self.waiting.answer(arrival, Answer::Refused(refusal));
            self.serve_key(on, now);
        }
    }

    /// Whoever waits is told to come again.
    pub(in crate::store) fn turn_away(&mut self, now: Moment) {
        let arrivals = self.waiting.all();
        let on: Vec<_> = arrivals.iter().map(|arrival| self.waiting.on(*arrival)).collect();
        // first all of them, so that none goes on in another's stead
        for arrival in arrivals {
            self.waiting.answer(arrival, Answer::Refused(Refusal::Busy));
        }
        for key in on {
            self.serve_key(key, now);
        }
    }

    /// The waiter goes away: it leaves its queue, or gives back what it was granted unseen.
    pub fn leave(&mut self, arrival: u64, now: Moment) {
        let Some(waiter) = self.waiting.remove(arrival) else { return };
        match waiter.answer {
            Some(Answer::Granted(held)) => {
                self.settle(&held, Settlement::GivenBack, now);
            }
            Some(Answer::Refused(_)) => {}
            None => {
                if let Some(slot) = self.counters.find(waiter.on) {
                    slot.state().dequeue(arrival);
                }
                self.serve_key(Some(waiter.on), now);
            }
        }
    }

    /// When time alone may next let the waiter go on.
    #[must_use]
    pub fn next_chance(&self, arrival: u64, now: Moment) -> Moment {
        let chance = || {
            let slot = self.counters.look(self.waiting.on(arrival)?)?;
            let entry = self.register.get(slot.limit)?;
            Some(slot.state().history().aged(&entry.limit, now).next_change())
        };
        chance().unwrap_or(Moment::NEVER)
    }

    /// Looks after the waiter's queue, since time has passed.
    pub fn look_after(&mut self, arrival: u64, now: Moment) {
        self.serve_key(self.waiting.on(arrival), now);
    }

    fn serve_key(&mut self, key: Option<Key>, now: Moment) {
        if let Some(slot) = key.and_then(|key| self.counters.find(key)) {
            self.serve(&slot, now);
        }
    }

    /// Everybody who waits, and their answers.
    pub const fn waiting(&mut self) -> &mut Waiting {
        &mut self.waiting
    }
}
