//! Telling whoever keeps the counters what has changed, in frames each of which can be read by
//! itself, and waiting until it is kept.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::{Moment, Stamp};
use crate::policy::key::{Key, LimitId, Subject};
use crate::policy::lockout::History;
use crate::snapshot::progress::Progress;
use crate::store::Store;
use crate::store::gather::{Batch, Extent, Gather, Inheritance};
use crate::store::hand::HandLock;
use crate::store::handover::FRAME;
use crate::store::ledger::Ledger;
use crate::store::memory::lock;
use crate::store::records::{write_hand, write_name, write_selector, write_subject};
use crate::store::register::LimitName;
use crate::store::select::Selector;
use crate::store::slot::Slot;
use crate::wire::Writer;

/// A limit that later records of the frame name by its place.
pub(super) const LIMIT: u8 = 1;
/// A subject, likewise.
pub(super) const SUBJECT: u8 = 2;
/// A counter as it is now.
pub(super) const COUNTER: u8 = 3;
/// A lock by hand as it is now.
pub(super) const HAND: u8 = 4;
/// A counter that is not there any more.
pub(super) const GONE: u8 = 5;
/// A lock by hand that is not there any more.
pub(super) const HAND_GONE: u8 = 6;

/// So many counters are looked at under the lock at a time.
const AT_ONCE: usize = 64;

/// What is known of a counter at one moment.
#[derive(Debug)]
struct Seen {
    key: Key,
    /// Nothing where it is gone.
    counter: Option<(Arc<Slot>, History, u32)>,
}

impl Store {
    /// Remembers from now on what changes, for `progress`, of which it is told what is kept.
    pub fn keep_by(&self, progress: Arc<Progress>, inheritance: Inheritance) {
        let mut ledger = lock(&self.ledger);
        ledger.counters.gather = Some(Gather::new(inheritance));
        ledger.hand.changed = Some(Vec::new());
        drop(self.progress.set(progress)); // there is one already only where this was done already
    }

    /// How far what changes is kept; `None` where nobody keeps it.
    #[must_use]
    pub fn progress(&self) -> Option<&Arc<Progress>> {
        self.progress.get()
    }

    /// Waits until the lockouts of these counters are kept; without any, until locks by hand are.
    /// It does not wait for long where the disk does not go on; see [`Progress::reached`].
    ///
    /// Dropping the future changes nothing.
    pub async fn until_kept(&self, keys: &[Key]) {
        let Some(progress) = self.progress.get() else { return };
        let number = lock(&self.ledger).changed(keys);
        progress.reached(number).await;
    }

    /// Waits until everything that has changed so far is kept, as [`Self::until_kept`] does.
    pub async fn until_all_kept(&self) {
        let Some(progress) = self.progress.get() else { return };
        let gathering = lock(&self.ledger).counters.gather.as_ref().map_or(0, Gather::number);
        progress.reached(gathering).await;
    }

    /// What has changed since this was last asked, and which locks by hand.
    #[must_use]
    pub fn take_changes(&self) -> (Batch, Vec<Selector>) {
        let mut ledger = lock(&self.ledger);
        let hands = ledger.hand.changed.as_mut().map(std::mem::take).unwrap_or_default();
        let gather = ledger.counters.gather.as_mut();
        let nothing = || Batch { number: 0, counters: Vec::new(), extent: Extent::Changes };
        (gather.map_or_else(nothing, Gather::take), hands)
    }

    /// Tells of these counters as they are.
    pub fn tell(&self, counters: &[Key], telling: &mut Telling) {
        for keys in counters.chunks(AT_ONCE) {
            let seen: Vec<Seen> = {
                let mut ledger = lock(&self.ledger);
                telling.learn_names(&ledger);
                let mut see = |key: &Key| Seen::of(*key, ledger.counters.tell(*key));
                keys.iter().map(&mut see).collect()
            };
            seen.iter().for_each(|seen| telling.counter(seen));
        }
    }

    /// Tells of all counters in a [part](crate::store::index::PARTS) of the index; how many count.
    pub fn tell_part(&self, part: usize, telling: &mut Telling) -> usize {
        let seen: Vec<Seen> = {
            let mut ledger = lock(&self.ledger);
            telling.learn_names(&ledger);
            ledger.counters.tell_part(part).map(|slot| Seen::of(slot.key, Some(slot))).collect()
        };
        let counting = seen.iter().filter(|seen| seen.counter.is_some());
        counting.map(|seen| telling.counter(seen)).count()
    }

    /// Tells of these locks by hand as they are.
    pub fn tell_hands(&self, selectors: &[Selector], telling: &mut Telling) {
        let told: Vec<(&Selector, Option<HandLock>)> = {
            let ledger = lock(&self.ledger);
            let find = |selector| (selector, ledger.hand.get(selector).cloned());
            selectors.iter().map(find).collect()
        };
        for (selector, hand) in told {
            telling.hand(selector, hand.as_ref());
        }
    }

