//! Peer + trusted proxies + forwarding headers -> client address.
//!
//! Only what a trusted peer says counts, and it is read from the right: the hop nearest to us was
//! written by the proxy we trust, everything left of the first untrusted hop by strangers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use http::header::{FORWARDED, HeaderMap, HeaderName};
use ipnet::IpNet;

/// The other end of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerAddr {
    /// A TCP peer; IPv4-mapped addresses are IPv4 already.
    Ip(IpAddr),
    /// A proxy whose PROXY header named nobody; its address, if it has one. It speaks for itself,
    /// and whatever comes on its connection may be a stranger's.
    Nameless(Option<IpAddr>),
    /// Somebody on a unix socket.
    Unix,
}

impl PeerAddr {
    /// The peer at `address`, an IPv4-mapped one as IPv4.
    #[must_use]
    pub const fn ip(address: IpAddr) -> Self {
        Self::Ip(address.to_canonical())
    }

    /// The same, if it is a proxy that named nobody.
    #[must_use]
    pub const fn nameless(self) -> Self {
        match self {
            Self::Ip(address) => Self::Nameless(Some(address)),
            Self::Nameless(_) | Self::Unix => Self::Nameless(None),
        }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) | Self::Nameless(Some(address)) => address.fmt(out),
            Self::Nameless(None) | Self::Unix => out.write_str("unix"),
        }
    }
}

/// Whom we believe a request is from; never an IPv4-mapped address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientAddr(IpAddr);

impl ClientAddr {
    /// The client at `address`.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The address itself.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// Whether it can only be inside the operator's own network.
    #[must_use]
    pub const fn is_private(self) -> bool {
        match self.0 {
            IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()
            }
        }
    }

    /// The network this address is counted as.
    #[must_use]
    pub fn network(self, prefixes: Prefixes) -> IpNet {
        let length = match self.0 {
            IpAddr::V4(_) => prefixes.v4.min(32),
            IpAddr::V6(_) => prefixes.v6.min(128),
        };
        IpNet::new(self.0, length).map_or_else(|_| IpNet::from(self.0), |net| net.trunc())
    }
}

impl fmt::Display for ClientAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// How many leading bits of an address are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// Of an IPv4 address, at most 32.
    pub v4: u8,
    /// Of an IPv6 address, at most 128.
    pub v6: u8,
}

/// How clients are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRules {
    /// Whose forwarding header counts.
    pub trusted: TrustedProxies,
    /// The one header that is read.
    pub header: HeaderName,
    /// The parameter `ip_address`; IPv4 is always counted whole.
    pub address: Prefixes,
    /// The parameter `ip_network`.
    pub network: Prefixes,
}

/// Peers whose forwarding headers are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// By address.
    pub networks: Networks,
    /// Everybody who can open our unix sockets.
    pub unix: bool,
}

impl TrustedProxies {
    /// Whether forwarding headers from `peer` count.
    #[must_use]
    pub fn trusts(&self, peer: PeerAddr) -> bool {
        match peer {
            PeerAddr::Ip(address) => self.networks.contains(address),
            PeerAddr::Nameless(_) => false,
            PeerAddr::Unix => self.unix,
        }
    }

    /// Nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.unix && self.networks.is_empty()
    }
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Identity {
    /// This client.
    Known(ClientAddr),
    /// A trusted peer named no usable address: it could be anybody.
    Unusable,
}

/// Who sent a request that came from `peer` with `headers`.
pub fn identify(rules: &ClientRules, peer: PeerAddr, headers: &HeaderMap) -> Identity {
    let own = match peer {
        PeerAddr::Ip(address) | PeerAddr::Nameless(Some(address)) => {
            Identity::Known(ClientAddr::new(address))
        }
        PeerAddr::Nameless(None) | PeerAddr::Unix => Identity::Unusable,
    };
    if !rules.trusted.trusts(peer) || !headers.contains_key(&rules.header) {
        return own;
    }
    let mut farthest = None;
    let lines: Vec<_> = headers.get_all(&rules.header).iter().collect();
    for line in lines.iter().rev() {
        for hop in hops(&rules.header, line.as_bytes()).into_iter().rev() {
            let Some(address) = hop_address(&rules.header, hop) else { return Identity::Unusable };
            let client = ClientAddr::new(address);
            if !rules.trusted.networks.contains(client.ip()) {
                return Identity::Known(client);
            }
            farthest = Some(client);
        }
    }
    farthest.map_or(Identity::Unusable, Identity::Known)
}

