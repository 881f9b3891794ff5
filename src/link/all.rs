//! All connections of one worker: how many there are, and which go when there is no room for more.
//!
//! Places are counted over all workers. A connection takes one, and each stream beyond its first one
//! more: what a client may have the guard keep is bounded by places, however it is spread.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

use http::HeaderValue;

use super::{Link, Phase, Place, Scheme, Standing};
use crate::alarm::Alarms;
use crate::clock::Moment;
use crate::config::Settings;
use crate::files;
use crate::policy::client::PeerAddr;
use crate::policy::shedding::choose;

/// So much of all places is kept free, as one of so many.
const RESERVE: usize = 16;
/// So much of all places is made free at a time, as one of so many.
const AT_A_TIME: usize = 64;
/// How many streams begin or end on a worker before the others hear of it.
const UNTOLD: isize = 32;

/// How long a client may take, and how many there may be.
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
    /// How many places there are, of all workers.
    pub places: usize,
}

impl LinkLimits {
    /// Those of `settings`.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let timeouts = &settings.timeouts;
        Self {
            idle: timeouts.idle,
            head: timeouts.head,
            body: timeouts.body,
            answer: timeouts.response_head,
            send: timeouts.send,
            places: files::connections(&settings.bounds),
        }
    }
}

/// All connections of one worker.
#[derive(Debug)]
pub struct Links {
    pub(super) all: Rc<AllLinks>,
    limits: Cell<LinkLimits>,
}

/// What has happened to connections for want of room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// Whose connections gave way first; empty where none had to.
    pub address: String,
    /// How many gave way.
    pub shed: u64,
    /// How many were refused.
    pub refused: u64,
}

/// What a connection knows of the others.
#[derive(Debug)]
pub(super) struct AllLinks {
    count: Cell<usize>,
    draining: Cell<bool>,
    retiring: Cell<bool>,
    /// Places, of all workers.
    most: Cell<usize>,
    taken: Places,
    /// Places of those that have to go and are still here.
    leaving: Cell<usize>,
    /// When nobody was found that could go.
    fruitless: Cell<Option<Moment>>,
    crowd: RefCell<Crowd>,
    links: RefCell<Vec<Weak<Link>>>,
}

/// Places taken, of all workers together.
#[derive(Debug)]
struct Places {
    all: Arc<AtomicIsize>,
    /// What the others have not heard of yet.
    untold: Cell<isize>,
}

impl Places {
    fn add(&self, places: isize) {
        self.untold.set(self.untold.get() + places);
    }

    fn tell(&self) {
        self.all.fetch_add(self.untold.take(), Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        let all = self.all.load(Ordering::Relaxed) + self.untold.get();
        usize::try_from(all).unwrap_or_default()
    }
}

impl AllLinks {
    pub(super) const fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// One more stream on a connection that has some; whether there is room for it.
    pub(super) fn add_stream(&self, now: Moment) -> bool {
        let has_room = self.make_room(now);
        self.taken.add(1);
        if self.taken.untold.get() >= UNTOLD {
            self.taken.tell();
        }
        has_room
    }

    /// One of several streams of a connection has ended.
    pub(super) fn remove_stream(&self) {
        self.taken.add(-1);
        if self.taken.untold.get() <= -UNTOLD {
            self.taken.tell();
        }
    }

    /// So many of the places that were about to become free have done so already.
    pub(super) fn leave_with_fewer(&self, places: usize) {
        self.leaving.set(self.leaving.get().saturating_sub(places));
    }

    /// A connection that had to go, or not, has ended.
    pub(super) fn remove(&self, left: usize) {
        self.count.set(self.count.get().saturating_sub(1));
        self.leaving.set(self.leaving.get().saturating_sub(left));
        self.taken.add(-1);
        self.taken.tell();
    }

    /// Whether there is room for one more. Where there is little, those who only wait have to go.
    fn make_room(&self, now: Moment) -> bool {
        let most = self.most.get();
        let taken = || self.taken.get().saturating_sub(self.leaving.get());
        if taken() < most - most / RESERVE {
            return true;
        }
        let over = (taken() + 1).saturating_sub(most);
        self.shed((most / AT_A_TIME).max(over).max(1), now);
        taken() < most
    }

