//! Numbers for Prometheus: how many of everything, and never whose.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::outlets::dropped::{OUTLETS, so_far};
use crate::policy::outcome::{Basis, Outcome};
use crate::rejection::AnswerKind;
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
    answers: [Counter; 5],
    evictions: Counter,
    connections_refused: Counter,
    connections_shed: Counter,
    handshakes_failed: Counter,
    certificates: Family<Labels, Gauge>,
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

/// How much of everything there was since the process began, of all sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the metrics")]
pub struct Totals {
    pub success: u64,
    pub failure: u64,
    pub unmatched: u64,
    pub no_verdict: u64,
    pub ignored: u64,
    pub locked: u64,
    pub denied: u64,
    pub refused: u64,
    pub busy: u64,
    pub error: u64,
    pub would_refuse: u64,
    pub lockouts: u64,
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
const KINDS: [AnswerKind; 5] = [
    AnswerKind::Busy,
    AnswerKind::Denied,
    AnswerKind::Error,
    AnswerKind::Locked,
    AnswerKind::Refused,
];

impl Metrics {
    /// Metrics that also tell what there is of counters, exchanges without a client, and
    /// connections.
    #[must_use]
    pub fn new(holdings: (Arc<Store>, Arc<Detached>, Arc<AtomicIsize>)) -> Self {
        let mut registry = Registry::with_prefix("loginward");
        let attempts = Family::<Labels, Counter>::default();
        registry.register("attempts", "Login attempts by what they came to", attempts.clone());
        let lockouts = Family::<Labels, Counter>::default();
        registry.register("lockouts", "Lockouts made", lockouts.clone());
        let answers = Family::<Labels, Counter>::default();
        registry.register(
            "answers",
            "Requests that the guard answered in the upstream's stead",
            answers.clone(),
        );
        let answers = KINDS
            .map(|kind| answers.get_or_create(&vec![("kind", kind.name().to_owned())]).clone());
        let evictions = Counter::default();
        registry.register(
            "evictions",
            "Counters and lockouts that still counted and had to make room",
            evictions.clone(),
        );
        let connections_refused = Counter::default();
        registry.register(
            "connections_refused",
            "Connections closed at once because there were too many",
            connections_refused.clone(),
        );
        let connections_shed = Counter::default();
        registry.register(
            "connections_shed",
            "Connections that only waited and had to make room",
            connections_shed.clone(),
        );
        let handshakes_failed = Counter::default();
        registry.register(
            "tls_handshake_failures",
            "Connections that did not come to speak TLS",
            handshakes_failed.clone(),
        );
        let certificates = Family::<Labels, Gauge>::default();
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the first certificate in a file expires",
            certificates.clone(),
        );
        let reloads = Reloads::registered(&mut registry);
        let (store, detached, places) = holdings;
        registry.register_collector(Box::new(Holdings { store, detached, places }));
        registry.register_collector(Box::new(Untold));
        Self {
            registry,
            attempts,
            lockouts,
            logins: Mutex::default(),
            answers,
            evictions,
            connections_refused,
            connections_shed,
            handshakes_failed,
            certificates,
            reloads,
        }
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

    /// How much of everything there was so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for login in lock(&self.logins).values() {
            totals.lockouts += login.lockouts.get();
            login.each(|outcome, basis, count| match (outcome, basis) {
                (Outcome::Success, _) => totals.success += count,
                (Outcome::Ignored, _) => totals.ignored += count,
                (Outcome::Failure, Basis::Rule) => totals.failure += count,
                (Outcome::Failure, Basis::Unmatched) => totals.unmatched += count,
                (Outcome::Failure, Basis::NoVerdict) => totals.no_verdict += count,
            });
        }
        for (kind, counter) in KINDS.iter().zip(&self.answers) {
            match kind {
                AnswerKind::Busy => totals.busy += counter.get(),
                AnswerKind::Denied => totals.denied += counter.get(),
                AnswerKind::Error => totals.error += counter.get(),
                AnswerKind::Locked => totals.locked += counter.get(),
                AnswerKind::Refused => totals.refused += counter.get(),
            }
        }
        totals
    }

    /// Counts a request that was answered in the upstream's stead.
    pub fn refusal(&self, kind: AnswerKind) {
        for (known, counter) in KINDS.iter().zip(&self.answers) {
            if *known == kind {
                counter.inc();
            }
        }
    }

    /// Counts something that still counted and had to make room.
    pub fn eviction(&self) {
        self.evictions.inc();
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
        let mut text = String::new();
        let encoded = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        encoded.map_or_else(|error| format!("# {error}\n"), |()| text)
    }
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

/// What there is at the moment of the question.
#[derive(Debug)]
struct Holdings {
    store: Arc<Store>,
    detached: Arc<Detached>,
    places: Arc<AtomicIsize>,
}

impl Collector for Holdings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let sizes = self.store.sizes();
        let places = self.places.load(Ordering::Relaxed);
        let rows: [(&str, &str, u64); 6] = [
            (
                "connections",
                "Connections from clients, and streams beyond the first of each",
                u64::try_from(places).unwrap_or_default(),
            ),
            ("lockouts_in_force", "Lockouts in force", sizes.locked as u64),
            ("counters", "Counters that are not locked", sizes.counters as u64),
            ("places", "Places held, of all counters", sizes.places),
            ("waiting", "Attempts that wait for a place", sizes.waiting as u64),
            ("detached", "Exchanges whose client has gone", u64::from(self.detached.count())),
        ];
        for (name, help, value) in rows {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}

/// The events that outlets did not get.
#[derive(Debug)]
struct Untold;

impl Collector for Untold {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Events that were not told, for want of room or of anybody who takes them";
        let mut metric =
            encoder.encode_descriptor("events_dropped", help, None, MetricType::Counter)?;
        for outlet in OUTLETS {
            let labels = [("outlet", outlet.name())];
            ConstCounter::new(so_far(outlet)).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
