//! Listeners and workers: one thread a core, each with its own sockets, connections and upstreams.
//!
//! Workers share nothing but the counters. Where the kernel cannot give each of them a listener of
//! its own (unix sockets, and what is inherited), they take turns at one.

mod begin;
pub mod connection;
pub mod crowd;
mod framing;
mod gathered;
pub mod health;
mod http2;
pub mod impatient;
pub mod inherited;
pub mod listen;
mod park;
mod proxied;
pub mod pulse;
pub mod reload;
pub mod socket;
mod start_error;
pub mod watched;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{oneshot, watch};

use crate::alarm::SWEEP;
use crate::clock::{Clock, Moment};
use crate::config::Settings;
use crate::guard::{Shared, Worker};
use crate::policy::key::Keyer;
use crate::snapshot::Keeping;
use crate::store::redis::background::Background;
use begin::{begin, random};
use inherited::Inherited;
use listen::{Bound, Listener, Offered};
use pulse::Pulses;
pub use start_error::StartError;

/// For how long a guard that retires waits for the next request of each connection.
const LAST_REQUESTS: Duration = Duration::from_secs(5);
/// For how long a guard that ends waits for a disk that keeps its counters.
const LAST_WRITE: Duration = Duration::from_secs(10);
/// For how long it does where it was told twice.
const LAST_WRITE_IN_HASTE: Duration = Duration::from_secs(2);

/// A running guard.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    stop: watch::Sender<Stage>,
    workers: Vec<JoinHandle<()>>,
    pulses: Arc<Pulses>,
    bound: Vec<Bound>,
    /// The unix sockets to remove in the end.
    made: Vec<PathBuf>,
    /// What a successor may have; nothing once this guard drains.
    offered: Rc<RefCell<Vec<Offered>>>,
    metrics_bound: Option<std::net::SocketAddr>,
    /// Ends the metrics when it is dropped.
    metrics: Option<(JoinHandle<()>, oneshot::Sender<()>)>,
    /// Writes the counters down, where they are kept.
    keeping: Option<Keeping>,
    /// Looks after the counters, where several guards share them.
    fleet: Option<Background>,
    /// Where operators ask over TCP, until somebody answers there.
    admin: Option<BoundTcp>,
}

/// What a running guard is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Accept no more connections, finish what is here.
    Drain,
    /// Accept no more connections for now.
    Pause,
    /// Accept no more connections; those that are here end with their next request.
    Retire,
    /// Serve.
    Run,
}

impl Server {
    /// Binds all listeners, then starts serving. `clock` drives the counters; timeouts are always
    /// real.
    ///
    /// # Errors
    ///
    /// When an address cannot be listened on, or the system gives no threads or random numbers.
    pub fn start(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        Self::start_after(settings, clock, Inherited::default(), |_, _| Ok(()))
    }

    /// [`Self::start`] with sockets that are bound already, and between binding and serving, while
    /// there are no workers, `prepare`, which is told of the unix sockets that were made.
    ///
    /// # Errors
    ///
    /// The same, or that of `prepare`.
    pub fn start_after<E: From<StartError>>(
        settings: Settings,
        clock: Clock,
        mut inherited: Inherited,
        prepare: impl FnOnce(&Settings, &[PathBuf]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let workers = settings.workers.get();
        let mut listeners = listen::bind(&settings.listen, workers, &mut inherited)?;
        let (metrics_listener, admin) = bind_others(&settings, &mut listeners, &mut inherited)?;
        let (metrics_listener, metrics_bound) = metrics_listener.unzip();
        let (bound, made) = (listeners.bound.clone(), listeners.made.clone());
        prepare(&settings, &made)?;
        let (shared, keeping) = begin(settings, clock, &mut inherited)?;
        let fleet = Background::begin(&shared.store)
            .map_err(|error| StartError::new("the shared counters", error))?;
        let (stop, stopping) = watch::channel(Stage::Run);
        let mut server = Self {
            shared: Arc::clone(&shared),
            stop,
            workers: Vec::new(),
            pulses: Arc::new(Pulses::new(workers)),
            bound,
            made,
            offered: Rc::new(RefCell::new(std::mem::take(&mut listeners.offered))),
            metrics_bound,
            metrics: None,
            keeping,
            fleet,
            admin,
        };
        for at in 0..workers {
            server.begin_worker(at, listeners.take(), stopping.clone())?;
        }
        if let Some(listener) = metrics_listener {
            let (end, over) = oneshot::channel();
            let serve = || block_on(health::serve(listener, shared, over));
            server.metrics = Some((spawn("metrics".to_owned(), serve)?, end));
        }
        server.shared.metrics.reload_succeeded(Clock::system().wall_now());
        Ok(server)
    }

    fn begin_worker(
        &mut self,
        at: usize,
        own: Vec<Listener>,
        stopping: watch::Receiver<Stage>,
    ) -> Result<(), StartError> {
        let (shared, pulses) = (Arc::clone(&self.shared), Arc::clone(&self.pulses));
        let serving = (own, shared, Keyer::new(random()?));
        let life = move || {
            block_on(serve(serving, stopping, || pulses.beat(at)));
            pulses.end(at);
        };
        self.workers.push(spawn(format!("worker-{at}"), life)?);
        Ok(())
    }

    /// Where it listens; ports that were left to the system are known here.
    #[must_use]
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }

    /// Where its metrics are.
    #[must_use]
    pub const fn metrics_bound(&self) -> Option<std::net::SocketAddr> {
        self.metrics_bound
    }

    /// Where operators ask over TCP, if they may, for whoever answers there.
    pub const fn take_admin(&mut self) -> Option<BoundTcp> {
        self.admin.take()
    }

