//! Turning a head that came on one connection into the one that goes out on another.

mod forwarding;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRANSFER_ENCODING, UPGRADE,
};

use forwarding::X_REQUEST_ID;
pub use forwarding::{Forwarding, Trust, X_FORWARDED_FOR};

/// The header that says an answer is the guard's own, and what kind.
pub const X_LOGINWARD: HeaderName = HeaderName::from_static("x-loginward");
/// The header with the reference of such an answer.
pub const X_LOGINWARD_REF: HeaderName = HeaderName::from_static("x-loginward-ref");

/// What kind of field a name is, as far as it is not simply passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// For this connection alone (RFC 9110, section 7.6.1).
    HopByHop,
    /// Says who the client is or what it asked for, which only we and trusted proxies may.
    Identity,
    /// Makes some upstreams judge another target than the request's own.
    Rewrite,
    /// The guard's own, which nobody else sends.
    Ours,
}

/// Sorts a field name, in lower case; `_` is `-`, as CGI and its heirs read it.
fn kind(name: &str) -> Option<Kind> {
    // one look at the first letters passes nearly every ordinary field
    match name.as_bytes() {
        [b'c', b'o', b'n', b'n', ..]
        | [b'c', b'f' | b'l', ..]
        | [b'e', b'x', ..]
        | [b'f', b'a' | b'o', ..]
        | [b'h', b't', ..]
        | [b'k', b'e', ..]
        | [b'p', b'a' | b'r', ..]
        | [b's', b'c', ..]
        | [b't', b'e' | b'r', ..]
        | [b'u', b'p', ..]
        | [b'x', b'-' | b'_', ..] => {}
        _ => return None,
    }
    if name.contains('_') {
        return match kind_of_dashed(&name.replace('_', "-")) {
            Some(Kind::HopByHop) | None => None,
            // under such a name not even a trusted proxy sends it
            Some(Kind::Identity | Kind::Ours | Kind::Rewrite) => Some(Kind::Rewrite),
        };
    }
    kind_of_dashed(name)
}

fn kind_of_dashed(name: &str) -> Option<Kind> {
    match name {
        "connection"
        | "keep-alive"
        | "proxy-connection"
        | "proxy-authorization"
        | "te"
        | "transfer-encoding"
        | "upgrade"
        | "expect"
        | "http2-settings" => Some(Kind::HopByHop),
        "forwarded"
        | "forwarded-for"
        | "client-ip"
        | "true-client-ip"
        | "cf-connecting-ip"
        | "cf-connecting-ipv6"
        | "fastly-client-ip"
        | "cluster-client-ip"
        | "x-client-ip"
        | "x-cluster-client-ip"
        | "x-real-ip"
        | "x-request-id"
        | "x-forwarded"
        | "x-originating-ip"
        | "x-remote-ip"
        | "x-remote-addr"
        | "x-true-client-ip"
        | "x-azure-clientip"
        | "x-envoy-external-address"
        | "x-scheme"
        | "x-url-scheme" => Some(Kind::Identity),
        "x-original-url" | "x-original-uri" | "x-rewrite-url" | "x-forwarded-uri"
        | "x-forwarded-path" | "x-original-method" | "x-original-host" | "path-info"
        | "script-name" | "x-path-info" | "x-script-name" => Some(Kind::Rewrite),
        "x-loginward" | "x-loginward-ref" => Some(Kind::Ours),
        name if name.starts_with("x-forwarded-") => Some(Kind::Identity),
        // ASP.NET takes a body's charset from one of these
        name if name.starts_with("x-up-devcap-") => Some(Kind::Rewrite),
        _ => None,
    }
}

/// Fields that no `Connection` header takes away: without them the request is another one.
fn is_protected(name: &str) -> bool {
    const PROTECTED: [&str; 7] = [
        "authorization",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "transfer-encoding",
    ];
    PROTECTED.contains(&name)
}

/// Whether a `Connection` field lists no other field, as nearly every one.
fn lists_none(line: &HeaderValue) -> bool {
    matches!(line.as_bytes(), b"keep-alive" | b"close")
}

