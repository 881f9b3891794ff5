//! The counters on their way to another process: everything that counts, and locks by hand.
//!
//! Frames of many records each; what a later record refers to comes before it. Counters come in the
//! order of their latest failures, so that those that are evicted first there are those that would
//! have been evicted first here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock::Moment;
use crate::policy::key::{Charge, Key, LimitId, Subject};
use crate::policy::lockout::History;
use crate::store::Store;
use crate::store::hand::HandLock;
use crate::store::memory::lock;
use crate::store::records::{
    read_hand, read_name, read_subject, write_hand, write_name, write_subject,
};
use crate::store::register::LimitName;
use crate::store::select::Selector;
use crate::store::slot::Slot;
use crate::wire::{Reader, Writer};

/// A frame is sent once it is so long.
pub const FRAME: usize = 256 * 1024;

const LIMIT: u8 = 1;
const SUBJECT: u8 = 2;
const COUNTER: u8 = 3;
const HAND: u8 = 4;

/// Takes in what another process tells.
#[derive(Debug, Default)]
pub struct Arrival {
    limits: Vec<Option<LimitId>>,
    subjects: Vec<Arc<Subject>>,
    /// How many counters have come.
    pub counters: usize,
    /// Of them, those of limits that are not configured here.
    pub unknown: usize,
    /// How many locks by hand have come.
    pub hand_locks: usize,
}

impl Store {
    /// Admits nothing from now on; whoever waits is told to come again.
    pub fn close(&self) {
        let mut ledger = lock(&self.ledger);
        self.closed.store(true, Ordering::Release);
        ledger.turn_away(self.clock.now());
        drop(ledger);
        if let Some(shared) = self.shared() {
            shared.call_all();
        }
    }

    /// Admits again.
    pub fn reopen(&self) {
        let _ledger = lock(&self.ledger);
        self.closed.store(false, Ordering::Release);
    }

    /// Everything that counts at `now`, as frames. Places that are still held are failures.
    #[must_use]
    pub fn hand_over(&self, now: Moment) -> Vec<Vec<u8>> {
        let (names, mut counters, hand) = self.all(now);
        counters.sort_by_key(|(_, history)| history.latest());
        let mut frames = Frames::new(now);
        for name in &names {
            frames.writer.byte(LIMIT);
            write_name(name, &mut frames.writer);
        }
        let mut known: HashMap<*const Subject, u64> = HashMap::new();
        for (slot, history) in &counters {
            let next = known.len() as u64;
            let subject = *known.entry(Arc::as_ptr(&slot.subject)).or_insert(next);
            let writer = &mut frames.writer;
            if subject == next {
                writer.byte(SUBJECT);
                write_subject(&slot.subject, writer);
            }
            writer.byte(COUNTER);
            writer.hash(slot.key.0);
            writer.number(slot.limit.0.into());
            writer.number(subject);
            writer.optional(slot.candidate, Writer::byte);
            history.write(writer);
            frames.cut();
        }
        for (selector, hand) in &hand {
            frames.writer.byte(HAND);
            write_hand(selector, hand, &mut frames.writer);
            frames.cut();
        }
        frames.done()
    }

    fn all(&self, now: Moment) -> Everything {
        let ledger = lock(&self.ledger);
        let counting = |slot: &Arc<Slot>| {
            let limit = &ledger.register.get(slot.limit)?.limit;
            let state = slot.state();
            let history = state.history().with_lost(limit, state.places, now);
            (!history.is_blank()).then(|| (Arc::clone(slot), history))
        };
        let counters = ledger.counters.all().filter_map(counting).collect();
        let names = ledger.register.names().cloned().collect();
        let hand = ledger.hand.iter(now).map(|(what, hand)| (what.clone(), hand.clone()));
        (names, counters, hand.collect())
    }

    /// Takes one frame in; `None` where it cannot be read.
    pub fn take_over(&self, arrival: &mut Arrival, frame: &[u8]) -> Option<()> {
        let now = self.clock.now();
        let mut reader = Reader::new(frame, now);
        while !reader.is_done() {
            match reader.byte()? {
                LIMIT => {
                    let name = read_name(&mut reader)?;
                    arrival.limits.push(lock(&self.ledger).register.find(&name));
                }
                SUBJECT => arrival.subjects.push(Arc::new(read_subject(&mut reader)?)),
                COUNTER => self.take_counter(arrival, &mut reader, now)?,
                HAND => {
                    let (selector, hand) = read_hand(&mut reader)?;
                    let mut ledger = lock(&self.ledger);
                    ledger.hand.lock(selector, hand, now).ok()?;
                    ledger.note_hands();
                    self.hand_locks.store(ledger.hand.count(), Ordering::Release);
                    arrival.hand_locks += 1;
                }
                _ => return None,
            }
        }
        Some(())
    }

    fn take_counter(
        &self,
        arrival: &mut Arrival,
        reader: &mut Reader<'_>,
        now: Moment,
    ) -> Option<()> {
        let key = Key(reader.hash()?);
        let limit = *arrival.limits.get(reader.small::<usize>()?)?;
        let subject = arrival.subjects.get(reader.small::<usize>()?)?;
        let candidate = reader.optional(Reader::byte)?;
        let history = History::read(reader)?;
        arrival.counters += 1;
        let Some(id) = limit else {
            arrival.unknown += 1;
            return Some(());
        };
        let mut ledger = lock(&self.ledger);
        let limit = ledger.limit(id)?;
        let charge = Charge { key, limit: id, candidate };
        let slot = match ledger.counters.find(key).map(Arc::clone) {
            Some(slot) => slot,
            None => ledger.counters.begin(&charge, subject),
        };
        let mut state = slot.state();
        let later = state.history().aged(&limit, now);
        state.remember(history.with_later(&later, &limit, now));
        ledger.counters.note_taken(&slot, &mut state);
        drop(state);
        ledger.rest(&slot, now);
        Some(())
    }
}

type Everything = (Vec<LimitName>, Vec<(Arc<Slot>, History)>, Vec<(Selector, HandLock)>);

/// Frames as they fill.
#[derive(Debug)]
pub struct Frames {
    /// The one that fills.
    pub writer: Writer,
    full: Vec<Vec<u8>>,
    now: Moment,
}

impl Frames {
    /// None yet, of what is at `now`.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self { writer: Writer::new(now), full: Vec::new(), now }
    }

    /// A record is whole: the frame may end here.
    pub fn cut(&mut self) {
        if self.writer.len() >= FRAME {
            let full = std::mem::replace(&mut self.writer, Writer::new(self.now));
            self.full.push(full.done());
        }
    }

    /// All of them.
    #[must_use]
    pub fn done(mut self) -> Vec<Vec<u8>> {
        self.full.push(self.writer.done());
        self.full
    }
}
