//! Log lines to standard error: logfmt or JSON, never in the way of a request.
//!
//! Whoever logs appends a line to a buffer and goes on. One thread writes the buffer out a few
//! times a second. A full buffer drops lines and counts them; lines that say the same again and
//! again are written once and then with a count.

pub mod line;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::clock::Clock;
use crate::config::{LogFormat, LogSettings};
use crate::store::memory::lock;
use line::Line;

/// How much may wait to be written.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How many different lines are watched for repetition.
const MOST_REPEATED: usize = 4096;
/// How often the buffer is written out.
const EVERY: Duration = Duration::from_millis(50);
/// For how long a repeated line is held back.
const REPEATED_EVERY_MS: u64 = 1000;

/// Turns what is traced into lines.
#[derive(Debug)]
pub struct Logger {
    settings: LogSettings,
    clock: Clock,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    dropped: u64,
    repeated: HashMap<u64, Repeated>,
    since: u64,
    closing: Closing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Closing {
    #[default]
    No,
    Yes,
}

/// A line that was written and came again.
#[derive(Debug)]
struct Repeated {
    line: Line,
    times: u64,
}

/// Writes what is left when it goes out of scope.
#[derive(Debug)]
pub struct LogGuard {
    shared: Arc<Shared>,
    writer: Option<std::thread::JoinHandle<()>>,
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
    let shared = Arc::new(Shared::default());
    let logger = Logger { settings, clock: clock.clone(), shared: Arc::clone(&shared) };
    tracing::subscriber::set_global_default(logger)?;
    let writing = Arc::clone(&shared);
    let format = settings.format;
    let writer = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write_out(&writing, format, &clock))
        .ok();
    Ok(LogGuard { shared, writer })
}

fn write_out(shared: &Shared, format: LogFormat, clock: &Clock) {
    loop {
        let mut buffer = lock(&shared.buffer);
        while buffer.bytes.is_empty() && buffer.closing == Closing::No && buffer.is_quiet() {
            buffer = shared
                .filled
                .wait_timeout(buffer, Duration::from_millis(REPEATED_EVERY_MS))
                .map_or_else(|poisoned| poisoned.into_inner().0, |(buffer, _)| buffer);
        }
        let closing = buffer.closing;
        let now = clock.now().0;
        if closing == Closing::Yes || now.saturating_sub(buffer.since) >= REPEATED_EVERY_MS {
            buffer.flush_repeated(format, now);
        }
        let bytes = std::mem::take(&mut buffer.bytes);
        drop(buffer);
        // there is nobody to tell that standard error is gone
        drop(std::io::stderr().lock().write_all(&bytes));
        if closing == Closing::Yes {
            return;
        }
        // lines of the next moments go out together
        let buffer = lock(&shared.buffer);
        drop(
            shared.filled.wait_timeout_while(buffer, EVERY, |buffer| buffer.closing == Closing::No),
        );
    }
}

impl Buffer {
    fn is_quiet(&self) -> bool {
        self.repeated.is_empty() && self.dropped == 0
    }

    /// Appends a line, or counts it where the same was written lately.
    fn add(&mut self, line: Line, format: LogFormat) {
        let mut hasher = DefaultHasher::new();
        line.hash_content(&mut hasher);
        let same = hasher.finish();
        if let Some(repeated) = self.repeated.get_mut(&same) {
            repeated.times += 1;
            return;
        }
        if self.bytes.len() >= MOST_BYTES {
            self.dropped += 1;
            return;
        }
        line.write(&mut self.bytes, format, 0);
        if self.repeated.len() < MOST_REPEATED {
            self.repeated.insert(same, Repeated { line, times: 0 });
        }
    }

    fn flush_repeated(&mut self, format: LogFormat, now: u64) {
        self.since = now;
        for (_, repeated) in self.repeated.drain() {
            if repeated.times > 0 {
                repeated.line.write(&mut self.bytes, format, repeated.times);
            }
        }
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            let mut line = Line::new(Level::WARN, Duration::ZERO);
            line.text("event", "log_lines_dropped");
            line.number("count", dropped);
            line.write(&mut self.bytes, format, 0);
        }
    }
}

impl Subscriber for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.settings.level && metadata.target().starts_with("loginward")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1) // spans are not used
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let wall = self.clock.wall(self.clock.now());
        let mut line = Line::new(*event.metadata().level(), wall);
        event.record(&mut Fields(&mut line));
        let mut buffer = lock(&self.shared.buffer);
        let was_empty = buffer.bytes.is_empty();
        buffer.add(line, self.settings.format);
        drop(buffer);
        if was_empty {
            self.shared.filled.notify_one();
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Takes the fields of a traced event into a line.
struct Fields<'a>(&'a mut Line);

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
