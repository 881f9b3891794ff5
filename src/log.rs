//! Log lines to standard error: logfmt or JSON, never in the way of a request.
//!
//! Whoever logs appends a line to a buffer and goes on. One thread writes the buffer out a few
//! times a second. A full buffer drops lines and counts them; lines that say the same again and
//! again are written once and then with a count.

pub mod line;

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::clock::Clock;
use crate::config::{LogFormat, LogSettings};
use crate::store::memory::{BuildHashedAlready, lock};
use line::{LineWriter, Stamp, write_line};

thread_local! {
    /// Where a thread writes its line before it takes the lock.
    static FIELDS: RefCell<String> = RefCell::default();
}

/// How much may wait to be written.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How much room a buffer keeps that was written out.
const KEPT_BYTES: usize = 512 * 1024;
/// How many different lines are watched for repetition.
const MOST_REPEATED: usize = 4096;
/// How often the buffer is written out.
const EVERY: Duration = Duration::from_millis(50);
/// For how long a repeated line is held back.
const REPEATED_EVERY_MS: u64 = 1000;

/// Turns what is traced into lines.
#[derive(Debug)]
pub struct Logger {
    clock: Clock,
    hashing: RandomState,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    buffer: Mutex<Buffer>,
    filled: Condvar,
    format: LogFormat,
    level: Mutex<Level>,
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    stamp: Stamp,
    dropped: u64,
    repeated: HashMap<u64, Repeated, BuildHashedAlready>,
    since: u64,
    closing: Closing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Closing {
    #[default]
    No,
    Yes,
}

/// How often a line came again that was written, and what it said.
#[derive(Debug, Default)]
struct Repeated {
    times: u64,
    latest: Option<(Duration, Box<str>)>,
}

/// Writes what is left when it goes out of scope.
#[derive(Debug)]
pub struct LogGuard {
    shared: Arc<Shared>,
    writer: Option<std::thread::JoinHandle<()>>,
}

/// Changes which lines are written.
#[derive(Clone, Debug)]
pub struct LevelSwitch(Arc<Shared>);

impl LevelSwitch {
    /// Lines less important than `level` are not written from now on.
    pub fn set(&self, level: Level) {
        *lock(&self.0.level) = level;
        tracing::callsite::rebuild_interest_cache();
    }
}

impl LogGuard {
    /// What changes which lines are written.
    #[must_use]
    pub fn level(&self) -> LevelSwitch {
        LevelSwitch(Arc::clone(&self.shared))
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        lock(&self.shared.buffer).closing = Closing::Yes;
        self.shared.filled.notify_all();
        if let Some(writer) = self.writer.take() {
            // a writer that panicked has nothing more to write
            drop(writer.join());
        }
    }
}

/// Sends everything that is traced in this process to standard error from now on.
///
/// # Errors
///
/// When somebody else has done so already.
pub fn install(
    settings: LogSettings,
    clock: Clock,
) -> Result<LogGuard, tracing::subscriber::SetGlobalDefaultError> {
    let (buffer, filled, format) = (Mutex::default(), Condvar::new(), settings.format);
    let level = Mutex::new(settings.level);
    let shared = Arc::new(Shared { buffer, filled, format, level });
    let hashing = RandomState::new();
    let logger = Logger { clock: clock.clone(), hashing, shared: Arc::clone(&shared) };
    tracing::subscriber::set_global_default(logger)?;
    let writing = Arc::clone(&shared);
    let writer = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            let mut written = Vec::new();
            while write_out(&writing, &clock, &mut written) == Closing::No {}
        })
        .ok();
    Ok(LogGuard { shared, writer })
}

/// Waits for lines and writes them; returns whether they were the last.
fn write_out(shared: &Shared, clock: &Clock, written: &mut Vec<u8>) -> Closing {
    let idle = |buffer: &mut Buffer| buffer.is_idle();
    let buffer = lock(&shared.buffer);
    let waited = shared.filled.wait_while(buffer, idle);
    drop(waited.unwrap_or_else(std::sync::PoisonError::into_inner));
    // lines of the next moments go out together
    let open = |buffer: &mut Buffer| buffer.closing == Closing::No;
    let buffer = lock(&shared.buffer);
    let waited = shared.filled.wait_timeout_while(buffer, EVERY, open);
    let mut buffer = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
    let now = clock.now();
    let is_due = now.0.saturating_sub(buffer.since) >= REPEATED_EVERY_MS;
    let closing = buffer.closing;
    if closing == Closing::Yes || is_due {
        buffer.since = now.0;
        buffer.flush_repeated(shared.format, clock.wall(now));
    }
    // two buffers take turns, so that neither has to grow again
    std::mem::swap(&mut buffer.bytes, written);
    drop(buffer);
    // there is nobody to tell that standard error is gone
    drop(std::io::stderr().lock().write_all(written));
    written.clear();
    written.shrink_to(KEPT_BYTES);
    closing
}

impl Buffer {
    fn is_idle(&self) -> bool {
        let nothing = self.bytes.is_empty() && self.repeated.is_empty() && self.dropped == 0;
        nothing && self.closing == Closing::No
    }

    /// Appends a line, or counts it where the same was written lately.
    fn add(&mut self, same: u64, line: (Duration, &str), format: LogFormat) {
        if let Some(repeated) = self.repeated.get_mut(&same) {
            repeated.times += 1;
            let text = repeated.latest.take().map_or_else(|| line.1.into(), |(_, text)| text);
            repeated.latest = Some((line.0, text));
            return;
        }
        if self.bytes.len() >= MOST_BYTES {
            self.dropped += 1;
            return;
        }
        write_line(&mut self.bytes, &mut self.stamp, format, line, 0);
        if self.repeated.len() < MOST_REPEATED {
            self.repeated.insert(same, Repeated::default());
        }
    }

    fn flush_repeated(&mut self, format: LogFormat, now: Duration) {
        for (_, repeated) in self.repeated.drain() {
            if let Some((wall, text)) = repeated.latest {
                let line = (wall, &*text);
                write_line(&mut self.bytes, &mut self.stamp, format, line, repeated.times);
            }
        }
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            let mut fields = String::new();
            let mut line = LineWriter::new(&mut fields, format, Level::WARN);
            line.text("event", "log_lines_dropped");
            line.number("count", dropped);
            write_line(&mut self.bytes, &mut self.stamp, format, (now, &fields), 0);
        }
    }
}

impl Subscriber for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // asked once for each place that logs, and again when the level changes
        *metadata.level() <= *lock(&self.shared.level) && metadata.target().starts_with("loginward")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1) // spans are not used
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        FIELDS.with_borrow_mut(|fields| {
            fields.clear();
            let format = self.shared.format;
            let line = LineWriter::new(fields, format, *event.metadata().level());
            event.record(&mut Fields(line));
            let same = self.hashing.hash_one(&*fields);
            let wall = self.clock.wall_now();
            let mut buffer = lock(&self.shared.buffer);
            let was_idle = buffer.is_idle();
            buffer.add(same, (wall, fields), format);
            drop(buffer);
            if was_idle {
                self.shared.filled.notify_one();
            }
        });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Takes the fields of a traced event into a line.
struct Fields<'a>(LineWriter<'a>);

impl Visit for Fields<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.number(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.text(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.text(field.name(), &format!("{value:?}"));
    }
}
