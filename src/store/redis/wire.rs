//! The store as one thread sees it: a connection of its own, one timeout, and no second try.

pub mod nodes;

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::{Cmd, ConnectionInfo, RedisError, Value};
use tokio::runtime;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;

use super::breaker::Breaker;
use super::connect::{self, Identity, Open};
use super::meter::Meter;
use super::outage::{Outage, Sent, Why};
use super::script::Script;
use super::settings::{Place, RedisSettings};
use crate::clock::Tick;
use crate::store::memory::lock;

const EVICTS: &str =
    "when it is full, it throws lockouts away: set its maxmemory-policy to noeviction";

/// The way to the store. Clones are the same one; each thread that uses it has a connection of its
/// own, on its own runtime.
#[derive(Clone)]
pub struct Wire(Arc<Inner>);

struct Inner {
    /// Tells it from others of this process.
    number: u64,
    settings: Arc<RedisSettings>,
    /// What connections are made by that begin now.
    access: Mutex<Arc<RedisSettings>>,
    breaker: Arc<Breaker>,
    known: Mutex<Known>,
    meter: Meter,
}

/// The server that everybody asks.
#[derive(Default)]
struct Known {
    /// Where it is, once that was found out.
    place: Option<ConnectionInfo>,
    /// Which process it is, once one was asked.
    identity: Option<Identity>,
    /// Which keys it throws away when it is full.
    evicts: Option<Box<str>>,
}

/// A thread's connection, if it is open. Whoever makes it lets the others of the thread wait.
type Seat = Arc<AsyncMutex<Option<Open>>>;

thread_local! {
    /// A runtime that ends takes its connections with it, so they are told apart by it.
    static SEATS: RefCell<Vec<(u64, runtime::Id, Seat)>> = const { RefCell::new(Vec::new()) };
}

/// Which server was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reached {
    /// One that may not know what the one before knew.
    Another,
    /// The first one, or nobody knows.
    First,
    /// The very process that was asked before.
    Same,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// An attempt: not while the breaker is open; what goes wrong trips it.
    Attempt,
    /// Whoever brings the server up to date.
    Anyway,
}

impl fmt::Debug for Wire {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Wire").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl Wire {
    /// The way to the store of `settings`. Connects when it is first asked.
    #[must_use]
    pub fn new(settings: Arc<RedisSettings>, breaker: Arc<Breaker>) -> Self {
        static WIRES: AtomicU64 = AtomicU64::new(0);
        let number = WIRES.fetch_add(1, Ordering::Relaxed);
        breaker.tells_of(&settings);
        let (known, meter) = (Mutex::default(), Meter::default());
        let access = Mutex::new(Arc::clone(&settings));
        Self(Arc::new(Inner { number, settings, access, breaker, known, meter }))
    }

    /// Whether it is asked at all.
    #[must_use]
    pub fn breaker(&self) -> &Arc<Breaker> {
        &self.0.breaker
    }

    /// How calls went.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// What it was made from.
    #[must_use]
    pub fn settings(&self) -> &Arc<RedisSettings> {
        &self.0.settings
    }

    /// Whoever connects from now on does it by these settings, which
    /// [follow](RedisSettings::follows) those that this was made from. Open connections go on.
    pub fn renew(&self, settings: &Arc<RedisSettings>) {
        let mut access = lock(&self.0.access);
        if *access != *settings {
            *access = Arc::clone(settings);
            // what was found out has the password of then
            self.known().place = None;
        }
    }

    fn access(&self) -> Arc<RedisSettings> {
        Arc::clone(&lock(&self.0.access))
    }

    /// Runs a script on keys of one slot. Dropped before it is done, it may run all the same.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, does not answer within the timeout, or says that it does not
    /// do it; the breaker is open from then on.
    pub async fn run(
        &self,
        script: &Script,
        keys: &[Vec<u8>],
        arguments: &[Vec<u8>],
    ) -> Result<Value, Outage> {
        self.call(Asks::Attempt, &Call::Script(script, keys, arguments)).await
    }

