//! How far the file is: what the thread that writes it is told, and what it tells.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::load::Found;
use super::place::LockFile;
use crate::clock::Moment;
use crate::store::memory::lock;

/// For how long an answer waits until what it rests on is kept.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What the thread has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Write what is left and end.
    End,
    /// End without writing: another process has the file now.
    Leave,
    /// Write what is left, and then nothing until further notice.
    Pause,
    /// Write nothing yet.
    Wait,
    /// Write.
    Write,
}

/// How it stands with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It cannot be written.
    Failing,
    /// It takes longer than anybody waits for it.
    Late,
    /// All is well.
    Writing,
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Late => "late",
            Self::Writing => "writing",
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Far {
    /// All batches up to this one are kept.
    kept: u64,
    standing: Standing,
    is_paused: bool,
}

/// What is wanted of the thread.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    order: Order,
    /// Somebody waits for this batch.
    batch: u64,
}

/// How far the file is.
#[derive(Debug)]
pub struct Progress {
    path: PathBuf,
    lock: LockFile,
    far: watch::Sender<Far>,
    wanted: Mutex<Wanted>,
    changed: Condvar,
    found: Mutex<Found>,
    /// The moment up to which everything is kept.
    complete: AtomicU64,
    latest: AtomicU64,
    length: AtomicU64,
    errors: AtomicU64,
}

/// Numbers about the file.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// How it stands.
    pub standing: Standing,
    /// When it was written last, since 1970.
    pub latest: Duration,
    /// For how long something has not been kept.
    pub behind: Duration,
    /// Its length.
    pub bytes: u64,
    /// How often it could not be written.
    pub errors: u64,
    /// What was in it at the start.
    pub found: Found,
}

impl Progress {
    /// Nothing is kept yet, and nothing has changed before `now`, of the file at `path`, which belongs
    /// to whoever has `lock`.
    #[must_use]
    pub fn new(path: &Path, lock: LockFile, now: Moment) -> Self {
        Self {
            path: path.to_owned(),
            lock,
            far: watch::Sender::new(Far { kept: 0, standing: Standing::Writing, is_paused: false }),
            wanted: Mutex::new(Wanted { order: Order::Wait, batch: 0 }),
            changed: Condvar::new(),
            found: Mutex::default(),
            complete: AtomicU64::new(now.0),
            latest: AtomicU64::new(0),
            length: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock of the file, for a successor.
    ///
    /// # Errors
    ///
    /// When the system has no more file descriptors.
    pub fn lock(&self) -> io::Result<LockFile> {
        self.lock.duplicate()
    }

    /// This was in the file.
    pub fn loaded(&self, found: Found) {
        *lock(&self.found) = found;
    }

    /// Waits until this batch is kept; has it written at once. Where it cannot be written nobody
    /// waits, and where it takes longer than [`PATIENCE`] nobody waits any longer, until it goes on:
    /// the guard refuses by what it remembers.
    ///
    /// Dropping the future changes nothing.
    pub async fn reached(&self, batch: u64) {
        let mut far = self.far.subscribe();
        let is_over = |far: &Far| far.kept >= batch || far.standing != Standing::Writing;
        if is_over(&far.borrow()) {
            return;
        }
        self.want(batch);
        if tokio::time::timeout(PATIENCE, far.wait_for(is_over)).await.is_err() {
            self.is_late();
        }
    }

    fn want(&self, batch: u64) {
        let mut wanted = lock(&self.wanted);
        if wanted.batch < batch {
            wanted.batch = batch;
            self.changed.notify_all();
        }
    }

    fn is_late(&self) {
        let begins = |far: &mut Far| {
            let begins = far.standing == Standing::Writing;
            if begins {
                far.standing = Standing::Late;
            }
            begins
        };
        if self.far.send_if_modified(begins) {
            self.errors.fetch_add(1, Ordering::Relaxed);
            let file = self.path.display();
            let message = "the disk does not go on; lockouts are answered before they are kept";
            tracing::error!(event = "snapshot_late", %file, message);
        }
    }

    /// Tells the thread what to do from now on.
    pub fn order(&self, order: Order) {
        lock(&self.wanted).order = order;
        self.changed.notify_all();
    }

    /// Has the thread write what is left, and nothing more; waits until that is so, `longest` at
    /// most. Whether it is.
    pub async fn pause(&self, longest: Duration) -> bool {
        self.order(Order::Pause);
        let mut far = self.far.subscribe();
        let paused = far.wait_for(|far| far.is_paused);
        tokio::time::timeout(longest, paused).await.is_ok_and(|paused| paused.is_ok())
    }

    /// What the thread is to do: at once where there is something to write for which somebody waits,
    /// or another order than `known`; otherwise after `every`.
    #[must_use]
    pub fn next(&self, known: Order, every: Duration) -> Order {
        let is_idle = |wanted: &mut Wanted| wanted.order == known && !self.is_due(wanted);
        let wanted = lock(&self.wanted);
        let waited = self.changed.wait_timeout_while(wanted, every, is_idle);
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0.order
    }

    fn is_due(&self, wanted: &Wanted) -> bool {
        let far = self.far.borrow();
        wanted.order == Order::Write && wanted.batch > far.kept && far.standing != Standing::Failing
    }

    /// What is to be done now, and whether somebody waits for a batch.
    #[must_use]
    pub fn now_wanted(&self) -> (Order, bool) {
        let wanted = lock(&self.wanted);
        (wanted.order, self.is_due(&wanted))
    }

    /// All batches up to this one are kept, and with them everything before `now`; the file has
    /// `bytes`, and was written at `wall` if that was anything.
    pub fn kept(&self, batch: u64, (now, wall): (Moment, Option<Duration>), bytes: u64) {
        self.complete.store(now.0, Ordering::Relaxed);
        self.length.store(bytes, Ordering::Relaxed);
        if let Some(wall) = wall {
            self.latest.store(wall.as_secs(), Ordering::Relaxed);
        }
        let mut before = Standing::Writing;
        self.far.send_modify(|far| {
            before = std::mem::replace(&mut far.standing, Standing::Writing);
            far.kept = batch;
        });
        if before != Standing::Writing {
            let message = "everything is kept again";
            tracing::info!(event = "snapshot_recovered", file = %self.path.display(), message);
        }
    }

    /// Nothing has changed here before `now`: another process has the counters.
    pub fn is_nothing_yet(&self, now: Moment) {
        self.complete.store(now.0, Ordering::Relaxed);
    }

    /// Somebody else has taken or changed the file, as `reason` says; it is made anew.
    pub fn is_lost(&self, reason: &str, aside: Option<&Path>) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let message = "it is made anew with everything that the guard remembers";
        let (file, aside) = (self.path.display(), aside.map(|aside| aside.display().to_string()));
        tracing::error!(event = "snapshot_lost", %file, aside, reason, message);
    }

    /// It could not be written, and is tried again after `again`.
    pub fn failed(&self, error: &io::Error, again: Duration) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.far.send_modify(|far| far.standing = Standing::Failing);
        let message = "the guard goes on by what it remembers; a restart would forget it";
        let (file, again) = (self.path.display(), again.as_secs());
        tracing::error!(event = "snapshot_failed", %file, again_s = again, message, error = %error);
    }

