//! Connections that speak HTTP/2 (RFC 9113): many exchanges share one, each on its own stream.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use http::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Mutex, MutexGuard};

use super::{Begun, SendFailure, Sent, Traffic, UpstreamError, UpstreamSocket};
use crate::alarm::SWEEP;
use crate::body::RequestBody;
use crate::clock::Moment;
use crate::stream::Stream;

/// Exchanges that share a connection at most, also where the server would take more.
const MOST_STREAMS: usize = 100;
/// What is taken of an answer whose client does not take it.
const STREAM_WINDOW: u32 = 128 * 1024;
/// What is taken of all of them: no answer that nobody takes keeps the others from coming.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MOST_STREAMS as u32;
/// What is kept of a request's body that the server does not take.
const SEND_BUFFER: usize = 128 * 1024;
/// Fields of an answer may have so many bytes.
const MOST_HEAD: u32 = 64 * 1024;
/// A connection on which exchanges are under way and nothing comes is asked so often whether it
/// lives, and ends where it does not answer for as long.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// The connections to one server that speak HTTP/2.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    all: RefCell<Vec<Rc<Shared>>>,
    /// Held by whoever opens one, for all who need one.
    opening: Mutex<()>,
    /// What went wrong at the last opening, and how many did so far.
    failed: RefCell<(u64, Option<UpstreamError>)>,
    /// Connections opened before the last one broke are of an older generation.
    generation: Cell<u64>,
    /// The server agreed on HTTP/1.1 when it was last asked.
    is_refused: Cell<bool>,
}

/// A connection that exchanges share.
#[derive(Debug)]
struct Shared {
    sender: SendRequest<RequestBody>,
    traffic: Rc<Traffic>,
    allowance: Rc<Allowance>,
    open: Cell<usize>,
    generation: u64,
    /// It has broken, or a check says so.
    broken: Cell<bool>,
    /// How much had been heard when something was last heard, and when that was.
    heard: Cell<(u64, Moment)>,
    /// When its last stream ended.
    idle_since: Cell<Moment>,
}

/// How many streams a server allows, which it may say at any time.
#[derive(Debug)]
pub(super) struct Allowance {
    streams: Cell<usize>,
    /// Of the connection's task, which looks again when it is woken.
    task: RefCell<Option<Waker>>,
}

impl Allowance {
    fn look_again(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }
}

/// Leave to use one stream of a connection.
#[derive(Debug)]
pub(super) struct Place {
    shared: Rc<Shared>,
    sharing: Rc<Sharing>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let open = &self.shared.open;
        open.set(open.get().saturating_sub(1));
    }
}

/// Which of the connections may be used.
#[derive(Clone, Copy, Debug)]
pub(super) enum Usable {
    /// Where something was heard so long ago at most.
    Within(Duration),
    /// Those that were opened after the last one broke.
    Newest,
}

impl Sharing {
    /// Whether the server agreed on HTTP/1.1 when it was last asked.
    pub(super) const fn is_refused(&self) -> bool {
        self.is_refused.get()
    }

    /// What the server agreed on.
    pub(super) fn agreed(&self, http2: bool) {
        self.is_refused.set(!http2);
    }

    /// A stream of a connection that is open.
    pub(super) fn place(self: &Rc<Self>, usable: Usable, now: Moment) -> Option<Place> {
        let all = self.all.borrow();
        let is_usable = |shared: &&Rc<Shared>| {
            shared.has_room()
                && match usable {
                    Usable::Within(longest) => shared.silence(now) < longest,
                    Usable::Newest => shared.generation == self.generation.get(),
                }
        };
        // the fullest, so that the others come to their end
        let shared = all.iter().filter(is_usable).max_by_key(|shared| shared.open.get())?;
        Some(self.enter(shared))
    }

    fn enter(self: &Rc<Self>, shared: &Rc<Shared>) -> Place {
        shared.open.set(shared.open.get() + 1);
        Place { shared: Rc::clone(shared), sharing: Rc::clone(self) }
    }