/// The hops that one line names. Only `Forwarded` has quotes; elsewhere a stray one must not
/// swallow what the trusted proxy wrote after it.
fn hops<'a>(header: &HeaderName, line: &'a [u8]) -> Vec<&'a [u8]> {
    if header == FORWARDED {
        return split_outside_quotes(line, b',');
    }
    let members = line.split(|byte| *byte == b',');
    members.filter(|member| !member.trim_ascii().is_empty()).collect()
}

/// The address in one element of a forwarding header.
fn hop_address(header: &HeaderName, hop: &[u8]) -> Option<IpAddr> {
    if header != FORWARDED {
        return parse_node(hop);
    }
    // RFC 7239, section 4: `for=192.0.2.60;proto=http;by=203.0.113.43`, names in any case
    let mut nodes = split_outside_quotes(hop, b';').into_iter().filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(at)?;
        name.trim_ascii().eq_ignore_ascii_case(b"for").then_some(value.get(1..)?)
    });
    let node = nodes.next()?;
    if nodes.next().is_some() { None } else { parse_node(node) }
}

/// RFC 7239, section 6, and what proxies write into `X-Forwarded-For`: an address, maybe quoted,
/// in brackets, with a port or a zone.
fn parse_node(node: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(node.trim_ascii()).ok()?;
    let text = match text.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?.trim(),
        None => text,
    };
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        return parse_v6(address).map(IpAddr::V6);
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(IpAddr::V4(address));
    }
    match text.split_once(':') {
        Some((address, port)) if !port.contains(':') => {
            let address = address.parse::<Ipv4Addr>().ok()?;
            is_port(port).then_some(IpAddr::V4(address))
        }
        _ => parse_v6(text).map(IpAddr::V6),
    }
}

fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    text.split_once('%').map_or(text, |(address, _zone)| address).parse().ok()
}

/// RFC 7239 also allows an obfuscated port, `_` and letters.
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()),
        None => text.parse::<u16>().is_ok(),
    }
}

/// The members of a list, without blank ones (RFC 9110, section 5.6.1).
pub(super) fn split_outside_quotes(line: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut members, mut rest, mut quoted, mut at) = (Vec::new(), line, false, 0);
    while let Some(byte) = rest.get(at) {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            byte if *byte == separator && !quoted => {
                let (member, tail) = rest.split_at(at);
                members.push(member);
                rest = tail.get(1..).unwrap_or_default();
                at = 0;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    members.push(rest);
    members.retain(|member| !member.trim_ascii().is_empty());
    members
}

/// A set of networks; asked in logarithmic time, so that lists from files may be long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// First and last address of each range, ascending, not touching; IPv4 as IPv4-mapped IPv6.
    ranges: Arc<[(u128, u128)]>,
}

impl Networks {
    /// The addresses that are in any of `networks`.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let ends = |net: IpNet| (number(net.network()), number(net.broadcast()));
        let mut sorted: Vec<_> = networks.into_iter().map(ends).collect();
        sorted.sort_unstable();
        let mut ranges: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match ranges.last_mut() {
                Some(range) if first <= range.1.saturating_add(1) => range.1 = range.1.max(last),
                _ => ranges.push((first, last)),
            }
        }
        Self { ranges: ranges.into() }
    }

    /// Whether `address` is in the set.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = number(address);
        let after = self.ranges.partition_point(|(first, _)| *first <= address);
        after.checked_sub(1).and_then(|at| self.ranges.get(at)).is_some_and(|r| address <= r.1)
    }

    /// Whether an address of `network` is in the set.
    #[must_use]
    pub fn meet(&self, network: IpNet) -> bool {
        let (first, last) = (number(network.network()), number(network.broadcast()));
        let after = self.ranges.partition_point(|(begin, _)| *begin <= last);
        after.checked_sub(1).and_then(|at| self.ranges.get(at)).is_some_and(|r| first <= r.1)
    }

    /// The set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The set holds every IPv4 or every IPv6 address.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        let every_v4 = (number(Ipv4Addr::UNSPECIFIED.into()), number(Ipv4Addr::BROADCAST.into()));
        let holds = |(first, last)| self.ranges.iter().any(|r| r.0 <= first && last <= r.1);
        holds(every_v4) || holds((0, u128::MAX))
    }
}

