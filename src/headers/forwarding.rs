//! What the guard says of a request's client to the upstream: the forwarding headers.

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use crate::policy::client::ClientAddr;
use crate::policy::scheme::spoken;

/// The chain of addresses that most proxies write.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whether what a peer says of others is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is a stranger.
    Untrusted,
    /// It is a trusted proxy.
    Trusted,
}

/// What the guard says of a request to the upstream.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'a> {
    /// Whether the peer is believed.
    pub trust: Trust,
    /// The client, where it could be told.
    pub client: Option<ClientAddr>,
    /// The header in which trusted proxies name the client.
    pub header: &'a HeaderName,
    /// The peer as a header value; `None` on a unix socket.
    pub peer: Option<&'a HeaderValue>,
    /// The same as an element of `Forwarded`.
    pub forwarded: Option<&'a HeaderValue>,
    /// How the peer speaks to us: `http` or `https`.
    pub proto: &'static str,
}

impl Forwarding<'_> {
    fn is_peer(&self, client: ClientAddr) -> bool {
        self.peer.is_some_and(|peer| peer.as_bytes() == client.to_string().as_bytes())
    }
}

/// Says who the client is, and which host it asked for.
pub(super) fn introduce(
    headers: &mut HeaderMap,
    host: Option<HeaderValue>,
    forwarding: Forwarding<'_>,
) {
    match forwarding.trust {
        Trust::Untrusted => {
            if let Some(peer) = forwarding.peer {
                headers.insert(X_FORWARDED_FOR, peer.clone());
                headers.insert(X_REAL_IP, peer.clone());
            }
            if let Some(forwarded) = forwarding.forwarded {
                headers.insert(FORWARDED, forwarded.clone());
            }
            headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(forwarding.proto));
        }
        Trust::Trusted => {
            // the proxy vouches for the header that it is known to write, and may have let the client
            // write the other
            for (name, hop) in
                [(X_FORWARDED_FOR, forwarding.peer), (FORWARDED, forwarding.forwarded)]
            {
                if name != *forwarding.header {
                    let client = forwarding.client.filter(|client| !forwarding.is_peer(*client));
                    let client = client.map(|client| element(&name, client, headers));
                    let client = client.and_then(|client| client.try_into().ok());
                    headers.remove(&name);
                    client.map(|client: HeaderValue| headers.insert(name.clone(), client));
                }
                append_hop(headers, &name, hop);
            }
            let client = forwarding.client.and_then(|client| client.to_string().try_into().ok());
            if let Some(client) = client.or_else(|| forwarding.peer.cloned()) {
                headers.insert(X_REAL_IP, client);
            }
            let proto = HeaderValue::from_static(forwarding.proto);
            insert_missing(headers, X_FORWARDED_PROTO, &proto);
        }
    }
    if let Some(host) = host {
        match forwarding.trust {
            Trust::Untrusted => _ = headers.insert(X_FORWARDED_HOST, host),
            Trust::Trusted => insert_missing(headers, X_FORWARDED_HOST, &host),
        }
    }
}

/// A client as an element of a forwarding header, who speaks as a proxy says in `headers`.
fn element(name: &HeaderName, client: ClientAddr, headers: &HeaderMap) -> String {
    if *name != FORWARDED {
        return client.ip().to_string();
    }
    let node = match client.ip() {
        std::net::IpAddr::V4(ip) => format!("for={ip}"),
        std::net::IpAddr::V6(ip) => format!("for=\"[{ip}]\""),
    };
    match spoken(&X_FORWARDED_FOR, headers) {
        Some(scheme) => format!("{node};proto={}", scheme.name()),
        None => node,
    }
}

fn insert_missing(headers: &mut HeaderMap, name: HeaderName, value: &HeaderValue) {
    headers.entry(name).or_insert_with(|| value.clone());
}

/// The chain that the trusted peer sent, with the peer itself at its end, in one line.
fn append_hop(headers: &mut HeaderMap, name: &HeaderName, hop: Option<&HeaderValue>) {
    let Some(hop) = hop else { return };
    let mut chain: Vec<u8> = Vec::new();
    for line in headers.get_all(name).iter().chain([hop]) {
        if !chain.is_empty() {
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(line.as_bytes());
    }
    if let Ok(chain) = HeaderValue::from_bytes(&chain) {
        headers.insert(name, chain);
    }
}
