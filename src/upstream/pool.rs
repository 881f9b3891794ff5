//! The open connections to one application.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::connect::connect;
use super::driver::{Driver, Entrance};
use super::http2::{Place, Sharing, Usable};
use super::{Age, Keep, Lease, Sender, Traffic, UpstreamError, UpstreamSocket};
use crate::alarm::{Alarms, SWEEP};
use crate::body::RequestBody;
use crate::clock::Moment;
use crate::config::{ServerKey, Timeouts, UpstreamServer};
use crate::stream::Stream;
use crate::tls::trust::Offer;

/// More idle connections to one upstream are not kept by a worker.
const MOST_IDLE: usize = 1024;
/// What is buffered of an answer: large enough to be quick, small enough to be many.
const BUFFER: usize = 64 * 1024;

/// Which connection an exchange may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Any that is open: the request may be repeated if the connection turns out to be dead.
    Any,
    /// One that was used a moment ago, or a new one: the request may not be repeated.
    Lively,
    /// A new one, which may become a tunnel.
    Tunnel,
    /// A new one; of those that are shared, one that was opened after the last one broke.
    New,
    /// A new one that is shared with nobody, since it will be authenticated.
    Own,
}

/// The connections to all upstreams of one worker.
#[derive(Debug)]
pub struct Upstreams {
    pools: RefCell<HashMap<ServerKey, Rc<Pool>>>,
    alarms: Rc<Alarms>,
    /// Those of all pools.
    timeouts: Rc<Cell<Timeouts>>,
}

impl Upstreams {
    /// No connections yet.
    #[must_use]
    pub fn new(timeouts: Timeouts, alarms: Rc<Alarms>) -> Self {
        Self { pools: RefCell::default(), alarms, timeouts: Rc::new(Cell::new(timeouts)) }
    }

    /// The connections to `server`; several sites may share them.
    #[must_use]
    pub fn to(&self, server: &UpstreamServer) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        let key = server.key();
        if let Some(known) = pools.get(&key) {
            return Rc::clone(known);
        }
        let pool = self.pool(server);
        pools.insert(key, Rc::clone(&pool));
        pool
    }

    fn pool(&self, server: &UpstreamServer) -> Rc<Pool> {
        Rc::new(Pool {
            server: server.clone(),
            idle: RefCell::default(),
            sharing: Rc::default(),
            alarms: Rc::clone(&self.alarms),
            timeouts: Rc::clone(&self.timeouts),
        })
    }

    /// Exchanges that begin from now on may take so long.
    pub fn set_timeouts(&self, timeouts: Timeouts) {
        self.timeouts.set(timeouts);
    }

    /// Keeps the connections of `pools` alone; of others, those in use end with their exchange.
    pub fn keep<'a>(&self, pools: impl Iterator<Item = &'a Rc<Pool>>) {
        let kept: HashSet<*const Pool> = pools.map(Rc::as_ptr).collect();
        self.pools.borrow_mut().retain(|_, pool| kept.contains(&Rc::as_ptr(pool)));
    }

    /// Closes what has been idle for too long.
    pub fn sweep(&self) {
        let now = self.alarms.now();
        for pool in self.pools.borrow().values() {
            pool.sweep(now);
        }
    }

    /// Closes everything idle.
    pub fn close(&self) {
        for pool in self.pools.borrow().values() {
            pool.idle.borrow_mut().clear();
            pool.sharing.close();
        }
    }
}

/// The open connections to one server.
#[derive(Debug)]
pub struct Pool {
    server: UpstreamServer,
    /// The latest used last.
    idle: RefCell<VecDeque<Idle>>,
    /// Those that speak HTTP/2.
    sharing: Rc<Sharing>,
    alarms: Rc<Alarms>,
    timeouts: Rc<Cell<Timeouts>>,
}

#[derive(Debug)]
struct Idle {
    sender: Entrance,
    traffic: Rc<Traffic>,
    since: Moment,
}

impl Pool {
    /// A connection for one exchange, an open one if `wanted` allows. Dropping the future while
    /// it connects gives up.
    ///
    /// # Errors
    ///
    /// When none is open and none can be opened.
    pub async fn lease(self: &Rc<Self>, wanted: Wanted) -> Result<Lease, UpstreamError> {
        let (longest, usable) = match wanted {
            Wanted::Any => {
                let longest = self.timeouts.get().upstream_idle;
                (Some(longest), Some(Usable::Within(longest)))
            }
            Wanted::Lively => {
                let longest = self.timeouts.get().upstream_idle_unsafe;
                (Some(longest), Some(Usable::Within(longest)))
            }
            Wanted::New => (None, Some(Usable::Newest)),
            Wanted::Own | Wanted::Tunnel => (None, None),
        };
        if let Some(usable) = usable.filter(|_| self.may_share()) {
            return match self.sharing.place(usable, self.now()) {
                Some(place) => Ok(self.on_stream(place, Age::Reused)),
                None => Box::pin(self.share(usable)).await,
            };
        }
        match longest.and_then(|longest| self.take_idle(longest)) {
            Some(Idle { sender, traffic, .. }) => Ok(Lease {
                sender: Sender::Http1(sender),
                traffic,
                age: Age::Reused,
                pool: Rc::clone(self),
                keep: Keep::Pooled,
                tunnel: None,
            }),
            // seldom, and it takes much room: a handshake is in it
            None => Box::pin(self.open(wanted)).await,
        }
    }

