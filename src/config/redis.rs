//! The store that several guards share.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::address::authority;
use super::fields::Fields;
use super::node::Node;
use super::outlets::secret;
use super::reader::Reader;
use super::scalar::{choice, duration_from, text, whole};
use super::upstream::load_trust;
use super::{UpstreamAddr, keys};
use crate::store::redis::settings::{
    Address, Hidden, OnOutage, OwnPem, Place, RedisLogin, RedisSettings, RedisTls,
};
use crate::tls::CertificateFiles;
use crate::tls::trust::TrustSettings;

/// Where servers and Sentinels usually listen.
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
/// The longest waits that make sense for somebody who logs in.
const LONGEST: Duration = Duration::from_secs(10);
/// Passwords that are shorter are guessed.
const SHORTEST: usize = 16;

const URL: &str = "write such as redis://redis.internal:6379, rediss:// for TLS, or \
                   unix:///run/redis/redis.sock";

/// The shared store, if `node` describes one.
pub(super) fn redis(node: &Node, reader: &mut Reader<'_>) -> Option<Arc<RedisSettings>> {
    let before = reader.count();
    let fields = Fields::of(node, &keys::REDIS, reader);
    let place = place(&fields, reader);
    // where the place is wrong, what is wrong besides is said as well
    let nowhere = || Place::One(Address::Unix(PathBuf::new()));
    let mut own = RedisSettings::at(place.clone().unwrap_or_else(nowhere));
    own.login = login(&fields, reader);
    fields.set("prefix", &mut own.prefix, prefix, reader);
    own.key = fields.read("key", key, reader);
    fields.set("database", &mut own.database, |node, r| whole(node, 0..=65_535, r), reader);
    fields.set("timeout", &mut own.timeout, limit, reader);
    fields.set("connect_timeout", &mut own.connect_timeout, limit, reader);
    let words = [OnOutage::Local, OnOutage::Refuse, OnOutage::Allow].map(|way| (way.name(), way));
    fields.set("on_outage", &mut own.on_outage, |node, r| choice(node, &words, r), reader);
    if let (Place::Cluster(_), Some(node)) = (&own.place, fields.get("database"))
        && own.database != 0
    {
        reader.error(node, "is not there in a Cluster, which has database 0 alone", "remove it");
    }
    if let Some(tls) = place.and_then(|place| tls(&fields, &place, reader)) {
        own.tls = tls;
    }
    if reader.has_errors_since(before) {
        return None;
    }
    doubts(&fields, &own, reader);
    Some(Arc::new(own))
}

/// What is legal and doubtful.
fn doubts(fields: &Fields<'_>, own: &RedisSettings, reader: &mut Reader<'_>) {
    let node = fields.node;
    let password = own.login.password.as_ref().map_or(0, |password| password.0.len());
    // one that could not be read is said to be that, and may be long
    let is_unread = own.login.password.is_none() && fields.has("password");
    if own.key.is_none() && password < SHORTEST && !is_unread {
        let wrong = "has no `key` and no long `password`: whoever reads the store can try out whose \
                     hashes are in it";
        let right =
            "add `key: \"${file:store.key}\"`, with the same 16 bytes or more for all guards";
        reader.warn(node, wrong, right);
    }
    let is_exposed = |address: &&Address| match address {
        Address::Tcp(host, _) => !is_near(host),
        Address::Tls(..) | Address::Unix(_) => false,
    };
    let exposed = own.place.addresses().find(is_exposed);
    if let Some(address) = exposed {
        let wrong = format!("whoever is on the way to `{address}` reads and changes the counters");
        reader.warn(node, wrong, "write `rediss://`, if the server speaks TLS");
    }
}

/// Whether a host is this machine, or in a network that is not the world's. A name is not looked up;
/// one without a dot, or of a zone that is nobody's, is taken for one of one's own.
fn is_near(host: &str) -> bool {
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => {
            let zone = host.trim_end_matches('.').rsplit_once('.').map(|(_, zone)| zone);
            let own =
                ["home", "internal", "lan", "local", "localdomain", "localhost", "svc", "test"];
            zone.is_none_or(|zone| own.iter().any(|own| zone.eq_ignore_ascii_case(own)))
        }
    }
}

