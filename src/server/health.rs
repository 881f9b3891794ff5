//! The metrics listener: `/metrics`, `/livez`, `/readyz`; no names in any of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::crowd::Crowd;
use crate::guard::Shared;

/// So many may be connected at a time; when one more comes, whoever has been longest has to go.
const MOST: usize = 64;
/// No head has more bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// How long the head of a request may take.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long all of it may take: there is one question on each connection.
const TIME: Duration = Duration::from_secs(30);

/// Answers until the guard has ended, which is when the other end of `over` is dropped.
pub async fn serve(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    mut over: oneshot::Receiver<()>,
) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let crowd = Crowd::new(MOST);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = &mut over => return,
        };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let response = answer(&request, &shared);
            async move { Ok::<_, Infallible>(response) }
        });
        let mut builder = Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
        builder.max_buf_size(LONGEST_HEAD);
        let visit = crowd.enter();
        let serving = builder.keep_alive(false).serve_connection(TokioIo::new(stream), service);
        tokio::task::spawn_local(async move {
            tokio::select! {
                // whoever asked has gone; there is nothing to do about it
                ended = tokio::time::timeout(TIME, serving) => drop(ended),
                () = visit.must_go() => {}
            }
        });
    }
}

fn answer(request: &Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let (status, kind, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, kind, shared.metrics_text())
        }
        (&Method::GET | &Method::HEAD, "/readyz") if shared.is_leaving() => {
            (StatusCode::SERVICE_UNAVAILABLE, "text/plain", "about to end\n".to_owned())
        }
        (&Method::GET | &Method::HEAD, "/livez" | "/readyz") => {
            (StatusCode::OK, "text/plain", "ok\n".to_owned())
        }
        (_, "/metrics" | "/livez" | "/readyz") => {
            (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned())
        }
        _ => (StatusCode::NOT_FOUND, "text/plain", "/metrics, /livez, /readyz\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
