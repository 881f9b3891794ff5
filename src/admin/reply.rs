//! Answers to operators: JSON, or what is wrong as problem+json (RFC 9457).

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::body::AdminBody;

/// What is answered; its body may come piece by piece.
pub type Reply = Response<AdminBody>;

const CONTENT_TYPE_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Why somebody does not get what he asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// What is wrong here, in words.
    pub detail: String,
    /// What a program may want to know besides.
    pub more: Map<String, Value>,
    /// The methods that are allowed, where it is the method that is wrong.
    pub allow: Option<String>,
}

impl Problem {
    /// It is wrong, and this is why.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), more: Map::new(), allow: None }
    }

    /// The request cannot be understood.
    #[must_use]
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// With one more member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// The answer that says so.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let title = self.status.canonical_reason().unwrap_or_default();
        let mut answer = json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(members) = answer.as_object_mut() {
            members.extend(self.more.clone());
        }
        let mut reply = text(self.status, "application/problem+json", format!("{answer}\n"));
        let headers = reply.headers_mut();
        if let Some(allow) = self.allow.as_deref().and_then(|it| HeaderValue::from_str(it).ok()) {
            headers.insert(ALLOW, allow);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        reply
    }
}

/// All is well, and this is the answer.
#[must_use]
pub fn json(answer: &Value) -> Reply {
    text(StatusCode::OK, "application/json", format!("{answer}\n"))
}

/// A whole answer of that kind. Nobody keeps it, and no other page may have it.
#[must_use]
pub fn text(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(text.into()).into());
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_its_status_in_the_head_and_in_the_body() {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "who are you?").with("x", 1);
        let reply = problem.reply();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(reply.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(reply.headers()[WWW_AUTHENTICATE], "Bearer");
    }
}