    /// Waits until nobody else opens a connection.
    ///
    /// # Errors
    ///
    /// Where somebody else has tried meanwhile: what came of that.
    pub(super) async fn open(&self) -> Result<MutexGuard<'_, ()>, UpstreamError> {
        let before = self.failed.borrow().0;
        let turn = self.opening.lock().await;
        let failed = self.failed.borrow();
        match &*failed {
            (count, Some(error)) if *count != before => Err(error.again()),
            _ => Ok(turn),
        }
    }

    /// A connection could not be opened.
    pub(super) fn fail(&self, error: &UpstreamError) {
        let mut failed = self.failed.borrow_mut();
        *failed = (failed.0 + 1, Some(error.again()));
    }

    /// A stream of a new connection.
    pub(super) async fn add(
        self: &Rc<Self>,
        stream: Stream,
        now: Moment,
    ) -> Result<Place, hyper::Error> {
        let traffic = Rc::<Traffic>::default();
        let (sender, allowance) = http2(stream, &traffic).await?;
        let shared = Rc::new(Shared {
            sender,
            traffic,
            allowance,
            open: Cell::new(0),
            generation: self.generation.get(),
            broken: Cell::new(false),
            heard: Cell::new((0, now)),
            idle_since: Cell::new(now),
        });
        self.all.borrow_mut().push(Rc::clone(&shared));
        Ok(self.enter(&shared))
    }

    /// Closes what has been idle for so long.
    pub(super) fn sweep(&self, now: Moment, longest: Duration) {
        self.all.borrow_mut().retain(|shared| {
            shared.silence(now);
            if shared.open.get() > 0 {
                shared.idle_since.set(now);
                shared.allowance.look_again();
            }
            let is_old = now.since(shared.idle_since.get()) >= longest;
            !is_old && !shared.is_over()
        });
    }

    /// Closes everything once its exchanges are over.
    pub(super) fn close(&self) {
        self.all.borrow_mut().clear();
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.broken.get() || self.sender.is_closed()
    }

    fn has_room(&self) -> bool {
        !self.is_over() && self.open.get() < self.allowance.streams.get().min(MOST_STREAMS)
    }

    /// How long nothing has been heard, as far as that was looked at.
    fn silence(&self, now: Moment) -> Duration {
        let (heard, since) = self.heard.get();
        let read = self.traffic.read.get();
        if read != heard {
            self.heard.set((read, now));
            return Duration::ZERO;
        }
        now.since(since).saturating_add(SWEEP)
    }
}

impl Place {
    /// What went over the connection so far.
    pub(super) fn traffic(&self) -> &Rc<Traffic> {
        &self.shared.traffic
    }

    /// Sends a request and waits for the head of the answer. Dropping the future resets the stream.
    pub(super) async fn send(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Box<SendFailure>> {
        let Some(request) = to_stream(request) else {
            let (error, sent) = (UpstreamError::Unspeakable, Sent::Nothing);
            // it would be no better anywhere else
            return Err(Box::new(SendFailure { error, sent, answer: Begun::Yes, request: None }));
        };
        let late = request.body().late();
        let shared = &self.shared;
        let written = shared.traffic.written.get();
        let mut sender = shared.sender.clone();
        sender.try_send_request(request).await.map_err(|mut failure| {
            let request = failure.take_message().map(from_stream);
            // whatever was written since may have been this request; and as long as the connection
            // lives, what it was handed may still be written, even if the stream is reset
            let is_unsent =
                request.is_some() || (shared.is_over() && shared.traffic.written.get() == written);
            if shared.sender.is_closed() && !shared.broken.replace(true) {
                self.sharing.generation.set(self.sharing.generation.get() + 1);
            }
            Box::new(SendFailure {
                request,
                error: match late {
                    Some(late) if late.get() => UpstreamError::LateField,
                    Some(_) | None => UpstreamError::Broken(failure.into_error()),
                },
                sent: if is_unsent { Sent::Nothing } else { Sent::Something },
                answer: Begun::No, // there is no part of a head
            })
        })
    }
}

type Http2 = Connection<TokioIo<UpstreamSocket>, RequestBody, Local>;

/// Speaks HTTP/2 on `stream`; with what can be sent by comes how many streams the server allows.
pub(super) async fn http2(
    stream: Stream,
    traffic: &Rc<Traffic>,
) -> Result<(SendRequest<RequestBody>, Rc<Allowance>), hyper::Error> {
    let socket = UpstreamSocket::new(stream, Rc::clone(traffic));
    let mut builder = Builder::new(Local);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MOST_HEAD)
        .keep_alive_interval(ASK_EVERY)
        .keep_alive_timeout(ASK_EVERY);
    let (sender, connection) = builder.handshake(TokioIo::new(socket)).await?;
    let allowance = Allowance { streams: Cell::new(MOST_STREAMS), task: RefCell::default() };
    let allowance = Rc::new(allowance);
    tokio::task::spawn_local(until_over(connection, Rc::clone(&allowance)));
    Ok((sender, allowance))
}

