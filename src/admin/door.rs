//! Who may ask: whoever knows the token and is no page of somebody else's in an operator's browser.
//!
//! A page from anywhere can have a browser send requests to loopback addresses. If it names its own
//! host, which it has let lead there (DNS rebinding), the `Host` field tells; if it names ours, its
//! requests carry `Origin` or `Sec-Fetch-Site` (Fetch Metadata), which pages cannot leave out.

use std::net::SocketAddr;

use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use http::{StatusCode, Uri};
use subtle::ConstantTimeEq as _;

use super::reply::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What whoever asks has to show.
#[derive(Clone)]
pub struct Door {
    /// The names under which the interface may be asked, with their ports where those matter.
    pub hosts: Hosts,
    /// What has to be known, if anything.
    pub token: Option<Box<[u8]>>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Door").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// Under which names the interface may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Loopback names and this address, with its port.
    At(SocketAddr),
    /// Loopback names with any port: those of a unix socket mean nothing.
    Loopback,
}

impl Door {
    /// That of a unix socket: whoever may open it may ask.
    #[must_use]
    pub const fn of_socket() -> Self {
        Self { hosts: Hosts::Loopback, token: None }
    }

    /// Whether a request with these fields may come in.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        self.check_origin(uri, headers)?;
        self.check_token(headers)
    }

    /// Whether a request with these fields asks the guard by its own name, and no page of somebody
    /// else's sends it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check_origin(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        self.check_host(uri, headers)?;
        self.check_page(headers)
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let wrong = || {
            let detail = "the Host field names another host; ask by a loopback name or address";
            Problem::new(StatusCode::MISDIRECTED_REQUEST, detail)
        };
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(wrong()) };
        let host = host.to_str().map_err(|_| wrong())?;
        let named = uri.authority().is_none_or(|authority| self.hosts.has(authority.as_str()));
        if named && self.hosts.has(host) { Ok(()) } else { Err(wrong()) }
    }

    fn check_page(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let wrong = || {
            let detail = "it is another page that asks, and only the guard's own may";
            Problem::new(StatusCode::FORBIDDEN, detail)
        };
        let is_own = |origin: &HeaderValue| {
            let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
            origin.is_some_and(|host| self.hosts.has(host))
        };
        let is_same = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
        let origins = headers.get_all(ORIGIN).iter().all(is_own);
        if origins && headers.get_all(SEC_FETCH_SITE).iter().all(is_same) {
            Ok(())
        } else {
            Err(wrong())
        }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else { return Ok(()) };
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        let bearer = match (sent.next(), sent.next()) {
            (Some(only), None) => bearer(only.as_bytes()),
            _ => None,
        };
        let Some(bearer) = bearer else {
            let detail = "send `Authorization: Bearer` and the token";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
        };
        // the time that it takes tells nothing of the token but its length
        if !token.is_empty() && bool::from(bearer.ct_eq(token)) {
            return Ok(());
        }
        Err(Problem::new(StatusCode::UNAUTHORIZED, "that is not the token"))
    }
}

/// The token of an `Authorization` field (RFC 6750, section 2.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

impl Hosts {
    /// Whether `host`, with its port where it has one, is one of these.
    fn has(self, host: &str) -> bool {
        let (name, port) = split(host);
        let name = name.to_ascii_lowercase();
        let is_loopback = matches!(name.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        match self {
            Self::Loopback => {
                (is_loopback || name == "loginward")
                    && port.is_none_or(|p| p.parse::<u16>().is_ok())
            }
            Self::At(address) => {
                let own = match address {
                    SocketAddr::V4(v4) => v4.ip().to_string(),
                    SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
                };
                let port = port.map_or(Some(80), |port| port.parse().ok());
                (is_loopback || name == own) && port == Some(address.port())
            }
        }
    }
}

/// A host and its port.
fn split(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        // the last colon of a bare IPv6 address separates nothing
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let fields = fields.iter();
        fields
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn status(door: &Door, fields: &[(&'static str, &str)]) -> u16 {
        let checked = door.check(&Uri::from_static("/v1/status"), &headers(fields));
        checked.map_or_else(|problem| problem.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_its_own_names_with_its_own_port_are_asked() {
        let door = Door { hosts: Hosts::At("127.0.0.1:9180".parse().unwrap()), token: None };
        let check =
            |host, expected| assert_eq!(status(&door, &[("host", host)]), expected, "{host}");
        for host in ["127.0.0.1:9180", "localhost:9180", "LocalHost:9180", "[::1]:9180"] {
            check(host, 200);
        }
        for host in [
            "evil.example:9180",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost:9180.evil.example",
            "localhost.evil.example:9180",
            "127.0.0.1.nip.io:9180",
            "127.1:9180",
            "localhost.:9180",
            "",
            "[::1]:",
            "a@localhost:9180",
        ] {
            check(host, 421);
        }
        assert_eq!(status(&door, &[]), 421, "HTTP/1.0 may leave it out");
        assert_eq!(status(&door, &[("host", "localhost:9180"), ("host", "x")]), 421);
        let proxied = Uri::from_static("http://evil.example/v1/status");
        assert!(door.check(&proxied, &headers(&[("host", "localhost:9180")])).is_err());
        let socket = Door::of_socket();
        for (host, expected) in [("loginward", 200), ("localhost", 200), ("shop.test", 421)] {
            assert_eq!(status(&socket, &[("host", host)]), expected, "{host}");
        }
    }

    #[test]
    fn other_pages_stay_outside() {
        let door = Door { hosts: Hosts::At("127.0.0.1:9180".parse().unwrap()), token: None };
        let check = |name, value, expected| {
            let fields = [("host", "localhost:9180"), (name, value)];
            assert_eq!(status(&door, &fields), expected, "{name}: {value}");
        };
        check("origin", "http://localhost:9180", 200);
        check("origin", "http://127.0.0.1:9180", 200);
        check("origin", "http://localhost:3000", 403);
        check("origin", "https://localhost:9180", 403);
        check("origin", "http://evil.example", 403);
        check("origin", "null", 403);
        check("origin", "", 403);
        check("sec-fetch-site", "same-origin", 200);
        check("sec-fetch-site", "none", 200);
        check("sec-fetch-site", "same-site", 403);
        check("sec-fetch-site", "cross-site", 403);
    }

    #[test]
    fn the_token_is_the_whole_token() {
        let token = Some(Box::from(*b"0123456789abcdef"));
        let door = Door { hosts: Hosts::Loopback, token };
        let check = |value, expected| {
            let fields = [("host", "localhost"), ("authorization", value)];
            assert_eq!(status(&door, &fields), expected, "{value}");
        };
        check("Bearer 0123456789abcdef", 200);
        check("bearer  0123456789abcdef ", 200);
        check("Bearer 0123456789abcde", 401);
        check("Bearer 0123456789abcdef0", 401);
        check("Bearer", 401);
        check("Bearer ", 401);
        check("Basic 0123456789abcdef", 401);
        check("0123456789abcdef", 401);
        assert_eq!(status(&door, &[("host", "localhost")]), 401);
        assert!(!format!("{door:?}").contains("48"), "{door:?}");
    }
}
