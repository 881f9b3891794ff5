//! Events, from whoever traces them to whoever is told: never in the way of a request.
//!
//! Whoever traces an event writes its line into a buffer and goes on. One thread takes the buffer a few
//! times a second, writes the lines to standard error (logfmt or JSON) and tells the
//! [outlets](crate::outlets). A full buffer drops events and counts them; events that say the same
//! again and again are told once and then with a count.

pub mod again;
pub mod batch;
pub mod kinds;
pub mod line;
pub mod pack;
pub mod show;
mod stderr;

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use siphasher::sip::SipHasher13;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::clock::Clock;
use crate::config::{Admin, LogFormat, LogSettings, Settings};
use crate::outlets::Outlets;
use crate::outlets::dropped::{self, Outlet};
use crate::store::memory::lock;
use batch::{Batch, Buffer};
use kinds::Kinds;
use line::{Stamp, write_line};
use pack::{Entry, Fields, Packed, Packer, is_told};
use stderr::StandardError;

thread_local! {
    /// Where a thread packs its event before it takes the lock.
    static PACKED: RefCell<Packing> = RefCell::default();
}

#[derive(Default)]
struct Packing {
    packed: Packed,
    kinds: Kinds,
    /// What was packed last and not asked for yet, and its hash.
    latest: Option<(&'static Metadata<'static>, u64)>,
}

/// How often the buffer is taken.
const EVERY: Duration = Duration::from_millis(50);
/// For how long a repeated event is held back.
const REPEATED_EVERY_MS: u64 = 1000;
/// How long a reader of standard error may keep everybody waiting; and in the end.
const PATIENCE: Duration = Duration::from_millis(20);
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// Takes what is traced.
#[derive(Debug)]
pub struct Logger {
    clock: Clock,
    /// Tells lines apart, so that nobody outside can make two of them look alike.
    hashing: SipHasher13,
    hub: Hub,
}

/// Where every event comes through, on its way to the log and to the outlets.
#[derive(Clone, Debug)]
pub struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    format: LogFormat,
    wanted: Mutex<Wanted>,
    /// How often it was said what is wanted.
    configured: AtomicU64,
    outlets: Outlets,
}

#[derive(Debug, Default)]
struct Waiting {
    buffer: Buffer,
    closing: Closing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Closing {
    #[default]
    No,
    Yes,
}

/// What is looked at of all that is traced.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// For the log: what is at least so important.
    level: Level,
    /// Whether outlets want events, whatever the log does with them.
    events: Events,
}

/// Whether somebody besides the log wants to be told of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Events {
    /// They are.
    Told,
    /// Nobody is.
    Untold,
}

/// Writes what is left when it goes out of scope.
#[derive(Debug)]
pub struct LogGuard {
    hub: Hub,
    writer: Option<std::thread::JoinHandle<()>>,
}

impl Hub {
    /// Writes and shows what `settings` say, from now on.
    pub fn configure(&self, settings: &Settings) {
        let has_outlets = settings.admin != Admin::Nowhere
            || settings.audit.is_some()
            || !settings.webhooks.is_empty();
        let events = if has_outlets { Events::Told } else { Events::Untold };
        *lock(&self.0.wanted) = Wanted { level: settings.log.level, events };
        self.0.outlets.set_privacy(&settings.privacy);
        tracing::callsite::rebuild_interest_cache();
        // after that: what was traced before may not have been wanted then
        self.0.configured.fetch_add(1, Ordering::Release);
    }

    /// Where events go besides the log.
    #[must_use]
    pub fn outlets(&self) -> &Outlets {
        &self.0.outlets
    }
}

impl LogGuard {
    /// Where every event comes through.
    #[must_use]
    pub fn hub(&self) -> Hub {
        self.hub.clone()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        lock(&self.hub.0.waiting).closing = Closing::Yes;
        self.hub.0.filled.notify_all();
        if let Some(writer) = self.writer.take() {
            // a writer that panicked has nothing more to write
            drop(writer.join());
        }
    }
}

/// Takes everything that is traced in this process from now on.
///
/// # Errors
///
/// When somebody else has done so already.
pub fn install(
    settings: LogSettings,
    clock: Clock,
) -> Result<LogGuard, tracing::subscriber::SetGlobalDefaultError> {
    let hub = Hub(Arc::new(Shared {
        waiting: Mutex::default(),
        filled: Condvar::new(),
        format: settings.format,
        wanted: Mutex::new(Wanted { level: settings.level, events: Events::Untold }),
        configured: AtomicU64::new(0),
        outlets: Outlets::new(clock.wall_now()),
    }));
    let mut key = [0; 16];
    // a guard does not start where there are no random numbers
    _ = getrandom::fill(&mut key);
    let hashing = SipHasher13::new_with_key(&key);
    let logger = Logger { clock: clock.clone(), hashing, hub: hub.clone() };
    tracing::subscriber::set_global_default(logger)?;
    let shared = Arc::clone(&hub.0);
    let writer = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || Writer::new(shared, clock).run())
        .ok();
    Ok(LogGuard { hub, writer })
}

