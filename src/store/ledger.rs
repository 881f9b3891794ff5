//! Places: who may go on, who waits, who is refused; one attempt's counters at once or none.
//!
//! Invariants, held by every method:
//! - forwarded failures + places of a counter never exceed its limit, but where a reload lowered it;
//! - a counter is *active* (here, and nowhere else) while somebody holds a place in it or waits;
//! - the first of each queue does not fit on that counter now, so nobody waits without a cause.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::clock::Moment;
use crate::policy::key::{Charge, Claim, Key, LimitId};
use crate::policy::lockout::{Failure, History, Limit, Proof, Room, Spelling};
use crate::policy::route::{ResetOnSuccess, WhileLocked};
use crate::store::counters::{Counter, Counters, Evicted, Home};
use crate::store::hand::{HandLock, HandLocks};
use crate::store::memory::BuildHashedAlready;
use crate::store::queue::{Answer, Waiter, Waiting};
use crate::store::register::Register;

/// Every counter and everybody who waits for one.
#[derive(Debug)]
pub struct Ledger {
    /// The limits counters belong to.
    pub register: Register,
    /// Locks by hand.
    pub hand: HandLocks,
    pub(super) counters: Counters,
    pub(super) active: HashMap<Key, Active, BuildHashedAlready>,
    pub(super) waiting: Waiting,
}

/// A counter in which somebody holds a place or waits for one.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) counter: Counter,
    home: Home,
    pub(super) places: u32,
    pub(super) queue: BTreeSet<u64>,
}

/// What an attempt asks besides its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What a refusal does to the counters that are locked.
    pub while_locked: WhileLocked,
    /// How many bytes are kept for it while it waits.
    pub bytes: usize,
}

/// What becomes of an attempt that asks to go on.
#[derive(Clone, Debug)]
#[must_use]
pub enum Admission {
    /// It holds its places.
    Admitted,
    /// It does not go on.
    Refused(Refusal),
    /// It waits, under this number.
    Waits(u64),
}

/// Why an attempt does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many wait already, or it waited too long.
    Busy,
    /// An operator locked it out while it waited.
    ByHand(HandLock),
    /// These counters are locked, the longest until then.
    Locked {
        /// The end of the longest lockout.
        until: Moment,
        /// The counters that are locked, the one that lasts longest first.
        keys: Vec<Key>,
    },
    /// It brings more guesses than a counter has left.
    TooManyGuesses,
}

/// What an admitted attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It failed.
    Failure(Proof),
    /// It gives its places back, uncharged.
    GivenBack,
    /// It succeeded; `same_client` says whether that proves who the client is.
    Success {
        /// What is cleared.
        reset: ResetOnSuccess,
    },
}

/// What a settlement did to one counter.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The counter.
    pub key: Key,
    /// Its limit.
    pub limit: Arc<Limit>,
    /// Failures that count now.
    pub failures: u32,
    /// Failures that a success cleared.
    pub cleared: u32,
    /// The end of the lockout that this failure began.
    pub locked_until: Option<Moment>,
}

/// A counter as an attempt finds it.
struct Seen {
    counter: Counter,
    home: Home,
}

enum Judged {
    Full(Key),
    Refused(Refusal),
    Room(Vec<Seen>),
}

impl Ledger {
    /// A ledger over `counters`.
    #[must_use]
    pub fn new(counters: Counters) -> Self {
        Self {
            register: Register::default(),
            hand: HandLocks::default(),
            counters,
            active: HashMap::default(),
            waiting: Waiting::default(),
        }
    }

    /// Takes `claim`'s places, all or none, lets it wait for them, or refuses it.
    pub fn admit(&mut self, claim: &Arc<Claim>, terms: Terms, now: Moment) -> Admission {
        self.release_ended(now);
        match self.judge(claim, u64::MAX, now) {
            Judged::Room(seen) => {
                self.take(claim, seen);
                Admission::Admitted
            }
            Judged::Refused(refusal) => {
                Admission::Refused(self.refuse(claim, terms.while_locked, refusal, now))
            }
            Judged::Full(key) => self.enqueue(claim, terms, key),
        }
    }

    /// Whether `claim` would be refused at `now`; changes nothing.
    #[must_use]
    pub fn would_refuse(&self, claim: &Claim, now: Moment) -> Option<Refusal> {
        match self.judge(claim, u64::MAX, now) {
            Judged::Refused(refusal) => Some(refusal),
            Judged::Full(_) | Judged::Room(_) => None,
        }
    }