    /// Makes so many places free, as far as there are some that only wait.
    fn shed(&self, places: usize, now: Moment) {
        if self.fruitless.get() == Some(now) {
            return; // nothing of that has changed since
        }
        let mut links = self.links.borrow_mut();
        links.retain(|link| link.strong_count() > 0);
        let links: Vec<_> = links.iter().filter_map(Weak::upgrade).collect();
        let waiting = links.into_iter().filter_map(|link| Some((link.waiting(now)?, link)));
        let (waiting, links): (Vec<_>, Vec<_>) = waiting.unzip();
        let (mut crowd, mut freed) = (self.crowd.borrow_mut(), 0);
        for link in choose(&waiting, places).into_iter().filter_map(|at| links.get(at)) {
            freed += link.let_go();
            crowd.shed += 1;
            if crowd.address.is_empty() {
                crowd.address.push_str(&link.peer_text);
            }
        }
        self.leaving.set(self.leaving.get() + freed);
        self.fruitless.set((freed == 0).then_some(now));
    }
}

impl Link {
    /// The worker wants its clients to go to another process.
    #[must_use]
    pub fn is_retiring(&self) -> bool {
        self.all.retiring.get()
    }
}

impl Links {
    /// No connections yet; `taken` counts the places that all workers have given away.
    #[must_use]
    pub fn new(limits: LinkLimits, taken: Arc<AtomicIsize>) -> Self {
        let all = AllLinks {
            count: Cell::new(0),
            draining: Cell::new(false),
            retiring: Cell::new(false),
            most: Cell::new(limits.places),
            taken: Places { all: taken, untold: Cell::new(0) },
            leaving: Cell::new(0),
            fruitless: Cell::new(None),
            crowd: RefCell::default(),
            links: RefCell::default(),
        };
        Self { all: Rc::new(all), limits: Cell::new(limits) }
    }

    /// Connections that begin from now on may take so long.
    pub fn set_limits(&self, limits: LinkLimits) {
        self.limits.set(limits);
        self.all.most.set(limits.places);
    }

    /// Whether there is room for one more connection. Near the end, the address with most
    /// connections that only wait has to give way.
    #[must_use]
    pub fn make_room(&self, now: Moment) -> bool {
        let has_room = self.all.make_room(now);
        if !has_room {
            self.all.crowd.borrow_mut().refused += 1;
        }
        has_room
    }

    /// Whatever the settings say, there is no room for more.
    pub fn shed(&self, now: Moment) {
        self.all.shed((self.all.taken.get() / AT_A_TIME).max(1), now);
    }

    /// Whether some have to go and are still here.
    #[must_use]
    pub fn are_leaving(&self) -> bool {
        self.all.leaving.get() > 0
    }

    /// What has happened since it was last asked.
    #[must_use]
    pub fn take_crowd(&self) -> Crowd {
        self.all.taken.tell();
        self.all.crowd.take()
    }

    /// A connection from `peer` begins; it must say something in time.
    #[must_use]
    pub fn begin(
        &self,
        (peer, standing): (PeerAddr, Standing),
        (scheme, listener): (Scheme, usize),
        alarms: &Rc<Alarms>,
    ) -> Rc<Link> {
        let value = |text: String| HeaderValue::try_from(text).ok();
        let (peer_text, proto) = (peer.to_string(), scheme.name());
        let (peer_value, peer_forwarded) = match peer {
            PeerAddr::Ip(address) | PeerAddr::Nameless(Some(address)) if address.is_ipv4() => {
                (value(peer_text.clone()), value(format!("for={address};proto={proto}")))
            }
            PeerAddr::Ip(address) | PeerAddr::Nameless(Some(address)) => {
                (value(peer_text.clone()), value(format!("for=\"[{address}]\";proto={proto}")))
            }
            PeerAddr::Nameless(None) | PeerAddr::Unix => {
                (None, value(format!("for=unknown;proto={proto}")))
            }
        };
        let link = Link {
            peer,
            scheme,
            listener,
            peer_text: peer_text.into(),
            peer_value,
            peer_forwarded,
            alarm: alarms.lend_to(),
            phase: Cell::new(Phase::Idle),
            stall: Cell::new(None),
            half_closed: Cell::new(false),
            starving: Cell::new(false),
            doubly_framed: Cell::new(None),
            hungry: RefCell::default(),
            limits: self.limits.get(),
            place: Place::Connection(standing),
            streams: Cell::new(0),
            stalled: Cell::new(0),
            left: Cell::new(None),
            all: Rc::clone(&self.all),
        };
        link.await_first();
        let link = Rc::new(link);
        self.add(&link);
        link
    }

    fn add(&self, link: &Rc<Link>) {
        let all = &self.all;
        all.count.set(all.count.get() + 1);
        all.taken.add(1);
        all.taken.tell();
        all.fruitless.set(None);
        let mut links = all.links.borrow_mut();
        if links.len() > 2 * all.count.get() + 64 {
            links.retain(|link| link.strong_count() > 0);
        }
        links.push(Rc::downgrade(link));
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.count.get()
    }

    /// Each connection takes one more request. Wake those of HTTP/2 afterwards.
    pub fn retire(&self) {
        self.all.retiring.set(true);
    }

    /// Whether each connection takes one more request only.
    #[must_use]
    pub fn are_retiring(&self) -> bool {
        self.all.retiring.get()
    }

    /// No more requests than those that are here. Wake the connections afterwards.
    pub fn drain(&self) {
        self.all.draining.set(true);
    }
}
