//! Upstreams: the servers of an application, and which of them gets a request.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::uri::{Authority, PathAndQuery};
use rustls::pki_types::ServerName;

use super::address::Scheme;
use super::edge::blame;
use super::fields::Fields;
use super::keys;
use super::node::{Kind, Node};
use super::reader::Reader;
use super::scalar::{duration, flag, text};
use super::{UpstreamAddr, address, outcome};
use crate::policy::route::HostPattern;
use crate::tls::trust::{Offer, Trust, TrustError, TrustSettings, Verify};
use crate::tls::{CertificateFiles, problems};

/// More servers than this are none that a single guard stands before.
pub const MOST_SERVERS: usize = 128;

/// Where an application is, and which of its servers gets a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its servers, at least one and at most [`MOST_SERVERS`], no two alike.
    pub servers: Vec<UpstreamServer>,
    /// Which of them gets a request.
    pub balance: Balance,
    /// Which `Host` it is told.
    pub host: HostSent,
    /// How they are asked whether they are well, if they are.
    pub health_check: Option<HealthCheck>,
}

/// One server of an application, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamServer {
    /// Where it is.
    pub address: UpstreamAddr,
    /// How TLS with it goes, if it speaks that.
    pub tls: Option<Arc<Trust>>,
    /// What it is offered; HTTP/2 only where it speaks TLS.
    pub offer: Offer,
}

/// What tells servers apart, wherever they were named: those that are the same share connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerKey {
    address: UpstreamAddr,
    trust: Option<u128>,
    offer: Offer,
}

impl fmt::Display for UpstreamServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            UpstreamAddr::Tcp { .. } => {
                let scheme = if self.tls.is_some() { "https" } else { "http" };
                write!(out, "{scheme}://{}", self.authority())
            }
            UpstreamAddr::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl UpstreamServer {
    /// What tells it from others.
    #[must_use]
    pub fn key(&self) -> ServerKey {
        let trust = self.tls.as_ref().map(|trust| trust.digest());
        ServerKey { address: self.address.clone(), trust, offer: self.offer }
    }

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

/// How servers are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// What is asked for; begins with a slash.
    pub path: Box<str>,
    /// How often, and how long an answer may take.
    pub interval: Duration,
    /// Which answers are good; at least one.
    pub status: Vec<RangeInclusive<u16>>,
    /// Which host is asked for.
    pub host: Box<str>,
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
pub(super) fn upstream(
    fields: &Fields<'_>,
    hosts: &[HostPattern],
    reader: &mut Reader<'_>,
) -> Option<UpstreamSettings> {
    let Some(node) = fields.get("upstream") else {
        if fields.lacks("upstream") {
            let right = "such as `upstream: http://127.0.0.1:3000`";
            reader.error(fields.node, "needs `upstream`", right);
        }
        return None;
    };
    if !matches!(node.kind, Kind::Map(_)) {
        let servers = servers(node, (None, Offer::Http1), reader)?;
        return Some(UpstreamSettings {
            servers,
            balance: Balance::default(),
            host: HostSent::default(),
            health_check: None,
        });
    }
    let fields = Fields::of(node, &keys::UPSTREAM, reader);
    if fields.lacks("servers") {
        reader.error(node, "needs `servers`", "such as `servers: [http://10.0.0.1:3000]`");
    }
    let balance = fields.read("balance", balance, reader).unwrap_or_default();
    let host = fields.read("host", host, reader).unwrap_or_default();
    let tls = fields.get("tls");
    let speaks = match fields.read("http2", flag, reader) {
        Some(true) => Offer::Http2,
        Some(false) | None => Offer::Http1,
    };
    let servers = |node, reader: &mut Reader<'_>| servers(node, (tls, speaks), reader);
    let servers = fields.read("servers", servers, reader)?;
    let asked = asked_host(&host, hosts, &servers);
    let check = |node, reader: &mut Reader<'_>| health_check(node, asked, reader);
    let health_check = fields.read("health_check", check, reader);
    Some(UpstreamSettings { servers, balance, host, health_check })
}

/// The host that checks ask for: what requests ask for, as far as that is known.
fn asked_host(host: &HostSent, hosts: &[HostPattern], servers: &[UpstreamServer]) -> Box<str> {
    let exact = hosts.iter().find_map(|host| match host {
        HostPattern::Exact(name) => Some(name.clone()),
        HostPattern::Below(_) => None,
    });
    match (host, exact) {
        (HostSent::Name(name), _) => String::from_utf8_lossy(name.as_bytes()).into(),
        (HostSent::Preserve, Some(name)) => name,
        (HostSent::Preserve, None) => {
            servers.first().map(UpstreamServer::authority).unwrap_or_default().into()
        }
    }
}

fn health_check(node: &Node, host: Box<str>, reader: &mut Reader<'_>) -> Option<HealthCheck> {
    let fields = Fields::of(node, &keys::HEALTH_CHECK, reader);
    if fields.lacks("path") {
        reader.error(node, "needs `path`", "such as { path: /health }");
    }
    let path = fields.read("path", check_path, reader);
    let interval = fields.read("interval", duration, reader).unwrap_or(Duration::from_secs(10));
    let mut status = fields.some("status", outcome::status, reader);
    if status.is_empty() {
        status = vec![200..=399];
    }
    Some(HealthCheck { path: path?, interval, status, host })
}

fn check_path(node: &Node, reader: &mut Reader<'_>) -> Option<Box<str>> {
    let written = text(node, reader)?;
    let path = written.parse::<PathAndQuery>().ok().filter(|_| written.starts_with('/'));
    if path.is_none() {
        let right = "write what stands behind the host, such as /health";
        reader.error(node, format!("`{}` is no path", node.shown()), right);
    }
    path.map(|path| path.as_str().into())
}

/// Servers of which those with `https://` are spoken to as `tls` says.
fn servers(
    node: &Node,
    (tls, offer): (Option<&Node>, Offer),
    reader: &mut Reader<'_>,
) -> Option<Vec<UpstreamServer>> {
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
        let Some((scheme, address)) = address::upstream(item, reader) else { continue };
        let tls = match (scheme, tls) {
            (Scheme::Plain, _) if offer == Offer::Http2 => {
                let wrong = "is no `https://` server, so that HTTP/2 cannot be agreed on with it";
                reader.error(item, wrong, "write https://, or remove `http2`");
                continue;
            }
            (Scheme::Plain, None) => None,
            (Scheme::Plain, Some(_)) => {
                let wrong = "is no `https://` server, so that `tls` cannot be for it";
                reader.error(item, wrong, "write https://, or remove `tls`");
                continue;
            }
            (Scheme::Tls, _) => match trust(tls.unwrap_or(item), tls, reader) {
                Some(trust) => Some(trust),
                None => return None,
            },
        };
        let server = UpstreamServer { address, tls, offer };
        if servers.contains(&server) {
            reader.error(item, "is named twice", "remove one of them");
            continue;
        }
        servers.push(server);
    }
    (!servers.is_empty()).then_some(servers)
}

