//! One client's connection: hyper serves its requests, the guard answers them.
//!
//! hyper keeps 16 KiB and more for each, which is given up where nothing happens for a while
//! (`park`). What is large is in a box of its own, so that the task is small then.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::{Builder, Connection, Parts};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::socket::ClientSocket;
use super::{http2, park, proxied};
use crate::body::ClientBody;
use crate::guard::answer::{AnswerBody, Downstream};
use crate::guard::{Worker, answer};
use crate::link::{Link, Phase};
use crate::quiet::ConnectionWaker;
use crate::rejection::Rejection;
use crate::stream::Stream;

/// What hyper buffers at least; heads may be larger only if the bounds say so.
const BUFFER: usize = 64 * 1024;
/// For how long what a client still sends is thrown away, so that it gets to read its answer.
const LINGER: Duration = Duration::from_secs(2);
/// How much is thrown away at most.
const MOST_LINGERING: usize = 1024 * 1024;

/// Reads the header that says whose connection it is, and serves it until it ends. Who sends none,
/// or may not, is told nothing.
pub async fn serve_proxied(
    stream: Stream,
    link: Rc<Link>,
    config: Option<Arc<ServerConfig>>,
    worker: Rc<Worker>,
) {
    let admitting = Box::pin(proxied::admit(&stream, &link, &worker));
    let Some(peer) = admitting.await else { return };
    let how = (link.scheme, link.listener);
    drop(link); // one place is enough
    let link = worker.welcome(peer, how);
    match config {
        Some(config) => serve_tls(stream, link, config, worker).await,
        None => serve(stream, link, worker).await,
    }
}

/// Shakes hands and serves a connection until it ends. Who does not speak TLS is told nothing.
pub async fn serve_tls(
    stream: Stream,
    link: Rc<Link>,
    config: Arc<ServerConfig>,
    worker: Rc<Worker>,
) {
    let shaking = Box::pin(shake_hands(stream, &link, config, &worker));
    let Some(stream) = shaking.await else { return };
    link.await_first();
    if stream.speaks_http2() {
        Box::pin(http2::serve(stream, link, worker)).await;
    } else {
        serve(stream, link, worker).await;
    }
}

/// `None` where that has failed, which is reported, or where it has to go.
async fn shake_hands(
    stream: Stream,
    link: &Link,
    config: Arc<ServerConfig>,
    worker: &Worker,
) -> Option<Stream> {
    link.alarm.set(worker.serving().settings.timeouts.handshake);
    let shaking = link.alarm.in_time(TlsAcceptor::from(config).accept(stream));
    match shaking.await {
        Some(Ok(stream)) => return Some(Stream::Tls(Box::new(stream.into()))),
        Some(Err(error)) => untold(link, worker, &error.to_string()),
        None if link.must_go() => {}
        None => untold(link, worker, "not done in time"),
    }
    None
}

/// A handshake has failed; whoever looks for it finds out why.
fn untold(link: &Link, worker: &Worker, reason: &str) {
    worker.shared.metrics.handshake_failed();
    tracing::debug!(event = "tls_handshake_failed", client = &*link.peer_text, reason);
}

/// Serves a connection until it ends. What goes wrong on it ends it; whoever sent the request
/// knows more of that than we.
pub async fn serve(stream: Stream, link: Rc<Link>, worker: Rc<Worker>) {
    let mut socket = ClientSocket::new(stream, Rc::clone(&link), Rc::clone(&worker));
    let downstream =
        Rc::new(Downstream { link, own_upstream: Rc::default(), tunnel: RefCell::default() });
    downstream.link.alarm.tell_of_quiet();
    loop {
        let serving = Box::pin(serve_requests(socket, &downstream, &worker));
        let Some(quiet) = serving.await else { return };
        socket = quiet;
        if park::wait(&mut socket, &downstream.link).await.is_break() {
            return;
        }
    }
}

