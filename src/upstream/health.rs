//! Asking a server whether it is well.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::connect::connect;
use super::http2::{http2, to_stream};
use super::pool::http1;
use super::state::{Change, ServerState};
use super::{Traffic, UpstreamError};
use crate::body::RequestBody;
use crate::clock::Moment;
use crate::config::{HealthCheck, UpstreamServer};

/// Asks each of `servers` whose turn it is, at `now`. One worker comes first and the others find
/// that it is no server's turn any more.
pub fn look_after(servers: &[Arc<ServerState>], now: Moment, connecting: Duration) {
    for state in servers {
        if let Some(check) = state.check.as_ref().filter(|check| state.take_turn(now, check)) {
            let (state, check) = (Arc::clone(state), check.clone());
            tokio::task::spawn_local(async move { look_at(&state, &check, connecting).await });
        }
    }
}

async fn look_at(state: &ServerState, check: &HealthCheck, connecting: Duration) {
    let asked = timeout(check.interval, ask(&state.server, check, connecting));
    let wrong = match asked.await {
        Ok(Ok(())) => None,
        Ok(Err(wrong)) => Some(wrong),
        Err(_) => Some("no answer came within the interval".to_owned()),
    };
    match (&wrong, state.checked(wrong.is_none())) {
        (_, Change::Known) => {}
        (None, Change::New) => tracing::info!(event = "upstream_in", server = %state.server),
        (Some(reason), Change::New) => {
            tracing::warn!(event = "upstream_out", server = %state.server, reason);
        }
    }
}

/// Asks on a connection of its own, so that what is asked is whether one can be opened, too.
async fn ask(
    server: &UpstreamServer,
    check: &HealthCheck,
    connecting: Duration,
) -> Result<(), String> {
    let connected = timeout(connecting, connect(server, server.offer)).await;
    let stream = connected.unwrap_or(Err(UpstreamError::ConnectTimeout));
    let stream = stream.map_err(|error| error.to_string())?;
    if stream.speaks_http2() {
        let shaken = http2(stream, &Rc::<Traffic>::default()).await;
        let (mut sender, _) = shaken.map_err(|error| error.to_string())?;
        let request = to_stream(request(check)).ok_or("the host is none for HTTP/2")?;
        let answered = sender.send_request(request).await;
        return judge(check, answered);
    }
    let shaken = http1(stream, &Rc::<Traffic>::default()).await;
    let (mut sender, connection) = shaken.map_err(|error| error.to_string())?;
    let serving = tokio::task::spawn_local(async move { drop(connection.await) });
    let answered = sender.send_request(request(check)).await;
    serving.abort(); // nobody reads the rest
    judge(check, answered)
}

fn judge(
    check: &HealthCheck,
    answered: Result<Response<Incoming>, hyper::Error>,
) -> Result<(), String> {
    let status = answered.map_err(|error| UpstreamError::Broken(error).to_string())?.status();
    let is_well = check.status.iter().any(|range| range.contains(&status.as_u16()));
    if is_well { Ok(()) } else { Err(format!("the answer to {} was {status}", check.path)) }
}

fn request(check: &HealthCheck) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::Empty);
    // both were read by the same rules in the configuration
    *request.uri_mut() = check.path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    let headers = request.headers_mut();
    if let Ok(host) = HeaderValue::from_str(&check.host) {
        headers.insert(HOST, host);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static("loginward health check"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    request
}
