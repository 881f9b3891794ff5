//! The audit log: a thread that writes events down, and goes on trying where it cannot.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::dropped::Outlet;
use super::file::AuditLog;
use super::queue::{Line, More, Queue};
use super::settings::{Audit, AuditTo, Chosen};
use super::stdout::StandardOutput;
use super::syslog::SyslogSender;
use crate::store::memory::lock;

/// How long it waits after a failure; twice as long after each one more.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the end of the process may be kept waiting.
const LAST: Duration = Duration::from_secs(3);

/// Writes events down.
pub trait Sink: Send {
    /// Writes `lines` from the front and takes away what was written. Of what is left when it
    /// fails, a part of the first may have been written; it goes on there.
    ///
    /// # Errors
    ///
    /// When it cannot write at the moment.
    fn write(&mut self, lines: &mut VecDeque<Line>) -> io::Result<()>;
}

/// An audit log that is written.
#[derive(Debug)]
pub struct Writing {
    queue: Arc<Queue>,
    events: Chosen,
    trouble: Trouble,
}

/// Why nothing can be written at present; nothing where it can.
type Trouble = Arc<Mutex<Option<String>>>;

impl Writing {
    /// Begins one.
    ///
    /// # Errors
    ///
    /// When a file cannot be written, or the system gives no thread. A syslog server may come later.
    pub fn begin(audit: &Audit) -> io::Result<Self> {
        let sink: Box<dyn Sink> = match &audit.to {
            AuditTo::File(file) => {
                let named = |error: io::Error| {
                    let text = format!("{}: {error}", file.path.display());
                    io::Error::new(error.kind(), text)
                };
                Box::new(AuditLog::open(file).map_err(named)?)
            }
            AuditTo::Stdout => Box::new(StandardOutput::default()),
            AuditTo::Syslog(syslog) => Box::new(SyslogSender::new(syslog)),
        };
        let queue = Arc::new(Queue::new(Outlet::Audit));
        let trouble = Trouble::default();
        let (own, told) = (Arc::clone(&queue), Arc::clone(&trouble));
        let writer = Writer { queue: own, sink, pause: FIRST_PAUSE, trouble: told };
        let life = move || writer.run();
        std::thread::Builder::new().name("audit".to_owned()).spawn(life)?;
        Ok(Self { queue, events: audit.events.clone(), trouble })
    }

    /// Whether events of that name are written.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.events.has(name)
    }

    /// Why nothing can be written at present; nothing where it can.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// Has events written, in order.
    pub fn put(&self, lines: impl IntoIterator<Item = Line>) {
        self.queue.put(lines);
    }

    /// No more come; waits a moment until all are written, and says how many are not.
    pub fn end(&self) {
        let count = self.queue.end(LAST);
        if count > 0 {
            tracing::warn!(event = "events_dropped", outlet = Outlet::Audit.name(), count);
        }
    }
}

struct Writer {
    queue: Arc<Queue>,
    sink: Box<dyn Sink>,
    /// How long it waits after the next failure.
    pause: Duration,
    trouble: Trouble,
}

impl Writer {
    fn run(mut self) {
        let mut lines = VecDeque::new();
        loop {
            let more = if lines.is_empty() { self.queue.take(&mut lines) } else { More::Maybe };
            let more = match self.write(&mut lines) {
                Ok(()) => {
                    self.succeeded();
                    more
                }
                Err(error) => self.failed(&error),
            };
            if more == More::No {
                break;
            }
        }
        if !lines.is_empty() {
            // the last try, with what has come meanwhile
            let _ = self.queue.take(&mut lines);
            // whoever waits for this tells of what is left
            drop(self.write(&mut lines));
        }
        self.queue.ended();
    }

    fn write(&mut self, lines: &mut VecDeque<Line>) -> io::Result<()> {
        let (count, bytes) = size(lines);
        let written = self.sink.write(lines);
        let (left, rest) = size(lines);
        self.queue.free((count - left, bytes - rest));
        written
    }

    fn succeeded(&mut self) {
        if self.pause > FIRST_PAUSE {
            *lock(&self.trouble) = None;
            tracing::info!(event = "audit_recovered");
        }
        self.pause = FIRST_PAUSE;
        let count = self.queue.take_dropped();
        if count > 0 {
            tracing::warn!(event = "events_dropped", outlet = Outlet::Audit.name(), count);
        }
    }

    fn failed(&mut self, error: &io::Error) -> More {
        if self.pause == FIRST_PAUSE {
            *lock(&self.trouble) = Some(error.to_string());
            tracing::error!(event = "audit_failed", reason = %error);
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        self.queue.pause(pause)
    }
}

/// How many lines and bytes.
fn size(lines: &VecDeque<Line>) -> (u64, usize) {
    (lines.len() as u64, lines.iter().map(|line| line.text.len()).sum())
}
