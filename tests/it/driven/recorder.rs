//! What guards in this process trace, told apart by the names of their sites.
//!
//! Tests run at the same time and a process has one subscriber; so it is installed once, keeps the
//! events of every site that a test announced, and looks into every line, whose ever it is, for
//! texts that must not be there.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, Once};

use tracing::field::{Field, Visit};
use tracing::{Metadata, Subscriber, span};

use crate::support::event::Event;

static RECORDS: LazyLock<Mutex<Records>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default)]
struct Records {
    sites: HashMap<String, Vec<Event>>,
    secrets: HashMap<String, Vec<String>>,
}

fn records() -> MutexGuard<'static, Records> {
    RECORDS.lock().unwrap()
}

/// Keeps the events of a site from now on.
pub fn record(site: &str) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| tracing::subscriber::set_global_default(Recorder).unwrap());
    records().sites.insert(site.to_owned(), Vec::new());
}

/// The events of this name that a site had so far.
pub fn events(site: &str, name: &str) -> Vec<Event> {
    records().sites[site].iter().filter(|event| event.is(name)).cloned().collect()
}

/// Looks for `secret` in everything that is traced from now on.
pub fn watch_for(secret: &str) {
    records().secrets.insert(secret.to_owned(), Vec::new());
}

/// The lines in which `secret` turned up.
pub fn lines_with(secret: &str) -> Vec<String> {
    records().secrets[secret].clone()
}

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let event = Event(fields.0);
        let mut records = records();
        if !records.secrets.is_empty() {
            let line = format!("{event:?}");
            let found = records.secrets.iter_mut().filter(|(secret, _)| line.contains(*secret));
            found.for_each(|(_, lines)| lines.push(line.clone()));
        }
        if let Some(events) = records.sites.get_mut(event.get("site")) {
            events.push(event);
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn add(&mut self, field: &Field, value: String) {
        self.0.push((field.name().to_owned(), value));
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.to_string());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}
