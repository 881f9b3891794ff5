//! Where events go besides the log, and what they show of people.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fields::Fields;
use super::keys::{self, nearest};
use super::node::Node;
use super::reader::Reader;
use super::scalar::{choice, size, text, whole};
use crate::events;
use crate::outlets::settings::{
    Audit, AuditFile, AuditTo, Chosen, Privacy, Secret, Shown, Syslog, SyslogAddr,
};

/// Shorter secrets are guessed.
const SHORTEST_SECRET: usize = 16;
/// The sizes of an audit file.
const LEAST_SIZE: usize = 4096;
const MOST_SIZE: usize = 1024 * 1024 * 1024 * 64;
const USUAL_SIZE: u64 = 100 * 1024 * 1024;

const FACILITIES: [(&str, u8); 12] = [
    ("daemon", 3),
    ("auth", 4),
    ("authpriv", 10),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
    ("user", 1),
];

/// How values are shown that tell of people.
pub(super) fn privacy(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Privacy {
    let mut privacy = Privacy::default();
    if let Some(node) = fields.get("privacy") {
        let fields = Fields::of(node, &keys::PRIVACY, reader);
        fields.set("usernames", &mut privacy.usernames, how, reader);
        fields.set("addresses", &mut privacy.addresses, how, reader);
        privacy.key = fields.read("key", secret, reader);
    }
    privacy
}

fn how(node: &Node, reader: &mut Reader<'_>) -> Option<Shown> {
    let words = [("clear", Shown::Clear), ("masked", Shown::Masked), ("hashed", Shown::Hashed)];
    choice(node, &words, reader)
}

/// Something that nobody guesses.
pub(super) fn secret(node: &Node, reader: &mut Reader<'_>) -> Option<Secret> {
    let written = text(node, reader)?;
    if written.len() < SHORTEST_SECRET {
        let right =
            "write at least 16 bytes that nobody guesses, such as `openssl rand -base64 32` prints";
        reader.error(node, "is too short for a secret", right);
        return None;
    }
    Some(Secret(Arc::from(written.as_bytes())))
}

/// The audit log.
pub(super) fn audit(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<Audit> {
    let node = fields.get("audit").filter(|node| !node.is_text("none"))?;
    let fields = Fields::of(node, &keys::AUDIT, reader);
    if fields.lacks("to") {
        reader.error(node, "needs `to`", "write `to: file`, `to: stdout` or `to: syslog`");
    }
    let words = [("file", Kind::File), ("stdout", Kind::Stdout), ("syslog", Kind::Syslog)];
    let kind = fields.read("to", |node, reader| choice(node, &words, reader), reader);
    let to = match kind? {
        Kind::File => AuditTo::File(audit_file(&fields, reader)?),
        Kind::Stdout => AuditTo::Stdout,
        Kind::Syslog => AuditTo::Syslog(syslog(&fields, reader)?),
    };
    for (key, own) in [("file", Kind::File), ("rotate", Kind::File), ("syslog", Kind::Syslog)] {
        if let Some(node) = fields.get(key).filter(|_| kind != Some(own)) {
            reader.error(node, "does not go with this `to`", "remove it, or change `to`");
        }
    }
    let events = fields.read("events", chosen, reader).unwrap_or(Chosen::All);
    Some(Audit { to, events })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Stdout,
    Syslog,
}

fn audit_file(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<AuditFile> {
    if fields.lacks("file") {
        reader.error(fields.node, "needs `file`", "say where, such as `file: audit.log`");
    }
    let mut file = AuditFile { path: PathBuf::new(), size: USUAL_SIZE, keep: 10 };
    if let Some(node) = fields.get("rotate") {
        let fields = Fields::of(node, &keys::ROTATE, reader);
        let read = |node: &Node, reader: &mut Reader<'_>| {
            size(node, LEAST_SIZE..=MOST_SIZE, reader).map(|size| size as u64)
        };
        fields.set("size", &mut file.size, read, reader);
        fields.set("keep", &mut file.keep, |node, r| whole(node, 1..=10_000, r), reader);
    }
    file.path = fields.read("file", written_file, reader)?;
    Some(file)
}

/// A file that the guard will write.
fn written_file(node: &Node, reader: &mut Reader<'_>) -> Option<PathBuf> {
    let path = reader.base.join(text(node, reader)?);
    let dir =
        path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    if path.is_dir() {
        reader.error(node, format!("`{}` is a directory", node.shown()), "name a file in it");
        return None;
    }
    if !dir.is_dir() {
        let wrong = format!("there is no directory `{}`", dir.display());
        reader.error(node, wrong, "make it, for the user that the guard runs as");
        return None;
    }
    Some(path)
}

fn syslog(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<Syslog> {
    let mut own = Syslog { address: SyslogAddr::Unix("/dev/log".into()), facility: 10 };
    if let Some(node) = fields.get("syslog") {
        let fields = Fields::of(node, &keys::SYSLOG, reader);
        fields.set("facility", &mut own.facility, |node, r| choice(node, &FACILITIES, r), reader);
        if let Some(node) = fields.get("address") {
            own.address = syslog_address(node, reader)?;
        }
    }
    Some(own)
}

fn syslog_address(node: &Node, reader: &mut Reader<'_>) -> Option<SyslogAddr> {
    let written = text(node, reader)?;
    let place = |rest: &str| {
        let (host, port) = rest.rsplit_once(':')?;
        let port = port.parse::<u16>().ok().filter(|port| *port != 0)?;
        let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
        is_host.then(|| format!("{host}:{port}").into_boxed_str())
    };
    let address = if let Some(path) = written.strip_prefix("unix:") {
        (!path.is_empty()).then(|| SyslogAddr::Unix(reader.base.join(path)))
    } else if let Some(rest) = written.strip_prefix("udp://") {
        place(rest).map(SyslogAddr::Udp)
    } else if let Some(rest) = written.strip_prefix("tcp://") {
        place(rest).map(SyslogAddr::Tcp)
    } else {
        None
    };
    if address.is_none() {
        let right = "write unix:/dev/log, udp://HOST:514 or tcp://HOST:601";
        reader.error(node, format!("`{}` is no syslog server", node.shown()), right);
    }
    address
}

/// Names of events, or `all`.
pub(super) fn chosen(node: &Node, reader: &mut Reader<'_>) -> Option<Chosen> {
    if node.is_text("all") {
        return Some(Chosen::All);
    }
    if node.items().is_empty() {
        reader.error(node, "is empty", "name events, or write `all`");
        return None;
    }
    let names: Vec<_> = node.items().iter().filter_map(|item| event(item, reader)).collect();
    (names.len() == node.items().len()).then_some(Chosen::Only(names))
}

fn event(node: &Node, reader: &mut Reader<'_>) -> Option<&'static str> {
    let written = text(node, reader)?;
    let known: Vec<&'static str> = events::known().collect();
    let found = known.iter().find(|name| **name == written);
    if found.is_none() {
        let right = match nearest(written, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "the README lists all events".to_owned(),
        };
        reader.error(node, format!("there is no event `{}`", node.shown()), &right);
    }
    found.copied()
}
