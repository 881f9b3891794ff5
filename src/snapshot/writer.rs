//! The thread that writes: what has changed, and everything when that has become too long.
//!
//! Everything is told part by part, into a new file, while what changes meanwhile goes into both; so
//! nobody waits for it, and the old file is good until the new one is whole. It is never longer than
//! twice what counts and [`SLACK`], and there is a second one only while it is made anew.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use super::format::{HEAD, Head};
use super::place::{Place, State};
use super::progress::{Order, Progress};
use crate::clock::Moment;
use crate::store::Store;
use crate::store::gather::Extent;
use crate::store::index::PARTS;
use crate::store::keep::Telling;

/// How often changes are written that nobody waits for.
const EVERY: Duration = Duration::from_millis(500);
/// A file may grow by so much before it is made anew, however little counts.
pub const SLACK: u64 = 4 * 1024 * 1024;
/// A disk that has failed is tried again after so long, and then after twice that, and so on,
const AGAIN: Duration = Duration::from_secs(1);
/// but at least so often.
const AGAIN_AT_LEAST: Duration = Duration::from_secs(30);

/// Writes the file.
#[derive(Debug)]
pub struct Writer {
    store: Arc<Store>,
    progress: Arc<Progress>,
    place: Place,
    head: Head,
    telling: Telling,
    /// The file as far as it is good; nothing where it has to be made anew.
    current: Option<Journal>,
    again: Duration,
}

/// A file that grows.
#[derive(Debug)]
struct Journal {
    file: File,
    length: u64,
    /// How long it was when it had everything and nothing else.
    base: u64,
}

/// What came of making the file anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anew {
    /// It is there.
    Done,
    /// Something else is to be done first; the old file is as good.
    Interrupted,
    /// More has changed meanwhile than was remembered.
    Outrun,
}

/// Frames, and the batch that they are.
struct Changes {
    batch: u64,
    bytes: Vec<u8>,
}

impl Journal {
    /// The frames are in the file, and on the disk.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        self.file.sync_data()
    }

    const fn is_long(&self) -> bool {
        self.length > self.base.saturating_mul(2).saturating_add(SLACK)
    }
}

impl Writer {
    /// Writes what changes in `store`, and tells that `progress`, at `place`.
    #[must_use]
    pub fn new((store, progress): (Arc<Store>, Arc<Progress>), place: Place) -> Self {
        let head = Head { keyer: *store.keyer(), boot: store.clock().stamp().boot };
        let telling = Telling::new(&store);
        Self { store, progress, place, head, telling, current: None, again: Duration::ZERO }
    }

    /// Writes until it is told to end.
    pub fn run(mut self) {
        let (mut order, mut due) = (Order::Wait, Moment(0));
        loop {
            let next = self.progress.next(order, due.since(self.store.clock().now()));
            let every = if self.again.is_zero() { EVERY } else { self.again };
            due = self.store.clock().now().after(every);
            if order == Order::Pause && next != Order::Pause {
                self.progress.goes_on();
            }
            let begins = next != order;
            order = next;
            match order {
                Order::Wait => self.progress.is_nothing_yet(self.store.clock().now()),
                Order::Leave => return,
                Order::Write => self.write(),
                Order::Pause if begins => {
                    self.write();
                    self.progress.pauses();
                }
                Order::Pause => {}
                Order::End => return self.write(),
            }
        }
    }

    fn write(&mut self) {
        self.look_after();
        let written = match &self.current {
            Some(journal) if !journal.is_long() => self.append(),
            Some(_) => self.append().and_then(|()| self.make_anew()),
            None => self.make_anew(),
        };
        match written {
            Ok(()) => self.again = Duration::ZERO,
            Err(error) => {
                self.current = None;
                self.place.discard();
                self.again = (self.again * 2).clamp(AGAIN, AGAIN_AT_LEAST);
                self.progress.failed(&error, self.again);
            }
        }
    }