    /// Settles an admitted `claim`: its places end, and what it came to is charged or cleared.
    pub fn settle(&mut self, claim: &Claim, what: Settlement, now: Moment) -> Vec<Settled> {
        self.release_ended(now);
        let mut settled = Vec::with_capacity(claim.charges.len());
        for charge in &claim.charges {
            if let Some(active) = self.active.get_mut(&charge.key) {
                active.places = active.places.saturating_sub(claim.guesses);
            }
            if what != Settlement::GivenBack {
                settled.extend(self.change(claim, charge, what, now));
            }
        }
        for charge in &claim.charges {
            self.serve(charge.key, now);
        }
        for locked in settled.iter().filter(|settled| settled.locked_until.is_some()) {
            self.refuse_waiters(locked.key, now);
        }
        settled
    }

    /// Lockouts that are over leave room for others.
    pub(super) fn release_ended(&mut self, now: Moment) {
        let register = &self.register;
        self.counters.release_ended(now, |id| register.get(id).map(|entry| &*entry.limit));
    }

    /// A counter has locked: whoever needs it is answered at once, whichever queue he stands in.
    fn refuse_waiters(&mut self, locked: Key, now: Moment) {
        for arrival in self.waiting.needing(locked) {
            let Some((claim, terms)) = self.waiting.claim(arrival) else { continue };
            let Judged::Refused(refusal) = self.judge(&claim, arrival, now) else { continue };
            let refusal = self.refuse(&claim, terms.while_locked, refusal, now);
            if let Some(on) = self.waiting.on(arrival) {
                self.waiting.answer(arrival, Answer::Refused(refusal));
                self.serve(on, now);
            }
        }
    }

    /// Charges a failure of `claim`, which holds no places, unless one of its counters is locked.
    ///
    /// # Errors
    ///
    /// The refusal that it would have met.
    pub fn charge_unheld(
        &mut self,
        claim: &Claim,
        what: Settlement,
        now: Moment,
    ) -> Result<Vec<Settled>, Refusal> {
        match self.judge(claim, 0, now) {
            Judged::Refused(refusal) if matches!(what, Settlement::Failure(_)) => Err(refusal),
            Judged::Refused(_) => Ok(Vec::new()),
            Judged::Full(_) => {
                // others hold places there: theirs stay, this failure counts besides
                self.release_ended(now);
                Ok(claim.charges.iter().flat_map(|c| self.change(claim, c, what, now)).collect())
            }
            Judged::Room(seen) => {
                self.take(claim, seen);
                Ok(self.settle(claim, what, now))
            }
        }
    }

    /// Holds `claim` against its counters; waiters that came before `arrival` go first.
    fn judge(&self, claim: &Claim, arrival: u64, now: Moment) -> Judged {
        let mut seen = Vec::with_capacity(claim.charges.len());
        let mut locked: Vec<Key> = Vec::new();
        let (mut longest, mut full, mut too_many) = (Moment(0), None, false);
        for charge in &claim.charges {
            let Some(entry) = self.register.get(charge.limit) else { continue };
            let (found, places, first) = self.look(claim, charge, &entry.limit, now);
            match found.counter.history.room(&entry.limit, places, claim.guesses) {
                Room::Locked(until) if until > longest => {
                    longest = until;
                    locked.insert(0, charge.key);
                }
                Room::Locked(_) => locked.push(charge.key),
                Room::TooMany => too_many = true,
                Room::Full => full = full.or(Some(charge.key)),
                Room::Free if first.is_some_and(|first| first < arrival) => {
                    full = full.or(Some(charge.key));
                }
                Room::Free => {}
            }
            seen.push(found);
        }
        if !locked.is_empty() {
            Judged::Refused(Refusal::Locked { until: longest, keys: locked })
        } else if too_many {
            Judged::Refused(Refusal::TooManyGuesses)
        } else {
            full.map_or(Judged::Room(seen), Judged::Full)
        }
    }

    /// The counter of `charge` as it stands at `now`, its places, and who is first in its queue.
    fn look(
        &self,
        claim: &Claim,
        charge: &Charge,
        limit: &Limit,
        now: Moment,
    ) -> (Seen, u32, Option<u64>) {
        if let Some(active) = self.active.get(&charge.key) {
            let mut counter = active.counter.clone();
            counter.history = counter.history.aged(limit, now);
            let seen = Seen { counter, home: Home::Nowhere };
            return (seen, active.places, active.queue.first().copied());
        }
        let (mut counter, home) = self.counters.find(charge.key).unwrap_or_else(|| {
            let new = Counter {
                limit: charge.limit,
                subject: Arc::clone(&claim.subject),
                candidate: charge.candidate,
                history: History::default(),
            };
            (new, Home::Nowhere)
        });
        counter.history = counter.history.aged(limit, now);
        (Seen { counter, home }, 0, None)
    }

