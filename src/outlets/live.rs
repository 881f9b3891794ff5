//! Events for whoever follows them, and which of them each wants.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::log::pack::Entry;
use crate::policy::account::Account;

/// How many may follow at a time.
pub const MOST_FOLLOWERS: usize = 16;
/// How many events one of them may be behind before it loses some.
pub const BEHIND: usize = 1024;

/// An event as followers are told of it; cheap to copy.
#[derive(Clone, Debug)]
pub struct Told(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    number: u64,
    name: Box<str>,
    site: Option<Box<str>>,
    client: Option<Box<str>>,
    username: Option<Box<str>>,
    line: String,
}

impl Told {
    /// The event `entry` of that number and name, which is `line` in JSON.
    #[must_use]
    pub fn new((number, name): (u64, &str), entry: &Entry<'_>, line: String) -> Self {
        let text = |name| entry.text(name).map(Box::from);
        Self(Arc::new(Inner {
            number,
            name: name.into(),
            site: text("site"),
            client: text("client"),
            username: text("username"),
            line,
        }))
    }

    /// Its number, counted from the beginning of the process.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// It as one line of JSON, with its end.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.0.line
    }
}

/// The latest events and those to come.
#[derive(Debug)]
pub struct Following {
    /// Those that were there.
    pub latest: Vec<Told>,
    /// Those that come.
    pub coming: broadcast::Receiver<Told>,
}

/// Which events somebody wants: those that fit everything given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of one of these names, if there are any.
    pub names: Vec<String>,
    /// Of one of these sites.
    pub sites: Vec<String>,
    /// About one of these clients, as they are written.
    pub clients: Vec<String>,
    /// About one of these accounts, in whatever spelling.
    pub usernames: Vec<String>,
}

impl Wanted {
    /// Whether this is one of them.
    #[must_use]
    pub fn fits(&self, told: &Told) -> bool {
        let Inner { name, site, client, username, .. } = &*told.0;
        let is_in = |list: &[String], text: &Option<Box<str>>| {
            list.is_empty() || list.iter().any(|own| text.as_deref() == Some(own))
        };
        let named = |wanted: &String| {
            let wanted = Account::new(wanted);
            let all = username.as_deref().unwrap_or_default().split(", ");
            wanted.is_some() && all.map(Account::new).any(|name| name == wanted)
        };
        (self.names.is_empty() || self.names.iter().any(|own| **own == **name))
            && is_in(&self.sites, site)
            && is_in(&self.clients, client)
            && (self.usernames.is_empty() || self.usernames.iter().any(named))
    }
}
