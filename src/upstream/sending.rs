//! A request on its way upstream, and how that fails.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::{Traffic, UpstreamError};
use crate::body::RequestBody;

type Answering<'a, E> = Pin<Box<dyn Future<Output = Result<Response<Incoming>, E>> + 'a>>;

/// A request on its way; the head of its answer, or how far it came and why no further. Dropping it
/// closes the connection if the request was sent, or its stream where others use the connection,
/// too.
///
/// What hyper waits with is large and has a place of its own: it would be moved with each future
/// that waits for it.
#[must_use]
pub enum Sending<'a> {
    /// On a connection of its own.
    Http1 {
        /// What hyper waits with.
        answer: Answering<'a, TrySendError<Request<RequestBody>>>,
        /// What goes over the connection.
        traffic: &'a Traffic,
        /// How much had been written and read before.
        before: (u64, u64),
    },
    /// On a stream of a connection that others use, too.
    Http2(Answering<'a, Box<SendFailure>>),
}

impl fmt::Debug for Sending<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sending").finish_non_exhaustive()
    }
}

impl Future for Sending<'_> {
    type Output = Result<Response<Incoming>, Box<SendFailure>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Http1 { answer, traffic, before } => {
                let answered = ready!(answer.as_mut().poll(context));
                Poll::Ready(answered.map_err(|failure| traffic.failure(failure, *before)))
            }
            Self::Http2(answer) => answer.as_mut().poll(context),
        }
    }
}

/// How sending a request failed.
pub struct SendFailure {
    /// Why.
    pub error: UpstreamError,
    /// Whether a byte of it was written.
    pub sent: Sent,
    /// Whether a byte of an answer was read.
    pub answer: Begun,
    /// The request, where it never left our hands.
    pub request: Option<Request<RequestBody>>,
}

impl fmt::Debug for SendFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the request may carry credentials
        let mut shown = out.debug_struct("SendFailure");
        shown.field("error", &self.error).field("sent", &self.sent).field("answer", &self.answer);
        shown.finish_non_exhaustive()
    }
}

/// Whether a byte of a request was written upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// At least one was.
    Something,
    /// None was: the upstream cannot know of it.
    Nothing,
}

/// Whether a byte of an answer was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// None was.
    No,
    /// At least one was.
    Yes,
}

impl Traffic {
    /// How much was written and read so far.
    pub(super) const fn so_far(&self) -> (u64, u64) {
        (self.written.get(), self.read.get())
    }

    /// How sending failed, where so much had been written and read before.
    fn failure(
        &self,
        mut failure: TrySendError<Request<RequestBody>>,
        (written, read): (u64, u64),
    ) -> Box<SendFailure> {
        let is_unsent = self.written.get() == written;
        let is_unread = self.read.get() == read;
        Box::new(SendFailure {
            request: failure.take_message(),
            error: UpstreamError::Broken(failure.into_error()),
            sent: if is_unsent { Sent::Nothing } else { Sent::Something },
            answer: if is_unread { Begun::No } else { Begun::Yes },
        })
    }
}