/// An address as a number, IPv4 as IPv4-mapped IPv6, so that one order holds both.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(header: &str, trusted: &[&str]) -> ClientRules {
        ClientRules {
            trusted: TrustedProxies {
                networks: Networks::new(trusted.iter().filter_map(|net| net.parse().ok())),
                unix: trusted.contains(&"unix"),
            },
            header: HeaderName::from_bytes(header.as_bytes()).expect("a header name"),
            address: Prefixes { v4: 32, v6: 64 },
            network: Prefixes { v4: 24, v6: 48 },
        }
    }

    #[track_caller]
    fn check(rules: &ClientRules, peer: &str, lines: &[&str], expected: &str) {
        let peer = peer.parse().map_or(PeerAddr::Unix, PeerAddr::ip);
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(rules.header.clone(), line.parse().expect("a header value"));
        }
        let seen = match identify(rules, peer, &headers) {
            Identity::Known(client) => client.to_string(),
            Identity::Unusable => "unusable".to_owned(),
        };
        assert_eq!(seen, expected, "{peer} {lines:?}");
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        let rules = rules("x-forwarded-for", &["10.0.0.0/8"]);
        check(&rules, "203.0.113.5", &["8.8.8.8"], "203.0.113.5"); // I01
        check(&rules, "::ffff:203.0.113.5", &[], "203.0.113.5"); // I02
        check(&rules, "2001:DB8:0:0:0:0:0:1", &[], "2001:db8::1"); // I03
        check(&rules, "unix", &["8.8.8.8"], "unusable"); // I05
    }

    #[test]
    fn the_chain_is_read_from_the_right_until_the_first_untrusted_hop() {
        let rules = rules("x-forwarded-for", &["10.0.0.0/8", "8.8.8.8/32", "unix"]);
        check(&rules, "10.0.0.1", &["9.9.9.9, 7.7.7.7"], "7.7.7.7"); // I07, I09, I10
        check(&rules, "10.0.0.1", &["7.7.7.7, 1.1.1.1, 8.8.8.8"], "1.1.1.1"); // I15, I17
        check(&rules, "10.0.0.1", &["1.1.1.1, 9.9.9.9"], "9.9.9.9"); // I16
        check(&rules, "10.0.0.1", &["1.1.1.1", "9.9.9.9, 10.0.0.2"], "9.9.9.9");
        check(&rules, "10.0.0.1", &["192.168.0.7"], "192.168.0.7"); // I20
        check(&rules, "10.0.0.1", &["127.0.0.1"], "127.0.0.1"); // I19
        check(&rules, "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check(&rules, "10.0.0.1", &[], "10.0.0.1"); // I13, I14
        check(&rules, "unix", &["1.2.3.4"], "1.2.3.4");
        check(&rules, "unix", &[], "unusable");
    }

    #[test]
    fn a_hop_that_is_no_address_ends_the_walk() {
        let rules = rules("x-forwarded-for", &["10.0.0.0/8"]);
        check(&rules, "10.0.0.1", &["not-an-ip"], "unusable"); // I18
        check(&rules, "10.0.0.1", &["not-an-ip, 8.8.8.8"], "8.8.8.8"); // I18
        check(&rules, "10.0.0.1", &["8.8.8.8,"], "8.8.8.8"); // I18
        check(&rules, "10.0.0.1", &["8.8.8.8, junk, 10.0.0.2"], "unusable");
        check(&rules, "10.0.0.1", &["", " , "], "unusable");
        check(&rules, "10.0.0.1", &["\"1.1.1.1, 8.8.8.8"], "8.8.8.8");
    }

    #[test]
    fn ports_brackets_zones_and_mapped_addresses_are_one_address() {
        let rules = rules("x-forwarded-for", &["10.0.0.0/8"]);
        check(&rules, "10.0.0.1", &["203.0.113.5:1234"], "203.0.113.5"); // I04
        check(&rules, "10.0.0.1", &["[::ffff:1.2.3.4]:9"], "1.2.3.4");
        check(&rules, "10.0.0.1", &["[2001:db8::1]"], "2001:db8::1");
        check(&rules, "10.0.0.1", &["2001:DB8::1%eth0"], "2001:db8::1");
        check(&rules, "10.0.0.1", &["\"[2001:db8::1]:80\""], "2001:db8::1");
        check(&rules, "10.0.0.1", &["1.2.3.4:http"], "unusable");
        check(&rules, "10.0.0.1", &["01.2.3.4"], "unusable");
    }

    #[test]
    fn the_forwarded_header_is_read_as_rfc_7239_says() {
        let rules = rules("forwarded", &["10.0.0.0/8"]);
        let two = "for=1.1.1.1, For=\"[2001:db8::2]:4711\";proto=https";
        check(&rules, "10.0.0.1", &[two], "2001:db8::2");
        check(&rules, "10.0.0.1", &["proto=http;by=1.1.1.1"], "unusable");
        check(&rules, "10.0.0.1", &["for=unknown"], "unusable");
        check(&rules, "10.0.0.1", &["for=_hidden, for=9.9.9.9"], "9.9.9.9");
        check(&rules, "10.0.0.1", &["for=1.1.1.1;for=2.2.2.2"], "unusable");
        check(&rules, "10.0.0.1", &["for=\"1.1.1.1, for=2.2.2.2\""], "unusable");
    }

    #[test]
    fn networks_are_found_in_merged_ranges() {
        let nets = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.1/32", "2001:db8::/32"];
        let nets = Networks::new(nets.iter().filter_map(|net| net.parse().ok()));
        for (address, expected) in [
            ("10.255.0.1", true),
            ("11.0.0.0", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("2001:db8:1::", true),
            ("2001:db9::", false),
        ] {
            assert_eq!(nets.contains(address.parse().expect("an address")), expected, "{address}");
        }
        assert!(!nets.is_everybody());
        let all: IpNet = "0.0.0.0/0".parse().expect("a network");
        assert!(Networks::new([all]).is_everybody());
    }

    #[test]
    fn ipv6_clients_are_counted_by_prefix_and_ipv4_whole() {
        let prefixes = Prefixes { v4: 32, v6: 64 };
        let v6 = ClientAddr::new("2001:db8:1:2:3:4:5:6".parse().expect("an address"));
        assert_eq!(v6.network(prefixes).to_string(), "2001:db8:1:2::/64");
        let v4 = ClientAddr::new("::ffff:10.1.2.3".parse().expect("an address"));
        assert_eq!(v4.network(prefixes).to_string(), "10.1.2.3/32");
    }

    proptest! {
        #[test]
        fn whatever_a_client_writes_before_it_the_last_untrusted_hop_is_the_client(
            before in prop::collection::vec("[ -~]{0,40}|(10\\.0\\.0\\.1|unknown|_x|,|;|\"|\\[::1\\]:9| ){0,8}", 0..4),
            hops in prop::collection::vec(Just("10.0.0.7"), 0..3),
        ) {
            let rules = rules("x-forwarded-for", &["10.0.0.0/8"]);
            let chain = ["203.0.113.9"].into_iter().chain(hops).collect::<Vec<_>>().join(", ");
            let line = format!("{}, {chain}", before.join(","));
            check(&rules, "10.0.0.1", &[&line], "203.0.113.9");
            let lines: Vec<&str> = before.iter().map(String::as_str).chain([&*chain]).collect();
            check(&rules, "10.0.0.1", &lines, "203.0.113.9");
        }

        #[test]
        fn no_forwarding_header_panics(line in "[ -~]{0,60}|(for=|\"|\\\\|;|,|\\[|\\]|::|1\\.2|proto=){0,12}") {
            for header in ["x-forwarded-for", "forwarded", "x-real-ip", "client-ip"] {
                let mut headers = HeaderMap::new();
                let rules = rules(header, &["10.0.0.0/8"]);
                headers.append(rules.header.clone(), line.parse().expect("a header value"));
                let _seen = identify(&rules, PeerAddr::ip([10, 0, 0, 1].into()), &headers);
            }
        }
    }
}