    /// The thread writes nothing more until further notice.
    pub fn pauses(&self) {
        self.far.send_modify(|far| far.is_paused = true);
    }

    /// The thread writes again.
    pub fn goes_on(&self) {
        self.far.send_modify(|far| far.is_paused = false);
    }

    /// Numbers about the file at `now`.
    #[must_use]
    pub fn numbers(&self, now: Moment) -> Numbers {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Numbers {
            standing: self.far.borrow().standing,
            latest: Duration::from_secs(load(&self.latest)),
            behind: now.since(Moment(load(&self.complete))),
            bytes: load(&self.length),
            errors: load(&self.errors),
            found: lock(&self.found).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::super::place::Place;
    use super::*;

    fn progress(dir: &tempfile::TempDir) -> Progress {
        let place = Place::take(&dir.path().join("counters.db")).unwrap();
        Progress::new(place.path(), place.duplicate().unwrap(), Moment(0))
    }

    fn at(seconds: u64) -> (Moment, Option<Duration>) {
        (Moment(seconds * 1000), None)
    }

    #[test]
    fn whoever_waits_goes_on_once_its_batch_is_kept_and_has_it_written_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let progress = progress(&dir);
        progress.order(Order::Write);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = pin!(progress.reached(2));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        // it is not slept until the time is over
        assert_eq!(progress.next(Order::Write, Duration::from_secs(60)), Order::Write);
        progress.kept(1, at(1), 0);
        assert!(waiting.as_mut().poll(&mut context).is_pending(), "that is an earlier one");
        progress.kept(2, at(2), 0);
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(()));
        assert_eq!(pin!(progress.reached(2)).poll(&mut context), Poll::Ready(()));
    }

    #[test]
    fn a_disk_that_does_not_go_on_is_waited_for_once() {
        let dir = tempfile::tempdir().unwrap();
        let progress = progress(&dir);
        progress.order(Order::Write);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // nobody writes; several wait, and all of them go on after the same time
            let both = async { tokio::join!(progress.reached(1), progress.reached(1)) };
            tokio::time::timeout(PATIENCE * 2, both).await.expect("nobody waits for ever");
            let mut context = Context::from_waker(Waker::noop());
            assert_eq!(pin!(progress.reached(1)).poll(&mut context), Poll::Ready(()));
            assert_eq!(progress.numbers(Moment(0)).standing, Standing::Late);
            assert_eq!(progress.numbers(Moment(0)).errors, 1);
            progress.kept(1, at(1), 0);
            assert_eq!(progress.numbers(Moment(0)).standing, Standing::Writing);
            assert!(pin!(progress.reached(2)).poll(&mut context).is_pending());
        });
    }

    #[test]
    fn for_a_disk_that_fails_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let progress = progress(&dir);
        let mut context = Context::from_waker(Waker::noop());
        progress.failed(&io::ErrorKind::StorageFull.into(), Duration::from_secs(1));
        assert_eq!(progress.numbers(Moment(2_000)).behind, Duration::from_secs(2));
        assert_eq!(pin!(progress.reached(1)).poll(&mut context), Poll::Ready(()));
        progress.kept(3, at(7), 123);
        let numbers = progress.numbers(Moment(9_500));
        assert_eq!((numbers.standing, numbers.errors), (Standing::Writing, 1));
        assert_eq!((numbers.behind, numbers.bytes), (Duration::from_millis(2500), 123));
    }
}
