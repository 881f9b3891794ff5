//! What drives a connection of HTTP/1 to an upstream, and where requests go in.
//!
//! It is a task of its own. A request would wait until that has its turn, behind all that was ready
//! before; so whoever sends one may have the connection go on at once. Of many requests that arrive
//! together the first are with the upstream before the last are read, and a turn is saved for each.
//! A login waits: its cost is what an attacker makes a guard spend, and together they cost less.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;

use super::pool::UpstreamConnection;
use crate::body::RequestBody;
use crate::quiet::{ConnectionWaker, hold_back, let_go};

/// Where requests go in on a connection.
#[derive(Debug)]
pub(super) struct Entrance {
    sender: SendRequest<RequestBody>,
    /// None where it goes on in its turns alone.
    driver: Option<Rc<Driver>>,
}

impl Entrance {
    /// That of a connection.
    pub(super) const fn new(sender: SendRequest<RequestBody>, driver: Option<Rc<Driver>>) -> Self {
        Self { sender, driver }
    }

    /// Whether it takes a request now.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request: at once, as far as the upstream's socket takes it, or in the connection's own
    /// turn. The future waits for the head of the answer.
    pub(super) fn send(
        &mut self,
        request: Request<RequestBody>,
        turn: Turn,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<>
    {
        let driver = self.driver.as_ref().filter(|_| turn == Turn::Extra);
        let Some(driver) = driver else { return self.sender.try_send_request(request) };
        hold_back();
        let sending = self.sender.try_send_request(request);
        let woken = let_go();
        if driver.go_on() == Went::Nowhere
            && let Some(task) = woken
        {
            task.wake();
        }
        sending
    }
}

/// When a connection sends what goes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// At once, in a turn besides its own.
    Extra,
    /// When its task has a turn.
    Own,
}

/// A connection, and who is woken where it can go on.
pub(super) struct Driver(RefCell<Option<(UpstreamConnection, ConnectionWaker)>>);

/// Whether a connection has had an extra turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Went {
    /// It has.
    On,
    /// Its task has not begun, or is over.
    Nowhere,
}

impl fmt::Debug for Driver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl Driver {
    /// Drives `connection`, once it [runs](Self::run).
    pub(super) fn new(connection: UpstreamConnection) -> Rc<Self> {
        Rc::new(Self(RefCell::new(Some((connection, ConnectionWaker::default())))))
    }

    /// Lets the connection live until it ends.
    pub(super) async fn run(self: Rc<Self>) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut driven = self.0.borrow_mut();
        let Some((connection, waker)) = &mut *driven else { return Poll::Ready(()) };
        // what goes wrong on it is told to whoever waits for its answer
        let polled = Pin::new(connection).poll(&mut waker.context(context)).map(drop);
        if polled.is_ready() {
            *driven = None;
        }
        polled
    }

    /// A turn besides those of its task, which is woken by what the connection waits for then.
    fn go_on(&self) -> Went {
        let Ok(mut driven) = self.0.try_borrow_mut() else { return Went::Nowhere };
        let Some((connection, waker)) = &mut *driven else { return Went::Nowhere };
        let Some(mut context) = waker.known() else { return Went::Nowhere };
        if Pin::new(connection).poll(&mut context).is_ready() {
            context.waker().wake_by_ref(); // its task ends
            *driven = None;
        }
        Went::On
    }
}