    /// Whether exchanges may share connections, as far as is known.
    fn may_share(&self) -> bool {
        self.server.offer == Offer::Http2 && !self.sharing.is_refused()
    }

    /// A stream of a connection that is opened for all who want one.
    async fn share(self: &Rc<Self>, usable: Usable) -> Result<Lease, UpstreamError> {
        let turn = self.sharing.open().await?;
        if self.sharing.is_refused() {
            drop(turn); // whoever opened one found that there is nothing to share
            return self.open(Wanted::New).await;
        }
        if let Some(place) = self.sharing.place(usable, self.now()) {
            return Ok(self.on_stream(place, Age::Reused));
        }
        let opened = self.open(Wanted::New).await;
        drop(turn);
        opened.inspect_err(|error| self.sharing.fail(error))
    }

    fn on_stream(self: &Rc<Self>, place: Place, age: Age) -> Lease {
        Lease {
            traffic: Rc::clone(place.traffic()),
            sender: Sender::Http2(place),
            age,
            pool: Rc::clone(self),
            keep: Keep::Pooled,
            tunnel: None,
        }
    }

    /// The time as it was at the last sweep.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.alarms.now()
    }

    fn take_idle(&self, longest: Duration) -> Option<Idle> {
        let mut idle = self.idle.borrow_mut();
        while let Some(connection) = idle.pop_back() {
            if self.age(&connection) >= longest {
                idle.push_back(connection); // the ones before it are older still
                return None;
            }
            if connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// How long a connection has been idle at most, as the time is known by the last sweep.
    fn age(&self, connection: &Idle) -> Duration {
        self.alarms.now().since(connection.since).saturating_add(SWEEP)
    }

    pub(super) fn take_back(&self, sender: Entrance, traffic: Rc<Traffic>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MOST_IDLE {
            idle.push_back(Idle { sender, traffic, since: self.alarms.now() });
        }
    }

    fn sweep(&self, now: Moment) {
        let longest = self.timeouts.get().upstream_idle;
        self.sharing.sweep(now, longest);
        let mut idle = self.idle.borrow_mut();
        idle.retain(|connection| {
            let is_old = now.since(connection.since) >= longest;
            !is_old && !connection.sender.is_closed()
        });
    }

    async fn open(self: &Rc<Self>, wanted: Wanted) -> Result<Lease, UpstreamError> {
        let offer = match wanted {
            Wanted::Any | Wanted::Lively | Wanted::New => self.server.offer,
            Wanted::Own | Wanted::Tunnel => Offer::Http1,
        };
        let connecting =
            tokio::time::timeout(self.timeouts.get().connect, connect(&self.server, offer));
        let stream = connecting.await.map_err(|_| UpstreamError::ConnectTimeout)??;
        if offer == Offer::Http2 {
            self.sharing.agreed(stream.speaks_http2());
            if stream.speaks_http2() {
                let added = self.sharing.add(stream, self.now()).await;
                let place = added.map_err(UpstreamError::Broken)?;
                return Ok(self.on_stream(place, Age::Fresh));
            }
        }
        let traffic = Rc::<Traffic>::default();
        let shaken = http1(stream, &traffic).await;
        let (sender, connection) = shaken.map_err(UpstreamError::Broken)?;
        let (keep, tunnel, driver) = if wanted == Wanted::Tunnel {
            let (tell, told) = oneshot::channel();
            tokio::task::spawn_local(until_tunnel(connection, tell));
            (Keep::Closed, Some(told), None)
        } else {
            let driver = Driver::new(connection);
            tokio::task::spawn_local(Rc::clone(&driver).run());
            (Keep::Pooled, None, Some(driver))
        };
        let (sender, pool) = (Sender::Http1(Entrance::new(sender, driver)), Rc::clone(self));
        Ok(Lease { sender, traffic, age: Age::Fresh, pool, keep, tunnel })
    }
}

pub(super) type UpstreamConnection = Connection<TokioIo<UpstreamSocket>, RequestBody>;

/// Speaks HTTP/1.1 on `stream` and counts what goes over it.
pub(super) async fn http1(
    stream: Stream,
    traffic: &Rc<Traffic>,
) -> Result<(SendRequest<RequestBody>, UpstreamConnection), hyper::Error> {
    let socket = UpstreamSocket::new(stream, Rc::clone(traffic));
    let mut builder = Builder::new();
    builder
        .max_buf_size(BUFFER)
        // upstreams are old and odd: what nginx lets through, passes
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .max_headers(200);
    builder.handshake(TokioIo::new(socket)).await
}

/// Lets a connection live until HTTP is over on it, and hands its socket on.
async fn until_tunnel(
    mut connection: UpstreamConnection,
    tell: oneshot::Sender<(UpstreamSocket, Bytes)>,
) {
    let over = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    if over.is_ok() {
        let parts = connection.into_parts();
        // nobody may want it
        drop(tell.send((parts.io.into_inner(), parts.read_buf)));
    }
}
