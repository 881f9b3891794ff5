//! One request on a connection of its own, by whoever is no worker.

use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use tokio::task::JoinSet;

use super::connect::connect;
use super::pool::http1;
use super::{Traffic, UpstreamError};
use crate::body::RequestBody;
use crate::config::UpstreamServer;
use crate::tls::trust::Offer;

/// Sends `request` to `server` and waits for the head of the answer; nobody reads the rest.
/// Dropping the future closes the connection.
///
/// # Errors
///
/// When no answer comes.
pub async fn ask(
    server: &UpstreamServer,
    request: Request<Bytes>,
) -> Result<Response<()>, UpstreamError> {
    let stream = connect(server, Offer::Http1).await?;
    let shaken = http1(stream, &Rc::<Traffic>::default()).await;
    let (mut sender, connection) = shaken.map_err(UpstreamError::Broken)?;
    // it lives as long as the question
    let mut serving = JoinSet::new();
    serving.spawn_local(connection);
    let request = request.map(|body| RequestBody::Whole(Some(body)));
    let answered = sender.send_request(request).await;
    answered.map(|answer| answer.map(drop)).map_err(UpstreamError::Broken)
}