fn place(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<Place> {
    let ways = ["url", "sentinel", "cluster"];
    let given: Vec<_> = ways.iter().filter(|way| fields.has(way)).collect();
    match given.as_slice() {
        [_] => {}
        [] => {
            if fields.node.entries().is_some() {
                let right = "such as `url: redis://127.0.0.1:6379`";
                reader.error(fields.node, "needs `url`, `sentinel` or `cluster`", right);
            }
            return None;
        }
        [first, second, ..] => {
            let wrong = format!("has `{first}` and `{second}`");
            reader.error(fields.node, wrong, "say in one way where the store is");
            return None;
        }
    }
    if let Some(node) = fields.get("url") {
        return url(node, PORT, reader).map(Place::One);
    }
    if let Some(node) = fields.get("cluster") {
        return some(node, PORT, reader).map(Place::Cluster);
    }
    let own = Fields::of(fields.get("sentinel")?, &keys::SENTINEL, reader);
    for (key, right) in [
        ("master", "write the name that the Sentinels know it by, such as `master: logins`"),
        ("urls", "say where the Sentinels are, such as `urls: [\"redis://10.0.0.1:26379\"]`"),
    ] {
        if own.lacks(key) {
            reader.error(own.node, format!("needs `{key}`"), right);
        }
    }
    let login = login(&own, reader);
    let primary = own.read("master", text, reader)?.into();
    let sentinels = some(own.get("urls")?, SENTINEL_PORT, reader)?;
    Some(Place::Sentinel { primary, sentinels, login })
}

/// Servers of one fleet: at least one, through TCP, all with TLS or none.
fn some(node: &Node, usual: u16, reader: &mut Reader<'_>) -> Option<Vec<Address>> {
    let before = reader.count();
    let items = node.items();
    if items.is_empty() {
        reader.error(node, "is empty", "name one server or more");
    }
    let mut servers: Vec<Address> = Vec::new();
    for item in items {
        let Some(server) = url(item, usual, reader) else { continue };
        if matches!(server, Address::Unix(_)) {
            let right = "name a port, which is where the others are found, too";
            reader.error(item, "is a unix socket", right);
        }
        if servers.first().is_some_and(|first| first.is_tls() != server.is_tls()) {
            reader.error(item, "speaks TLS where others do not, or the other way", "");
        }
        servers.push(server);
    }
    (!reader.has_errors_since(before)).then_some(servers)
}

fn url(node: &Node, usual: u16, reader: &mut Reader<'_>) -> Option<Address> {
    let written = text(node, reader)?;
    let Some((scheme, rest)) = written.split_once("://") else {
        // what is before an @ may be a password
        let is_shown = !written.contains('@');
        let what = if is_shown { format!("`{}`", node.shown()) } else { "this".to_owned() };
        reader.error(node, format!("{what} is no URL"), URL);
        return None;
    };
    let is_tls = match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        "unix" if rest.starts_with('/') => return Some(Address::Unix(rest.into())),
        _ => {
            // what is behind the scheme may be a password
            reader.error(node, "is no URL of a store", URL);
            return None;
        }
    };
    if rest.contains('@') {
        let right = "write `username` and `password: \"${file:redis.password}\"` beside it";
        reader.error(node, "has credentials", right);
        return None;
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        reader.error(
            node,
            "says more than where",
            "write `database: N` beside it, if that is meant",
        );
        return None;
    }
    match authority(rest, usual) {
        Ok(UpstreamAddr::Tcp { host, port }) if is_tls => Some(Address::Tls(host, port)),
        Ok(UpstreamAddr::Tcp { host, port }) => Some(Address::Tcp(host, port)),
        Ok(UpstreamAddr::Unix(path)) => Some(Address::Unix(path)),
        Err(wrong) => {
            reader.error(node, wrong, URL);
            None
        }
    }
}