/// Serves requests until the connection ends, or until nothing happens on it for a while: that
/// returns its socket.
async fn serve_requests(
    socket: ClientSocket,
    downstream: &Rc<Downstream>,
    worker: &Rc<Worker>,
) -> Option<ClientSocket> {
    let link = &downstream.link;
    let bounds = worker.serving().settings.bounds;
    let mut builder = Builder::new();
    builder.max_header_size(bounds.head).max_buf_size(BUFFER.max(bounds.head * 2));
    if bounds.headers != crate::config::Bounds::default().headers {
        builder.max_headers(bounds.headers); // costs an allocation, so only if need be
    }
    let (answering, context) = (Rc::clone(worker), Rc::clone(downstream));
    let service = service_fn(move |request: Request<Incoming>| {
        // at once, not when the answer is polled: hyper may read on before that
        let request = request.map(|body| ClientBody::new(body, Rc::clone(&context.link)));
        answer(Rc::clone(&answering), Rc::clone(&context), request)
    });
    let mut serving = builder.serve_connection(TokioIo::new(socket), service);
    let end = until_end(&mut serving, link).await;
    let Parts { io, read_buf, .. } = serving.into_parts();
    let mut socket = io.into_inner();
    match (end, link.phase()) {
        (End::Quiet, _) => {
            if !read_buf.is_empty() {
                link.enter(Phase::Head); // it came while the request before it was answered
                socket.put_back(read_buf);
            }
            return Some(socket);
        }
        (End::Garbled, Phase::Head) if !socket.has_answered() => {
            let garbled =
                worker.raw_rejection(link, &Rejection::Unclear("the request is no HTTP/1"));
            drop(timeout(LINGER, socket.write_all(&garbled)).await);
            drop(timeout(LINGER, socket.shutdown()).await);
        }
        (End::Done, Phase::Tunnel) => tunnel(socket, &read_buf, downstream).await,
        (End::Done, Phase::Body) => linger(socket).await,
        (End::Done | End::Garbled | End::Shed, _) => {}
        (End::Late, Phase::Head) => {
            let late = worker.raw_rejection(link, &Rejection::Slow);
            // a client that is too slow to send may be too slow to read
            drop(timeout(LINGER, socket.write_all(&late)).await);
            drop(timeout(LINGER, socket.shutdown()).await);
        }
        (End::Late, _) => {}
    }
    None
}

/// How serving a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    /// What came was no HTTP/1; hyper may have said so.
    Garbled,
    Late,
    /// Nothing has happened for a while, and nothing of a request or an answer is left.
    Quiet,
    /// There was no room for it any more.
    Shed,
}

async fn until_end<S>(serving: &mut Connection<TokioIo<ClientSocket>, S>, link: &Rc<Link>) -> End
where
    S: HttpService<Incoming, ResBody = AnswerBody> + Unpin,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut is_ending, mut waker) = (false, ConnectionWaker::default());
    poll_fn(|context| {
        link.alarm.watch(context);
        if link.is_draining() && !is_ending {
            is_ending = true;
            Pin::new(&mut *serving).graceful_shutdown();
        }
        match Pin::new(&mut *serving).poll(&mut waker.context(context)) {
            Poll::Ready(Err(error)) if error.is_parse() => Poll::Ready(End::Garbled),
            Poll::Ready(_) => Poll::Ready(End::Done),
            Poll::Pending if link.must_go() => Poll::Ready(End::Shed),
            Poll::Pending if link.alarm.has_rung() && link.phase().awaits_client() => {
                Poll::Ready(End::Late)
            }
            Poll::Pending if link.overdue().is_some() => Poll::Ready(End::Late),
            Poll::Pending if park::may(link) => Poll::Ready(End::Quiet),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// A client that was answered before it had sent everything is still sending; closing now would
/// reset the connection, and the answer with it.
async fn linger(mut socket: ClientSocket) {
    let drain = async {
        let mut buffer = vec![0; 16 * 1024];
        let mut drained = 0;
        while drained < MOST_LINGERING {
            match socket.read(&mut buffer).await {
                Ok(read) if read > 0 => drained += read,
                Ok(_) | Err(_) => break,
            }
        }
    };
    drop(timeout(LINGER, drain).await);
}

/// The client's and the upstream's connection are one from now on.
async fn tunnel(mut client: ClientSocket, read: &[u8], downstream: &Downstream) {
    let Some(upstream) = downstream.tunnel.take() else { return };
    let Ok((mut upstream, read_upstream)) = upstream.await else { return };
    let begun = async {
        upstream.write_all(read).await?;
        client.write_all(&read_upstream).await
    };
    // either end may break it off, whenever it likes
    if begun.await.is_ok() {
        // it rings only where others need the room
        let talking = pin!(copy_bidirectional(&mut client, &mut upstream));
        drop(downstream.link.alarm.in_time(talking).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How large the future is that such a function returns.
    const fn size<A, B, C, D, F>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connections_task_is_small_whatever_it_goes_through() {
        let sizes = [size(serve_tls), size(serve_proxied)];
        assert!(sizes.iter().all(|size| *size < 768), "{sizes:?}");
    }
}
