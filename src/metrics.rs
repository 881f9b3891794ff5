//! Numbers for Prometheus: how many of everything, and never whose.
//!
//! What happens with every request is counted in cells of each worker's own ([`cells`]) and added
//! up only when somebody asks. Labels are names from the configuration or words of ours, so that
//! there are as many series as the configuration makes, and no client can make more.

pub mod cells;
mod collect;
pub mod histogram;
mod kept;
mod process;
mod shared;
mod totals;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::atomic::AtomicIsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::cells::{SiteCells, WorkerCells};
use self::collect::{Cells, Gathered, Holdings, Untold};
use self::process::{Process, Uptime};
pub use self::totals::Totals;
use crate::clock::Clock;
use crate::policy::balance::Standing;
use crate::policy::outcome::{Basis, Outcome};
use crate::store::Store;
use crate::store::detached::Detached;
use crate::store::memory::lock;

type Labels = Vec<(&'static str, String)>;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    attempts: Family<Labels, Counter>,
    lockouts: Family<Labels, Counter>,
    /// By the names of site and login.
    logins: Mutex<BTreeMap<[String; 2], SiteMetrics>>,
    cells: Arc<Cells>,
    evicted_counters: Counter,
    evicted_lockouts: Counter,
    connections_refused: Counter,
    connections_shed: Counter,
    handshakes_failed: Counter,
    certificates: Family<Labels, Gauge>,
    servers: Family<Labels, Gauge>,
    reloads: Reloads,
}

/// How reading the configuration went.
#[derive(Clone, Debug, Default)]
struct Reloads {
    last_successful: Gauge,
    last_success: Gauge,
    failures: Counter,
}

/// How reading the configuration went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadsSoFar {
    /// Whether the last that was read could be used.
    pub is_last_successful: bool,
    /// When the one in force was read, since 1970.
    pub last_success: Duration,
    /// How many could not be used.
    pub failures: u64,
}

/// The counters of one login, looked up once.
#[derive(Clone, Debug)]
pub struct SiteMetrics {
    attempts: [[Counter; 3]; 3],
    /// Lockouts made.
    pub lockouts: Counter,
}

const OUTCOMES: [Outcome; 3] = [Outcome::Failure, Outcome::Ignored, Outcome::Success];
const BASES: [Basis; 3] = [Basis::NoVerdict, Basis::Rule, Basis::Unmatched];
impl Metrics {
    /// Metrics that also tell what there is of counters, exchanges without a client, and
    /// connections.
    #[must_use]
    pub fn new(holdings: (Arc<Store>, Arc<Detached>, Arc<AtomicIsize>)) -> Self {
        let mut whole = Registry::default();
        whole.register_collector(Box::new(Process::begins()));
        let registry = whole.sub_registry_with_prefix("loginward");
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", version);
        registry.register_collector(Box::new(Uptime(Clock::system().wall_now())));
        let evictions = family::<Counter>(
            registry,
            "evictions",
            "Counters and lockouts in force that still counted and had to make room",
        );
        let evicted =
            |what: &str| evictions.get_or_create(&vec![("what", what.to_owned())]).clone();
        let (store, detached, places) = holdings;
        let cells = Arc::<Cells>::default();
        let own = Self {
            attempts: family(registry, "attempts", "Login attempts by what they came to, and why"),
            lockouts: family(registry, "lockouts", "Lockouts made"),
            logins: Mutex::default(),
            cells: Arc::clone(&cells),
            evicted_counters: evicted("counter"),
            evicted_lockouts: evicted("lockout"),
            connections_refused: counter(
                registry,
                "connections_refused",
                "Connections closed at once because there were too many",
            ),
            connections_shed: counter(
                registry,
                "connections_shed",
                "Connections that only waited and had to make room",
            ),
            handshakes_failed: counter(
                registry,
                "tls_handshake_failures",
                "Connections that did not come to speak TLS",
            ),
            certificates: family(
                registry,
                "certificate_expiry_timestamp_seconds",
                "When the first certificate in a file expires",
            ),
            servers: family(
                registry,
                "upstream_server_state",
                "1 for the state that a server of an upstream is in: ready; resting, since it could \
                 not be connected to; out, as its health check says. One that is alone never rests",
            ),
            reloads: Reloads::registered(registry),
            registry: Registry::default(),
        };
        registry.register_collector(Box::new(Holdings { store, detached, places }));
        registry.register_collector(Box::new(Gathered(cells)));
        registry.register_collector(Box::new(Untold));
        Self { registry: whole, ..own }
    }

    /// Cells of a new worker, and its number.
    #[must_use]
    pub fn worker(&self) -> (usize, Arc<WorkerCells>) {
        self.cells.worker()
    }

    /// The cells in which the worker of that number counts what concerns a site; those of requests
    /// that belong to none where the name is empty.
    #[must_use]
    pub fn site(&self, worker: usize, name: &str) -> Arc<SiteCells> {
        self.cells.site(worker, name)
    }