    /// Finds out whether the file is still there as it was written; whatever else is there is kept
    /// under another name, and the file is made anew.
    fn look_after(&mut self) {
        let Some(journal) = &self.current else { return };
        let state = self.place.state_of(&journal.file, journal.length);
        let reason = match state {
            Ok(State::Same) => return,
            Ok(State::Gone) => "it is gone",
            Ok(State::Longer) => "somebody else has written to it",
            Ok(State::Other) => "another file is in its place",
            Ok(State::Shorter) => "somebody else has cut it",
            // whether it can be written is found out by writing it
            Err(_) => "it cannot be looked at",
        };
        let is_other = matches!(state, Ok(State::Other));
        let aside = is_other.then(|| self.place.put_aside().ok()).flatten();
        self.progress.is_lost(reason, aside.as_deref());
        self.current = None;
    }

    /// Appends what has changed.
    fn append(&mut self) -> io::Result<()> {
        match self.changes() {
            Some(changes) => self.append_these(&changes),
            None => self.make_anew(),
        }
    }

    fn append_these(&mut self, changes: &Changes) -> io::Result<()> {
        let Some(journal) = &mut self.current else { return Ok(()) };
        let clock = self.store.clock();
        let now = clock.now();
        if changes.bytes.is_empty() {
            self.progress.kept(changes.batch, (now, None), journal.length);
        } else {
            journal.append(&changes.bytes)?;
            self.progress.kept(changes.batch, (now, Some(clock.wall_now())), journal.length);
        }
        Ok(())
    }

    /// What has changed since it was last written; nothing where that is not known any more.
    fn changes(&mut self) -> Option<Changes> {
        let (batch, hands) = self.store.take_changes();
        if batch.extent == Extent::Everything {
            return None;
        }
        let bytes = self.told(|store, telling| {
            store.tell(&batch.counters, telling);
            store.tell_hands(&hands, telling);
        });
        Some(Changes { batch: batch.number, bytes })
    }

    /// What `tell` tells, as it goes into the file.
    fn told(&mut self, tell: impl FnOnce(&Store, &mut Telling)) -> Vec<u8> {
        self.telling.begin(&self.store);
        tell(&self.store, &mut self.telling);
        let (stamp, frames) = (self.telling.stamp, self.telling.take());
        frames.iter().flat_map(|records| self.head.frame(stamp, records)).collect()
    }

    /// Makes the file anew.
    fn make_anew(&mut self) -> io::Result<()> {
        loop {
            match self.try_anew()? {
                Anew::Done => return Ok(()),
                Anew::Outrun => {}
                Anew::Interrupted => {
                    self.place.discard();
                    return Ok(());
                }
            }
        }
    }

    fn try_anew(&mut self) -> io::Result<Anew> {
        let mut file = self.place.create(&self.head.write())?;
        let mut next = self.told(Store::tell_all_hands);
        let (mut base, mut due) = (HEAD as u64, self.store.clock().now().after(EVERY));
        for part in 0..PARTS {
            next.extend(self.told(|store, telling| _ = store.tell_part(part, telling)));
            match self.meanwhile(&mut due)? {
                Ok(changes) => next.extend(changes),
                Err(anew) => return Ok(anew),
            }
            file.write_all(&next)?;
            base += next.len() as u64;
            next.clear();
        }
        let now = self.store.clock().now();
        let Some(changes) = self.changes() else { return Ok(Anew::Outrun) };
        file.write_all(&changes.bytes)?;
        let length = base + changes.bytes.len() as u64;
        file.sync_data()?;
        self.place.install()?;
        self.current = Some(Journal { file, length, base });
        self.progress.kept(changes.batch, (now, Some(self.store.clock().wall_now())), length);
        Ok(Anew::Done)
    }

    /// While the file is made anew, what changes goes on into the old one where that is good, and is
    /// for both of them; or why the new one has to be given up.
    fn meanwhile(&mut self, due: &mut Moment) -> io::Result<Result<Vec<u8>, Anew>> {
        if self.current.is_none() {
            return Ok(Ok(Vec::new()));
        }
        let (order, is_awaited) = self.progress.now_wanted();
        if order != Order::Write {
            return Ok(Err(Anew::Interrupted));
        }
        let now = self.store.clock().now();
        if !is_awaited && now < *due {
            return Ok(Ok(Vec::new()));
        }
        *due = now.after(EVERY);
        let Some(changes) = self.changes() else { return Ok(Err(Anew::Outrun)) };
        self.append_these(&changes)?;
        Ok(Ok(changes.bytes))
    }
}
