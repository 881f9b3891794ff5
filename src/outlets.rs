//! Where events go besides the log: the latest are kept, whoever follows is told, the audit log is
//! written, and webhooks are called.
//!
//! All of them are told by the thread that writes the log, which waits for none of them: what may
//! have to wait has a thread and a bounded queue of its own.

pub mod audit;
pub mod deliveries;
pub mod dropped;
pub mod file;
pub mod latest;
pub mod live;
pub mod piece;
pub mod queue;
pub mod settings;
pub mod sign;
pub mod stdout;
pub mod syslog;
pub mod webhook;
pub mod webhooks;

use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::broadcast;

use crate::config::{LogFormat, Settings};
use crate::log::line::{Stamp, write_line};
use crate::log::pack::Entry;
use crate::log::show::Show;
use crate::store::memory::lock;
use audit::Writing;
use latest::Latest;
use live::{Following, Told};
use queue::Line;
use settings::{Privacy, Webhook};
use webhooks::Webhooks;

/// So many are handed on together.
const TOGETHER: usize = 256;

/// Where events go besides the log.
#[derive(Debug)]
pub struct Outlets {
    /// When the process began: what tells its events from those of another.
    began: Duration,
    latest: Mutex<Latest>,
    live: broadcast::Sender<Told>,
    audit: OnceLock<Writing>,
    webhooks: Webhooks,
    /// How values are shown that tell of people, everywhere.
    show: ArcSwap<Show>,
    /// A key of this process for that.
    key: [u8; 32],
}

impl Outlets {
    /// Those of a process that began then.
    #[must_use]
    pub fn new(began: Duration) -> Self {
        let (live, _) = broadcast::channel(live::BEHIND);
        let mut key = [0; 32];
        // a guard does not start where there are no random numbers
        _ = getrandom::fill(&mut key);
        let show = ArcSwap::from_pointee(Show::new(&Privacy::default(), &key));
        let (latest, audit, webhooks) = (Mutex::default(), OnceLock::new(), Webhooks::default());
        Self { began, latest, live, audit, webhooks, show, key }
    }

    /// Shows of people what `privacy` says, from now on.
    pub fn set_privacy(&self, privacy: &Privacy) {
        self.show.store(Arc::new(Show::new(privacy, &self.key)));
    }

    /// How values are shown that tell of people.
    #[must_use]
    pub fn show(&self) -> Arc<Show> {
        self.show.load_full()
    }

    /// Begins with the outlets that have threads of their own; to be called once the process may no
    /// more than it has to.
    ///
    /// # Errors
    ///
    /// When one of them cannot be had.
    pub fn begin(&self, settings: &Settings) -> io::Result<()> {
        if let Some(audit) = settings.audit.as_ref().filter(|_| self.audit.get().is_none()) {
            drop(self.audit.set(Writing::begin(audit)?));
        }
        self.webhooks.set(&settings.webhooks)
    }

    /// These are the webhooks from now on.
    pub fn set_webhooks(&self, webhooks: &[Webhook]) {
        if let Err(error) = self.webhooks.set(webhooks) {
            tracing::error!(event = "webhook_failed", reason = %error);
        }
    }

    /// What tells the events of this process from those of another.
    #[must_use]
    pub const fn began(&self) -> u64 {
        self.began.as_millis() as u64
    }

    /// The latest events, `most` at most and only those after the one of that number, and all that
    /// come from now on; `None` where too many follow already.
    #[must_use]
    pub fn follow(&self, (most, after): (usize, u64)) -> Option<Following> {
        let latest = lock(&self.latest);
        if self.live.receiver_count() >= live::MOST_FOLLOWERS {
            return None;
        }
        Some(Following {
            latest: latest.told((most, after), &self.show()),
            coming: self.live.subscribe(),
        })
    }

    /// Tells events, shown as `show` says, until it is dropped.
    pub fn telling<'a>(&'a self, show: &'a Show) -> Telling<'a> {
        let (stamp, fields) = (Stamp::default(), String::new());
        Telling { outlets: self, show, stamp, fields, audit: Vec::new() }
    }

    /// The audit log, where there is one.
    #[must_use]
    pub fn audit(&self) -> Option<&Writing> {
        self.audit.get()
    }

    /// No more events come; waits a moment until those are written that came.
    pub fn end(&self) {
        if let Some(audit) = self.audit.get() {
            audit.end();
        }
        self.webhooks.end();
    }
}

/// Tells events.
#[derive(Debug)]
pub struct Telling<'a> {
    outlets: &'a Outlets,
    show: &'a Show,
    stamp: Stamp,
    fields: String,
    /// What the audit log gets in a moment.
    audit: Vec<Line>,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.hand_on();
    }
}

impl Telling<'_> {
    /// Tells one, of that name.
    pub fn tell(&mut self, name: &str, entry: &Entry<'_>) {
        let number = lock(&self.outlets.latest).keep(entry);
        let follows = self.outlets.live.receiver_count() > 0;
        let audits = self.outlets.audit.get().is_some_and(|audit| audit.wants(name));
        let posts = self.outlets.webhooks.want(name);
        if !follows && !audits && !posts {
            return;
        }
        let text = self.line(entry);
        if audits || posts {
            let (level, wall) = (entry.level(), entry.wall);
            let line = Line { name: name.into(), level, wall, text: text.as_str().into() };
            if posts {
                self.outlets.webhooks.put(&line);
            }
            self.audit.extend(audits.then_some(line));
        }
        if follows {
            let told = Told::new((number, name), entry, text);
            // the last follower may have gone meanwhile
            drop(self.outlets.live.send(told));
        }
        if self.audit.len() >= TOGETHER {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        if let Some(audit) = self.outlets.audit.get().filter(|_| !self.audit.is_empty()) {
            audit.put(self.audit.drain(..));
        }
    }

    /// The event as one line of JSON, with its end.
    fn line(&mut self, entry: &Entry<'_>) -> String {
        json_line((&mut self.stamp, &mut self.fields), entry, self.show)
    }
}

/// An event as one line of JSON, with its end: as the log has it in that format.
fn json_line((stamp, fields): (&mut Stamp, &mut String), entry: &Entry<'_>, show: &Show) -> String {
    fields.clear();
    entry.write(fields, LogFormat::Json, show);
    let mut line = Vec::new();
    write_line(&mut line, stamp, LogFormat::Json, (entry.wall, fields), entry.repeated);
    String::from_utf8(line).unwrap_or_default()
}
