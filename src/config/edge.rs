//! Where clients connect, and how they are told apart.

use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use crate::clock::Clock;
use crate::policy::client::{ClientRules, Prefixes};

use super::fields::Fields;
use super::keys;
use super::network::proxies;
use super::node::{Kind, Node};
use super::reader::Reader;
use super::scalar::{flag, text, whole};
use super::{Listen, ListenAddr, Proxied, address};
use crate::tls::{CertificateFiles, Certificates, TlsError, expiry, problems};

/// Where to listen, each with the node that says so.
pub(super) fn listeners<'a>(
    fields: &Fields<'a>,
    reader: &mut Reader<'_>,
) -> Vec<(&'a Node, Listen)> {
    let list = fields.get("listen").map_or(&[][..], Node::items);
    if list.is_empty() {
        let right = "say where, such as `listen: \"127.0.0.1:8080\"`";
        reader.error(fields.node, "listens nowhere", right);
    }
    let mut listeners: Vec<(&Node, Listen)> = Vec::new();
    for node in list {
        let Some(listen) = listener(node, reader) else { continue };
        listeners.push((node, listen));
    }
    listeners
}

fn listener(node: &Node, reader: &mut Reader<'_>) -> Option<Listen> {
    if !matches!(node.kind, Kind::Map(_)) {
        return address::listen(node, reader).map(|address| Listen {
            address,
            tls: None,
            proxied: Proxied::No,
            redirect: None,
        });
    }
    let fields = Fields::of(node, &keys::LISTENER, reader);
    if fields.lacks("address") {
        reader.error(node, "needs `address`", "such as `address: \"127.0.0.1:8080\"`");
    }
    let address = fields.read("address", address::listen, reader);
    let tls = match fields.get("tls") {
        Some(node) => Some(Arc::new(tls(node, reader)?)),
        None => None,
    };
    let proxied = fields.read("proxy_protocol", flag, reader);
    let proxied = if proxied == Some(true) { Proxied::Yes } else { Proxied::No };
    let redirect = fields.read("redirect_to_https", redirect, reader).flatten();
    if let Some(node) = fields.get("redirect_to_https")
        && redirect.is_some()
        && tls.is_some()
    {
        reader.error(node, "comes with TLS, so that all requests are https", "remove one of them");
    }
    Some(Listen { address: address?, tls, proxied, redirect })
}

/// The port with TLS that requests are sent to; `None` where they are not.
fn redirect(node: &Node, reader: &mut Reader<'_>) -> Option<Option<u16>> {
    if !matches!(node.kind, Kind::Map(_)) {
        return flag(node, reader).map(|is_on| is_on.then_some(443));
    }
    let fields = Fields::of(node, &keys::REDIRECT, reader);
    let mut port = 443;
    fields.set("port", &mut port, |node, reader| whole(node, 1..=65_535, reader), reader);
    Some(Some(port))
}

/// The certificates of a listener: one pair of files, or a list of them.
fn tls(node: &Node, reader: &mut Reader<'_>) -> Option<Certificates> {
    const EXAMPLE: &str = "such as { certificate: cert.pem, key: key.pem }";
    let mut files = Vec::new();
    let mut client_ca = None;
    for item in node.items() {
        let fields = Fields::of(item, &keys::TLS, reader);
        for key in ["certificate", "key"].into_iter().filter(|key| fields.lacks(key)) {
            reader.error(item, format!("needs `{key}`"), EXAMPLE);
        }
        let certificate = fields.read("certificate", file, reader);
        let key = fields.read("key", file, reader);
        client_ca = fields.read("client_ca", file, reader).or(client_ca);
        files.push(CertificateFiles { certificate: certificate?, key: key? });
    }
    if files.is_empty() {
        reader.error(node, "is empty", EXAMPLE);
        return None;
    }
    let loaded = match Certificates::load(&files, client_ca.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            blame(node, &error, &problems(&files, client_ca.as_deref()), reader);
            return None;
        }
    };
    let now = Clock::system().wall_now();
    for (file, not_after) in loaded.expiries() {
        if let Some(wrong) = expiry::doubt(not_after, now) {
            let wrong = format!("`{}` {wrong}", file.display());
            reader.warn(node, wrong, "renew it; it is loaded again by itself");
        }
    }
    Some(loaded)
}

