//! Taking in what was kept: frames one after the other, of which the later ones hold.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock::Moment;
use crate::policy::key::{Charge, Key, Subject};
use crate::policy::lockout::History;
use crate::store::Store;
use crate::store::hand::HandLock;
use crate::store::keep::{COUNTER, GONE, HAND, HAND_GONE, LIMIT, SUBJECT};
use crate::store::memory::lock;
use crate::store::records::{read_hand, read_name, read_selector, read_subject};
use crate::store::register::LimitName;
use crate::store::select::Selector;
use crate::wire::Reader;

/// Everything that was kept.
#[derive(Debug, Default)]
pub struct Recalled {
    counters: HashMap<Key, Kept>,
    hands: HashMap<Selector, HandLock>,
}

/// A counter that was kept.
#[derive(Debug)]
struct Kept {
    name: Arc<LimitName>,
    subject: Arc<Subject>,
    candidate: Option<u8>,
    places: u32,
    history: History,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recollection {
    /// Counters that still count.
    pub counters: usize,
    /// Of them, those that are locked.
    pub locked: usize,
    /// Counters of limits that are not configured any more: they are forgotten.
    pub unknown: usize,
    /// Locks by hand that are in force.
    pub hand_locks: usize,
}

impl Recalled {
    /// Takes in a frame that was written at `written`, by this process's clock; `None` where it
    /// cannot be read, and then what came before the unreadable record holds.
    pub fn take(&mut self, frame: &[u8], written: Moment) -> Option<()> {
        let mut reader = Reader::new(frame, written);
        let (mut names, mut subjects) = (Vec::new(), Vec::new());
        while !reader.is_done() {
            match reader.byte()? {
                LIMIT => names.push(Arc::new(read_name(&mut reader)?)),
                SUBJECT => subjects.push(Arc::new(read_subject(&mut reader)?)),
                COUNTER => {
                    let key = Key(reader.hash()?);
                    let name = Arc::clone(names.get(reader.small::<usize>()?)?);
                    let subject = Arc::clone(subjects.get(reader.small::<usize>()?)?);
                    let candidate = reader.optional(Reader::byte)?;
                    let places = reader.small()?;
                    let history = History::read(&mut reader)?;
                    let kept = Kept { name, subject, candidate, places, history };
                    self.counters.insert(key, kept);
                }
                GONE => _ = self.counters.remove(&Key(reader.hash()?)),
                HAND => {
                    let (selector, hand) = read_hand(&mut reader)?;
                    self.hands.insert(selector, hand);
                }
                HAND_GONE => _ = self.hands.remove(&read_selector(&mut reader)?),
                _ => return None,
            }
        }
        Some(())
    }
}

impl Store {
    /// Takes over what was kept, as far as it still counts and is not here already. Places were
    /// held by a process that has ended: nobody will know what became of those guesses, and they
    /// are failures now. Limits have to be registered before.
    #[must_use]
    pub fn recall(&self, recalled: Recalled) -> Recollection {
        let now = self.clock.now();
        let mut all: Vec<(Key, Kept)> = recalled.counters.into_iter().collect();
        // so that those that are evicted first here are those that would have been there
        all.sort_by_key(|(_, kept)| kept.history.latest());
        let mut recollection = Recollection::default();
        let mut ledger = lock(&self.ledger);
        for (key, kept) in all {
            let Some(id) = ledger.register.find(&kept.name) else {
                recollection.unknown += 1;
                continue;
            };
            let Some(limit) = ledger.limit(id) else { continue };
            let history = kept.history.with_lost(&limit, kept.places, now);
            let history = history.aged(&limit, now);
            if history.is_blank() || ledger.counters.has(key) {
                continue;
            }
            recollection.counters += 1;
            recollection.locked += usize::from(history.is_locked());
            let charge = Charge { key, limit: id, candidate: kept.candidate };
            let slot = ledger.counters.begin(&charge, &kept.subject);
            slot.state().remember(history);
            ledger.counters.lay(&slot, &limit, now);
        }
        for (selector, hand) in recalled.hands.into_iter().filter(|(_, hand)| now < hand.until) {
            recollection.hand_locks += usize::from(ledger.hand.lock(selector, hand, now).is_ok());
        }
        self.hand_locks.store(ledger.hand.count(), Ordering::Release);
        recollection
    }
}
