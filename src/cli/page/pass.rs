//! What the page asks is passed on to the guard, and what the guard answers to the page.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::admin::ask::Place;

/// An answer to the page; its body comes as the guard sends it.
pub type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// How long the head of an answer may take: a reload reads many files.
const PATIENCE: Duration = Duration::from_mins(1);
/// What of a question is passed on. Not what a browser says of itself and of the page.
const PASSED: [HeaderName; 3] = [ACCEPT, CONTENT_TYPE, HeaderName::from_static("last-event-id")];
/// What belongs to a connection and not to an answer, and what asks the page for a token that is not
/// its own.
const KEPT: [HeaderName; 4] = [CONNECTION, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE];

/// The guard, which is asked there.
#[derive(Clone, Debug)]
pub struct Guard(pub Place);

impl Guard {
    /// Asks the guard what `request` asks, at `target`. Dropping the future breaks off.
    pub async fn pass(&self, request: Request<Incoming>, path: &str) -> Answer {
        match tokio::time::timeout(PATIENCE, self.ask(request, path)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => problem(StatusCode::BAD_GATEWAY, &unreachable(&error)),
            Err(_) => problem(StatusCode::GATEWAY_TIMEOUT, "The guard does not answer in time."),
        }
    }

    async fn ask(&self, request: Request<Incoming>, path: &str) -> io::Result<Answer> {
        let (parts, body) = request.into_parts();
        let target = match parts.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let mut question = Request::new(body);
        *question.method_mut() = parts.method;
        *question.uri_mut() = target.parse::<Uri>().map_err(io::Error::other)?;
        let headers = question.headers_mut();
        copy(&parts.headers, headers, &PASSED);
        match &self.0 {
            Place::Unix(path) => {
                headers.insert(HOST, HeaderValue::from_static("loginward"));
                send(UnixStream::connect(path).await?, question).await
            }
            Place::Tcp(address, token) => {
                let value = |text: &str| HeaderValue::from_str(text).map_err(io::Error::other);
                headers.insert(HOST, value(&address.to_string())?);
                headers.insert(AUTHORIZATION, value(&format!("Bearer {token}"))?);
                send(TcpStream::connect(address).await?, question).await
            }
        }
    }
}

/// Sends a question over a connection of its own.
async fn send<S>(stream: S, question: Request<Incoming>) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let shaken = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let (mut sender, connection) = shaken;
    tokio::task::spawn_local(async move {
        // how it ends, the answer tells
        drop(connection.await);
    });
    let answer = sender.send_request(question).await.map_err(io::Error::other)?;
    let (mut parts, body) = answer.into_parts();
    for name in KEPT {
        parts.headers.remove(name);
    }
    Ok(Response::from_parts(parts, body.boxed_unsync()))
}

fn copy(from: &HeaderMap, to: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        if let Some(value) = from.get(name) {
            to.insert(name, value.clone());
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "foreign and open-ended")]
fn unreachable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "The guard cannot be reached: none runs there.".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "The guard cannot be reached: its socket is another user's.".to_owned()
        }
        _ => format!("The guard cannot be reached: {error}."),
    }
}

/// What is wrong between page and guard, as the guard would say it.
fn problem(status: StatusCode, detail: &str) -> Answer {
    let title = status.canonical_reason().unwrap_or_default();
    let problem = json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail,
    });
    let mut answer = super::serve::told(status, &problem.to_string());
    let kind = HeaderValue::from_static("application/problem+json");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer.headers_mut().remove(CONTENT_LENGTH);
    answer
}
