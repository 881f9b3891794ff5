//! Which sessions a request carries, in every way in which some upstream reads its cookies.

use http::Uri;
use http::header::{COOKIE, HeaderMap};
use percent_encoding::percent_decode;

use super::glob::{Case, Glob};

/// Requests with more cookies that may be sessions are not a browser's.
const MOST_SESSIONS: usize = 32;

/// What stands before a dot is a session by itself only if it is as long as one.
const SHORTEST: usize = 12;

/// The names of cookies that are sessions, in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionName(Glob);

/// A session's cookie in the form in which it is compared: for ASP.NET names are the same in any
/// case, PHP decodes them and makes `_` of a dot, and either may find the value encoded. Two
/// sessions that differ in nothing else merely share their owners. Its `Debug` does not tell it.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The cookie's name.
    pub name: Box<[u8]>,
    /// Its value.
    pub value: Box<[u8]>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Session(…)")
    }
}

/// A request carries more sessions than anybody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl SessionName {
    /// The names that `written` describes.
    #[must_use]
    pub fn new(written: &str) -> Self {
        let name = fold_name(written.as_bytes());
        Self(Glob::new(&String::from_utf8_lossy(&name), Case::Keep))
    }

    /// The session in a cookie of this name and value, if it is one.
    #[must_use]
    pub fn session(&self, name: &[u8], value: &[u8]) -> Option<Session> {
        let name = fold_name(name);
        let own = value.split(|byte| *byte == b'!').next().unwrap_or_default();
        self.0.matches(&name).then(|| Session { name, value: fold_value(own) })
    }

    /// The sessions that a request carries, each once.
    ///
    /// # Errors
    ///
    /// If these are too many to look at.
    pub fn carried(&self, headers: &HeaderMap, target: &Uri) -> Result<Vec<Session>, TooMany> {
        let mut sessions: Vec<Session> = Vec::new();
        let mut add = |pair: &[u8]| {
            let Some((name, value)) = name_and_value(pair) else { return Ok(()) };
            // what stands behind a `!` is a server for WebLogic, and for lax decoders nothing
            let whole: Vec<u8> = value.iter().copied().filter(|byte| *byte != b'!').collect();
            for value in [value, &whole] {
                let new = self.session(name, value).filter(|new| !sessions.contains(new));
                sessions.extend(new);
            }
            if sessions.len() > MOST_SESSIONS { Err(TooMany) } else { Ok(()) }
        };
        let lines = headers.get_all(COOKIE).iter();
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        for pair in pairs {
            add(pair)?;
            // servlets of old split at commas too (RFC 2109)
            pair.split(|byte| *byte == b',')
                .filter(|part| part.len() < pair.len())
                .try_for_each(&mut add)?;
        }
        // servlets and PHP may take a session from the target, too
        let parameters = target.path().split(['/', ';']).chain(target.query());
        let pairs = parameters.flat_map(|text| text.split(['&', ';']));
        for pair in pairs.filter(|pair| pair.contains('=')) {
            add(pair.as_bytes())?;
        }
        Ok(sessions)
    }
}

/// Whether an upstream might take another one of `sessions` for this one.
#[must_use]
pub fn is_ambiguous(session: &Session, sessions: &[Session]) -> bool {
    sessions.iter().any(|other| other.name == session.name && other.value != session.value)
}

fn name_and_value(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = pair.split_at_checked(at)?;
    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
}

fn fold_name(name: &[u8]) -> Box<[u8]> {
    let decoded = percent_decode(name.trim_ascii());
    decoded
        .map(|byte| if b". [".contains(&byte) { b'_' } else { byte.to_ascii_lowercase() })
        .collect()
}

