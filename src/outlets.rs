//! Where events go besides the log: the latest are kept, and whoever follows is told.
//!
//! All of them are told by the thread that writes the log, which waits for none of them.

pub mod dropped;
pub mod latest;
pub mod live;

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::config::LogFormat;
use crate::log::line::{Stamp, write_line};
use crate::log::pack::Entry;
use crate::log::show::Show;
use crate::store::memory::lock;
use latest::Latest;
use live::{Following, Told};

/// Where events go besides the log.
#[derive(Debug)]
pub struct Outlets {
    /// When the process began: what tells its events from those of another.
    began: Duration,
    latest: Mutex<Latest>,
    live: broadcast::Sender<Told>,
}

impl Outlets {
    /// Those of a process that began then.
    #[must_use]
    pub fn new(began: Duration) -> Self {
        let (live, _) = broadcast::channel(live::BEHIND);
        Self { began, latest: Mutex::default(), live }
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
        Some(Following { latest: latest.told((most, after), &Show), coming: self.live.subscribe() })
    }

    /// Tells events, shown as `show` says, until it is dropped.
    pub fn telling<'a>(&'a self, show: &'a Show) -> Telling<'a> {
        Telling { outlets: self, show, stamp: Stamp::default(), fields: String::new() }
    }

    /// No more events come.
    pub const fn end(&self) {}
}

/// Tells events.
#[derive(Debug)]
pub struct Telling<'a> {
    outlets: &'a Outlets,
    show: &'a Show,
    stamp: Stamp,
    fields: String,
}

impl Telling<'_> {
    /// Tells one, of that name.
    pub fn tell(&mut self, name: &str, entry: &Entry<'_>) {
        let mut latest = lock(&self.outlets.latest);
        let number = latest.keep(entry);
        if self.outlets.live.receiver_count() > 0 {
            let told = Told::new((number, name), entry, self.line(entry));
            // the last follower may have gone meanwhile
            drop(self.outlets.live.send(told));
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
