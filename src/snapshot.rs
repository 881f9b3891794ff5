//! Counters, lockouts and locks by hand in a file, so that neither a restart nor a crash forgets
//! them.
//!
//! The file begins with everything and goes on with what has changed ([`format`](mod@format)); it is made anew
//! when it has grown too long. A thread of its own writes it ([`writer`]), at least twice a second,
//! and at once where somebody is about to be told of a lockout, who waits until that is kept
//! ([`progress`]). What is in it is read before anybody is served ([`load`]). It has one guard at a
//! time ([`place`]).
//!
//! A batch is kept once it is on the disk itself (`fdatasync`): neither the end of the process nor a
//! power failure takes it back. Where the disk does not go on, the guard does, by what it remembers.

pub mod format;
pub mod load;
pub mod place;
pub mod progress;
pub mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::policy::key::Keyer;
use crate::server::StartError;
use crate::store::Store;
use crate::store::gather::Inheritance;
use load::{Found, Reading};
use place::{LockFile, Place};
use progress::{Order, Progress};
use writer::Writer;

/// The file of a guard that is about to start.
#[derive(Debug)]
pub struct Snapshot {
    place: Place,
    reading: Option<Reading>,
    inheritance: Inheritance,
}

/// The thread that writes.
#[derive(Debug)]
pub struct Keeping {
    progress: Arc<Progress>,
    /// Closed once it has ended.
    ended: Receiver<()>,
}

impl Snapshot {
    /// Takes the file at `path`, and looks at what is in it.
    ///
    /// # Errors
    ///
    /// When another guard has it, or it cannot be there. What is in it is never a reason.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        let place = Place::take(path)?;
        place.check()?;
        let reading = Reading::of(&place);
        Ok(Self { place, reading: Some(reading), inheritance: Inheritance::Kept })
    }

    /// Takes the file at `path`, whose content comes from the guard that is taken over, and with it
    /// `lock`, if it had one of its own.
    ///
    /// # Errors
    ///
    /// When a third guard has it, or it cannot be there.
    pub fn inherit(path: &Path, lock: Option<LockFile>) -> Result<Self, StartError> {
        let (place, inheritance) = match lock {
            Some(lock) if lock.is_of(path) => (Place::inherit(path, lock), Inheritance::Kept),
            _ => (Place::take(path)?, Inheritance::Unkept),
        };
        if inheritance == Inheritance::Unkept {
            place.check()?;
        }
        Ok(Self { place, reading: None, inheritance })
    }

    /// What the counters that are in it were hashed under.
    #[must_use]
    pub fn keyer(&self) -> Option<Keyer> {
        self.reading.as_ref().and_then(Reading::keyer)
    }

    /// Takes what is in it into `store`, where all limits are registered, and has it written from
    /// now on; or, where it comes from another guard, once [`Progress::order`] says so.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn keep(self, store: &Arc<Store>) -> Result<Keeping, StartError> {
        let failed = |error| StartError::new("the counters cannot be kept", error);
        let Self { place, reading, inheritance } = self;
        let (lock, now) = (place.duplicate().map_err(failed)?, store.clock().now());
        let progress = Arc::new(Progress::new(place.path(), lock, now));
        let order = match reading {
            Some(reading) => {
                progress.loaded(load::load(reading, &place, store));
                Order::Write
            }
            None => Order::Wait,
        };
        progress.order(order);
        store.keep_by(Arc::clone(&progress), inheritance);
        let writer = Writer::new((Arc::clone(store), Arc::clone(&progress)), place);
        let (alive, ended) = channel();
        let run = move || {
            writer.run();
            drop(alive);
        };
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(run);
        thread.map_err(failed)?;
        Ok(Keeping { progress, ended })
    }
}

impl Keeping {
    /// Has it write what is left, and waits for that, `longest` at most.
    pub fn finish(self, longest: Duration) {
        self.progress.order(Order::End);
        if self.ended.recv_timeout(longest) == Err(RecvTimeoutError::Timeout) {
            let message = "what changed last is not kept: the disk does not go on";
            tracing::error!(event = "snapshot_unfinished", message);
        }
    }

    /// Has it write no more: another guard does.
    pub fn leave(self) {
        self.progress.order(Order::Leave);
    }
}

/// The file at the same place has so many counters that nobody knows here, and is about to be made anew
/// by this guard: it is put aside.
pub fn leave_unknown(store: &Store, unknown: usize) {
    let Some(progress) = store.progress() else { return };
    if let Ok(lock) = progress.lock() {
        // that is reported
        drop(load::leave_unknown(&Place::inherit(progress.path(), lock), unknown));
    }
}

/// Takes what the file at the same place has into `store`, besides what is there already: the guard
/// that was to hand everything over has ended too early.
pub fn recover(store: &Store) -> Option<Found> {
    let progress = store.progress()?;
    let place = Place::inherit(progress.path(), progress.lock().ok()?);
    let reading = Reading::of(&place);
    let has_keys = reading.keyer().is_some_and(|keyer| keyer.secret() == store.keyer().secret());
    let found = has_keys.then(|| load::load(reading, &place, store))?;
    progress.loaded(found.clone());
    Some(found)
}
