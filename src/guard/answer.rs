//! Bodies of answers: the guard's own, or the upstream's as it comes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::flight::Flight;
use super::local::LocalSite;
use crate::body::BodyError;
use crate::link::{Link, Phase, Stall};
use crate::quiet::next_frame;
use crate::upstream::fault::Fault;
use crate::upstream::servers::Servers;
use crate::upstream::{Lease, TunnelEnd};

/// A client's connection and what belongs to it alone.
#[derive(Debug)]
pub struct Downstream {
    /// The connection.
    pub link: Rc<Link>,
    /// An upstream connection that was authenticated for this client; its streams share it.
    pub own_upstream: Rc<RefCell<Option<Lease>>>,
    /// The upstream's end of the tunnel that it becomes.
    pub tunnel: RefCell<Option<TunnelEnd>>,
}

impl Downstream {
    /// The upstream connection that was authenticated for this client, if it leads to one of
    /// `servers`.
    #[must_use]
    pub fn take_own(&self, servers: &Servers) -> Option<Lease> {
        let mut own = self.own_upstream.borrow_mut();
        own.take_if(|lease| servers.own(lease)).filter(Lease::is_usable)
    }
}

/// An upstream's answer to one request; gives its connection back when it has been read.
#[derive(Debug)]
pub struct UpstreamBody {
    incoming: Incoming,
    lease: Option<Lease>,
    home: Home,
}

/// Where an upstream connection goes after an exchange.
#[derive(Debug)]
pub enum Home {
    /// To the client that it was authenticated for.
    Client(Rc<Downstream>),
    /// To such a client, which is not at hand; without [`Content::belong_to`] it ends.
    Nobody,
    /// To its pool.
    Pool,
}

impl UpstreamBody {
    /// The body that arrives on `lease`, which goes `home` after it.
    #[must_use]
    pub fn new(incoming: Incoming, lease: Lease, home: Home) -> Self {
        // what others share cannot belong to a client
        let home = if lease.is_shared() { Home::Pool } else { home };
        let mut body = Self { incoming, lease: Some(lease), home };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    fn finish(&mut self) {
        match &self.home {
            Home::Client(owner) => {
                if let Some(lease) = self.lease.take() {
                    owner.own_upstream.replace(Some(lease));
                }
            }
            Home::Nobody => {}
            Home::Pool => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
            }
        }
    }

    fn belong_to(&mut self, owner: &Rc<Downstream>) {
        if matches!(self.home, Home::Nobody) {
            self.home = Home::Client(Rc::clone(owner));
            if self.incoming.is_end_stream() {
                self.finish();
            }
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(next_frame(&mut self.incoming, context));
        match &frame {
            None => self.finish(),
            Some(Ok(_)) if self.incoming.is_end_stream() => self.finish(),
            Some(Ok(_)) => {}
            Some(Err(_)) => self.lease = None,
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Connection)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// What goes to the client as an answer's body. Tells its link when it is out.
#[derive(Debug)]
pub struct AnswerBody {
    content: Content,
    broken: Option<BodyError>,
    link: Rc<Link>,
    flight: Option<Flight>,
    /// Whose upstream sends it.
    site: Option<Rc<LocalSite>>,
}

/// What an answer consists of.
#[derive(Debug)]
pub enum Content {
    /// The guard's own.
    Own(Option<Bytes>),
    /// The upstream's, as it comes.
    Streamed(UpstreamBody),
    /// The upstream's, of which the guard has read the beginning.
    Begun {
        /// What was read.
        begun: VecDeque<Frame<Bytes>>,
        /// What is still to come, if anything.
        rest: Option<UpstreamBody>,
    },
    /// None, though the head may tell the length of one, as a 304 does. A body that
    /// is known to be empty would have hyper take the length away.
    Untold,
}

impl Content {
    /// A connection that was authenticated for a client goes to `owner`.
    pub fn belong_to(&mut self, owner: &Rc<Downstream>) {
        match self {
            Self::Streamed(body) | Self::Begun { rest: Some(body), .. } => body.belong_to(owner),
            Self::Begun { rest: None, .. } | Self::Own(_) | Self::Untold => {}
        }
    }

    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(body) => Pin::new(body).poll_frame(context),
            Self::Begun { begun, rest } => match (begun.pop_front(), rest) {
                (Some(frame), _) => Poll::Ready(Some(Ok(frame))),
                (None, Some(rest)) => Pin::new(rest).poll_frame(context),
                (None, None) => Poll::Ready(None),
            },
            Self::Untold => Poll::Ready(None),
        }
    }
}

impl AnswerBody {
    /// The answer to the request that came by `link`.
    #[must_use]
    pub fn new(content: Content, link: Rc<Link>) -> Self {
        if link.is_stream() {
            link.stalls(Stall::Send); // from now on it is the client's turn
        }
        Self { content, broken: None, link, flight: None, site: None }
    }

    /// Its request is under way until this has gone.
    pub fn keep(&mut self, flight: Flight) {
        self.flight = Some(flight);
    }

    /// Where it breaks off, that is the fault of `site`'s upstream.
    #[must_use]
    pub fn of(mut self, site: &Rc<LocalSite>) -> Self {
        self.site = Some(Rc::clone(site));
        self
    }

    /// Another body in this one's place.
    pub fn replace(&mut self, content: Content) {
        self.content = content;
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.link.enter(Phase::Answered);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let shared = self.link.is_stream();
        if shared {
            self.link.goes_on();
        }
        let frame = ready!(self.content.poll_frame(context));
        if shared {
            // nobody asks for more until the client has taken this
            self.link.stalls(Stall::Send);
        }
        match frame {
            Some(Err(error)) => {
                if let Some(site) = &self.site {
                    site.cells.fault(Fault::Body);
                }
                // hyper ends the connection with it; head and data that are here go out before
                self.broken = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(bytes) => bytes.is_none(),
            Content::Streamed(body) => body.is_end_stream(),
            Content::Begun { begun, rest } => {
                begun.is_empty() && rest.as_ref().is_none_or(Body::is_end_stream)
            }
            // HTTP/2 ends a stream with its head and leaves the length alone
            Content::Untold => self.link.is_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Streamed(body) => body.size_hint(),
            Content::Begun { begun, rest } => {
                let data = begun.iter().filter_map(Frame::data_ref);
                let begun: u64 = data.map(|bytes| bytes.len() as u64).sum();
                let rest = rest.as_ref().map_or(Some(0), |rest| rest.size_hint().exact());
                let total = rest.map(|rest| rest.saturating_add(begun));
                total.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Content::Untold => SizeHint::default(),
        }
    }
}
