//! What an operator says of where events go, and of what they show.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::config::UpstreamServer;

/// How values are shown that tell of people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Usernames, and paths, which may hold some.
    pub usernames: Shown,
    /// Addresses of clients.
    pub addresses: Shown,
    /// What they are hashed under; a key that dies with the process where there is none.
    pub key: Option<Secret>,
}

/// How something is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// As it is.
    #[default]
    Clear,
    /// As a keyed hash: the same is recognised, and nothing else.
    Hashed,
    /// Its beginning.
    Masked,
}

/// Something that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Arc<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// Which events an outlet is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// All.
    All,
    /// Those of these names.
    Only(Vec<&'static str>),
}

impl Chosen {
    /// Whether an event of that name is one of them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&name),
        }
    }
}

/// The audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Where it is.
    pub to: AuditTo,
    /// What is in it.
    pub events: Chosen,
}

/// Where an audit log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTo {
    /// In a file.
    File(AuditFile),
    /// On standard output.
    Stdout,
    /// At a syslog server.
    Syslog(Syslog),
}

/// A file that is put aside when it is large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFile {
    /// Where it is.
    pub path: PathBuf,
    /// How many bytes it may have.
    pub size: u64,
    /// How many are kept that were put aside.
    pub keep: u32,
}

/// A syslog server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syslog {
    /// Where it is.
    pub address: SyslogAddr,
    /// The facility (RFC 5424, section 6.2.1).
    pub facility: u8,
}

/// Where a syslog server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddr {
    /// Over TCP, a host and a port.
    Tcp(Box<str>),
    /// Over UDP.
    Udp(Box<str>),
    /// At a unix socket for datagrams.
    Unix(PathBuf),
}

/// Where events are posted.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// What it is called; no two of one name.
    pub name: Box<str>,
    /// The server.
    pub server: UpstreamServer,
    /// What the server is called in a `Host` field.
    pub host: Box<str>,
    /// Path and query, which may be secret.
    pub target: Uri,
    /// What is signed with.
    pub secret: Secret,
    /// What is posted.
    pub events: Chosen,
    /// How long an answer may take.
    pub timeout: Duration,
    /// For how long an event is tried to be posted.
    pub retry_for: Duration,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = out.debug_struct("Webhook");
        shown.field("name", &self.name).field("server", &self.server);
        shown.field("events", &self.events).finish_non_exhaustive()
    }
}