    fn take(&mut self, claim: &Claim, seen: Vec<Seen>) {
        for (charge, seen) in claim.charges.iter().zip(seen) {
            let active = self.activate(charge.key, seen);
            active.places = active.places.saturating_add(claim.guesses);
        }
    }

    fn activate(&mut self, key: Key, seen: Seen) -> &mut Active {
        let counters = &mut self.counters;
        self.active.entry(key).or_insert_with(|| Active {
            home: counters.rouse(key, seen.home),
            counter: seen.counter,
            places: 0,
            queue: BTreeSet::new(),
        })
    }

    /// Applies what `claim` came to, to one counter, wherever it is.
    fn change(
        &mut self,
        claim: &Claim,
        charge: &Charge,
        what: Settlement,
        now: Moment,
    ) -> Option<Settled> {
        let limit = Arc::clone(&self.register.get(charge.limit)?.limit);
        let candidate =
            charge.candidate.and_then(|at| claim.subject.candidates.get(usize::from(at)));
        let spelling = candidate.map_or(Spelling::Unknown, |named| Spelling::One(named.spelling));
        let (mut seen, _, _) = self.look(claim, charge, &limit, now);
        let history = &mut seen.counter.history;
        let (mut cleared, mut locked_until) = (0, None);
        match what {
            Settlement::Failure(proof) => {
                let failure = Failure { guesses: claim.guesses, proof, spelling };
                locked_until = history.fail(&limit, failure, now).locked_until;
            }
            Settlement::Success { reset } if clears(reset, &limit, claim, history, spelling) => {
                cleared = history.succeed();
            }
            Settlement::GivenBack | Settlement::Success { .. } => {}
        }
        let failures = history.failures();
        self.put_back(charge.key, seen, &limit);
        Some(Settled { key: charge.key, limit, failures, cleared, locked_until })
    }

    fn put_back(&mut self, key: Key, seen: Seen, limit: &Limit) {
        match self.active.get_mut(&key) {
            Some(active) => active.counter = seen.counter,
            None => self.counters.lay(key, seen.counter, &seen.home, limit),
        }
    }

    /// A refused attempt extends the counters that are locked, if so configured, and no others;
    /// returns the refusal as it is then.
    fn refuse(
        &mut self,
        claim: &Claim,
        rule: WhileLocked,
        refusal: Refusal,
        now: Moment,
    ) -> Refusal {
        let keys = match &refusal {
            Refusal::Locked { keys, .. } if rule == WhileLocked::Count => keys,
            Refusal::Busy
            | Refusal::ByHand(_)
            | Refusal::Locked { .. }
            | Refusal::TooManyGuesses => return refusal,
        };
        for charge in claim.charges.iter().filter(|charge| keys.contains(&charge.key)) {
            let Some(entry) = self.register.get(charge.limit) else { continue };
            let limit = Arc::clone(&entry.limit);
            let (mut seen, _, _) = self.look(claim, charge, &limit, now);
            seen.counter.history.refuse(&limit, claim.guesses, now);
            self.put_back(charge.key, seen, &limit);
        }
        match self.judge(claim, u64::MAX, now) {
            Judged::Refused(extended) => extended,
            Judged::Full(_) | Judged::Room(_) => refusal,
        }
    }

    fn enqueue(&mut self, claim: &Arc<Claim>, terms: Terms, key: Key) -> Admission {
        let queued = self.active.get(&key).map_or(0, |active| active.queue.len());
        if !self.waiting.has_room(queued, terms.bytes) {
            return Admission::Refused(Refusal::Busy);
        }
        let arrival = self.waiting.add(Waiter::new(Arc::clone(claim), terms, key));
        if let Some(active) = self.active.get_mut(&key) {
            active.queue.insert(arrival);
        }
        Admission::Waits(arrival)
    }

