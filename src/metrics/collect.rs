//! What is added up only when somebody asks: the workers' cells, and what there is of everything.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Mutex};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::cells::{SiteCells, Tally, WorkerCells};
use super::histogram::{Histogram, Sum};
use crate::outlets::deliveries::{self, DELIVERIES};
use crate::outlets::dropped::{OUTLETS, so_far};
use crate::rejection::reason::Reason;
use crate::store::Store;
use crate::store::detached::Detached;
use crate::store::memory::lock;
use crate::upstream::fault::Fault;

/// The cells of all workers.
#[derive(Debug)]
pub(super) struct Cells(Mutex<All>);

#[derive(Debug)]
struct All {
    workers: Vec<Arc<WorkerCells>>,
    /// By the site's name, which is empty for requests of none, and each with its worker's number.
    sites: BTreeMap<Box<str>, Vec<(usize, Arc<SiteCells>)>>,
    /// Refusals, and what would have been refused, of sites that are gone.
    gone: [[u64; 2]; Reason::ALL.len()],
}

impl Default for Cells {
    fn default() -> Self {
        let gone = [[0; 2]; Reason::ALL.len()];
        Self(Mutex::new(All { workers: Vec::new(), sites: BTreeMap::new(), gone }))
    }
}

impl Cells {
    /// Cells of a new worker, and its number.
    pub(super) fn worker(&self) -> (usize, Arc<WorkerCells>) {
        let cells = Arc::<WorkerCells>::default();
        let mut all = lock(&self.0);
        all.workers.push(Arc::clone(&cells));
        (all.workers.len(), cells)
    }

    /// The cells of a worker for a site; the same as long as somebody has them.
    pub(super) fn site(&self, worker: usize, name: &str) -> Arc<SiteCells> {
        let mut all = lock(&self.0);
        let cells = all.sites.entry(name.into()).or_default();
        if let Some((_, known)) = cells.iter().find(|(number, _)| *number == worker) {
            return Arc::clone(known);
        }
        let new = Arc::<SiteCells>::default();
        cells.push((worker, Arc::clone(&new)));
        new
    }

    /// Forgets the sites that no worker serves any more, but for their share of what there was in all.
    pub(super) fn prune(&self) {
        let All { sites, gone, .. } = &mut *lock(&self.0);
        sites.retain(|_, cells| {
            let is_served = cells.iter().any(|(_, cells)| Arc::strong_count(cells) > 1);
            if !is_served {
                add(gone, cells);
            }
            is_served
        });
    }

    /// Tells of each reason how many requests were refused for it, and how many would have been.
    pub(super) fn each_refusal(&self, mut tell: impl FnMut(Reason, u64, u64)) {
        let all = lock(&self.0);
        let mut totals = all.gone;
        all.sites.values().for_each(|cells| add(&mut totals, cells));
        for (reason, [refused, excused]) in Reason::ALL.into_iter().zip(totals) {
            tell(reason, refused, excused);
        }
    }
}

/// Adds what a site's workers refused.
fn add(totals: &mut [[u64; 2]; Reason::ALL.len()], cells: &[(usize, Arc<SiteCells>)]) {
    for (_, cells) in cells {
        let both = cells.refusals.iter().zip(&cells.excused);
        for ([refused, excused], (more, other)) in totals.iter_mut().zip(both) {
            *refused += more.get();
            *excused += other.get();
        }
    }
}

/// One series for each site and thing.
type Several<'a> = (&'a str, &'a str, &'a [&'static str], fn(&SiteCells) -> &[Tally]);

/// Encodes what the workers counted.
#[derive(Debug)]
pub(super) struct Gathered(pub(super) Arc<Cells>);

impl Collector for Gathered {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let all = lock(&self.0.0);
        all.encode_histograms(&mut encoder)?;
        all.encode_refusals(&mut encoder)?;
        let faults = Fault::ALL.map(Fault::name);
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        let errors: Several<'_> =
            ("upstream_errors", UPSTREAM_ERRORS, &faults, |cells| &cells.faults);
        all.encode_several(&mut encoder, errors, "kind")?;
        let responses: Several<'_> = ("responses", RESPONSES, &classes, |cells| &cells.answers);
        all.encode_several(&mut encoder, responses, "class")?;
        all.encode_workers(&mut encoder)
    }
}

const UPSTREAM_ERRORS: &str = "What upstreams did wrong, by kind; an attempt that fails for it \
    counts as one without a verdict besides";
const RESPONSES: &str =
    "Answers that clients were given, the guard's own as well, by the first digit of the status";

impl All {
    fn encode_histograms(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        type Which = fn(&SiteCells) -> &Histogram;
        let rows: [(&str, &str, Which); 3] = [
            ("request_duration_seconds", REQUEST_HELP, |cells| &cells.requests),
            ("guard_duration_seconds", GUARD_HELP, |cells| &cells.guard),
            ("upstream_response_seconds", UPSTREAM_HELP, |cells| &cells.upstream),
        ];
        for (name, help, which) in rows {
            let mut metric =
                encoder.encode_descriptor(name, &said(help), None, MetricType::Histogram)?;
            for (site, cells) in &self.sites {
                let sum = Sum::of(cells.iter().map(|(_, cells)| which(cells)));
                let labels = [("site", &**site)];
                let mut series = metric.encode_family(&labels)?;
                let (total, count) = (sum.sum, sum.count);
                series.encode_histogram::<NoLabelSet>(total, count, &sum.buckets, None)?;
            }
        }
        Ok(())
    }

