//! What is known of one client's connection while it lasts.

pub mod all;
pub mod phase;
mod rest;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::HeaderValue;

use crate::alarm::{Alarms, Lent};
use crate::clock::Moment;
use crate::policy::client::PeerAddr;
use crate::policy::shedding::Waiting;
use all::AllLinks;
pub use all::{Crowd, LinkLimits, Links};
pub use phase::Phase;

/// How a client speaks to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Through TLS.
    Https,
}

impl Scheme {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A client.
    Client,
    /// A trusted proxy with clients of its own.
    Proxy,
}

/// A client that keeps us waiting for so long in the midst of something is slow.
const SLOW: Duration = Duration::from_secs(1);

/// What a client keeps us waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// More of its request's body.
    Body,
    /// That it takes more of its answer.
    Send,
}

/// One client's connection, or one stream of it where several requests share it (HTTP/2).
#[derive(Debug)]
pub struct Link {
    /// The other end.
    pub peer: PeerAddr,
    /// How it speaks to us.
    pub scheme: Scheme,
    /// The number of the listener that it came to.
    pub listener: usize,
    /// The other end in words.
    pub peer_text: Rc<str>,
    /// The other end as a header value; `None` on a unix socket.
    pub peer_value: Option<HeaderValue>,
    /// The same as an element of the `Forwarded` header.
    pub peer_forwarded: Option<HeaderValue>,
    /// Rings when what it does takes too long.
    pub alarm: Lent<Rc<Alarms>>,
    phase: Cell<Phase>,
    /// What the client keeps us waiting for in the midst of something.
    stall: Cell<Option<Stall>>,
    half_closed: Cell<bool>,
    starving: Cell<bool>,
    /// How many requests come before one that is framed twice.
    doubly_framed: Cell<Option<usize>>,
    /// Of whoever waits for more of a request's body.
    hungry: RefCell<Option<Waker>>,
    limits: LinkLimits,
    place: Place,
    /// How many streams are open on it.
    streams: Cell<usize>,
    /// How many of them wait for the client.
    stalled: Cell<usize>,
    /// It has to go, for want of room; so many places become free with it.
    left: Cell<Option<usize>>,
    all: Rc<AllLinks>,
}

/// What a link stands for.
#[derive(Debug)]
enum Place {
    Connection(Standing),
    /// A stream of that connection.
    Stream(Rc<Link>, Room),
}

/// Whether there was room for a stream when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Full,
    Some,
}

impl Link {
    /// What it is doing.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// It does something else from now on; the time for that begins.
    pub fn enter(&self, phase: Phase) {
        if self.phase.get() == Phase::Tunnel {
            return;
        }
        self.phase.set(phase);
        self.starving.set(false);
        self.set_stall(None);
        match phase {
            Phase::Idle => {
                self.alarm.set(self.limits.idle);
                if self.is_half_closed() {
                    self.alarm.wake(); // there is nothing to wait for
                }
            }
            Phase::Head => self.alarm.set(self.limits.head),
            Phase::Answering | Phase::Body => self.alarm.set(self.limits.answer),
            Phase::Answered | Phase::Streams => self.alarm.clear(),
            Phase::Tunnel => {
                self.alarm.clear();
                self.alarm.stamp();
            }
        }
    }

    /// Something has come or gone; in a tunnel, nothing else tells whether it is used.
    pub fn note_use(&self) {
        if self.phase.get() == Phase::Tunnel {
            self.alarm.stamp();
        }
    }

    /// It has to begin its first request in time, from now on.
    pub fn await_first(&self) {
        self.alarm.set(self.limits.head);
    }

    /// Everything waits for the client now; the time for that begins, unless it has.
    pub fn stalls(&self, stall: Stall) {
        if self.stall.get() == Some(stall) || self.phase.get() == Phase::Tunnel {
            return;
        }
        self.set_stall(Some(stall));
        self.alarm.set(match stall {
            Stall::Body => self.limits.body,
            Stall::Send => self.limits.send,
        });
    }

    /// The client has done something. Of a body, the upstream has to take that next.
    pub fn goes_on(&self) {
        self.set_stall(None);
        match self.phase.get() {
            Phase::Body => self.alarm.set(self.limits.answer),
            Phase::Idle => self.alarm.set(self.limits.idle),
            Phase::Answered | Phase::Answering | Phase::Head | Phase::Streams | Phase::Tunnel => {
                self.alarm.clear()
            }
        }
    }

    /// Takes note of whether the client takes what is sent.
    pub fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        match (&written, self.stall()) {
            (Poll::Pending, _) => self.stalls(Stall::Send),
            (Poll::Ready(_), Some(Stall::Send)) => self.goes_on(),
            (Poll::Ready(_), _) => self.note_use(),
        }
        written
    }

    /// What the client keeps us waiting for.
    #[must_use]
    pub const fn stall(&self) -> Option<Stall> {
        self.stall.get()
    }

    /// What the client has kept us waiting for until its time was over.
    #[must_use]
    pub fn overdue(&self) -> Option<Stall> {
        self.stall.get().filter(|_| self.alarm.has_rung())
    }

    /// The worker wants to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.all.is_draining()
    }

    /// The request after so many others is framed twice.
    pub fn expect_doubly_framed(&self, after: usize) {
        self.doubly_framed.set(Some(after));
    }

    /// Whether the request that begins now is framed twice.
    #[must_use]
    pub fn is_doubly_framed(&self) -> bool {
        let after = self.doubly_framed.take();
        self.doubly_framed.set(after.and_then(|after| after.checked_sub(1)));
        after == Some(0)
    }

    /// The client will send nothing more; it may still be reading.
    pub fn half_close(&self) {
        self.half_closed.set(true);
        self.alarm.stay_restless();
        if let Some(hungry) = self.hungry.take() {
            hungry.wake();
        }
    }

    /// The task of `context` has all of the body that is here, and waits for more.
    pub fn hunger(&self, context: &Context<'_>) {
        self.stalls(Stall::Body);
        if self.is_half_closed() {
            self.starving.set(true);
            self.alarm.wake();
        } else {
            self.hungry.replace(Some(context.waker().clone()));
        }
    }

    /// A request's body lacks something that the client will not send any more.
    #[must_use]
    pub const fn is_starving(&self) -> bool {
        self.starving.get()
    }

    /// The client will send nothing more.
    #[must_use]
    pub const fn is_half_closed(&self) -> bool {
        self.half_closed.get()
    }
}

