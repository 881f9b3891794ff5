//! The resolved settings, valid by construction.
//!
//! [`Settings::load`] reads the YAML as written; what comes out of it needs no further check: no
//! number is zero by accident, no address is a string, every list that must hold something does.

mod access;
mod account;
mod address;
mod admin;
mod admin_alone;
mod doubt;
mod edge;
pub mod error;
mod expand;
mod fields;
mod file;
mod hsts;
mod keys;
mod limit;
mod lockout;
mod login;
mod monitored;
mod network;
mod node;
mod outcome;
mod outlets;
mod own;
mod path;
mod places;
mod process;
mod reader;
mod redis;
mod response;
mod restart;
mod scalar;
mod site;
mod slips;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod unique;
mod units;
mod upstream;
mod webhook;
mod written;
mod yaml;

use std::ffi::CString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

pub use file::Loaded;
pub use upstream::{
    Balance, HealthCheck, HostSent, MOST_SERVERS, ServerKey, UpstreamServer, UpstreamSettings,
};

use crate::outlets::settings::{Audit, Privacy, Webhook};
use crate::policy::client::ClientRules;
use crate::policy::route::{ResponseSettings, Site};
use crate::store::redis::settings::RedisSettings;
use crate::tls::Certificates;

/// The duration that `written` is, such as `10m`.
///
/// # Errors
///
/// What would be right.
pub fn duration_of(written: &str) -> Result<Duration, &'static str> {
    units::duration(written)
}

/// Everything a guard needs to know to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients connect; at least one.
    pub listen: Vec<Listen>,
    /// How many threads serve them.
    pub workers: NonZeroUsize,
    /// How clients are told apart.
    pub clients: ClientRules,
    /// What is guarded, and where it is; at least one.
    pub sites: Vec<SiteSettings>,
    /// What refused clients see where no site is to blame.
    pub response: Arc<ResponseSettings>,
    /// Where the counters are.
    pub store: StoreSettings,
    /// Whom the process is once it listens; `None`: who started it.
    pub run_as: Option<RunAs>,
    /// Whether the kernel is told which files it may read.
    pub sandbox: Sandboxed,
    /// At which unix socket operators ask.
    pub admin: Admin,
    /// Where they ask over TCP, if they may.
    pub admin_tcp: Option<AdminTcp>,
    /// Where `/metrics`, `/livez` and `/readyz` are.
    pub metrics: Option<SocketAddr>,
    /// What is written to standard error.
    pub log: LogSettings,
    /// Where events are kept as evidence.
    pub audit: Option<Audit>,
    /// Where events are posted.
    pub webhooks: Vec<Webhook>,
    /// What events show of people.
    pub privacy: Privacy,
    /// How it ends.
    pub shutdown: Shutdown,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How much there may be of things.
    pub bounds: Bounds,
    /// All of that as it was written, without secrets.
    pub written: Arc<serde_json::Value>,
}

/// A site and where its application is.
#[derive(Clone, Debug)]
pub struct SiteSettings {
    /// What is guarded.
    pub site: Arc<Site>,
    /// The application.
    pub upstream: UpstreamSettings,
    /// What browsers that come with TLS are told about it (`Strict-Transport-Security`).
    pub hsts: Option<HeaderValue>,
}

/// Where clients connect, and how.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address.
    pub address: ListenAddr,
    /// What it speaks TLS with, if it does.
    pub tls: Option<Arc<Certificates>>,
    /// Whether connections begin with a PROXY header.
    pub proxied: Proxied,
    /// The port with TLS that requests in the clear are sent to, if they are.
    pub redirect: Option<u16>,
}

