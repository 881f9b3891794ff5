//! Settings of the process itself: workers, store, metrics, log, timeouts, bounds.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fields::Fields;
use super::keys;
use super::node::Node;
use super::reader::Reader;
use super::redis::redis;
use super::scalar::{choice, duration, duration_from, flag, size, text, whole};
use super::{
    AccessLog, Bounds, LogFormat, LogSettings, Sandboxed, Shutdown, StoreSettings, Timeouts,
    address,
};

/// How many threads serve.
pub(super) fn workers(fields: &Fields<'_>, reader: &mut Reader<'_>) -> NonZeroUsize {
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let own = fields.read("workers", |node, reader| whole(node, 1..=1024, reader), reader);
    own.and_then(NonZeroUsize::new).unwrap_or_else(cores)
}

/// Where the counters are.
pub(super) fn store(fields: &Fields<'_>, reader: &mut Reader<'_>) -> StoreSettings {
    let mut store =
        StoreSettings { max_counters: 200_000, max_lockouts: 0, snapshot: None, redis: None };
    let fields = fields.get("store").map(|node| Fields::of(node, &keys::STORE, reader));
    let own = |key| fields.and_then(|fields| fields.get(key));
    store.redis = own("redis").and_then(|node| redis(node, reader));
    store.snapshot = match (own("snapshot"), own("redis")) {
        (Some(node), Some(_)) if !node.is_text("none") => {
            let wrong = "does not go with `redis`: there the counters outlive the guard, and a file \
                         would know less";
            reader.error(node, wrong, "remove one of the two");
            None
        }
        (Some(node), _) => snapshot(node, reader),
        (None, Some(_)) => None,
        (None, None) => usual_snapshot(reader),
    };
    if let Some(node) = fields.and_then(|fields| fields.get("memory")) {
        let fields = Fields::of(node, &keys::MEMORY, reader);
        fields.set("max_counters", &mut store.max_counters, capacity, reader);
        fields.set("max_lockouts", &mut store.max_lockouts, capacity, reader);
    }
    if store.max_lockouts == 0 {
        store.max_lockouts = store.max_counters.div_ceil(2);
    }
    store
}

/// The file that keeps the counters.
fn snapshot(node: &Node, reader: &mut Reader<'_>) -> Option<PathBuf> {
    const RIGHT: &str = "write `{ file: PATH }`, or `snapshot: none`";
    if node.is_text("none") {
        return None;
    }
    if node.entries().is_none() {
        reader.error(node, "says no file", RIGHT);
        return None;
    }
    let fields = Fields::of(node, &keys::SNAPSHOT, reader);
    if fields.lacks("file") {
        reader.error(node, "needs `file`", RIGHT);
    }
    // it is no part of the configuration: nobody reads it again with that
    fields.read("file", |node, reader| Some((node, text(node, reader)?)), reader).and_then(
        |(node, written)| {
            if written.ends_with('/') {
                reader.error(node, "names a directory", "name a file in it");
                return None;
            }
            Some(reader.base.join(written))
        },
    )
}

/// Where systemd says that a service may keep things (`StateDirectory=`); nowhere otherwise.
fn usual_snapshot(reader: &Reader<'_>) -> Option<PathBuf> {
    let directories = (reader.variable)("STATE_DIRECTORY")?;
    let first = directories.split(':').next().filter(|first| first.starts_with('/'))?;
    Some(Path::new(first).join("counters.db"))
}

fn capacity(node: &Node, reader: &mut Reader<'_>) -> Option<u64> {
    whole(node, 1_000..=100_000_000, reader)
}

/// Whether the kernel is told which files the process may read.
pub(super) fn sandbox(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Sandboxed {
    match fields.read("sandbox", flag, reader) {
        Some(false) => Sandboxed::No,
        Some(true) | None => Sandboxed::Yes,
    }
}

/// Where the metrics are.
pub(super) fn metrics(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let node = fields.get("metrics").filter(|node| !node.is_text("none"))?;
    let fields = Fields::of(node, &keys::METRICS, reader);
    fields.read("address", address::tcp, reader)
}

/// What is written to standard error.
pub(super) fn log(fields: &Fields<'_>, reader: &mut Reader<'_>) -> LogSettings {
    let mut log = LogSettings {
        format: LogFormat::Text,
        level: tracing::Level::INFO,
        access: AccessLog::Off,
    };
    if let Some(node) = fields.get("log") {
        let fields = Fields::of(node, &keys::LOG, reader);
        fields.set("format", &mut log.format, log_format, reader);
        fields.set("level", &mut log.level, log_level, reader);
        fields.set("access", &mut log.access, access_log, reader);
    }
    log
}

fn log_format(node: &Node, reader: &mut Reader<'_>) -> Option<LogFormat> {
    choice(node, &[("text", LogFormat::Text), ("json", LogFormat::Json)], reader)
}

fn log_level(node: &Node, reader: &mut Reader<'_>) -> Option<tracing::Level> {
    let words = [
        ("error", tracing::Level::ERROR),
        ("warn", tracing::Level::WARN),
        ("info", tracing::Level::INFO),
        ("debug", tracing::Level::DEBUG),
        ("trace", tracing::Level::TRACE),
    ];
    choice(node, &words, reader)
}

fn access_log(node: &Node, reader: &mut Reader<'_>) -> Option<AccessLog> {
    Some(if flag(node, reader)? { AccessLog::On } else { AccessLog::Off })
}

/// How the guard ends.
pub(super) fn shutdown(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Shutdown {
    let mut own = Shutdown::default();
    if let Some(node) = fields.get("shutdown") {
        let fields = Fields::of(node, &keys::SHUTDOWN, reader);
        fields.set("delay", &mut own.delay, |n, r| duration_from(n, Duration::ZERO, r), reader);
        fields.set("deadline", &mut own.deadline, duration, reader);
    }
    own
}

/// How long things may take.
pub(super) fn timeouts(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Timeouts {
    let mut own = Timeouts::default();
    if let Some(node) = fields.get("timeouts") {
        let fields = Fields::of(node, &keys::TIMEOUTS, reader);
        for (key, place) in [
            ("handshake", &mut own.handshake),
            ("proxy_header", &mut own.proxy_header),
            ("head", &mut own.head),
            ("idle", &mut own.idle),
            ("login_body", &mut own.login_body),
            ("body", &mut own.body),
            ("send", &mut own.send),
            ("connect", &mut own.connect),
            ("response_head", &mut own.response_head),
            ("verdict", &mut own.verdict),
            ("exchange", &mut own.exchange),
            ("upstream_idle", &mut own.upstream_idle),
            ("upstream_idle_unsafe", &mut own.upstream_idle_unsafe),
        ] {
            fields.set(key, place, duration, reader);
        }
    }
    own
}

/// How much there may be of things.
pub(super) fn bounds(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Bounds {
    let mut own = Bounds::default();
    if let Some(node) = fields.get("bounds") {
        let fields = Fields::of(node, &keys::BOUNDS, reader);
        fields.set("headers", &mut own.headers, |node, r| whole(node, 10..=1_000, r), reader);
        fields.set("head", &mut own.head, |node, r| size(node, 4096..=1024 * 1024, r), reader);
        fields.set("target", &mut own.target, |node, r| size(node, 1024..=65_536, r), reader);
        let connections = |node: &Node, r: &mut Reader<'_>| whole(node, 1..=1_000_000, r);
        fields.set("connections", &mut own.connections, connections, reader);
    }
    own
}