    /// Tells of all locks by hand.
    pub fn tell_all_hands(&self, telling: &mut Telling) {
        let all: Vec<(Selector, HandLock)> = {
            let ledger = lock(&self.ledger);
            let hands = ledger.hand.iter(telling.now);
            hands.map(|(selector, hand)| (selector.clone(), hand.clone())).collect()
        };
        for (selector, hand) in &all {
            telling.hand(selector, Some(hand));
        }
    }
}

impl Ledger {
    /// The batch with the latest change that a refusal by these counters rests on; without any,
    /// that of locks by hand.
    fn changed(&self, keys: &[Key]) -> u64 {
        if keys.is_empty() {
            return self.counters.gather.as_ref().map_or(0, Gather::hands);
        }
        let slots = keys.iter().filter_map(|key| self.counters.look(*key));
        slots.map(|slot| slot.state().changed).max().unwrap_or_default()
    }
}

impl Seen {
    fn of(key: Key, slot: Option<Arc<Slot>>) -> Self {
        let counting = |slot: Arc<Slot>| {
            let (history, places) = {
                let state = slot.state();
                (state.history(), state.places)
            };
            (places > 0 || !history.is_blank()).then_some((slot, history, places))
        };
        Self { key, counter: slot.and_then(counting) }
    }
}

/// Frames that are being written, all of what is at one moment.
#[derive(Debug)]
pub struct Telling {
    now: Moment,
    /// The same moment for other processes.
    pub stamp: Stamp,
    names: Vec<LimitName>,
    writer: Writer,
    limits: HashMap<LimitId, u64>,
    /// How many subjects the frame has.
    subjects: u64,
    /// The latest: a counter under another limit often has the same.
    subject: Option<Subject>,
    full: Vec<Vec<u8>>,
}

impl Telling {
    /// Nothing is told yet; see [`Self::begin`].
    #[must_use]
    pub fn new(store: &Store) -> Self {
        let (now, stamp) = (store.clock().now(), store.clock().stamp());
        Self {
            now,
            stamp,
            names: Vec::new(),
            writer: Writer::new(now),
            limits: HashMap::new(),
            subjects: 0,
            subject: None,
            full: Vec::new(),
        }
    }

    /// What is told from here on is what is now by the clock of `store`.
    pub fn begin(&mut self, store: &Store) {
        self.cut();
        (self.now, self.stamp) = (store.clock().now(), store.clock().stamp());
        self.writer = Writer::new(self.now);
    }

    /// The frames so far.
    #[must_use]
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        self.cut();
        std::mem::take(&mut self.full)
    }

    /// New limits come at the end.
    fn learn_names(&mut self, ledger: &Ledger) {
        let known = self.names.len();
        self.names.extend(ledger.register.names().skip(known).cloned());
    }

    fn counter(&mut self, Seen { key, counter }: &Seen) {
        let Some((slot, history, places)) = counter else {
            self.writer.byte(GONE);
            self.writer.hash(key.0);
            return self.cut_if_full();
        };
        let Some(limit) = self.limit(slot.limit) else { return };
        let subject = self.subject(slot.subject());
        self.writer.byte(COUNTER);
        self.writer.hash(key.0);
        self.writer.number(limit);
        self.writer.number(subject);
        self.writer.optional(slot.charge().candidate, Writer::byte);
        self.writer.number(u64::from(*places));
        history.write(&mut self.writer);
        self.cut_if_full();
    }

    fn hand(&mut self, selector: &Selector, hand: Option<&HandLock>) {
        match hand {
            Some(hand) => {
                self.writer.byte(HAND);
                write_hand(selector, hand, &mut self.writer);
            }
            None => {
                self.writer.byte(HAND_GONE);
                write_selector(selector, &mut self.writer);
            }
        }
        self.cut_if_full();
    }

    /// The place of a limit in this frame.
    fn limit(&mut self, id: LimitId) -> Option<u64> {
        if let Some(place) = self.limits.get(&id) {
            return Some(*place);
        }
        let name = self.names.get(id.0 as usize)?;
        self.writer.byte(LIMIT);
        write_name(name, &mut self.writer);
        let place = self.limits.len() as u64;
        self.limits.insert(id, place);
        Some(place)
    }

    /// The place of a subject in this frame.
    fn subject(&mut self, subject: Subject) -> u64 {
        if self.subject.as_ref() != Some(&subject) {
            self.writer.byte(SUBJECT);
            write_subject(&subject, &mut self.writer);
            self.subjects += 1;
            self.subject = Some(subject);
        }
        self.subjects - 1
    }

    fn cut_if_full(&mut self) {
        if self.writer.len() >= FRAME {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if !self.writer.is_empty() {
            let full = std::mem::replace(&mut self.writer, Writer::new(self.now));
            self.full.push(full.done());
            self.limits.clear();
            (self.subjects, self.subject) = (0, None);
        }
    }
}