/// The field names that `Connection` lists.
fn listed_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(CONNECTION).iter().filter(|line| !lists_none(line));
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    names.filter(|name| !is_protected(name.as_str())).collect()
}

/// How a client's head framed its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed {
    /// By its length, which is still in the head.
    ByLength,
    /// In chunks.
    InChunks,
    /// Not at all: there is none, or its stream tells its end.
    Not,
}

/// Turns the head that a client sent into the one that goes upstream. Framing is left to whoever
/// knows the body, and hears how it was.
pub fn to_upstream(
    headers: &mut HeaderMap,
    forwarding: Forwarding<'_>,
    request_id: impl FnOnce() -> HeaderValue,
) -> Framed {
    let (mut leaving, mut framed, mut host) = (Vec::new(), Framed::Not, None);
    let (mut wants_trailers, mut lists_more) = (false, false);
    // one walk costs less than a look-up for each of these
    for (name, value) in &*headers {
        if *name == HOST {
            host = host.or_else(|| Some(value.clone()));
            continue;
        }
        if *name == CONTENT_LENGTH {
            framed = Framed::ByLength;
            continue;
        }
        match kind(name.as_str()) {
            None => continue,
            Some(Kind::Identity) if forwarding.trust == Trust::Trusted => continue,
            Some(Kind::HopByHop | Kind::Identity | Kind::Ours | Kind::Rewrite) => {}
        }
        lists_more |= *name == CONNECTION && !lists_none(value);
        wants_trailers |= *name == TE && names_trailers(value);
        if *name == TRANSFER_ENCODING && framed == Framed::Not {
            framed = Framed::InChunks;
        }
        leaving.push(name.clone());
    }
    if lists_more {
        leaving.extend(listed_by_connection(headers));
    }
    for name in leaving {
        headers.remove(name);
    }
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te")); // RFC 9110, section 10.1.4
    }
    forwarding::introduce(headers, host, forwarding);
    if forwarding.trust == Trust::Untrusted || !headers.contains_key(X_REQUEST_ID) {
        headers.insert(X_REQUEST_ID, request_id());
    }
    framed
}

fn names_trailers(te: &HeaderValue) -> bool {
    let mut members = te.as_bytes().split(|byte| *byte == b',');
    members.any(|member| {
        let coding = member.split(|byte| *byte == b';').next().unwrap_or_default();
        coding.trim_ascii().eq_ignore_ascii_case(b"trailers")
    })
}

/// Whether a request asks to become a WebSocket, the one upgrade that is forwarded.
#[must_use]
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(UPGRADE).iter();
    let only_websocket = lines.next().is_some_and(is_websocket) && lines.next().is_none();
    only_websocket && listed_by_connection(headers).contains(&UPGRADE)
}

/// Whether an `Upgrade` field names WebSocket and nothing else.
#[must_use]
pub fn is_websocket(value: &HeaderValue) -> bool {
    value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket")
}

/// Makes the head ask for the end of its connection.
pub fn close_after(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
}

/// Takes away what could change the shape of the answer, so that the outcome can be read from it:
/// ranges (RFC 9110, section 14), conditions (section 13), codings (section 12.5.3) and deltas
/// (RFC 3229), and the misspelt `Referrer` by which Express finds the way back; also under names
/// that become theirs when `_` is read as `-`.
pub fn ask_for_plain_answer(headers: &mut HeaderMap) {
    const SHAPING: [&str; 10] = [
        "a-im",
        "accept-encoding",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
        "referrer",
        "request-range",
    ];
    let shapes = |name: &&HeaderName| match name.as_str() {
        name if name.contains('_') => SHAPING.contains(&&*name.replace('_', "-")),
        name => SHAPING.contains(&name),
    };
    let leaving: Vec<HeaderName> = headers.keys().filter(shapes).cloned().collect();
    for name in leaving {
        headers.remove(name);
    }
}

