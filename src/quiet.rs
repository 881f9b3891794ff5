//! Wakes that nobody needs: who has sent the last piece of a body need not know that it was taken.
//!
//! hyper wakes the connection's task for it, which then looks around and finds nothing to do, once
//! for each request with a body and once for each answer.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;

thread_local! {
    /// Whether wakes on this thread are held back at the moment.
    static HOLDING: Cell<bool> = const { Cell::new(false) };
    /// The one that was.
    static HELD: Cell<Option<Waker>> = const { Cell::new(None) };
}

/// Wakes a task, unless that is [held back](hold_back).
struct Holdable(Waker);

impl Wake for Holdable {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !HOLDING.get() {
            self.0.wake_by_ref();
        } else if let Some(other) = HELD.replace(Some(self.0.clone())) {
            other.wake();
        }
    }
}

/// The waker of a task that drives a connection of HTTP/1.
#[derive(Debug, Default)]
pub struct ConnectionWaker(Option<(Waker, Waker)>);

impl ConnectionWaker {
    /// What the connection is polled with, by the task that `context` belongs to.
    pub fn context(&mut self, context: &Context<'_>) -> Context<'_> {
        if !self.0.as_ref().is_some_and(|(task, _)| task.will_wake(context.waker())) {
            let task = context.waker().clone();
            self.0 = Some((task.clone(), Waker::from(Arc::new(Holdable(task)))));
        }
        self.known().unwrap_or(Context::from_waker(Waker::noop()))
    }

    /// What it was polled with last, if it ever was.
    #[must_use]
    pub fn known(&self) -> Option<Context<'_>> {
        self.0.as_ref().map(|(_, own)| Context::from_waker(own))
    }
}

/// Wakes of connections' tasks are held back until [`let_go`].
pub fn hold_back() {
    HOLDING.set(true);
}

/// Holds nothing back any more. Who would have been woken meanwhile has to be woken now, or needs
/// not be.
#[must_use]
pub fn let_go() -> Option<Waker> {
    HOLDING.set(false);
    HELD.take()
}

/// The next piece of a body. The connection that it comes by is woken to send more, if there is
/// more.
pub fn next_frame(
    body: &mut Incoming,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    hold_back();
    let polled = Pin::new(&mut *body).poll_frame(context);
    let woken = let_go();
    let is_last = matches!(&polled, Poll::Ready(Some(Ok(_)))) && body.is_end_stream();
    if let Some(sender) = woken.filter(|_| !is_last) {
        sender.wake();
    }
    polled
}