fn login(fields: &Fields<'_>, reader: &mut Reader<'_>) -> RedisLogin {
    let password = fields.read("password", text, reader).map(|text| Hidden(text.into()));
    let username = fields.read("username", text, reader).map(Box::from);
    if let Some(node) = fields.get("username").filter(|_| !fields.has("password")) {
        let right = "add `password: \"${file:redis.password}\"`";
        reader.error(node, "has no password", right);
    }
    RedisLogin { username, password }
}

fn prefix(node: &Node, reader: &mut Reader<'_>) -> Option<Box<str>> {
    let written = text(node, reader)?;
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    if !written.chars().all(is_legal) || written.len() > 64 {
        let right = "write at most 64 letters, digits, and - _ . : /";
        reader.error(node, format!("`{}` is no prefix", node.shown()), right);
        return None;
    }
    Some(written.into())
}

fn key(node: &Node, reader: &mut Reader<'_>) -> Option<Hidden> {
    secret(node, reader)?;
    text(node, reader).map(|text| Hidden(text.into()))
}

fn limit(node: &Node, reader: &mut Reader<'_>) -> Option<Duration> {
    let written = duration_from(node, Duration::from_millis(1), reader)?;
    if written > LONGEST {
        reader.error(node, "is longer than anybody waits who logs in", "write at most 10s");
        return None;
    }
    Some(written)
}

fn tls(fields: &Fields<'_>, place: &Place, reader: &mut Reader<'_>) -> Option<RedisTls> {
    let is_used = place.addresses().any(Address::is_tls);
    let Some(node) = fields.get("tls") else {
        return is_used.then(|| loaded(fields.node, (None, None), reader)).flatten();
    };
    if !is_used {
        reader.error(node, "goes with `rediss://`", "write that, or remove it");
        return None;
    }
    let own = Fields::of(node, &keys::REDIS_TLS, reader);
    let named = |key: &str, reader: &mut Reader<'_>| {
        own.read(key, |node, reader| Some((node, text(node, reader)?)), reader)
    };
    let [ca, certificate, key] = ["ca", "certificate", "key"].map(|key| named(key, reader));
    for (one, other) in [("certificate", "key"), ("key", "certificate")] {
        if own.has(one) && !own.has(other) {
            let right = "the two belong together; remove both where the guard needs none";
            reader.error(node, format!("has a `{one}` and no `{other}`"), right);
        }
    }
    loaded(node, (ca, certificate.zip(key)), reader)
}

type Named<'a> = (&'a Node, &'a str);

/// The files of TLS, which are looked at as those towards upstreams are.
fn loaded(
    node: &Node,
    (ca, own): (Option<Named<'_>>, Option<(Named<'_>, Named<'_>)>),
    reader: &mut Reader<'_>,
) -> Option<RedisTls> {
    let path = |named: Named<'_>, reader: &Reader<'_>| -> PathBuf { reader.path(named.1) };
    let settings = TrustSettings {
        ca: ca.map(|ca| path(ca, reader)),
        own: own.map(|(certificate, key)| CertificateFiles {
            certificate: path(certificate, reader),
            key: path(key, reader),
        }),
        ..TrustSettings::default()
    };
    load_trust(node, &settings, reader)?;
    let roots = match ca {
        Some((node, written)) => reader.file(node, written)?.into_bytes().into(),
        None => system_roots(),
    };
    let own = match own {
        Some((certificate, key)) => Some(OwnPem {
            certificate: reader.file(certificate.0, certificate.1)?.into_bytes().into(),
            key: reader.file(key.0, key.1)?.into_bytes().into(),
        }),
        None => None,
    };
    Some(RedisTls { roots, own })
}

/// Those of the system that can be used, as PEM: the client reads nothing else, and later the guard
/// may not read them any more.
fn system_roots() -> Arc<[u8]> {
    let mut pem = String::new();
    for root in rustls_native_certs::load_native_certs().certs {
        if rustls::RootCertStore::empty().add(root.clone()).is_ok() {
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            pem.push_str(&BASE64_STANDARD.encode(&root));
            pem.push_str("\n-----END CERTIFICATE-----\n");
        }
    }
    pem.into_bytes().into()
}
