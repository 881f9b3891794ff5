//! What a request asks for, and whether the guard vouches that the upstream will see the same.

use std::net::Ipv6Addr;

use http::header::{CONTENT_LENGTH, HOST, REFERER, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Uri, Version};
use memchr::memrchr;

use crate::config::Bounds;
use crate::headers::Trust;
use crate::link;
use crate::policy::outcome::OutcomeRules;
use crate::rejection::Rejection;

/// Gives a request the one form that goes upstream: an origin-form target and the host that it
/// names.
///
/// # Errors
///
/// When an upstream might read the request differently, or when it is too large.
pub fn vouch(parts: &mut Parts, bounds: &Bounds) -> Result<(), Rejection> {
    if parts.method == Method::CONNECT {
        return Err(Rejection::Connect);
    }
    if parts.version == Version::HTTP_2 {
        vouch_for_stream(parts, bounds)?;
    }
    let (mut hosts, mut codings) = (0, 0);
    for (name, value) in &parts.headers {
        if *name == HOST {
            hosts += 1;
            check_host(value)?;
        } else if *name == TRANSFER_ENCODING {
            codings += 1;
            check_coding(value)?;
        }
    }
    if hosts > 1 || codings > 1 {
        return Err(Rejection::Unclear("more than one Host or Transfer-Encoding field"));
    }
    if parts.uri.authority().is_some() {
        to_origin_form(parts)?;
    } else if hosts == 0 && parts.version != Version::HTTP_10 {
        return Err(Rejection::Unclear("no Host field"));
    }
    let target = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
    if target.len() > bounds.target {
        return Err(Rejection::TargetTooLong);
    }
    match target {
        "*" if parts.method == Method::OPTIONS => Ok(()),
        target if target.starts_with('/') => Ok(()),
        _ => Err(Rejection::Unclear("the target is no path")),
    }
}

/// What HTTP/1's parser has seen to already, of a request that came as a stream (RFC 9113, sections
/// 8.1.1 and 8.3.1).
fn vouch_for_stream(parts: &Parts, bounds: &Bounds) -> Result<(), Rejection> {
    if parts.headers.len() > bounds.headers {
        return Err(Rejection::HeadTooLarge);
    }
    if parts.headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(Rejection::Unclear("more than one Content-Length field"));
    }
    let is_web = parts.uri.scheme().is_none_or(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS);
    if !is_web {
        return Err(Rejection::Unclear("the target's scheme is neither http nor https"));
    }
    let authority = parts.uri.authority().map(Authority::as_str);
    let host = parts.headers.get(HOST).map(HeaderValue::as_bytes);
    match (authority, host) {
        (Some(authority), Some(host)) if !host.eq_ignore_ascii_case(authority.as_bytes()) => {
            Err(Rejection::Unclear("Host is not what :authority says"))
        }
        _ => Ok(()),
    }
}

/// Some applications answer a failure with the way back to where the client says it comes from.
/// Where that would look like a success, it comes from the login itself.
///
/// # Errors
///
/// When it says so more than once.
pub(super) fn vouch_for_referer(
    outcome: &OutcomeRules,
    (scheme, trust): (link::Scheme, Trust),
    parts: &mut Parts,
) -> Result<(), Rejection> {
    if !outcome.go_by_location() {
        return Ok(());
    }
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = parts.uri.path();
    let proto = parts.headers.get("x-forwarded-proto").filter(|_| trust == Trust::Trusted);
    let proto = proto.map(HeaderValue::as_bytes);
    let referers = parts.headers.get_all(REFERER);
    // what is no URL may be taken for none, and the way back from somewhere else
    let is_url = |referer: &HeaderValue| {
        let start = referer.as_bytes().iter().take(8).map(u8::to_ascii_lowercase);
        let start: Vec<u8> = start.collect();
        start.starts_with(b"http://") || start == b"https://"
    };
    let fooled = |referer: &HeaderValue| {
        !is_url(referer) || outcome.are_fooled_by(referer.as_bytes(), host, path)
    };
    if referers.iter().count() > 1 {
        return Err(Rejection::Unclear("more than one Referer field"));
    }
    if !referers.iter().any(fooled) {
        return Ok(());
    }
    // the page that it comes from was fetched in the same way, as far as that can be told
    let of_client = referers.iter().next().filter(|referer| is_url(referer));
    let is_secure = of_client.is_some_and(|referer| {
        referer.as_bytes().get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"https"))
    });
    let scheme = match (of_client, proto) {
        (Some(_), _) => {
            if is_secure {
                "https"
            } else {
                "http"
            }
        }
        (None, Some(b"https")) => "https",
        (None, _) => scheme.name(),
    };
    if let Ok(own) = HeaderValue::try_from(format!("{scheme}://{host}{path}")) {
        parts.headers.insert(REFERER, own);
    }
    Ok(())
}

