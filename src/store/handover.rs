//! The counters on their way to another process: everything that counts, and locks by hand.
//!
//! Frames of many records each; what a later record refers to comes before it. Counters come in the
//! order of their latest failures, so that those that are evicted first there are those that would
//! have been evicted first here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock::Moment;
use crate::policy::key::{Charge, Key, LimitId, Subject};
use crate::policy::lockout::History;
use crate::store::Store;
use crate::store::index::{Entry, PARTS};
use crate::store::ledger::Ledger;
use crate::store::memory::lock;
use crate::store::records::{
    read_hand, read_name, read_subject, write_hand, write_name, write_subject,
};
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
        let mut frames = Frames::new(now);
        let ledger = lock(&self.ledger);
        let mut leaving = ledger.leaving(now);
        for name in ledger.register.names() {
            frames.writer.byte(LIMIT);
            write_name(name, &mut frames.writer);
        }
        let hand = ledger.hand.iter(now);
        let hand: Vec<_> = hand.map(|(what, hand)| (what.clone(), hand.clone())).collect();
        drop(ledger);
        leaving.sort_by_key(|one| one.latest);
        let (mut subjects, mut latest) = (0, None);
        for one in leaving {
            let Some((slot, history)) = self.leaves(one, now) else { continue };
            let (subject, writer) = (slot.subject(), &mut frames.writer);
            if latest.as_ref() != Some(&subject) {
                writer.byte(SUBJECT);
                write_subject(&subject, writer);
                subjects += 1;
                latest = Some(subject);
            }
            writer.byte(COUNTER);
            writer.hash(slot.key.0);
            writer.number(slot.limit.0.into());
            writer.number(subjects - 1);
            writer.optional(slot.charge().candidate, Writer::byte);
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

    /// What is told of a counter; nothing where it does not count.
    fn leaves(&self, one: Leaving, now: Moment) -> Option<(Arc<Slot>, History)> {
        let ledger = lock(&self.ledger);
        let slot = ledger.counters.unpacked(&one.kept)?;
        let limit = &ledger.register.get(slot.limit)?.limit;
        let known = || slot.state().history().aged(limit, now);
        let history = one.history.map_or_else(known, |history| *history);
        (!history.is_blank()).then_some((slot, history))
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
        let slot = match ledger.counters.find(key) {
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

/// A counter that is told to another process.
#[derive(Debug)]
struct Leaving {
    latest: Moment,
    kept: Entry,
    /// What it remembers, where it is at hand, and may change.
    history: Option<Box<History>>,
}

impl Ledger {
    /// Every counter as it is at `now`. Packed ones stay so: there are many.
    fn leaving(&self, now: Moment) -> Vec<Leaving> {
        let leaving = |kept: &Entry| {
            let (latest, history) = match kept {
                Entry::Packed(packed) => (packed.standing()?.1.latest(), None),
                Entry::AtHand(slot) => {
                    let limit = &self.register.get(slot.limit)?.limit;
                    let state = slot.state();
                    let history = state.history().with_lost(limit, state.places, now);
                    (history.latest(), Some(Box::new(history)))
                }
            };
            Some(Leaving { latest, kept: kept.clone(), history })
        };
        (0..PARTS).flat_map(|part| self.counters.kept(part)).filter_map(leaving).collect()
    }
}

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