/// Makes the head ask for, or grant, the change to WebSocket.
pub fn upgrade_to_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Turns the head that an upstream sent into the one that goes to the client.
pub fn to_client(headers: &mut HeaderMap) {
    let (mut leaving, mut lists_more) = (Vec::new(), false);
    for (name, value) in &*headers {
        match kind(name.as_str()) {
            Some(Kind::HopByHop) if *name == EXPECT => continue,
            Some(Kind::HopByHop | Kind::Ours) => {}
            Some(Kind::Identity | Kind::Rewrite) | None => continue,
        }
        lists_more |= *name == CONNECTION && !lists_none(value);
        leaving.push(name.clone());
    }
    if lists_more {
        leaving.extend(listed_by_connection(headers));
    }
    if leaving.contains(&TRANSFER_ENCODING) {
        leaving.push(CONTENT_LENGTH); // RFC 9112, section 6.3: it was overridden
    }
    for name in leaving {
        headers.remove(name);
    }
}

/// Frames the request anew: the length, where it is known, and never the client's own framing.
pub fn frame(headers: &mut HeaderMap, length: Option<u64>, framed: Framed) {
    match (length, framed) {
        (Some(length), _) => _ = headers.insert(CONTENT_LENGTH, length.into()),
        (None, Framed::ByLength) => _ = headers.remove(CONTENT_LENGTH),
        (None, Framed::InChunks | Framed::Not) => {}
    }
}

/// Whether an answer wants NTLM or Negotiate, which authenticate a whole connection.
#[must_use]
pub fn authenticates_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().any(|value| {
        let mut schemes = value.as_bytes().split(|byte| *byte == b',');
        schemes.any(|scheme| {
            let scheme = scheme.trim_ascii_start();
            starts_with(scheme, b"ntlm") || starts_with(scheme, b"negotiate")
        })
    })
}

