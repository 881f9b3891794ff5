//! Sets of clients: networks, addresses, `private`, lists in files.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::policy::client::{Networks, TrustedProxies};

use super::error::{Position, Problem, Severity};
use super::node::Node;
use super::reader::{Reader, read};
use super::scalar::text;

const RIGHT: &str = "write an address, a network such as 10.0.0.0/8, `private` or `file:PATH`";

/// What `private` stands for: RFC 1918, RFC 4193, loopback and link-local addresses.
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "127.0.0.0/8",
    "::1/128",
    "169.254.0.0/16",
    "fe80::/10",
];

/// The set that the list `node` describes.
pub(super) fn networks(node: &Node, reader: &mut Reader<'_>) -> Option<Networks> {
    let read: Vec<_> = node.items().iter().map(|item| member(item, reader)).collect();
    let all: Option<Vec<_>> = read.into_iter().collect();
    Some(Networks::new(all?.into_iter().flatten()))
}

/// As [`networks`], but the list may name `unix`; the members come one by one, so that each can be
/// warned of.
pub(super) fn proxies<'a>(
    node: &'a Node,
    reader: &mut Reader<'_>,
) -> (TrustedProxies, Vec<(&'a Node, Vec<IpNet>)>) {
    let mut members = Vec::new();
    let mut unix = false;
    for item in node.items() {
        if item.is_text("unix") {
            unix = true;
        } else if let Some(nets) = member(item, reader) {
            members.push((item, nets));
        }
    }
    let networks = Networks::new(members.iter().flat_map(|(_, nets)| nets).copied());
    (TrustedProxies { networks, unix }, members)
}

/// The networks that one member of a list stands for.
fn member(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<IpNet>> {
    let written = text(node, reader)?;
    if let Some(path) = written.strip_prefix("file:") {
        return listed_in(node, path, reader);
    }
    let nets = parse(written);
    if nets.is_none() {
        let right = if written == "unix" { "only `trusted_proxies` knows `unix`" } else { RIGHT };
        reader.error(node, format!("`{}` is no network", node.shown()), right);
    }
    nets
}

/// The networks in a file, one a line; `#` begins a comment.
fn listed_in(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Vec<IpNet>> {
    let path = reader.path(path);
    let text = match read(&path) {
        Ok(text) => text,
        Err(why) => {
            reader.error(node, format!("cannot read `{}`: {why}", node.shown()), "");
            return None;
        }
    };
    let file = path.display().to_string().into();
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let entry = line.split_once('#').map_or(line, |(entry, _)| entry).trim();
        match parse(entry) {
            _ if entry.is_empty() => {}
            Some(nets) => all.extend(nets),
            None => reader.add(Problem {
                severity: Severity::Error,
                file: std::sync::Arc::clone(&file),
                at: Some(Position { line: number + 1, column: 1 }),
                key: "".into(),
                wrong: format!("`{}` is no network", super::node::shorten(entry)).into(),
                right: "write an address or a network such as 10.0.0.0/8".into(),
            }),
        }
    }
    Some(all)
}

fn parse(written: &str) -> Option<Vec<IpNet>> {
    if written == "private" {
        return Some(PRIVATE.iter().filter_map(|net| net.parse().ok()).collect());
    }
    let single = written.parse::<IpAddr>().map(IpNet::from);
    single.or_else(|_| written.parse()).ok().map(|net| vec![net])
}