/// What `tls` says, or nothing; `node` is to blame where that does not do.
fn trust(node: &Node, tls: Option<&Node>, reader: &mut Reader<'_>) -> Option<Arc<Trust>> {
    let settings = match tls {
        Some(tls) => trust_settings(tls, reader)?,
        None => TrustSettings::default(),
    };
    load_trust(node, &settings, reader)
}

/// What `settings` say, loaded; `node` is to blame where that does not do.
pub(super) fn load_trust(
    node: &Node,
    settings: &TrustSettings,
    reader: &mut Reader<'_>,
) -> Option<Arc<Trust>> {
    match reader.trusts.load(settings) {
        Ok(trust) => Some(trust),
        Err(TrustError::File(error)) => {
            let all = problems(settings.own.as_slice(), settings.ca.as_deref());
            blame(node, &error, &all, reader);
            None
        }
        Err(TrustError::NoRoots(why)) => {
            let why = if why.is_empty() { why } else { format!(" ({why})") };
            let wrong = format!("this system has no root certificates to verify it by{why}");
            let right = "install them, such as the package ca-certificates, or name the CA: \
                         `tls: { ca: ca.pem }`";
            reader.error(node, wrong, right);
            None
        }
    }
}

fn trust_settings(node: &Node, reader: &mut Reader<'_>) -> Option<TrustSettings> {
    let before = reader.count();
    let fields = Fields::of(node, &keys::UPSTREAM_TLS, reader);
    let ca = fields.read("ca", file, reader);
    let certificate = fields.read("certificate", file, reader);
    let key = fields.read("key", file, reader);
    for (one, other) in [("certificate", "key"), ("key", "certificate")] {
        if fields.has(one) && !fields.has(other) {
            let right = "the two belong together; remove both where the guard needs none";
            reader.error(node, format!("has a `{one}` and no `{other}`"), right);
        }
    }
    let own = certificate.zip(key).map(|(certificate, key)| CertificateFiles { certificate, key });
    let server_name = fields.read("server_name", server_name, reader);
    let verify = match fields.read("insecure", flag, reader) {
        Some(true) => Verify::Never,
        Some(false) | None => Verify::Always,
    };
    if verify == Verify::Never {
        if let Some(ca) = fields.get("ca") {
            reader.error(ca, "is not looked at with `insecure: true`", "remove one of the two");
        } else if reader.count() == before {
            let wrong = "`insecure: true` believes whoever answers, and sends him the passwords";
            reader.warn(node, wrong, "name the upstream's own CA under `ca` instead");
        }
    }
    // what is wrong has been said, and there is no use in going on with half of it
    (!reader.has_errors_since(before)).then_some(TrustSettings { ca, own, server_name, verify })
}

pub(super) fn file(node: &Node, reader: &mut Reader<'_>) -> Option<PathBuf> {
    text(node, reader).map(|path| reader.path(path))
}

fn server_name(node: &Node, reader: &mut Reader<'_>) -> Option<ServerName<'static>> {
    let written = text(node, reader)?;
    let name = ServerName::try_from(written.to_owned()).ok();
    if name.is_none() {
        let right = "write a host name or an address alone, such as app.internal";
        reader.error(node, format!("`{}` is no name of a server", node.shown()), right);
    }
    name
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
