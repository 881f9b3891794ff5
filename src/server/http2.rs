//! One client's connection that speaks HTTP/2 (RFC 9113): each request has a stream of its own.
//!
//! What times out on a stream ends that stream; what times out on the connection ends it. Bounds on
//! everything that a client may have the guard keep for it are the builder's, in [`builder`].

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use http::header::{CONTENT_LENGTH, COOKIE, HeaderMap, HeaderValue};
use http::{Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2::{Builder, Connection};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;

use super::gathered::Gathered;
use crate::body::ClientBody;
use crate::config::Bounds;
use crate::guard::answer::{AnswerBody, Content, Downstream};
use crate::guard::{Worker, answer};
use crate::link::{Link, Phase, Stall};
use crate::stream::Stream;

/// Requests that a client may have under way at once (RFC 9113, section 6.5.2).
const MOST_STREAMS: u32 = 100;
/// What a client may send of a request's body before somebody wants it.
const STREAM_WINDOW: u32 = 128 * 1024;
/// What it may send of all of them; one that nobody wants must not keep the others from coming.
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
/// What is kept of an answer that the client does not take.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that a client resets before they are looked at, before it has to go (CVE-2023-44487).
const MOST_RESET: usize = 20;
/// Streams that a client has us reset, before it has to go (CVE-2025-8671).
const MOST_ERRORS: usize = 100;

/// Serves a connection until it ends.
pub(super) async fn serve(stream: Stream, link: Rc<Link>, worker: Rc<Worker>) {
    let begun = Begun::default();
    let builder = builder(begun.clone(), &worker.serving().settings.bounds);
    let own_upstream = Rc::default();
    let connection = Rc::clone(&link);
    let service = service_fn(move |request: Request<Incoming>| {
        let link = connection.begin_stream(&worker.alarms);
        begun.0.replace(Some(Rc::clone(&link)));
        let downstream = Downstream {
            link: Rc::clone(&link),
            own_upstream: Rc::clone(&own_upstream),
            tunnel: RefCell::default(),
        };
        let request = request.map(|body| ClientBody::new(body, link));
        answer_stream(Rc::clone(&worker), Rc::new(downstream), request)
    });
    let socket = Gathered::new(stream, Rc::clone(&link));
    let mut serving = pin!(builder.serve_connection(TokioIo::new(socket.clone()), service));
    let mut ending = Ending::No;
    poll_fn(|context| {
        let served = serve_on(serving.as_mut(), &link, &mut ending, context);
        match socket.poll_release(context) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => served,
        }
    })
    .await;
}

fn builder(begun: Begun, bounds: &Bounds) -> Builder<Begun> {
    let mut builder = Builder::new(begun);
    builder
        .max_concurrent_streams(MOST_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(bounds.head).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MOST_RESET)
        .max_local_error_reset_streams(MOST_ERRORS);
    builder
}

/// An answer that is under way: large, and moved by everybody through whose hands it goes until its
/// task runs.
type Answering = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, Infallible>>>>;

/// Answers the request of one stream.
fn answer_stream(
    worker: Rc<Worker>,
    downstream: Rc<Downstream>,
    mut request: Request<ClientBody>,
) -> Answering {
    join_cookies(request.headers_mut());
    if request.method() == Method::HEAD {
        Box::pin(answer_head(worker, downstream, request))
    } else {
        Box::pin(answer(worker, downstream, request))
    }
}

/// The same without its body, whose length it tells.
async fn answer_head(
    worker: Rc<Worker>,
    downstream: Rc<Downstream>,
    request: Request<ClientBody>,
) -> Result<Response<AnswerBody>, Infallible> {
    let mut response = answer(worker, downstream, request).await?;
    if !response.body().is_end_stream() {
        if let Some(length) = response.body().size_hint().exact() {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        response.body_mut().replace(Content::Untold);
    }
    Ok(response)
}

/// One `Cookie` field, whose pairs a client may have sent one by one (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let lines = headers.get_all(COOKIE);
    if lines.iter().nth(1).is_none() {
        return;
    }
    let mut joined = Vec::new();
    for line in lines {
        if !joined.is_empty() {
            joined.extend_from_slice(b"; ");
        }
        joined.extend_from_slice(line.as_bytes());
    }
    // it consists of what was a value before
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

/// Runs each stream in a task of its own, which ends with the time that the stream has. A request
/// leaves its link here right before its task begins.
#[derive(Clone, Debug, Default)]
struct Begun(Rc<RefCell<Option<Rc<Link>>>>);

impl<F: Future<Output = ()> + Unpin + 'static> Executor<F> for Begun {
    fn execute(&self, stream: F) {
        tokio::task::spawn_local(Streaming { stream, link: self.0.take() });
    }
}

/// One stream, until it ends or its time is over. It is not large, and not moved once more.
struct Streaming<F> {
    stream: F,
    link: Option<Rc<Link>>,
}

impl<F: Future<Output = ()> + Unpin> Future for Streaming<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let polled = Pin::new(&mut self.stream).poll(context);
        match &self.link {
            Some(link) if polled.is_pending() && link.overdue().is_none() => {
                link.alarm.watch(context);
                Poll::Pending
            }
            // dropping the stream resets it
            Some(_) => Poll::Ready(()),
            None => polled,
        }
    }
}

/// Whether the client has been told that its connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    Yes,
}

/// Serves until the client leaves, or has been idle or stubborn for too long, or the guard drains.
fn serve_on<S>(
    mut serving: Pin<&mut Connection<TokioIo<Gathered>, S, Begun>>,
    link: &Link,
    ending: &mut Ending,
    context: &mut Context<'_>,
) -> Poll<()>
where
    S: HttpService<Incoming, ResBody = AnswerBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Unpin + 'static,
{
    link.alarm.watch(context);
    let is_late = link.alarm.has_rung() && link.phase() == Phase::Idle;
    let is_over = link.must_go() || link.overdue().is_some() || (is_late && *ending == Ending::Yes);
    if is_over && serving.as_mut().poll(context).is_pending() {
        return Poll::Ready(());
    }
    if *ending == Ending::No && (is_late || link.is_draining() || link.is_retiring()) {
        *ending = Ending::Yes;
        serving.as_mut().graceful_shutdown();
        if is_late {
            link.stalls(Stall::Send); // it may still have to take the end of an answer
        }
    }
    serving.poll(context).map(drop)
}