    /// The counters of a login.
    #[must_use]
    pub fn login(&self, site: &str, login: &str) -> SiteMetrics {
        let names = || vec![("site", site.to_owned()), ("login", login.to_owned())];
        let attempts = OUTCOMES.map(|outcome| {
            BASES.map(|basis| {
                let mut labels = names();
                labels.push(("outcome", outcome_name(outcome).to_owned()));
                labels.push(("basis", basis_name(basis).to_owned()));
                self.attempts.get_or_create(&labels).clone()
            })
        });
        let own = SiteMetrics { attempts, lockouts: self.lockouts.get_or_create(&names()).clone() };
        lock(&self.logins).insert([site.to_owned(), login.to_owned()], own.clone());
        own
    }

    /// Counts a counter that still counted and had to make room.
    pub fn counter_evicted(&self) {
        self.evicted_counters.inc();
    }

    /// Counts a lockout in force that had to.
    pub fn lockout_evicted(&self) {
        self.evicted_lockouts.inc();
    }

    /// The servers of each site, and how they are now.
    pub fn servers<'a>(&self, servers: impl Iterator<Item = (&'a str, String, Standing)>) {
        self.servers.clear();
        for (site, server, now) in servers {
            for (state, name) in STATES {
                let labels = vec![
                    ("site", site.to_owned()),
                    ("server", server.clone()),
                    ("state", name.to_owned()),
                ];
                self.servers.get_or_create(&labels).set(i64::from(state == now));
            }
        }
    }

    /// Counts a connection that was closed at once.
    pub fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    /// Counts a connection that did not come to speak TLS.
    pub fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// These certificates are shown, and end then, since 1970.
    pub fn certificates(&self, expiries: &[(PathBuf, Duration)]) {
        self.certificates.clear();
        for (file, not_after) in expiries {
            let labels = vec![("certificate", file.display().to_string())];
            let seconds = i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX);
            self.certificates.get_or_create(&labels).set(seconds);
        }
    }

    /// Counts connections that had to make room.
    pub fn connections_shed(&self, connections: u64) {
        self.connections_shed.inc_by(connections);
    }

    /// The configuration was read and is in force, at that time since 1970.
    pub fn reload_succeeded(&self, wall: Duration) {
        self.reloads.last_successful.set(1);
        self.reloads.last_success.set(i64::try_from(wall.as_secs()).unwrap_or(i64::MAX));
    }

    /// The configuration was read and cannot be used.
    pub fn reload_failed(&self) {
        self.reloads.last_successful.set(0);
        self.reloads.failures.inc();
    }

    /// How reading the configuration went.
    #[must_use]
    pub fn reloads(&self) -> ReloadsSoFar {
        let last_success = u64::try_from(self.reloads.last_success.get()).unwrap_or_default();
        ReloadsSoFar {
            is_last_successful: self.reloads.last_successful.get() == 1,
            last_success: Duration::from_secs(last_success),
            failures: self.reloads.failures.get(),
        }
    }

    /// Everything in the text format that Prometheus reads.
    #[must_use]
    pub fn text(&self) -> String {
        self.cells.prune();
        let mut text = String::new();
        let encoded = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        encoded.map_or_else(|error| format!("# {error}\n"), |()| text)
    }
}

const STATES: [(Standing, &str); 3] =
    [(Standing::Ready, "ready"), (Standing::Resting, "resting"), (Standing::Out, "out")];

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn family<M>(registry: &mut Registry, name: &str, help: &str) -> Family<Labels, M>
where
    M: EncodeMetric + TypedMetric + Default + Debug + Send + Sync + 'static,
{
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

impl Reloads {
    fn registered(registry: &mut Registry) -> Self {
        let own = Self::default();
        registry.register(
            "config_last_reload_successful",
            "Whether the configuration that was read last could be used",
            own.last_successful.clone(),
        );
        registry.register(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration in force was read",
            own.last_success.clone(),
        );
        registry.register(
            "config_reload_failures",
            "Configurations that could not be used",
            own.failures.clone(),
        );
        own
    }
}

impl SiteMetrics {
    /// Tells how many attempts came to each, and why.
    pub fn each(&self, mut tell: impl FnMut(Outcome, Basis, u64)) {
        for (outcome, counters) in OUTCOMES.iter().zip(&self.attempts) {
            for (basis, counter) in BASES.iter().zip(counters) {
                tell(*outcome, *basis, counter.get());
            }
        }
    }

    /// Counts an attempt by what it came to and why.
    pub fn attempt(&self, outcome: Outcome, basis: Basis) {
        let by_outcome = OUTCOMES.iter().zip(&self.attempts).find(|(known, _)| **known == outcome);
        let by_basis = by_outcome.and_then(|(_, counters)| {
            BASES.iter().zip(counters).find(|(known, _)| **known == basis)
        });
        if let Some((_, counter)) = by_basis {
            counter.inc();
        }
    }
}

const fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Failure => "failure",
        Outcome::Ignored => "ignored",
        Outcome::Success => "success",
    }
}

const fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::NoVerdict => "no_verdict",
        Basis::Rule => "rule",
        Basis::Unmatched => "unmatched",
    }
}