/// Reports `all` that is wrong with files for TLS, of which one was met first.
pub(super) fn blame(node: &Node, met: &TlsError, all: &[TlsError], reader: &mut Reader<'_>) {
    // there are none where the files have changed meanwhile
    let all = if all.is_empty() { std::slice::from_ref(met) } else { all };
    for TlsError { file, wrong, right } in all {
        reader.error(node, format!("`{}` {wrong}", file.display()), right);
    }
}

fn file(node: &Node, reader: &mut Reader<'_>) -> Option<PathBuf> {
    text(node, reader).map(|path| reader.path(path))
}

/// How clients are told apart on `listeners`.
pub(super) fn clients(
    fields: &Fields<'_>,
    listeners: &[(&Node, Listen)],
    reader: &mut Reader<'_>,
) -> ClientRules {
    let list = fields.get("trusted_proxies");
    let (trusted, members) = list.map(|list| proxies(list, reader)).unwrap_or_default();
    check_proxies(&members, listeners, reader);
    for (node, listener) in listeners {
        if matches!(listener.address, ListenAddr::Unix(_)) && !trusted.unix {
            let wrong = "clients of a unix socket cannot be told apart";
            let right = "add `unix` to `trusted_proxies`, and let the proxy in front send \
                         X-Forwarded-For";
            reader.error(node, wrong, right);
        } else if listener.proxied == Proxied::Yes && trusted.is_empty() {
            let wrong = "takes connections from trusted proxies alone, and there are none";
            let right = "name them under `trusted_proxies`, or remove `proxy_protocol`";
            reader.error(node, wrong, right);
        }
    }
    let mut rules = ClientRules {
        trusted,
        header: http::HeaderName::from_static("x-forwarded-for"),
        address: Prefixes { v4: 32, v6: 64 },
        network: Prefixes { v4: 24, v6: 48 },
    };
    if let Some(node) = fields.get("client_address") {
        client_address(node, &mut rules, reader);
    }
    rules
}

fn client_address(node: &Node, rules: &mut ClientRules, reader: &mut Reader<'_>) {
    let fields = Fields::of(node, &keys::CLIENT_ADDRESS, reader);
    fields.set("header", &mut rules.header, address::header, reader);
    fields.set("ipv6_prefix", &mut rules.address.v6, v6_prefix, reader);
    if let Some(node) = fields.get("header").filter(|_| rules.trusted.is_empty()) {
        let right = "name them under `trusted_proxies`, or remove the header";
        reader.error(node, "is read from trusted proxies alone, and there are none", right);
    }
    if let Some(node) = fields.get("network") {
        let fields = Fields::of(node, &keys::NETWORK, reader);
        fields.set("ipv4_prefix", &mut rules.network.v4, v4_prefix, reader);
        fields.set("ipv6_prefix", &mut rules.network.v6, v6_prefix, reader);
    }
}

fn v4_prefix(node: &Node, reader: &mut Reader<'_>) -> Option<u8> {
    whole(node, 8..=32, reader)
}

fn v6_prefix(node: &Node, reader: &mut Reader<'_>) -> Option<u8> {
    whole(node, 16..=128, reader)
}

fn check_proxies(
    members: &[(&Node, Vec<IpNet>)],
    listeners: &[(&Node, Listen)],
    reader: &mut Reader<'_>,
) {
    let public = listeners.iter().find_map(|(_, listener)| match &listener.address {
        ListenAddr::Tcp(address) if !address.ip().is_loopback() => Some(address),
        ListenAddr::Tcp(_) | ListenAddr::Unix(_) => None,
    });
    for (node, nets) in members {
        if nets.iter().any(|net| net.prefix_len() == 0) {
            let wrong =
                format!("`{}` trusts everybody: any client can claim any address", node.shown());
            reader.warn(node, wrong, "name the proxies in front of the guard");
        }
        let local = |net: &IpNet| net.network().is_loopback() && net.broadcast().is_loopback();
        if let Some(public) = public.filter(|_| nets.iter().all(local)) {
            let wrong = format!(
                "`{}` trusts every program on this machine, while {public} is open to others",
                node.shown()
            );
            reader.warn(node, wrong, "let the proxy in front use a listener on 127.0.0.1");
        }
    }
}