impl Link {
    /// A request begins on a stream of its own; the connection is idle again when the last one has
    /// ended.
    #[must_use]
    pub fn begin_stream(self: &Rc<Self>, alarms: &Rc<Alarms>) -> Rc<Self> {
        let others = self.streams.replace(self.streams.get() + 1);
        let mut room = Room::Some;
        if others == 0 {
            self.enter(Phase::Streams);
        } else if !self.all.add_stream(alarms.now()) {
            room = Room::Full;
        }
        Rc::new(Self {
            peer: self.peer,
            scheme: self.scheme,
            listener: self.listener,
            peer_text: Rc::clone(&self.peer_text),
            peer_value: self.peer_value.clone(),
            peer_forwarded: self.peer_forwarded.clone(),
            alarm: alarms.lend_to(),
            phase: Cell::new(Phase::Head),
            stall: Cell::new(None),
            half_closed: Cell::new(false),
            starving: Cell::new(false),
            doubly_framed: Cell::new(None),
            hungry: RefCell::default(),
            limits: self.limits,
            place: Place::Stream(Rc::clone(self), room),
            streams: Cell::new(0),
            stalled: Cell::new(0),
            left: Cell::new(None),
            all: Rc::clone(&self.all),
        })
    }

    /// It is a stream for which there is no room.
    #[must_use]
    pub const fn is_one_too_many(&self) -> bool {
        matches!(self.place, Place::Stream(_, Room::Full))
    }

    /// Whether it is one stream of a connection.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        matches!(self.place, Place::Stream(..))
    }

    fn end_stream(&self) {
        self.streams.set(self.streams.get().saturating_sub(1));
        if self.streams.get() == 0 {
            self.enter(Phase::Idle);
        } else {
            self.all.remove_stream();
            self.leave_with_fewer();
        }
    }

    /// Where it has to go, no more places become free with it than it has.
    fn leave_with_fewer(&self) {
        let places = self.streams.get().max(1);
        if let Some(left) = self.left.get().filter(|left| *left > places) {
            self.left.set(Some(places));
            self.all.leave_with_fewer(left - places);
        }
    }

    fn set_stall(&self, stall: Option<Stall>) {
        let before = self.stall.replace(stall);
        if let Place::Stream(connection, _) = &self.place {
            connection.count_stalled(before, stall);
        }
    }

    /// One of its streams waits for the client or does no more.
    fn count_stalled(&self, before: Option<Stall>, now: Option<Stall>) {
        let others = self.stalled.get() - usize::from(before.is_some());
        self.stalled.set(others + usize::from(now.is_some()));
        if before.is_none() && self.all_wait() {
            self.alarm.stamp();
        }
    }

    /// All of its streams wait for the client.
    const fn all_wait(&self) -> bool {
        self.stalled.get() >= self.streams.get()
    }

    /// What it takes from others by waiting for its client, if it does and may be told to go.
    fn waiting(&self, now: Moment) -> Option<Waiting> {
        let (PeerAddr::Ip(address), Place::Connection(Standing::Client)) = (self.peer, &self.place)
        else {
            return None;
        };
        let is_slow = || now.since(self.alarm.since()) >= SLOW;
        let is_waiting = match self.phase.get() {
            Phase::Head | Phase::Idle => true,
            Phase::Streams => (self.all_wait() || self.stall.get().is_some()) && is_slow(),
            Phase::Answered | Phase::Answering | Phase::Body => {
                self.stall.get().is_some() && is_slow()
            }
            Phase::Tunnel => is_slow(),
        };
        let places = self.streams.get().max(1);
        let is_here = is_waiting && self.left.get().is_none();
        is_here.then(|| Waiting { address, places, since: self.alarm.since() })
    }

    /// It has to go; returns how many places become free with it.
    fn let_go(&self) -> usize {
        let places = self.streams.get().max(1);
        self.left.set(Some(places));
        self.alarm.ring();
        places
    }

    /// It has to go now, for want of room. What has begun since it was told to is finished first.
    #[must_use]
    pub const fn must_go(&self) -> bool {
        let waits = match self.phase.get() {
            Phase::Head | Phase::Idle | Phase::Tunnel => true,
            Phase::Streams => self.all_wait() || self.stall.get().is_some(),
            Phase::Answered | Phase::Answering | Phase::Body => self.stall.get().is_some(),
        };
        self.left.get().is_some() && waits
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        match &self.place {
            Place::Connection(_) => self.all.remove(self.left.get().unwrap_or_default()),
            Place::Stream(connection, _) => {
                connection.count_stalled(self.stall.get(), None);
                connection.end_stream();
            }
        }
    }
}
