//! A link that works once: whoever opens it first gets a session, and nobody else does.
//!
//! Cookies are shared by all ports of a host, so a server at another port would be sent ours. Hence
//! the session belongs to a path that is a secret too, and is sent to nobody who is not asked for it.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HeaderMap};
use subtle::ConstantTimeEq as _;

/// The session's cookie.
const NAME: &str = "loginward-page";

/// A link, and the session that it leads to.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    place: Secret,
    key: Secret,
    session: Secret,
    use_: Cell<Use>,
}

/// Whether the link has been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Not,
    Once,
}

/// Something that cannot be guessed.
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret")
    }
}

impl Secret {
    fn new() -> io::Result<Self> {
        let mut bytes = [0; 18];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Whether it is this, in a time that tells nothing of it.
    fn is(&self, written: &str) -> bool {
        bool::from(self.0.as_bytes().ct_eq(written.as_bytes()))
    }
}

impl Link {
    /// A link to what is served at `address`.
    ///
    /// # Errors
    ///
    /// When the system gives no random numbers.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        let (place, key, session) = (Secret::new()?, Secret::new()?, Secret::new()?);
        Ok(Self { address, place, key, session, use_: Cell::new(Use::Not) })
    }

    /// Where it leads to, with the key.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/{}/?key={}", self.address, self.place.0, self.key.0)
    }

    /// Where it is served.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The path of the page.
    #[must_use]
    pub fn home(&self) -> String {
        format!("/{}/", self.place.0)
    }

    /// What of `path` is below the page's, with its slash; `None` where it is somewhere else.
    #[must_use]
    pub fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (place, _) = path.strip_prefix('/')?.split_once('/')?;
        let rest = path.get(place.len() + 1..)?;
        self.place.is(place).then_some(rest)
    }

    /// The key that a query has.
    #[must_use]
    pub fn key(query: Option<&str>) -> Option<&str> {
        query?.split('&').find_map(|pair| pair.strip_prefix("key="))
    }

    /// Takes a key; the cookie that it is worth, once.
    pub fn exchange(&self, key: &str) -> Option<String> {
        if self.use_.get() == Use::Once || !self.key.is(key) {
            return None;
        }
        self.use_.set(Use::Once);
        let (session, home) = (&self.session.0, self.home());
        Some(format!("{NAME}={session}; Path={home}; HttpOnly; SameSite=Strict"))
    }

    /// Whether a request with these fields is of the session, which there is only once the link has
    /// been used.
    #[must_use]
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| {
            pair.trim().split_once('=').filter(|(name, _)| *name == NAME).map(|(_, value)| value)
        });
        self.use_.get() == Use::Once && pairs.any(|value| self.session.is(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link::new("127.0.0.1:9190".parse().unwrap()).unwrap()
    }

    #[test]
    fn its_key_is_worth_a_session_once() {
        let link = link();
        let url = link.url();
        let key = Link::key(url.split_once('?').map(|(_, query)| query)).unwrap();
        assert!(link.exchange("").is_none() && link.exchange("nonsense").is_none());
        let cookie = link.exchange(key).unwrap();
        assert!(cookie.ends_with(&format!("; Path={}; HttpOnly; SameSite=Strict", link.home())));
        assert!(link.exchange(key).is_none(), "it has been used");
        let headers = |cookie: &str| HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())]);
        let own = cookie.split(';').next().unwrap();
        assert!(link.admits(&headers(own)) && link.admits(&headers(&format!("a=b; {own}"))));
        for wrong in ["", NAME, "loginward-page=", "loginward-page=x", &format!("x{own}")] {
            assert!(!link.admits(&headers(wrong)), "{wrong}");
        }
        assert!(!link.admits(&HeaderMap::new()));
    }

    #[test]
    fn a_session_that_nobody_has_been_given_is_none() {
        let link = link();
        let cookie = format!("{NAME}={}", link.session.0);
        let headers = HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())]);
        assert!(!link.admits(&headers));
    }

    #[test]
    fn only_what_is_below_its_path_is_the_page() {
        let link = link();
        let home = link.home();
        assert_eq!(link.below(&home), Some("/"));
        assert_eq!(link.below(&format!("{home}v1/status")), Some("/v1/status"));
        for other in ["/", "//", "", "/v1/status", "/x/v1/status", home.trim_end_matches('/')] {
            assert_eq!(link.below(other), None, "{other}");
        }
    }

    #[test]
    fn it_cannot_be_guessed_and_is_not_printed() {
        let (one, other) = (link(), link());
        assert_ne!(one.url(), other.url());
        assert!(one.url().len() > 70);
        assert!(!format!("{one:?}").contains(&one.key.0));
    }
}
