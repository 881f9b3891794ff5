//! Requests in the clear that are sent to where TLS is spoken.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue, LOCATION};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::Visit;
use crate::link::Scheme;
use crate::policy::hosts::without_port;
use crate::rejection::Rejection;

/// Where an authority for certificates looks whether a host is somebody's, in the clear (RFC 8555,
/// section 8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

impl Visit<'_> {
    /// The answer to a request that should come with TLS; `None` to all others.
    ///
    /// # Errors
    ///
    /// When the request names no host to send it to.
    pub(super) fn redirect(&self, parts: &Parts) -> Result<Option<Response<Bytes>>, Rejection> {
        let listener = self.plan.settings.listen.get(self.downstream.link.listener);
        match listener.and_then(|listener| listener.redirect) {
            Some(port) if self.scheme == Scheme::Http && !is_challenge(parts) => {
                redirect(parts, port).map(Some)
            }
            Some(_) | None => Ok(None),
        }
    }
}

/// A question of such an authority, and nothing that could be a login.
fn is_challenge(parts: &Parts) -> bool {
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let token = target.strip_prefix(CHALLENGES).unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_token = !token.is_empty() && token.bytes().all(legal);
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    is_token && reads && !parts.headers.contains_key(AUTHORIZATION)
}

/// The same at the same host, with TLS. Methods other than GET and HEAD keep what they are.
fn redirect(parts: &Parts, port: u16) -> Result<Response<Bytes>, Rejection> {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = without_port(host);
    if name.is_empty() {
        return Err(Rejection::Unclear("no host to send the request to"));
    }
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let target = if target.starts_with('/') { target } else { "/" };
    let location = HeaderValue::try_from(format!("https://{name}{port}{target}"));
    let location = location.map_err(|_| Rejection::Unclear("the host is no host"))?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = if parts.method == Method::GET || parts.method == Method::HEAD {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::PERMANENT_REDIRECT
    };
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}