    /// Any other command. Dropped before it is done, it may be carried out all the same.
    ///
    /// # Errors
    ///
    /// As [`Wire::run`].
    pub async fn command(&self, command: &Cmd) -> Result<Value, Outage> {
        self.call(Asks::Attempt, &Call::Command(command)).await
    }

    /// As [`Wire::run`], although the breaker is open: for whoever brings the server up to date
    /// that [`Wire::reach`] reached. Leaves the breaker as it is.
    ///
    /// # Errors
    ///
    /// As [`Wire::run`]; [`Why::Another`] when the server is another one since: begin again.
    pub async fn run_anyway(
        &self,
        script: &Script,
        keys: &[Vec<u8>],
        arguments: &[Vec<u8>],
    ) -> Result<Value, Outage> {
        self.call(Asks::Anyway, &Call::Script(script, keys, arguments)).await
    }

    /// As [`Wire::command`], although the breaker is open.
    ///
    /// # Errors
    ///
    /// As [`Wire::run_anyway`].
    pub async fn command_anyway(&self, command: &Cmd) -> Result<Value, Outage> {
        self.call(Asks::Anyway, &Call::Command(command)).await
    }

    /// Connects this thread anew, to the server that is the right one now: from here on it is the
    /// one that all threads ask, and another one that answers is an outage.
    ///
    /// # Errors
    ///
    /// When there is none, or it does not answer.
    pub async fn reach(&self) -> Result<Reached, Outage> {
        let seat = self.seat();
        let mut seat = seat.lock().await;
        *seat = None;
        // Sentinels are asked, the server they name is asked whether it is, and then it is asked
        let limit = self.0.settings.connect_timeout.saturating_mul(5);
        let (place, mut open) = within(limit, async {
            let place = connect::find(&self.access()).await?;
            let open = self.open(place.clone()).await?;
            Ok((place, open))
        })
        .await?;
        let identity = within(limit, open.identity()).await?;
        let evicts = timeout(limit, open.evicts()).await.unwrap_or_default();
        let mut known = self.known();
        if let Some(policy) = evicts.as_ref().filter(|_| known.evicts != evicts) {
            let (store, message) = (self.0.settings.place.to_string(), EVICTS);
            tracing::warn!(event = "store_evicts", store, policy, message);
        }
        known.evicts = evicts;
        // a server that does not tell may be any
        let before = known.identity.replace(identity.clone()).flatten();
        known.place = place;
        *seat = Some(open);
        Ok(match before.zip(identity) {
            None => Reached::First,
            Some((before, now)) if before == now => Reached::Same,
            Some(_) => Reached::Another,
        })
    }

    /// Its `maxmemory-policy`, where that throws lockouts away, and it says so.
    #[must_use]
    pub fn evicts(&self) -> Option<Box<str>> {
        self.known().evicts.clone()
    }

    /// The name of the process that everybody asks, where it tells one.
    #[must_use]
    pub fn incarnation(&self) -> Option<Box<str>> {
        self.known().identity.clone().flatten()
    }

    async fn call(&self, asks: Asks, call: &Call<'_>) -> Result<Value, Outage> {
        let breaker = &self.0.breaker;
        let turn = breaker.turn();
        if asks == Asks::Attempt && breaker.is_open() {
            return Err(Outage::never(Why::Known));
        }
        let begun = Tick::now();
        let answer = self.ask(asks, call).await;
        self.0.meter.count(call.kind(), &answer, Tick::now().since(begun));
        if let Err(outage) = &answer
            && asks == Asks::Attempt
        {
            breaker.trip_since(turn, outage);
        }
        answer
    }

    async fn ask(&self, asks: Asks, call: &Call<'_>) -> Result<Value, Outage> {
        let mut open = self.connection(asks).await?;
        let limit = self.0.settings.timeout;
        let answer = match timeout(limit, call.on(&mut open)).await {
            Ok(answer) => answer.map_err(|error| Outage::of(&error)),
            Err(_) => Err(Outage { sent: Sent::Perhaps, why: Why::Late(limit) }),
        };
        if answer.as_ref().is_err_and(Outage::breaks_connection) {
            open.give_up();
            self.leave();
        }
        answer
    }

