//! The guard's own addresses: none of them is taken twice, and no upstream is one of them.
//!
//! An upstream that is the guard itself has each request come round until there are no more files.
//! What a name stands for is not asked here; `localhost` alone is plain.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::address::url;
use super::node::Node;
use super::reader::Reader;
use super::{ListenAddr, UpstreamAddr};

/// Where the guard listens, for clients or for others.
struct Own<'a> {
    node: &'a Node,
    address: ListenAddr,
    who: Who,
}

/// Who connects there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Clients,
    Monitoring,
    Operators,
}

/// Reports addresses that are taken twice, and upstreams that are the guard itself. What cannot be
/// read is passed over, for whoever reads it reports it.
pub(super) fn check(root: &Node, reader: &mut Reader<'_>) {
    let all = all(root, reader.base);
    for (before, own) in all.iter().enumerate() {
        let meets = |first: &&Own<'_>| {
            let same = first.who == own.who && first.address == own.address;
            same || meet(&first.address, &own.address)
        };
        if let Some(first) = all.iter().take(before).find(meets) {
            report_twice(first, own, reader);
        }
    }
    for node in upstreams(root) {
        let Some(address) = upstream(node, reader.base) else { continue };
        let Some(own) = all.iter().find(|own| is_at(&own.address, &address)) else { continue };
        let (shown, key) = (node.shown(), &own.node.path);
        let wrong = match own.who {
            Who::Clients => format!(
                "`{shown}` is where the guard itself listens (`{key}`): each request would come \
                 round to it without end"
            ),
            Who::Monitoring => format!("`{shown}` is where the guard's own metrics are (`{key}`)"),
            Who::Operators => format!("`{shown}` is where operators ask the guard (`{key}`)"),
        };
        reader.error(node, wrong, "write the address of the application");
    }
}

fn report_twice(first: &Own<'_>, own: &Own<'_>, reader: &mut Reader<'_>) {
    const REMOVE: &str = "remove one of them";
    let (shown, key) = (first.node.shown(), &first.node.path);
    match (first.who, own.who) {
        // each kind has one address of TCP and one socket, which is said elsewhere
        (Who::Monitoring, Who::Monitoring) | (Who::Operators, Who::Operators) => {}
        (Who::Clients, Who::Clients) if first.address == own.address => {
            reader.error(own.node, "is listened on twice", REMOVE);
        }
        (Who::Clients, Who::Clients) if has_one_family(&first.address, &own.address) => {
            let wrong = format!("meets `{shown}` (`{key}`), where the guard listens already");
            reader.error(own.node, wrong, REMOVE);
        }
        // systemd may hand over both, one of them for IPv6 alone
        (Who::Clients, Who::Clients) => {
            let wrong = format!("meets `{shown}` (`{key}`), as `[::]` stands for IPv4, too");
            reader.warn(own.node, wrong, REMOVE);
        }
        _ => {
            let wrong = format!("is where others connect (`{key}`)");
            let right = match own.address {
                ListenAddr::Tcp(_) => "give it a port of its own, such as \"127.0.0.1:9180\"",
                ListenAddr::Unix(_) => "give it a path of its own",
            };
            reader.error(own.node, wrong, right);
        }
    }
}

/// All addresses that the guard would listen on.
fn all<'a>(root: &'a Node, base: &Path) -> Vec<Own<'a>> {
    let listen = root.member("listen").map_or(&[][..], Node::items).iter();
    let listen = listen.map(|item| (item.member("address").unwrap_or(item), Who::Clients));
    let of = |key: &str| {
        let address = root.member(key).and_then(|node| node.member("address"));
        address.map_or(&[][..], Node::items)
    };
    let metrics = of("metrics").iter().map(|node| (node, Who::Monitoring));
    let admin = of("admin").iter().map(|node| (node, Who::Operators));
    let own = |(node, who): (&'a Node, Who)| {
        let written = node.text()?;
        let address = match written.strip_prefix("unix:") {
            Some(path) => ListenAddr::Unix(base.join(path)),
            None => ListenAddr::Tcp(written.parse().ok()?),
        };
        Some(Own { node, address, who })
    };
    listen.chain(metrics).chain(admin).filter_map(own).collect()
}

/// Every value that names a server of an application.
fn upstreams(root: &Node) -> impl Iterator<Item = &Node> {
    let sites = root.member("sites").map_or(&[][..], Node::items).iter();
    let named = sites.filter_map(|site| site.member("upstream"));
    named.flat_map(|node| node.member("servers").unwrap_or(node).items())
}

fn upstream(node: &Node, base: &Path) -> Option<UpstreamAddr> {
    let written = node.text()?;
    match written.strip_prefix("unix:") {
        Some(path) => Some(UpstreamAddr::Unix(base.join(path))),
        None => url(written).ok().map(|(_, address)| address),
    }
}

/// Whether no program can listen at both.
fn meet(one: &ListenAddr, other: &ListenAddr) -> bool {
    match (one, other) {
        (ListenAddr::Tcp(one), ListenAddr::Tcp(other)) => {
            let same_port = one.port() == other.port() && one.port() != 0;
            same_port && (takes(one.ip(), other.ip()) || takes(other.ip(), one.ip()))
        }
        (ListenAddr::Unix(one), ListenAddr::Unix(other)) => one == other,
        (ListenAddr::Tcp(_), ListenAddr::Unix(_)) | (ListenAddr::Unix(_), ListenAddr::Tcp(_)) => {
            false
        }
    }
}

fn has_one_family(one: &ListenAddr, other: &ListenAddr) -> bool {
    match (one, other) {
        (ListenAddr::Tcp(one), ListenAddr::Tcp(other)) => {
            one.ip().to_canonical().is_ipv4() == other.ip().to_canonical().is_ipv4()
        }
        (ListenAddr::Unix(_), _) | (_, ListenAddr::Unix(_)) => true,
    }
}

/// Whether who connects to `upstream` finds who listens on `own`.
fn is_at(own: &ListenAddr, upstream: &UpstreamAddr) -> bool {
    match (own, upstream) {
        (ListenAddr::Tcp(own), UpstreamAddr::Tcp { host, port }) => {
            own.port() == *port && is_host(*own, host)
        }
        (ListenAddr::Unix(own), UpstreamAddr::Unix(upstream)) => own == upstream,
        (ListenAddr::Tcp(_), UpstreamAddr::Unix(_))
        | (ListenAddr::Unix(_), UpstreamAddr::Tcp { .. }) => false,
    }
}

fn is_host(own: SocketAddr, host: &str) -> bool {
    let finds = |address: IpAddr| {
        own.ip().to_canonical() == address || address.is_loopback() && takes(own.ip(), address)
    };
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    if host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case("localhost") {
        return finds(v4) || finds(v6);
    }
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        // who connects to no address gets to this machine
        Ok(address) if address.is_unspecified() => finds(if address.is_ipv4() { v4 } else { v6 }),
        Ok(address) => finds(address),
        Err(_) => false,
    }
}

/// Whether what is sent to `address` of this machine gets to who listens on `own`; `[::]` has IPv4,
/// too.
fn takes(own: IpAddr, address: IpAddr) -> bool {
    let (own, address) = (own.to_canonical(), address.to_canonical());
    own == address || own.is_unspecified() && (own.is_ipv6() || address.is_ipv4())
}