    /// Lets those who wait on `key` go on, as far as they fit, in order of arrival; lays the
    /// counter to rest where nobody is left.
    pub(super) fn serve(&mut self, key: Key, now: Moment) {
        while let Some(active) = self.active.get_mut(&key) {
            let Some(first) = active.queue.first().copied() else { break };
            let Some((claim, terms)) = self.waiting.claim(first) else {
                active.queue.remove(&first);
                continue;
            };
            let answer = match self.judge(&claim, first, now) {
                Judged::Full(other) if other == key => return,
                Judged::Full(other) => self.move_on(first, other),
                Judged::Room(seen) => {
                    self.take(&claim, seen);
                    Some(Answer::Granted)
                }
                Judged::Refused(refusal) => {
                    let refusal = self.refuse(&claim, terms.while_locked, refusal, now);
                    Some(Answer::Refused(refusal))
                }
            };
            if let Some(active) = self.active.get_mut(&key) {
                active.queue.remove(&first);
            }
            if let Some(answer) = answer {
                self.waiting.answer(first, answer);
            }
        }
        self.rest(key, now);
    }

    /// Sends a waiter on to the queue of `other`, in its order of arrival.
    fn move_on(&mut self, arrival: u64, other: Key) -> Option<Answer> {
        let active = self.active.get_mut(&other)?;
        if self.waiting.is_long(active.queue.len()) {
            return Some(Answer::Refused(Refusal::Busy));
        }
        active.queue.insert(arrival);
        self.waiting.moved(arrival, other);
        None
    }

    fn rest(&mut self, key: Key, now: Moment) {
        let idle = |active: &Active| active.places == 0 && active.queue.is_empty();
        if !self.active.get(&key).is_some_and(idle) {
            return;
        }
        let Some(Active { mut counter, home, .. }) = self.active.remove(&key) else { return };
        let Some(entry) = self.register.get(counter.limit) else { return };
        counter.history = counter.history.aged(&entry.limit, now);
        self.counters.lay(key, counter, &home, &entry.limit);
    }

    /// The waiter goes away: it leaves its queue, or gives back what it was granted unseen.
    pub fn leave(&mut self, arrival: u64, now: Moment) {
        let Some(waiter) = self.waiting.remove(arrival) else { return };
        match waiter.answer {
            Some(Answer::Granted) => {
                self.settle(&waiter.claim, Settlement::GivenBack, now);
            }
            Some(Answer::Refused(_)) => {}
            None => {
                if let Some(active) = self.active.get_mut(&waiter.on) {
                    active.queue.remove(&arrival);
                }
                self.serve(waiter.on, now);
            }
        }
    }

    /// When time alone may next let the waiter go on.
    #[must_use]
    pub fn next_chance(&self, arrival: u64, now: Moment) -> Moment {
        let chance = || {
            let active = self.active.get(&self.waiting.on(arrival)?)?;
            let entry = self.register.get(active.counter.limit)?;
            Some(active.counter.history.aged(&entry.limit, now).next_change())
        };
        chance().unwrap_or(Moment::NEVER)
    }

    /// Looks after the waiter's queue, since time has passed.
    pub fn look_after(&mut self, arrival: u64, now: Moment) {
        if let Some(key) = self.waiting.on(arrival) {
            self.serve(key, now);
        }
    }

    /// Everybody who waits, and their answers.
    pub const fn waiting(&mut self) -> &mut Waiting {
        &mut self.waiting
    }

    /// Counters that still counted at `now` and had to make room.
    #[must_use]
    pub fn take_evicted(&mut self, now: Moment) -> Vec<Evicted> {
        let mut evicted = self.counters.take_evicted();
        evicted.retain(|Evicted { counter, .. }| {
            let limit = self.register.get(counter.limit);
            limit.is_some_and(|entry| !counter.history.aged(&entry.limit, now).is_blank())
        });
        evicted
    }

    pub(super) fn limit(&self, id: LimitId) -> Option<Arc<Limit>> {
        self.register.get(id).map(|entry| Arc::clone(&entry.limit))
    }
}

/// Whether a success of `claim` forgets the failures of a counter.
fn clears(
    reset: ResetOnSuccess,
    limit: &Limit,
    claim: &Claim,
    history: &History,
    spelling: Spelling,
) -> bool {
    use crate::policy::lockout::Parameter::{IpAddress, Username};
    match reset {
        ResetOnSuccess::All => true,
        ResetOnSuccess::None => false,
        ResetOnSuccess::SameClient => {
            let names_both = limit.by.contains(&Username) && limit.by.contains(&IpAddress);
            let one_spelling = history.spelling() == spelling;
            names_both && claim.subject.candidates.len() == 1 && claim.guesses == 1 && one_spelling
        }
    }
}

#[cfg(test)]
mod tests;