    /// Keeps no connection of this thread's that is of no use: nobody reads what it still says.
    fn leave(&self) {
        // whoever holds the seat now makes a new one
        if let Ok(mut seat) = self.seat().try_lock() {
            seat.take_if(|open| open.is_broken());
        }
    }

    /// This thread's connection.
    async fn connection(&self, asks: Asks) -> Result<Open, Outage> {
        let limit = self.0.settings.connect_timeout;
        let seat = self.seat();
        let connected = timeout(limit, async {
            let mut seat = seat.lock().await;
            if let Some(open) = seat.as_ref().filter(|open| !open.is_broken()) {
                return Ok(open.clone());
            }
            *seat = None;
            if asks == Asks::Attempt && self.0.breaker.is_open() {
                return Err(Outage::never(Why::Known));
            }
            let open = self.connect(limit).await?;
            *seat = Some(open.clone());
            Ok(open)
        });
        connected.await.unwrap_or_else(|_| Err(Outage::never(Why::Unconnected(limit))))
    }

    /// Connects to the server that everybody asks.
    async fn connect(&self, limit: Duration) -> Result<Open, Outage> {
        let wrong = |error: RedisError| Outage::unconnected(&error, limit);
        let known = self.known().place.clone();
        let place = match known {
            Some(place) => Some(place),
            None => connect::find(&self.access()).await.map_err(wrong)?,
        };
        let mut open = self.open(place.clone()).await.map_err(wrong)?;
        let identity = open.identity().await.map_err(wrong)?;
        let mut known = self.known();
        match &known.identity {
            Some(before) if *before != identity => return Err(Outage::never(Why::Another)),
            Some(_) => known.place = place,
            None => (known.place, known.identity) = (place, Some(identity)),
        }
        Ok(open)
    }

    async fn open(&self, place: Option<ConnectionInfo>) -> Result<Open, RedisError> {
        let settings = self.access();
        match (&settings.place, place) {
            (Place::Cluster(nodes), _) => connect::to_cluster(&settings, nodes).await,
            (Place::One(_) | Place::Sentinel { .. }, Some(place)) => {
                connect::to_one(&settings, place).await
            }
            (Place::One(_) | Place::Sentinel { .. }, None) => Err(RedisError::from((
                redis::ErrorKind::MasterNameNotFoundBySentinel,
                "no server was found",
            ))),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        lock(&self.0.known)
    }

    fn seat(&self) -> Seat {
        let (number, runtime) = (self.0.number, runtime::Handle::current().id());
        SEATS.with_borrow_mut(|seats| {
            let own = seats.iter().find(|(wire, id, _)| (*wire, *id) == (number, runtime));
            if let Some((_, _, seat)) = own {
                return Arc::clone(seat);
            }
            let seat = Seat::default();
            seats.push((number, runtime, Arc::clone(&seat)));
            seat
        })
    }
}

impl crate::store::Store {
    /// The way to the counters that several guards share, where there are any.
    #[must_use]
    pub fn wire(&self) -> Option<&Wire> {
        self.shared().map(|shared| &shared.wire)
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, Outage> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(|error| Outage::unconnected(&error, limit)),
        Err(_) => Err(Outage::never(Why::Unconnected(limit))),
    }
}

/// What the store is asked.
enum Call<'a> {
    Script(&'a Script, &'a [Vec<u8>], &'a [Vec<u8>]),
    Command(&'a Cmd),
    Of(nodes::Node, &'a Cmd),
}

impl Call<'_> {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Command(_) | Self::Of(..) => "command",
            Self::Script(script, ..) => script.name(),
        }
    }

    async fn on(&self, open: &mut Open) -> Result<Value, RedisError> {
        match self {
            Self::Command(command) => open.send(command).await,
            Self::Of(node, command) => open.send_to(node.0, command).await,
            Self::Script(script, keys, arguments) => {
                match open.send(&script.call(keys, arguments)).await {
                    Err(error) if error.code() == Some("NOSCRIPT") => {
                        open.send(&script.teach(keys, arguments)).await
                    }
                    answer => answer,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
