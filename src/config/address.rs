//! Where things are: listeners, upstreams, hosts, forwarding headers.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use http::header::HeaderName;

use crate::policy::route::HostPattern;

use super::node::Node;
use super::reader::Reader;
use super::scalar::{measure, text};
use super::{ListenAddr, UpstreamAddr};

/// The kernel's room for the path of a unix socket, without the final NUL.
const LONGEST_SOCKET: usize = 107;

/// Where to listen.
pub(super) fn listen(node: &Node, reader: &mut Reader<'_>) -> Option<ListenAddr> {
    match node.text().and_then(|text| text.strip_prefix("unix:")) {
        Some(path) => socket(node, path, reader).map(ListenAddr::Unix),
        None => tcp(node, reader).map(ListenAddr::Tcp),
    }
}

/// An IP address and a port.
pub(super) fn tcp(node: &Node, reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let written = measure(node, "an address with a port", reader)?;
    let address = written.parse().ok();
    if address.is_none() {
        let right = match written.rsplit_once(':').unwrap_or(("", &written)) {
            ("" | "*", port) if port.parse::<u16>().is_ok() => {
                format!("for every address write \"[::]:{port}\"")
            }
            ("localhost", port) => format!("write \"127.0.0.1:{port}\""),
            _ => "write one such as \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned(),
        };
        reader.error(node, format!("`{}` is no address with a port", node.shown()), &right);
    }
    address
}

/// Whether TLS is spoken with an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// It is not.
    Plain,
    /// It is.
    Tls,
}

/// Where an application is.
pub(super) fn upstream(node: &Node, reader: &mut Reader<'_>) -> Option<(Scheme, UpstreamAddr)> {
    let written = text(node, reader)?;
    if let Some(path) = written.strip_prefix("unix:") {
        return socket(node, path, reader).map(|path| (Scheme::Plain, UpstreamAddr::Unix(path)));
    }
    let read = url(written);
    if let Err(wrong) = read {
        let right = "write one such as \"http://127.0.0.1:3000\" or \"unix:/run/app.sock\"";
        // what stands before an `@` is secret
        let secret = written.contains('@');
        let shown = if secret { "this URL".to_owned() } else { format!("`{}`", node.shown()) };
        reader.error(node, format!("{shown} {wrong}"), right);
    }
    read.ok()
}

/// What the URL of an application names; otherwise what is wrong with it.
pub(super) fn url(written: &str) -> Result<(Scheme, UpstreamAddr), &'static str> {
    match written.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
            authority(rest, 80).map(|address| (Scheme::Plain, address))
        }
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => {
            authority(rest, 443).map(|address| (Scheme::Tls, address))
        }
        _ => Err("is no URL"),
    }
}

/// What follows `http://`: a host, maybe a port, and nothing else.
pub(super) fn authority(rest: &str, usual: u16) -> Result<UpstreamAddr, &'static str> {
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains('@') {
        return Err("has credentials, and the guard sends none of its own");
    }
    if authority.contains(['/', '?', '#']) {
        return Err("has a path or query, and the guard changes no paths");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("is no URL")?;
            host.parse::<Ipv6Addr>().map_err(|_| "is no URL")?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or("")) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(legal) {
        return Err("is no URL");
    }
    let port = port.map_or(Ok(usual), str::parse).ok().filter(|port| *port != 0);
    Ok(UpstreamAddr::Tcp { host: host.into(), port: port.ok_or("has no port from 1 to 65535")? })
}

/// A unix socket.
pub(super) fn socket(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<PathBuf> {
    let full = reader.base.join(path); // nothing to be read
    let length = full.as_os_str().len();
    if path.is_empty() || path.contains('\0') || length > LONGEST_SOCKET {
        let right = "write a path of at most 107 bytes, such as \"unix:/run/app.sock\"";
        reader.error(node, format!("`{}` is no unix socket", node.shown()), right);
        return None;
    }
    Some(full)
}

/// A host, or `*.` and what all its names end with.
pub(super) fn host(node: &Node, reader: &mut Reader<'_>) -> Option<HostPattern> {
    let written = text(node, reader)?.to_ascii_lowercase();
    let (name, below) = match written.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (written.as_str(), false),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if !is_host(name) {
        let right = match name {
            "*" => "leave `hosts` out for every host",
            name if !name.is_ascii() => "write it as the browser sends it, beginning with `xn--`",
            name if name.contains(':') => "write the name without scheme and port",
            _ => "write a name such as shop.example.com or \"*.example.com\"",
        };
        reader.error(node, format!("`{}` is no host name", node.shown()), right);
        return None;
    }
    Some(if below { HostPattern::Below(name.into()) } else { HostPattern::Exact(name.into()) })
}

fn is_host(name: &str) -> bool {
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.len() <= 253 && name.split('.').all(|l| !l.is_empty() && l.chars().all(legal))
}

/// The name of a header field.
pub(super) fn header(node: &Node, reader: &mut Reader<'_>) -> Option<HeaderName> {
    let written = text(node, reader)?;
    let name = HeaderName::from_bytes(written.as_bytes()).ok();
    if name.is_none() {
        let right = "write the name alone, such as x-forwarded-for";
        reader.error(node, format!("`{}` is no header field", node.shown()), right);
    }
    name
}
