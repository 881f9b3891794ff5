//! What is known of one client's connection while it lasts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::HeaderValue;

use crate::alarm::{Alarm, Alarms};
use crate::config::Timeouts;
use crate::policy::client::PeerAddr;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for the next request.
    Idle,
    /// A head has begun to arrive.
    Head,
    /// A request is here, its body may still be arriving.
    Body,
    /// The whole request is here, the answer is not out yet.
    Answering,
    /// The answer is made, its last bytes may still be here.
    Answered,
    /// Requests are under way on it, each on a stream of its own.
    Streams,
    /// It speaks another protocol now, until its end.
    Tunnel,
}

impl Phase {
    /// Whether it is the client's turn.
    #[must_use]
    pub const fn awaits_client(self) -> bool {
        matches!(self, Self::Head | Self::Idle)
    }
}

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
    /// The other end in words.
    pub peer_text: Rc<str>,
    /// The other end as a header value; `None` on a unix socket.
    pub peer_value: Option<HeaderValue>,
    /// The same as an element of the `Forwarded` header.
    pub peer_forwarded: Option<HeaderValue>,
    /// Rings when what it does takes too long.
    pub alarm: Rc<Alarm>,
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
    all: Rc<AllLinks>,
}

/// What a link stands for.
#[derive(Debug)]
enum Place {
    Connection,
    /// A stream of that connection.
    Stream(Rc<Link>),
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct LinkLimits {
    /// Between two requests.
    pub idle: Duration,
    /// For a request's head.
    pub head: Duration,
    /// Between two pieces of a request's body.
    pub body: Duration,
    /// For the head of an upstream's answer.
    pub answer: Duration,
    /// To take any more of an answer.
    pub send: Duration,
}

impl LinkLimits {
    /// Those of `timeouts`.
    #[must_use]
    pub const fn of(timeouts: &Timeouts) -> Self {
        Self {
            idle: timeouts.idle,
            head: timeouts.head,
            body: timeouts.body,
            answer: timeouts.response_head,
            send: timeouts.send,
        }
    }
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
        self.stall.set(None);
        match phase {
            Phase::Idle => {
                self.alarm.set(self.limits.idle);
                if self.is_half_closed() {
                    self.alarm.wake(); // there is nothing to wait for
                }
            }
            Phase::Head => self.alarm.set(self.limits.head),
            Phase::Answering | Phase::Body => self.alarm.set(self.limits.answer),
            Phase::Answered | Phase::Streams | Phase::Tunnel => self.alarm.clear(),
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
        self.stall.set(Some(stall));
        self.alarm.set(match stall {
            Stall::Body => self.limits.body,
            Stall::Send => self.limits.send,
        });
    }

    /// The client has done something. Of a body, the upstream has to take that next.
    pub fn goes_on(&self) {
        self.stall.set(None);
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
            (Poll::Ready(_), _) => {}
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
        self.all.draining.get()
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
    pub fn begin_stream(self: &Rc<Self>, alarms: &Alarms) -> Rc<Self> {
        if self.streams.replace(self.streams.get() + 1) == 0 {
            self.enter(Phase::Streams);
        }
        Rc::new(Self {
            peer: self.peer,
            scheme: self.scheme,
            peer_text: Rc::clone(&self.peer_text),
            peer_value: self.peer_value.clone(),
            peer_forwarded: self.peer_forwarded.clone(),
            alarm: alarms.begin(),
            phase: Cell::new(Phase::Head),
            stall: Cell::new(None),
            half_closed: Cell::new(false),
            starving: Cell::new(false),
            doubly_framed: Cell::new(None),
            hungry: RefCell::default(),
            limits: self.limits,
            place: Place::Stream(Rc::clone(self)),
            streams: Cell::new(0),
            all: Rc::clone(&self.all),
        })
    }

    /// Whether it is one stream of a connection.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        matches!(self.place, Place::Stream(_))
    }

    fn end_stream(&self) {
        self.streams.set(self.streams.get().saturating_sub(1));
        if self.streams.get() == 0 {
            self.enter(Phase::Idle);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        match &self.place {
            Place::Connection => self.all.count.set(self.all.count.get().saturating_sub(1)),
            Place::Stream(connection) => connection.end_stream(),
        }
    }
}

/// All connections of one worker.
#[derive(Debug)]
pub struct Links {
    all: Rc<AllLinks>,
    limits: Cell<LinkLimits>,
}

#[derive(Debug, Default)]
struct AllLinks {
    count: Cell<usize>,
    draining: Cell<bool>,
}

impl Links {
    /// No connections yet.
    #[must_use]
    pub fn new(limits: LinkLimits) -> Self {
        Self { all: Rc::default(), limits: Cell::new(limits) }
    }

    /// Connections that begin from now on may take so long.
    pub fn set_limits(&self, limits: LinkLimits) {
        self.limits.set(limits);
    }

    /// A connection from `peer` begins; it must say something in time.
    #[must_use]
    pub fn begin(&self, peer: PeerAddr, scheme: Scheme, alarms: &Alarms) -> Rc<Link> {
        let value = |text: String| HeaderValue::try_from(text).ok();
        let (peer_text, proto) = (peer.to_string(), scheme.name());
        let (peer_value, peer_forwarded) = match peer {
            PeerAddr::Ip(address) if address.is_ipv4() => {
                (value(peer_text.clone()), value(format!("for={address};proto={proto}")))
            }
            PeerAddr::Ip(address) => {
                (value(peer_text.clone()), value(format!("for=\"[{address}]\";proto={proto}")))
            }
            PeerAddr::Unix => (None, value(format!("for=unknown;proto={proto}"))),
        };
        let alarm = alarms.begin();
        let limits = self.limits.get();
        self.all.count.set(self.all.count.get() + 1);
        let link = Link {
            peer,
            scheme,
            peer_text: peer_text.into(),
            peer_value,
            peer_forwarded,
            alarm,
            phase: Cell::new(Phase::Idle),
            stall: Cell::new(None),
            half_closed: Cell::new(false),
            starving: Cell::new(false),
            doubly_framed: Cell::new(None),
            hungry: RefCell::default(),
            limits,
            place: Place::Connection,
            streams: Cell::new(0),
            all: Rc::clone(&self.all),
        };
        link.await_first();
        Rc::new(link)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.count.get()
    }

    /// No more requests than those that are here. Wake the connections afterwards.
    pub fn drain(&self) {
        self.all.draining.set(true);
    }
}