/// Lets a connection live, and notes what the server allows. What goes wrong on it is told to
/// whoever waits for an answer.
async fn until_over(connection: Http2, allowance: Rc<Allowance>) {
    let mut connection = pin!(connection);
    poll_fn(|context| {
        let polled = connection.as_mut().poll(context).map(drop);
        allowance.streams.set(connection.current_max_send_streams());
        allowance.task.replace(Some(context.waker().clone()));
        polled
    })
    .await;
}

/// Runs what belongs to a connection on the worker's own thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local;

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
}

/// The request as a stream has it: its host in the target (RFC 9113, section 8.3.1), and nothing
/// about a connection (section 8.2.2). None where its host is no authority.
pub(super) fn to_stream(mut request: Request<RequestBody>) -> Option<Request<RequestBody>> {
    let host = request.headers().get(HOST)?;
    let authority = Authority::try_from(host.as_bytes()).ok()?;
    let mut target = std::mem::take(request.uri_mut()).into_parts();
    target.scheme = Some(Scheme::HTTPS);
    target.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(target).ok()?;
    for name in [HOST, CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        request.headers_mut().remove(name);
    }
    Some(request)
}

/// The same request as a connection of HTTP/1.1 has it.
fn from_stream(mut request: Request<RequestBody>) -> Request<RequestBody> {
    let target = std::mem::take(request.uri_mut()).into_parts();
    let host = target.authority.map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(host)) = host {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = target.path_and_query.map(Uri::from).unwrap_or_default();
    request
}

#[cfg(test)]
mod tests {
    use http::header::TE;

    use super::*;

    fn request(target: &str, host: &str) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::Empty);
        *request.uri_mut() = target.parse().expect("a target");
        for (name, value) in [("host", host), ("connection", "te"), ("te", "trailers")] {
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        request
    }

    #[test]
    fn a_request_becomes_a_streams_and_one_of_its_own_again() {
        for (target, host) in [("/a?b", "shop.test"), ("/", "[::1]:81"), ("*", "a")] {
            let stream = to_stream(request(target, host)).expect("an authority");
            assert_eq!(stream.uri().authority().map(Authority::as_str), Some(host));
            assert_eq!(stream.uri().scheme(), Some(&Scheme::HTTPS));
            assert!(!stream.headers().contains_key(HOST));
            assert!(!stream.headers().contains_key(CONNECTION));
            assert!(stream.headers().contains_key(TE), "trailers are still wanted");
            let again = from_stream(stream);
            assert_eq!(again.uri().to_string(), target);
            assert_eq!(again.headers().get(HOST).map(HeaderValue::as_bytes), Some(host.as_bytes()));
        }
    }

    #[test]
    fn what_is_no_authority_is_no_request() {
        for host in ["a b", "a/b", "a:b:c", ""] {
            assert!(to_stream(request("/", host)).is_none(), "{host}");
        }
    }
}
