//! What is known of one client's connection while it lasts, and the worker's look at all of them.
//!
//! Deadlines are plain cells that a sweep compares with the time a few times a second, so that an
//! ordinary request sets no timer.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::HeaderValue;

use crate::clock::{Clock, Moment};
use crate::policy::client::PeerAddr;

/// How often deadlines are looked at.
pub const SWEEP: Duration = Duration::from_millis(200);

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

/// One client's connection.
#[derive(Debug)]
pub struct Link {
    /// The other end.
    pub peer: PeerAddr,
    /// The other end in words.
    pub peer_text: Rc<str>,
    /// The other end as a header value; `None` on a unix socket.
    pub peer_value: Option<HeaderValue>,
    /// The same as an element of the `Forwarded` header.
    pub peer_forwarded: Option<HeaderValue>,
    phase: Cell<Phase>,
    deadline: Cell<Moment>,
    expired: Cell<bool>,
    draining: Cell<bool>,
    half_closed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    limits: LinkLimits,
    coarse: Rc<Cell<Moment>>,
    alive: Rc<Cell<usize>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.alive.set(self.alive.get().saturating_sub(1));
    }
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct LinkLimits {
    /// Between two requests.
    pub idle: Duration,
    /// For a request's head.
    pub head: Duration,
    /// For the head of an upstream's answer; see [`Link::in_time`].
    pub answer: Duration,
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
        self.expired.set(false);
        let deadline = match phase {
            Phase::Idle => self.coarse.get().after(self.limits.idle),
            Phase::Head => self.coarse.get().after(self.limits.head),
            Phase::Answering => self.coarse.get().after(self.limits.answer),
            Phase::Answered | Phase::Body | Phase::Tunnel => Moment::NEVER,
        };
        self.deadline.set(deadline);
    }

    /// Waits for what belongs to the present phase; `None` where that takes too long. Dropping it
    /// drops the future.
    pub async fn in_time<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.expired.get() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// It took too long.
    #[must_use]
    pub const fn is_expired(&self) -> bool {
        self.expired.get()
    }

    /// The worker wants to end.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// The client will send nothing more; it may still be reading.
    pub fn half_close(&self) {
        self.half_closed.set(true);
    }

    /// The client will send nothing more.
    #[must_use]
    pub const fn is_half_closed(&self) -> bool {
        self.half_closed.get()
    }

    /// Lets the sweep wake the task that `context` belongs to, which stays the same one.
    pub fn watch(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if waker.is_none() {
            *waker = Some(context.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// All connections of one worker.
#[derive(Debug)]
pub struct Links {
    all: RefCell<Vec<Weak<Link>>>,
    limits: LinkLimits,
    coarse: Rc<Cell<Moment>>,
    draining: Cell<bool>,
    alive: Rc<Cell<usize>>,
}

impl Links {
    /// No connections yet.
    #[must_use]
    pub fn new(limits: LinkLimits, now: Moment) -> Self {
        let coarse = Rc::new(Cell::new(now));
        Self {
            all: RefCell::default(),
            limits,
            coarse,
            draining: Cell::new(false),
            alive: Rc::default(),
        }
    }

    /// A connection from `peer` begins.
    #[must_use]
    pub fn begin(&self, peer: PeerAddr) -> Rc<Link> {
        let value = |text: String| HeaderValue::try_from(text).ok();
        let (peer_value, peer_forwarded) = match peer {
            PeerAddr::Ip(address) if address.is_ipv4() => {
                (value(address.to_string()), value(format!("for={address};proto=http")))
            }
            PeerAddr::Ip(address) => {
                (value(address.to_string()), value(format!("for=\"[{address}]\";proto=http")))
            }
            PeerAddr::Unix => (None, value("for=unknown;proto=http".to_owned())),
        };
        let link = Rc::new(Link {
            peer,
            peer_text: peer.to_string().into(),
            peer_value,
            peer_forwarded,
            phase: Cell::new(Phase::Idle),
            deadline: Cell::new(Moment::NEVER),
            expired: Cell::new(false),
            draining: Cell::new(self.draining.get()),
            half_closed: Cell::new(false),
            waker: RefCell::default(),
            limits: self.limits,
            coarse: Rc::clone(&self.coarse),
            alive: Rc::clone(&self.alive),
        });
        self.alive.set(self.alive.get() + 1);
        link.deadline.set(self.coarse.get().after(self.limits.head));
        self.all.borrow_mut().push(Rc::downgrade(&link));
        link
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.alive.get()
    }

    /// No more requests than those that are here: idle connections end, the others when they can.
    pub fn drain(&self) {
        self.draining.set(true);
        for link in self.all.borrow().iter().filter_map(Weak::upgrade) {
            link.draining.set(true);
            link.wake();
        }
    }

    /// Wakes those whose time is over, and those whose client may have gone unnoticed.
    pub fn sweep(&self, clock: &Clock) {
        let now = clock.now();
        self.coarse.set(now);
        self.all.borrow_mut().retain(|link| {
            let Some(link) = link.upgrade() else { return false };
            let expires = now >= link.deadline.get();
            if expires {
                link.deadline.set(Moment::NEVER);
                link.expired.set(true);
            }
            if expires || link.half_closed.get() {
                link.wake();
            }
            true
        });
    }
}
