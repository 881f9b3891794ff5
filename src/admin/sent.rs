//! The body of a question: one JSON object, with members that are known, each once.

use std::fmt;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Incoming};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::reply::Problem;

/// No body is longer.
const LONGEST: usize = 64 * 1024;
/// None takes longer.
const TIME: Duration = Duration::from_secs(10);

/// The members of a question's body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent(Vec<(String, Value)>);

impl Sent {
    /// The body of `request`, whose members may be those that are `known`.
    ///
    /// # Errors
    ///
    /// When it is no such thing, is too long or too slow.
    pub async fn read(request: Request<Incoming>, known: &[&str]) -> Result<Self, Problem> {
        check_kind(request.headers())?;
        let body = request.into_body();
        let too_long = || {
            let detail = format!("the body is longer than {LONGEST} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        };
        if body.size_hint().lower() > LONGEST as u64 {
            return Err(too_long());
        }
        let collected = tokio::time::timeout(TIME, Limited::new(body, LONGEST).collect()).await;
        let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long");
        let bytes = collected.map_err(slow)?.map_err(|_| too_long())?.to_bytes();
        Self::parse(&bytes, known)
    }

    /// What `bytes` say.
    ///
    /// # Errors
    ///
    /// When they are no JSON object with members that are `known`, each once.
    pub fn parse(bytes: &[u8], known: &[&str]) -> Result<Self, Problem> {
        let wrong = |error| Problem::bad(format!("the body is no JSON object: {error}"));
        let sent: Self = serde_json::from_slice(bytes).map_err(wrong)?;
        match sent.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((unknown, _)) => {
                let known = known.join(", ");
                Err(Problem::bad(format!("there is no member {unknown:?}; known: {known}")))
            }
            None => Ok(sent),
        }
    }

    /// A member, if it is there and not null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let member = self.0.iter().find(|(own, _)| own == name);
        member.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// A member that is text.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        let wrong = || Problem::bad(format!("`{name}` is no text"));
        self.get(name).map(|value| value.as_str().ok_or_else(wrong)).transpose()
    }

    /// A member that is true or false; where it is not there, it is false.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub fn truth(&self, name: &str) -> Result<bool, Problem> {
        let wrong = || Problem::bad(format!("`{name}` is true or false"));
        self.get(name).map_or(Ok(false), |value| value.as_bool().ok_or_else(wrong))
    }

    /// Checks that these members are text, where they are there and not empty.
    ///
    /// # Errors
    ///
    /// When one is something else.
    pub fn texts(&self, names: &[&str]) -> Result<(), Problem> {
        names.iter().try_for_each(|name| match self.text(name)? {
            Some("") => Err(Problem::bad(format!("`{name}` is empty"))),
            Some(_) | None => Ok(()),
        })
    }
}

/// A page can send a form anywhere, but JSON only where it is allowed to (Fetch, section 3.2.2).
fn check_kind(headers: &HeaderMap) -> Result<(), Problem> {
    let wrong = |detail| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    if headers.contains_key(CONTENT_ENCODING) {
        return wrong("the body is encoded, and only what is not can be read");
    }
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return wrong("send one Content-Type: application/json");
    };
    let essence = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        wrong("send the body as application/json")
    }
}

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members)
    }
}

/// Reads members, each once.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Sent;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sent, A::Error> {
        let mut members: Vec<(String, Value)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.iter().any(|(own, _)| *own == name) {
                let twice = format!("the member {name:?} is there twice");
                return Err(serde::de::Error::custom(twice));
            }
            members.push((name, value));
        }
        Ok(Sent(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_object_with_known_members_each_once() {
        let parse = |text: &str| Sent::parse(text.as_bytes(), &["ip", "all"]);
        let sent = parse(r#"{"ip": "x", "all": null}"#).unwrap();
        assert_eq!((sent.text("ip").unwrap(), sent.get("all")), (Some("x"), None));
        for wrong in [
            "",
            "x",
            "null",
            "[]",
            "\"ip\"",
            "{",
            "{}{}",
            r#"{"ip": 1"#,
            r#"{"ip": "x", "ip": "y"}"#,
            r#"{"ip": "x", "\u0069p": "y"}"#,
            r#"{"other": 1}"#,
            r#"{"IP": "x"}"#,
            r#"{"ip": "\ud800"}"#,
            &format!("{{\"ip\": {}{}}}", "[".repeat(500), "]".repeat(500)),
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(r#"{"ip": 1}"#).unwrap().text("ip").is_err());
        assert!(parse(r#"{"ip": ""}"#).unwrap().texts(&["ip"]).is_err());
    }
}