/// Whether the connections of a listener begin with a PROXY header, from a trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxied {
    /// They do not.
    No,
    /// They have to.
    Yes,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// Where an application is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamAddr {
    /// A host name or address, and a port.
    Tcp {
        /// A name or an address, IPv6 without brackets.
        host: Box<str>,
        /// The port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// Where the counters are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// How many counters are remembered at most.
    pub max_counters: u64,
    /// How many lockouts are in force at most.
    pub max_lockouts: u64,
    /// The file that keeps them across restarts; `None`: they end with the process.
    pub snapshot: Option<PathBuf>,
    /// The store that other guards share; `None`: this process counts alone.
    pub redis: Option<Arc<RedisSettings>>,
}

impl StoreSettings {
    /// Whether a guard that runs by `before` can go on by these without a restart.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        let same_way = match (&self.redis, &before.redis) {
            (Some(redis), Some(before)) => redis.follows(before),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let rest = Self { redis: before.redis.clone(), ..self.clone() };
        same_way && rest == *before
    }
}

/// A user and a group of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    /// The user's name, where it has one: it may be in more groups.
    pub name: Option<CString>,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// Whether the kernel is told which files the process may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandboxed {
    /// No.
    No,
    /// Yes, where the kernel can be told.
    Yes,
}

/// The usual address of the operators' interface.
pub const USUAL_ADMIN: &str = "/run/loginward/admin.sock";

/// Where operators ask over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminTcp {
    /// A loopback address.
    pub address: SocketAddr,
    /// The file with what they have to know.
    pub token_file: PathBuf,
}

/// At which unix socket operators ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admin {
    /// At this unix socket.
    At(PathBuf),
    /// At this one, if it can be had: it is there for a successor, beside the token of TCP.
    Beside(PathBuf),
    /// Nowhere.
    Nowhere,
    /// At the [usual](USUAL_ADMIN) unix socket, if its directory is there and may be written to.
    Usual,
}

/// What is written to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// The least important lines that are written.
    pub level: tracing::Level,
    /// Whether each request has a line.
    pub access: AccessLog,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// logfmt.
    Text,
}

/// Whether each request has a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// No.
    Off,
    /// Yes.
    On,
}

/// How the guard ends, once it is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// For how long it goes on as if nothing had been, but says that it is not ready.
    pub delay: Duration,
    /// How long after that what is still running is cut.
    pub deadline: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { delay: Duration::ZERO, deadline: Duration::from_secs(20) }
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From a connection to the end of its TLS handshake.
    pub handshake: Duration,
    /// From a connection to the end of its PROXY header.
    pub proxy_header: Duration,
    /// From the first byte of a request's head to its last.
    pub head: Duration,
    /// Between two requests of a connection.
    pub idle: Duration,
    /// For the whole body of an attempt.
    pub login_body: Duration,
    /// Between two pieces of any other body.
    pub body: Duration,
    /// For a client to take any more of its answer.
    pub send: Duration,
    /// To connect to an upstream.
    pub connect: Duration,
    /// From the whole request to the head of the upstream's answer.
    pub response_head: Duration,
    /// From the head of the answer to an attempt until its outcome is decided.
    pub verdict: Duration,
    /// For the whole exchange of an attempt with the upstream, until its outcome is decided.
    pub exchange: Duration,
    /// An upstream connection that idles longer is closed.
    pub upstream_idle: Duration,
    /// One that idles longer does not get requests that may not be repeated.
    pub upstream_idle_unsafe: Duration,
}

/// How much there may be of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Header fields of a request.
    pub headers: usize,
    /// Bytes of a request's head.
    pub head: usize,
    /// Bytes of a request's target.
    pub target: usize,
    /// Connections from clients, in all.
    pub connections: usize,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            proxy_header: Duration::from_secs(5),
            head: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            login_body: Duration::from_secs(15),
            body: Duration::from_secs(60),
            send: Duration::from_secs(60),
            connect: Duration::from_secs(5),
            response_head: Duration::from_secs(60),
            verdict: Duration::from_secs(5),
            exchange: Duration::from_secs(75),
            upstream_idle: Duration::from_secs(2),
            upstream_idle_unsafe: Duration::from_secs(1),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { headers: 100, head: 32 * 1024, target: 8 * 1024, connections: 10_000 }
    }
}