    /// The counters and all else that its workers share.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether its workers go on.
    #[must_use]
    pub const fn pulses(&self) -> &Arc<Pulses> {
        &self.pulses
    }

    /// What a successor may have, how this guard is told to make room for it, and the unix sockets
    /// that would be the successor's to remove.
    #[must_use]
    pub fn offer(&self) -> (Rc<RefCell<Vec<Offered>>>, watch::Sender<Stage>, Vec<PathBuf>) {
        (Rc::clone(&self.offered), self.stop.clone(), self.made.clone())
    }

    /// What it is asked to do.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.stop.borrow()
    }

    /// Leaves everything to a successor: accepts no more, ends each connection with its next
    /// request, and all of them within the configured time.
    pub fn retire(&mut self) {
        self.made.clear();
        self.end_metrics();
        self.shared.leave();
        if let Some(keeping) = self.keeping.take() {
            keeping.leave();
        }
        self.offered.borrow_mut().clear();
        self.stop.send_replace(Stage::Retire);
    }

    /// Ends at once, and leaves the unix sockets to another guard.
    pub fn step_back(mut self) {
        self.made.clear();
        if let Some(keeping) = self.keeping.take() {
            keeping.leave();
        }
        self.abandon();
    }

    fn end_metrics(&mut self) {
        if let Some((thread, end)) = self.metrics.take() {
            drop(end);
            // a thread that panicked has ended, which is what is wanted
            drop(thread.join());
        }
    }

    /// Accepts no more, and finishes what is here within the configured time.
    pub fn drain(&self) {
        self.shared.leave();
        self.offered.borrow_mut().clear();
        self.stop.send_replace(Stage::Drain);
    }

    /// Waits until everything is finished, once it drains.
    pub async fn drained(&self) {
        self.stop.closed().await;
    }

    /// Accepts no more, finishes what is here within the configured time, and ends.
    pub fn stop(mut self) {
        self.drain();
        for worker in std::mem::take(&mut self.workers) {
            // a worker that panicked has ended, which is what is wanted
            drop(worker.join());
        }
        self.end_metrics();
        drop(self.fleet.take()); // all that it still has to tell, the workers have left it by now
        if let Some(keeping) = self.keeping {
            keeping.finish(LAST_WRITE);
        }
        listen::remove_sockets(&self.made);
    }

    /// Ends at once, with the process; what is under way is cut.
    pub fn abandon(self) {
        if let Some(keeping) = self.keeping {
            keeping.finish(LAST_WRITE_IN_HASTE);
        }
        listen::remove_sockets(&self.made);
    }
}

/// A listening socket, and where it listens.
type BoundTcp = (std::net::TcpListener, std::net::SocketAddr);

/// What is listened on besides: for metrics, and for operators.
fn bind_others(
    settings: &Settings,
    listeners: &mut listen::Listeners,
    inherited: &mut Inherited,
) -> Result<(Option<BoundTcp>, Option<BoundTcp>), StartError> {
    let mut bind = |address: Option<std::net::SocketAddr>, what| match address {
        Some(address) => listeners.bind_for((address, what), inherited).map(Some),
        None => Ok(None),
    };
    let metrics = bind(settings.metrics, "metrics")?;
    let admin = bind(settings.admin_tcp.as_ref().map(|admin| admin.address), "operators")?;
    Ok((metrics, admin))
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let thread = std::thread::Builder::new().name(name.clone()).spawn(run);
    thread.map_err(|error| StartError::new(name, error))
}

/// A runtime belongs to the thread that builds it.
fn block_on(future: impl Future<Output = ()>) {
    let mut builder = Builder::new_current_thread();
    match builder.enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => tracing::error!(event = "worker_failed", error = %error),
    }
}

/// One worker's life: accept, sweep, and in the end drain. It calls `beat` as long as it goes on.
async fn serve(
    (listeners, shared, keyer): (Vec<Listener>, Arc<Shared>, Keyer),
    mut stopping: watch::Receiver<Stage>,
    beat: impl Fn(),
) {
    let clock = Clock::system();
    let mut plans = shared.plans.follow();
    let first = (Arc::clone(&shared), &plans.now());
    let worker = Rc::new(Worker::new(first, keyer, clock.now()));
    for listener in listeners {
        let worker = Rc::clone(&worker);
        let stopping = stopping.clone();
        tokio::task::spawn_local(listen::accept(listener, worker, stopping));
    }
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = sweep.tick() => {
                worker.sweep(clock.now());
                beat();
            }
            rollout = plans.next() => worker.adopt(&rollout),
            changed = stopping.wait_for(|stage| !matches!(stage, Stage::Pause | Stage::Run)) => {
                drop(changed);
                break;
            }
        }
    }
    let most = worker.serving().settings.shutdown.deadline;
    let deadline = clock.now().after(most);
    if *stopping.borrow() == Stage::Retire {
        worker.retire();
        let over = clock.now().after(LAST_REQUESTS.min(most / 4));
        retire(&worker, over, &stopping, &beat).await;
    }
    worker.drain();
    while (worker.links.count() > 0 || worker.exchanges.get() > 0) && clock.now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
        worker.sweep(clock.now());
        beat();
    }
    worker.end();
}

/// Waits until no connection is left, until `over`, or until the guard is told to drain.
async fn retire(worker: &Worker, over: Moment, stopping: &watch::Receiver<Stage>, beat: impl Fn()) {
    let clock = Clock::system();
    let is_busy = || worker.links.count() > 0 || worker.exchanges.get() > 0;
    while is_busy() && clock.now() < over && *stopping.borrow() == Stage::Retire {
        tokio::time::sleep(Duration::from_millis(20)).await;
        worker.sweep(clock.now());
        beat();
    }
}