/// Without quotes and escapes: those of Python, `\"` and `\101`, and of URLs.
fn fold_value(value: &[u8]) -> Box<[u8]> {
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    let mut rest = quoted.unwrap_or(value);
    let mut unquoted = Vec::with_capacity(rest.len());
    while let Some((byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        rest = match (byte, octal) {
            (b'\\', Some(escaped)) => {
                unquoted.push(escaped);
                tail.get(3..).unwrap_or_default()
            }
            (b'\\', None) => tail,
            (byte, _) => {
                unquoted.push(*byte);
                tail
            }
        };
    }
    // which server has it stands behind the last dot for Jetty
    let id = &*unquoted;
    let dot = id.iter().rposition(|byte| *byte == b'.').filter(|at| *at >= SHORTEST);
    let id = id.get(..dot.unwrap_or(id.len())).unwrap_or_default();
    // lax decoders of base64 drop what is none of its letters
    let letters = percent_decode(id).filter(u8::is_ascii_alphanumeric);
    letters.map(|byte| byte.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn carried(lines: &[&str]) -> Result<Vec<Session>, TooMany> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, line.parse().expect("a header value"));
        }
        SessionName::new("PHPSESSID").carried(&headers, &Uri::from_static("/"))
    }

    #[test]
    fn a_session_is_one_in_every_spelling() {
        let plain = carried(&["PHPSESSID=abc/1"]);
        for line in [
            "PHPSESSID=%61bc%2f1",
            "a=b; PHPSESSID = abc/1 ; c",
            "PHPSESSID=\"abc/1\"",
            "PHPSESSID=\"\\141bc\\0571\"",
            "PHPSESSID=\"\\abc/1\"",
            "phpsessid=ABC/1",
            "%50HPSESSID=abc/1",
            "PHPSESSID =abc/1",
            "a=b, PHPSESSID=abc/1",
        ] {
            assert_eq!(carried(&[line]), plain, "{line}");
        }
        assert_eq!(carried(&["a=b", "PHPSESSID=abc/1", "PHPSESSID=%61bc/1"]), plain);
        assert_ne!(carried(&["PHPSESSID=abc/2"]), plain);
        let long = carried(&["PHPSESSID=node0abcdefgh12"]);
        for line in ["node0abcdefgh12.x1", "node0abcdefgh12!a!b", "node0!abcde!fgh12"] {
            let sessions = carried(&[&format!("PHPSESSID={line}")]).expect("few");
            let is_known = sessions.contains(&long.as_ref().expect("few")[0]);
            assert!(is_known, "{line}");
        }
        for target in ["/x;phpsessid=abc1", "/x;a=b;PHPSESSID=abc1/y", "/x?a=b&PHPSESSID=%61bc1"] {
            let uri = Uri::from_static(target);
            let carried = SessionName::new("PHPSESSID").carried(&HeaderMap::new(), &uri);
            assert_eq!(carried, plain, "{target}");
        }
        assert_eq!(carried(&["XPHPSESSID=abc/1; PHPSESSID"]), Ok(Vec::new()));
        let dotted = SessionName::new("ASP.NET_Session*");
        assert!(dotted.session(b"asp_net_sessionId", b"x").is_some());
    }

    #[test]
    fn two_sessions_of_one_name_are_ambiguous() {
        let one = carried(&["PHPSESSID=a"]).expect("few");
        assert!(!is_ambiguous(&one[0], &one));
        let two = carried(&["PHPSESSID=a; phpsessid=b"]).expect("few");
        assert!(is_ambiguous(&two[0], &two) && is_ambiguous(&two[1], &two));
    }

    #[test]
    fn too_many_sessions_are_told() {
        let cookies = |n: u32| (0..n).map(|n| format!("PHPSESSID={n}; ")).collect::<String>();
        assert_eq!(carried(&[&cookies(32)]).map(|sessions| sessions.len()), Ok(32));
        assert_eq!(carried(&[&cookies(33)]), Err(TooMany));
    }

    proptest! {
        #[test]
        fn no_value_panics(value in any::<Vec<u8>>()) {
            fold_value(&value);
        }
    }
}