    fn encode_refusals(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        type Which = fn(&SiteCells) -> &[Tally];
        let rows: [(&str, &str, Which); 2] = [
            ("refusals", REFUSALS_HELP, |cells| &cells.refusals),
            ("would_refuse", WOULD_REFUSE_HELP, |cells| &cells.excused),
        ];
        for (name, help, which) in rows {
            let mut metric =
                encoder.encode_descriptor(name, &said(help), None, MetricType::Counter)?;
            let reasons = || Reason::ALL.iter().enumerate();
            let series = self.sites.iter().flat_map(|site| reasons().map(move |r| (site, r)));
            for ((site, cells), (at, reason)) in series {
                let kind = reason.kind().name();
                let labels = [("site", &**site), ("kind", kind), ("reason", reason.name())];
                count(&mut metric, &labels, total(cells, which, at))?;
            }
        }
        Ok(())
    }

    fn encode_several(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, things, which): Several<'_>,
        label: &str,
    ) -> Result<(), Error> {
        let mut metric = encoder.encode_descriptor(name, &said(help), None, MetricType::Counter)?;
        for (site, cells) in &self.sites {
            for (at, thing) in things.iter().enumerate() {
                let labels = [("site", &**site), (label, thing)];
                count(&mut metric, &labels, total(cells, which, at))?;
            }
        }
        Ok(())
    }

    fn encode_workers(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let sum = |which: fn(&WorkerCells) -> &Tally| -> u64 {
            self.workers.iter().map(|cells| which(cells).get()).sum()
        };
        let rows = [
            (
                "requests_in_flight",
                "Requests under way, from their head to the end of their answer",
                sum(|cells| &cells.requests),
            ),
            (
                "attempts_in_flight",
                "Attempts that are with the upstream, those without a client as well",
                sum(|cells| &cells.attempts),
            ),
        ];
        for (name, help, value) in rows {
            gauge(encoder, (name, help), value)?;
        }
        let help = "Connections that clients opened";
        let name = "connections_accepted";
        let metric = encoder.encode_descriptor(name, &said(help), None, MetricType::Counter)?;
        ConstCounter::new(sum(|cells| &cells.connections)).encode(metric)
    }
}

const REQUEST_HELP: &str = "Time of requests from their head until the head of their answer is \
    ready to go out, or the guard's own answer is, with all that is waited for";
const GUARD_HELP: &str = "The guard's own share of that time: without what a request waits for the \
    upstream (from when it is handed to a connection, or one is opened, until the head of the answer \
    is here; of an attempt, also what is read of the body to judge it), for the client's body, for a \
    place, until a lockout is on the disk, and for a process that hands the counters over";
const UPSTREAM_HELP: &str = "Time from when a request is handed to a connection, or one is opened, \
    until the head of the answer is here; a body that streams meanwhile is part of it";
const REFUSALS_HELP: &str = "Requests that the guard answered in the upstream's stead, by reason; \
    at_limit: the attempt was sent, failed, and the lockout that it began is its answer";
const WOULD_REFUSE_HELP: &str =
    "Requests that would have been refused, were it not for a login's mode, which is monitor";

/// A help text, which ends with a full stop as those of all other metrics do.
fn said(help: &str) -> String {
    format!("{help}.")
}

fn total(cells: &[(usize, Arc<SiteCells>)], which: fn(&SiteCells) -> &[Tally], at: usize) -> u64 {
    cells.iter().filter_map(|(_, cells)| which(cells).get(at)).map(Tally::get).sum()
}

fn count(metric: &mut MetricEncoder<'_>, labels: &[(&str, &str)], value: u64) -> Result<(), Error> {
    ConstCounter::new(value).encode(metric.encode_family(&labels)?)
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    value: u64,
) -> Result<(), Error> {
    let metric = encoder.encode_descriptor(name, &said(help), None, MetricType::Gauge)?;
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)
}

/// The events that outlets did not get.
#[derive(Debug)]
pub(super) struct Untold;

impl Collector for Untold {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Events that were not told, for want of room or of anybody who takes them.";
        let mut metric =
            encoder.encode_descriptor("events_dropped", help, None, MetricType::Counter)?;
        for outlet in OUTLETS {
            count(&mut metric, &[("outlet", outlet.name())], so_far(outlet))?;
        }
        let help = "Calls of webhooks, by what came of them.";
        let mut metric =
            encoder.encode_descriptor("webhook_deliveries", help, None, MetricType::Counter)?;
        for delivery in DELIVERIES {
            let labels = [("result", delivery.name())];
            let calls = ConstCounter::new(deliveries::so_far(delivery));
            calls.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// What there is at the moment of the question.
#[derive(Debug)]
pub(super) struct Holdings {
    pub(super) store: Arc<Store>,
    pub(super) detached: Arc<Detached>,
    pub(super) places: Arc<AtomicIsize>,
}

impl Collector for Holdings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let sizes = self.store.sizes();
        let (max_counters, max_lockouts) = self.store.room();
        let places = self.places.load(Ordering::Relaxed);
        let rows: [(&str, &str, u64); 8] = [
            (
                "connections",
                "Connections from clients, and streams beyond the first of each",
                u64::try_from(places).unwrap_or_default(),
            ),
            ("lockouts_in_force", "Lockouts in force", sizes.locked as u64),
            ("lockouts_limit", "So many lockouts have room", max_lockouts),
            ("counters", "Counters that are not locked", sizes.counters as u64),
            ("counters_limit", "So many counters have room", max_counters),
            ("places", "Places held, of all counters", sizes.places),
            ("waiting", "Attempts that wait for a place", sizes.waiting as u64),
            ("detached", "Exchanges whose client has gone", u64::from(self.detached.count())),
        ];
        for (name, help, value) in rows {
            gauge(&mut encoder, (name, help), value)?;
        }
        super::shared::encode(self.store.wire(), &mut encoder)?;
        super::kept::encode(&self.store, encoder)
    }
}
