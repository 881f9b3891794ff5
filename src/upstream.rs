//! Connections to the application: opened, leased for one exchange, kept a moment, closed.
//!
//! Each worker has its own, so that an exchange never wakes another thread.

pub mod again;
mod connect;
mod driver;
pub mod fault;
pub mod health;
mod http2;
pub mod once;
pub mod pool;
mod sending;
pub mod servers;
pub mod state;

use std::cell::Cell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use crate::body::RequestBody;
use crate::dry::Dry;
use crate::stream::Stream;
use again::Written;
use driver::{Entrance, Turn};
use http2::Place;
use pool::Pool;
pub use sending::{Begun, SendFailure, Sending, Sent};

/// Leave to use one upstream connection for one exchange.
pub struct Lease {
    sender: Sender,
    traffic: Rc<Traffic>,
    age: Age,
    pool: Rc<Pool>,
    keep: Keep,
    tunnel: Option<TunnelEnd>,
}

/// How a lease sends.
#[derive(Debug)]
enum Sender {
    /// On a connection of its own.
    Http1(Entrance),
    /// On a stream of a connection that others use, too.
    Http2(Place),
}

/// How many bytes ever went over a connection.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Towards the upstream.
    pub written: Cell<u64>,
    /// Towards us.
    pub read: Cell<u64>,
    /// What went towards the upstream first, of a request that may go once more.
    written_head: Written,
}

/// Where an upstream's socket arrives, with what was read from it, when HTTP is over on it.
pub type TunnelEnd = oneshot::Receiver<(UpstreamSocket, Bytes)>;

/// Whether a connection was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It was opened for this exchange.
    Fresh,
    /// It may have been closed at the other end meanwhile.
    Reused,
}

/// What becomes of a connection after its exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Another exchange may use it.
    Pooled,
    /// It ends.
    Closed,
}

/// Why there is no answer from upstream.
#[derive(Debug)]
pub enum UpstreamError {
    /// No connection could be opened.
    Connect(io::Error),
    /// Opening one took too long.
    ConnectTimeout,
    /// The connection broke before the head of an answer.
    Broken(hyper::Error),
    /// A login field turned up too late in the request's body.
    LateField,
    /// A check says of each server that it takes no requests.
    NoneHealthy,
    /// No head of an answer came in time.
    Timeout,
    /// The handshake of TLS failed.
    Tls(io::Error),
    /// The request's host cannot be said in the protocol that the upstream speaks.
    Unspeakable,
    /// The answer was to a question nobody asked.
    Unexpected,
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(out, "the upstream cannot be reached: {error}"),
            Self::ConnectTimeout => out.write_str("connecting to the upstream took too long"),
            Self::Broken(error) => {
                write!(out, "the upstream broke off: {error}")?;
                match std::error::Error::source(error) {
                    Some(source) => write!(out, ": {source}"),
                    None => Ok(()),
                }
            }
            Self::LateField => out.write_str("a login field came too late in the body"),
            Self::NoneHealthy => out.write_str("no server of the upstream is healthy"),
            Self::Timeout => out.write_str("the upstream's answer took too long"),
            Self::Tls(error) => {
                write!(out, "TLS with the upstream failed: {error}{}", connect::hint(error))
            }
            Self::Unspeakable => out.write_str("the request's host is none for HTTP/2"),
            Self::Unexpected => out.write_str("the upstream switched protocols unasked"),
        }
    }
}

impl std::error::Error for UpstreamError {}

impl UpstreamError {
    /// The same about connecting for somebody else who waited for it.
    fn again(&self) -> Self {
        let copy = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        match self {
            Self::Connect(error) => Self::Connect(copy(error)),
            Self::Tls(error) => Self::Tls(copy(error)),
            Self::ConnectTimeout => Self::ConnectTimeout,
            Self::Broken(_)
            | Self::LateField
            | Self::NoneHealthy
            | Self::Timeout
            | Self::Unexpected
            | Self::Unspeakable => Self::Connect(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Lease").field("age", &self.age).field("keep", &self.keep).finish()
    }
}

impl Lease {
    /// Whether the connection was used before.
    #[must_use]
    pub const fn age(&self) -> Age {
        self.age
    }

    /// The connection ends with this exchange.
    pub const fn close_after(&mut self) {
        self.keep = Keep::Closed;
    }

    /// What went over the connection so far; shared with whoever wants to watch.
    #[must_use]
    pub fn traffic(&self) -> Rc<Traffic> {
        Rc::clone(&self.traffic)
    }

    /// Sends a request on its way at once.
    pub fn send(&mut self, request: Request<RequestBody>) -> Sending<'_> {
        self.send_by(request, Turn::Extra)
    }

    /// The same, when its connection has its turn: of many that come together more are written and
    /// answered at a time, which saves the kernel work.
    pub fn send_in_turn(&mut self, request: Request<RequestBody>) -> Sending<'_> {
        self.send_by(request, Turn::Own)
    }

    fn send_by(&mut self, request: Request<RequestBody>, turn: Turn) -> Sending<'_> {
        match &mut self.sender {
            Sender::Http1(entrance) => {
                let before = self.traffic.so_far();
                let answer = Box::pin(entrance.send(request, turn));
                Sending::Http1 { answer, traffic: &self.traffic, before }
            }
            Sender::Http2(place) => Sending::Http2(Box::pin(place.send(request))),
        }
    }

    /// The exchange is over: the connection goes back to the pool or ends.
    pub fn give_back(self) {
        match self.sender {
            Sender::Http1(sender) if self.keep == Keep::Pooled && !sender.is_closed() => {
                self.pool.take_back(sender, self.traffic);
            }
            Sender::Http1(_) | Sender::Http2(_) => {} // it ends, or was never anybody's own
        }
    }

    /// Where the socket will arrive, if the connection was opened to become a tunnel.
    pub const fn take_tunnel(&mut self) -> Option<TunnelEnd> {
        self.tunnel.take()
    }

    /// Whether it is one of `pool`'s connections.
    #[must_use]
    pub fn is_of(&self, pool: &Rc<Pool>) -> bool {
        Rc::ptr_eq(&self.pool, pool)
    }

    /// Whether others use the connection at the same time, so that it cannot be anybody's own.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Whether another request can be sent on it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => self.keep == Keep::Pooled && sender.is_ready(),
            Sender::Http2(_) => false,
        }
    }
}

/// An upstream's socket, which counts what goes over it.
#[derive(Debug)]
pub struct UpstreamSocket {
    stream: Stream,
    dry: Dry,
    traffic: Rc<Traffic>,
}

impl UpstreamSocket {
    fn new(stream: Stream, traffic: Rc<Traffic>) -> Self {
        Self { stream, dry: Dry::default(), traffic }
    }

    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            let before = self.traffic.written.get();
            self.traffic.written.set(before.saturating_add(bytes as u64));
        }
        written
    }
}

impl AsyncRead for UpstreamSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let Self { stream, dry, .. } = &mut *self;
        let polled = stream.poll_read_unless_dry(dry, context, buffer);
        let bytes = buffer.filled().len().saturating_sub(filled) as u64;
        self.traffic.read.set(self.traffic.read.get().saturating_add(bytes));
        polled
    }
}

impl AsyncWrite for UpstreamSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.traffic.written_head.note(bytes);
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        slices.first().into_iter().for_each(|head| self.traffic.written_head.note(head));
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
