//! Upstreams: the servers of an application, and which of them gets a request.

use std::fmt;

use http::HeaderValue;
use http::uri::Authority;

use super::fields::Fields;
use super::keys;
use super::node::{Kind, Node};
use super::reader::Reader;
use super::scalar::text;
use super::{UpstreamAddr, address};

/// More servers than this are none that a single guard stands before.
pub const MOST_SERVERS: usize = 128;

/// Where an application is, and which of its servers gets a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamSettings {
    /// Its servers, at least one and at most [`MOST_SERVERS`], no two alike.
    pub servers: Vec<UpstreamServer>,
    /// Which of them gets a request.
    pub balance: Balance,
    /// Which `Host` it is told.
    pub host: HostSent,
}

/// One server of an application, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamServer {
    /// Where it is.
    pub address: UpstreamAddr,
}

impl fmt::Display for UpstreamServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            UpstreamAddr::Tcp { .. } => write!(out, "http://{}", self.authority()),
            UpstreamAddr::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl UpstreamServer {
    /// What a `Host` field calls it.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.address {
            UpstreamAddr::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            UpstreamAddr::Tcp { host, port } => format!("{host}:{port}"),
            UpstreamAddr::Unix(_) => "localhost".to_owned(),
        }
    }
}

/// Which of several servers gets a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Balance {
    /// Always the same for a client's address.
    #[default]
    Client,
    /// Always the same for the value of this cookie; for requests without it, as [`Self::Client`].
    Cookie(Box<str>),
    /// One after the other.
    RoundRobin,
}

/// Which `Host` an upstream is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostSent {
    /// The client's.
    #[default]
    Preserve,
    /// Always this.
    Name(HeaderValue),
}

/// The upstream of a site: a URL, a list of them, or a mapping with more to say.
pub(super) fn upstream(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<UpstreamSettings> {
    let Some(node) = fields.get("upstream") else {
        if fields.lacks("upstream") {
            let right = "such as `upstream: http://127.0.0.1:3000`";
            reader.error(fields.node, "needs `upstream`", right);
        }
        return None;
    };
    if !matches!(node.kind, Kind::Map(_)) {
        let servers = servers(node, reader)?;
        return Some(UpstreamSettings {
            servers,
            balance: Balance::default(),
            host: HostSent::default(),
        });
    }
    let fields = Fields::of(node, &keys::UPSTREAM, reader);
    if fields.lacks("servers") {
        reader.error(node, "needs `servers`", "such as `servers: [http://10.0.0.1:3000]`");
    }
    let balance = fields.read("balance", balance, reader).unwrap_or_default();
    let host = fields.read("host", host, reader).unwrap_or_default();
    let servers = fields.read("servers", servers, reader)?;
    Some(UpstreamSettings { servers, balance, host })
}

fn servers(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<UpstreamServer>> {
    let list = node.items();
    if list.is_empty() {
        reader.error(node, "is empty", "name at least one URL");
    }
    if list.len() > MOST_SERVERS {
        let wrong = format!("has {} servers", list.len());
        reader.error(node, wrong, &format!("name at most {MOST_SERVERS}"));
        return None;
    }
    let mut servers: Vec<UpstreamServer> = Vec::with_capacity(list.len());
    for item in list {
        let Some(address) = address::upstream(item, reader) else { continue };
        let server = UpstreamServer { address };
        if servers.contains(&server) {
            reader.error(item, "is named twice", "remove one of them");
            continue;
        }
        servers.push(server);
    }
    (!servers.is_empty()).then_some(servers)
}

fn balance(node: &Node, reader: &mut Reader<'_>) -> Option<Balance> {
    if matches!(node.kind, Kind::Map(_)) {
        let fields = Fields::of(node, &keys::BALANCE, reader);
        if fields.lacks("cookie") {
            reader.error(node, "needs `cookie`", "such as { cookie: JSESSIONID }");
        }
        return fields.read("cookie", cookie, reader).map(|name| Balance::Cookie(name.into()));
    }
    match node.text() {
        Some("client") => Some(Balance::Client),
        Some("round_robin") => Some(Balance::RoundRobin),
        _ => {
            let right = "write `client`, `round_robin` or { cookie: NAME }";
            reader.error(node, format!("`{}` is unknown", node.shown()), right);
            None
        }
    }
}

/// The name of a cookie, exactly as it is (RFC 6265, section 4.1.1).
fn cookie<'a>(node: &'a Node, reader: &mut Reader<'_>) -> Option<&'a str> {
    let name = text(node, reader)?;
    let legal = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c);
    if !name.chars().all(legal) {
        let wrong = format!("`{}` is no name of a cookie", node.shown());
        reader.error(node, wrong, "write the name alone, such as JSESSIONID");
        return None;
    }
    Some(name)
}

fn host(node: &Node, reader: &mut Reader<'_>) -> Option<HostSent> {
    let name = text(node, reader)?;
    if name == "preserve" {
        return Some(HostSent::Preserve);
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let authority = name.parse::<Authority>().ok().filter(|_| name.chars().all(legal));
    let value = authority.filter(|own| !own.host().is_empty() && !name.ends_with(':'));
    let value = value.and_then(|own| HeaderValue::from_str(own.as_str()).ok());
    if value.is_none() {
        let right = "write `preserve` for the client's, or a name such as app.internal";
        reader.error(node, format!("`{}` is no host", node.shown()), right);
    }
    value.map(HostSent::Name)
}
