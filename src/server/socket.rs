//! A client's socket as hyper sees it.
//!
//! A client may close its sending half after its request and still wait for the answer; hyper
//! would take that for its leaving, so the end is hidden from hyper until the answer is out. A
//! client that resets is really gone, and hyper hears of it at once.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::Framing;
use crate::dry::Dry;
use crate::guard::Worker;
use crate::link::{Link, Phase};
use crate::policy::glob::find;
use crate::rejection::Rejection;
use crate::stream::Stream;

/// A client's socket.
#[derive(Debug)]
pub struct ClientSocket {
    stream: Stream,
    dry: Dry,
    link: Rc<Link>,
    worker: Rc<Worker>,
    framing: Framing,
    restated: Bytes,
    /// What is read and known of, but for hyper.
    ahead: Bytes,
    answered: bool,
}

/// How much of what comes is read while hyper is not there; most heads are shorter.
const AHEAD: usize = 1024;

impl ClientSocket {
    /// The socket of `link`, whose requests `worker` answers.
    #[must_use]
    pub fn new(stream: Stream, link: Rc<Link>, worker: Rc<Worker>) -> Self {
        Self {
            stream,
            dry: Dry::default(),
            link,
            worker,
            framing: Framing::default(),
            restated: Bytes::new(),
            ahead: Bytes::new(),
            answered: false,
        }
    }

    /// Hyper has read this and made nothing of it yet; it gets it again.
    pub fn put_back(&mut self, read: Bytes) {
        self.ahead = read;
    }

    /// Waits for bytes or the end of what comes while hyper is not there. Hyper gets what was read.
    pub fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let mut bytes = [0; AHEAD];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *self).poll_read(context, &mut buffer))?;
            self.ahead = Bytes::copy_from_slice(buffer.filled());
        }
        Poll::Ready(Ok(()))
    }

    /// Gives what was read ahead.
    fn read_ahead(&mut self, buffer: &mut ReadBuf<'_>) {
        let now = self.ahead.split_to(self.ahead.len().min(buffer.remaining()));
        buffer.put_slice(&now);
        if self.ahead.is_empty() {
            self.ahead = Bytes::new(); // nothing is kept for it
        }
    }

    /// Whether hyper gave an answer by itself.
    #[must_use]
    pub const fn has_answered(&self) -> bool {
        self.answered
    }

    /// The guard's own answer in the place of one that hyper gives by itself, because the request
    /// did not even parse.
    fn restate(&self, bytes: &[u8]) -> Option<Bytes> {
        if !matches!(self.link.phase(), Phase::Idle | Phase::Head) {
            return None; // the guard is answering, these are its own bytes
        }
        let rejection = hypers_rejection(bytes)?;
        Some(self.worker.raw_rejection(&self.link, &rejection))
    }

    /// After the end of what the client sends, while it waits for its answer. In the midst of a
    /// body hyper may have all of it already and not have passed it on; whether it lacks something
    /// is known from whoever reads the body.
    fn poll_gone(&self) -> Poll<io::Result<()>> {
        let is_waiting = match self.link.phase() {
            Phase::Answering => true,
            Phase::Body => !self.link.is_starving(),
            Phase::Answered | Phase::Head | Phase::Idle | Phase::Streams | Phase::Tunnel => false,
        };
        if !is_waiting {
            return Poll::Ready(Ok(()));
        }
        // nothing tells of a reset after the end, so the sweep comes by and asks
        match self.stream.take_error() {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_restated(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.restated.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.restated))?;
            self.restated.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

/// What hyper means by an answer that it gives by itself.
fn hypers_rejection(bytes: &[u8]) -> Option<Rejection> {
    let head = bytes.strip_prefix(b"HTTP/1.1 ")?.strip_suffix(b"\r\n\r\n")?;
    if find(head, b"\r\ncontent-length: 0").is_none() || find(head, b"\r\n\r\n").is_some() {
        return None;
    }
    match head.get(..3)? {
        b"400" => Some(Rejection::Unclear("the request is no HTTP")),
        b"414" => Some(Rejection::TargetTooLong),
        b"431" => Some(Rejection::HeadTooLarge),
        _ => None,
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            self.read_ahead(buffer);
            return Poll::Ready(Ok(()));
        }
        if self.link.is_half_closed() {
            return self.poll_gone();
        }
        let before = buffer.filled().len();
        let Self { stream, dry, .. } = &mut *self;
        ready!(stream.poll_read_unless_dry(dry, context, buffer))?;
        if buffer.filled().len() == before {
            self.link.half_close();
            return self.poll_gone();
        }
        if self.link.phase().awaits_client() {
            let read = buffer.filled().get(before..).unwrap_or_default();
            if let Some(after) = self.framing.read(read) {
                self.link.expect_doubly_framed(after);
            }
        }
        if self.link.phase() == Phase::Idle {
            self.link.enter(Phase::Head);
        }
        self.link.note_use();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_restated(context))?;
        if let Some(restated) = self.restate(bytes) {
            self.restated = restated;
            self.answered = true;
            // what does not fit now goes out with the next write, flush or shutdown
            if let Poll::Ready(Err(error)) = self.poll_restated(context) {
                return Poll::Ready(Err(error));
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.link.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_restated(context))?;
        // with TLS, what was written may still be here
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        ready!(self.link.note(flushed))?;
        if self.link.phase() == Phase::Answered {
            self.link.enter(Phase::Idle);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_restated(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match slices {
            [only] => self.poll_write(context, only),
            _ => {
                ready!(self.poll_restated(context))?;
                let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
                self.link.note(written)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