/// RFC 9112, section 6.1: what is not exactly `chunked` is framed by guesswork.
fn check_coding(coding: &HeaderValue) -> Result<(), Rejection> {
    if coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        Ok(())
    } else {
        Err(Rejection::Unclear("a transfer coding other than chunked"))
    }
}

/// RFC 9112, section 3.2.2: the target's authority is the host, whatever `Host` says.
fn to_origin_form(parts: &mut Parts) -> Result<(), Rejection> {
    if parts.uri.scheme().is_none() {
        return Err(Rejection::Unclear("the target is no path")); // `login`, which is CONNECT's form
    }
    let authority = parts.uri.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(authority)
        .map_err(|_| Rejection::Unclear("the target's authority is no host"))?;
    check_host(&host)?;
    let target = parts.uri.path_and_query().cloned();
    let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
    parts.headers.insert(HOST, host);
    parts.uri = Uri::from(target);
    Ok(())
}

/// A name or an address and perhaps a port, in a way that everybody reads alike: what one program
/// takes for a name of its own must not be taken for another's by the next.
fn check_host(host: &HeaderValue) -> Result<(), Rejection> {
    let host = host.as_bytes();
    let colon = memrchr(b':', host).filter(|_| !host.ends_with(b"]"));
    let (name, port) = host.split_at(colon.unwrap_or(host.len()));
    let is_host = port.iter().skip(1).all(u8::is_ascii_digit) && is_name_or_address(name);
    if is_host { Ok(()) } else { Err(Rejection::Unclear("the Host field is no host")) }
}

fn is_name_or_address(name: &[u8]) -> bool {
    if let Some(address) = name.strip_prefix(b"[") {
        let address = address.strip_suffix(b"]").and_then(|bytes| str::from_utf8(bytes).ok());
        return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    name.is_empty() || is_name(name.strip_suffix(b".").unwrap_or(name))
}

/// What a label consists of; every request's host is looked up here, letter by letter.
#[expect(clippy::indexing_slicing, reason = "a byte is below 256, and the table is made once")]
const OF_LABELS: [bool; 256] = {
    let (mut table, mut rest) = ([false; 256], b"-_~".as_slice());
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    while let [first, others @ ..] = rest {
        table[*first as usize] = true;
        rest = others;
    }
    table
};

/// Labels that are not empty, with a dot between each two.
fn is_name(name: &[u8]) -> bool {
    let mut before = b'.';
    name.iter().all(|byte| {
        let before = std::mem::replace(&mut before, *byte);
        OF_LABELS.get(usize::from(*byte)) == Some(&true) || (*byte == b'.' && before != b'.')
    }) && before != b'.'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_everybody_reads_alike() {
        let check = |host: &str, expected| {
            let value = HeaderValue::from_str(host).expect("a header value");
            assert_eq!(check_host(&value).is_ok(), expected, "{host:?}");
        };
        for host in [
            "",
            ":80",
            "a",
            "a:",
            "a.b-c_d~e.",
            "shop.example:8080",
            "127.0.0.1",
            "[::1]",
            "[::1]:80",
            "aZ09-_~.zA90",
        ] {
            check(host, true);
        }
        for host in [
            ".", "..", ".a", "a..", "a..b", "a.:b", "a:80x", "a b", "a:1:2", "[::1", "::1]", "[a]",
            "a/b", "a@b", "a%41", "a,b", "a\tb", "a`b", "a{", "[1`b", "a/", "a:/", "a::1",
        ] {
            check(host, false);
        }
    }
}