fn starts_with(value: &[u8], word: &[u8]) -> bool {
    let follows = value.get(word.len()).is_none_or(|byte| byte.is_ascii_whitespace());
    value.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)) && follows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::client::ClientAddr;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            headers.append(name, value.parse().expect("a header value"));
        }
        headers
    }

    fn sent(lines: &[(&str, &str)], trust: Trust) -> HeaderMap {
        let mut headers = headers(lines);
        let peer = HeaderValue::from_static("192.0.2.1");
        let element = HeaderValue::from_static("for=192.0.2.1;proto=http");
        let forwarding = Forwarding {
            trust,
            client: Some(ClientAddr::new([203, 0, 113, 5].into())),
            header: &X_FORWARDED_FOR,
            peer: Some(&peer),
            forwarded: Some(&element),
            proto: "http",
        };
        let _ = to_upstream(&mut headers, forwarding, || HeaderValue::from_static("id"));
        headers
    }

    #[test]
    fn a_strangers_forwarding_headers_are_dropped_in_every_spelling() {
        let sent = sent(
            &[
                ("host", "shop.example"),
                ("x-forwarded-for", "1.1.1.1"),
                ("X_Forwarded_For", "1.1.1.1"),
                ("x-forwarded_proto", "https"),
                ("x_real_ip", "1.1.1.1"),
                ("forwarded", "for=1.1.1.1"),
                ("true-client-ip", "1.1.1.1"),
                ("x-request-id", "mine"),
                ("x-original-url", "/login"),
                ("x-custom", "kept"),
                ("some_name", "kept"),
            ],
            Trust::Untrusted,
        );
        let get = |name: &str| sent.get(name).map(|value| value.to_str().expect("text"));
        assert_eq!(get("x-forwarded-for"), Some("192.0.2.1"));
        assert_eq!(get("x-real-ip"), Some("192.0.2.1"));
        assert_eq!(get("forwarded"), Some("for=192.0.2.1;proto=http"));
        assert_eq!(get("x-forwarded-proto"), Some("http"));
        assert_eq!(get("x-forwarded-host"), Some("shop.example"));
        assert_eq!(get("x-request-id"), Some("id"));
        assert_eq!((get("x-custom"), get("some_name")), (Some("kept"), Some("kept")));
        for gone in ["x_forwarded_for", "x-forwarded_proto", "x_real_ip", "true-client-ip"] {
            assert_eq!(get(gone), None, "{gone}");
        }
        assert_eq!(get("x-original-url"), None);
    }

    #[test]
    fn a_trusted_proxys_chain_is_continued() {
        let sent = sent(
            &[
                ("host", "shop.example"),
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-for", "203.0.113.5"),
                ("x-forwarded-proto", "https"),
                ("x-request-id", "theirs"),
                ("x_forwarded_for", "9.9.9.9"),
            ],
            Trust::Trusted,
        );
        let get = |name: &str| sent.get(name).map(|value| value.to_str().expect("text"));
        assert_eq!(get("x-forwarded-for"), Some("1.1.1.1, 203.0.113.5, 192.0.2.1"));
        assert_eq!(get("x-real-ip"), Some("203.0.113.5"));
        assert_eq!(get("x-forwarded-proto"), Some("https"));
        assert_eq!(get("x-request-id"), Some("theirs"));
        assert_eq!(get("x_forwarded_for"), None);
    }

    #[test]
    fn connection_takes_away_what_it_names_but_nothing_that_frames_or_identifies() {
        let lines = [
            ("host", "shop.example"),
            ("connection", "close, X-Custom, Host, Content-Length, Cookie, X-Forwarded-For"),
            ("x-custom", "gone"),
            ("cookie", "a=b"),
            ("content-length", "3"),
            ("te", "gzip, trailers"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
        ];
        let sent = sent(&lines, Trust::Untrusted);
        for kept in ["host", "cookie", "content-length", "x-forwarded-for"] {
            assert!(sent.contains_key(kept), "{kept}");
        }
        for gone in ["x-custom", "upgrade", "http2-settings"] {
            assert!(!sent.contains_key(gone), "{gone}");
        }
        assert_eq!(sent.get(TE).map(HeaderValue::as_bytes), Some(&b"trailers"[..]));
        assert_eq!(sent.get(CONNECTION).map(HeaderValue::as_bytes), Some(&b"te"[..]));
    }

    #[test]
    fn no_field_that_is_looked_for_passes_by_its_first_letters() {
        let all = "connection keep-alive proxy-connection proxy-authorization te transfer-encoding \
            upgrade expect http2-settings forwarded forwarded-for client-ip true-client-ip \
            cf-connecting-ip cf-connecting-ipv6 fastly-client-ip cluster-client-ip x-real-ip \
            x-request-id x-scheme path-info script-name x-loginward x-up-devcap-charset";
        for name in all.split_whitespace() {
            assert!(kind_of_dashed(name).is_some(), "{name} is no such field");
            assert_eq!(kind(name), kind_of_dashed(name), "{name}");
        }
    }

    #[test]
    fn only_websocket_upgrades_are_asked_for() {
        let check = |lines: &[(&str, &str)], expected| {
            assert_eq!(asks_for_websocket(&headers(lines)), expected, "{lines:?}");
        };
        let connection = ("connection", "keep-alive, Upgrade");
        check(&[connection, ("upgrade", "WebSocket")], true);
        check(&[connection, ("upgrade", "h2c")], false);
        check(&[connection, ("upgrade", "websocket, h2c")], false);
        check(&[connection, ("upgrade", "websocket"), ("upgrade", "h2c")], false);
        check(&[("upgrade", "websocket")], false);
    }

    #[test]
    fn connection_authenticating_schemes_are_recognised() {
        let www = http::header::WWW_AUTHENTICATE;
        let check = |value: &str, expected| {
            let headers = headers(&[("www-authenticate", value)]);
            assert_eq!(authenticates_connection(&headers, &www), expected, "{value}");
        };
        check("NTLM", true);
        check("Negotiate oYG2", true);
        check("Basic realm=\"x\", negotiate", true);
        check("Basic realm=\"NTLMish\"", false);
        check("Negotiated", false);
    }
}