/// The thread that writes.
struct Writer {
    shared: Arc<Shared>,
    clock: Clock,
    /// When repeated events were looked at, in milliseconds.
    since: u64,
    batch: Batch,
    stderr: StandardError,
    stamp: Stamp,
    fields: String,
    unwritten: u64,
}

impl Writer {
    fn new(shared: Arc<Shared>, clock: Clock) -> Self {
        Self {
            shared,
            clock,
            since: 0,
            batch: Batch::default(),
            stderr: StandardError::new(),
            stamp: Stamp::default(),
            fields: String::new(),
            unwritten: 0,
        }
    }

    fn run(mut self) {
        while self.take() == Closing::No {
            self.write();
            self.stderr.write(PATIENCE);
            self.report_dropped();
        }
        self.write();
        self.stderr.write(LAST_PATIENCE);
        self.report_dropped();
        let _ = self.take();
        self.write();
        self.stderr.write(LAST_PATIENCE);
        self.shared.outlets.end();
        // what they say of what they could not keep
        let _ = self.take();
        self.write();
        self.stderr.write(LAST_PATIENCE);
    }

    /// Waits for events and takes them; returns whether they were the last.
    fn take(&mut self) -> Closing {
        let shared = &*self.shared;
        let waiting = lock(&shared.waiting);
        if self.stderr.is_clear() {
            let idle =
                |waiting: &mut Waiting| waiting.buffer.is_idle() && waiting.closing == Closing::No;
            let waited = shared.filled.wait_while(waiting, idle);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        } else {
            drop(waiting);
        }
        // events of the next moments go out together
        let open = |waiting: &mut Waiting| waiting.closing == Closing::No;
        let waited = shared.filled.wait_timeout_while(lock(&shared.waiting), EVERY, open);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        let now = self.clock.now().0;
        let is_due = now.saturating_sub(self.since) >= REPEATED_EVERY_MS;
        let closing = waiting.closing;
        if closing == Closing::Yes || is_due {
            self.since = now;
            waiting.buffer.flush_repeated();
        }
        // two batches take turns, so that neither has to grow again
        std::mem::swap(&mut waiting.buffer.batch, &mut self.batch);
        closing
    }

    /// Writes what was taken, and tells the outlets.
    fn write(&mut self) {
        let shared = &*self.shared;
        let Wanted { level, events } = *lock(&shared.wanted);
        let show = shared.outlets.show();
        let mut telling = shared.outlets.telling(&show);
        for entry in self.batch.entries() {
            let is_wanted = entry.level() <= level;
            if is_wanted && let Some(out) = self.stderr.room() {
                let line = (entry.wall, entry.line(&mut self.fields, shared.format, &show));
                write_line(out, &mut self.stamp, shared.format, line, entry.repeated);
            } else if is_wanted {
                self.unwritten += 1;
            }
            if events == Events::Told
                && let Some(name) = entry.event()
            {
                telling.tell(name, &entry);
            }
        }
        drop(telling);
        self.unwritten += self.batch.dropped;
        self.batch.clear();
    }

    /// Says how many lines are missing, once somebody reads again.
    fn report_dropped(&mut self) {
        let count = std::mem::take(&mut self.unwritten);
        if count > 0 && self.stderr.is_clear() {
            dropped::count(Outlet::Log, count);
            tracing::warn!(event = "log_lines_dropped", count);
        } else {
            self.unwritten = count;
        }
    }
}

impl Logger {
    /// Takes a packed event whose line has this hash.
    fn take(&self, same: u64, kind: &'static Metadata<'static>, packed: Fields<'_>) {
        let entry = Entry { wall: self.clock.wall_now(), kind, repeated: 0, packed };
        let mut waiting = lock(&self.hub.0.waiting);
        let was_idle = waiting.buffer.is_idle();
        waiting.buffer.add(same, entry);
        drop(waiting);
        if was_idle {
            self.hub.0.filled.notify_one();
        }
    }

    /// How often it was said what is wanted.
    fn configured(&self) -> u64 {
        self.hub.0.configured.load(Ordering::Acquire)
    }
}

impl Subscriber for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // asked once for each place that traces, and again when the answer may be another one
        let Wanted { level, events } = *lock(&self.hub.0.wanted);
        let is_told = || events == Events::Told && is_told(metadata);
        metadata.target().starts_with("loginward") && (*metadata.level() <= level || is_told())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // what is more than that costs a comparison, wherever it is traced
        let Wanted { level, events } = *lock(&self.hub.0.wanted);
        let told = if events == Events::Told { Level::INFO } else { level };
        Some(level.max(told).into())
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1) // spans are not used
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        PACKED.with_borrow_mut(|Packing { packed, kinds, latest }| {
            let (kind, format) = (event.metadata(), self.hub.0.format);
            event.record(&mut Packer::new(packed, format, kinds.of(kind, format)));
            let packed = packed.fields();
            let same = self.hashing.hash(packed.line.as_bytes());
            *latest = Some((kind, same));
            self.take(same, kind, packed);
        });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
