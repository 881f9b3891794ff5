//! What a worker has at hand for every request, and what all workers share.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderValue, Response};

use super::local::LocalPlan;
use super::refusals::Refusals;
use super::repeat::Repeats;
use super::rollout::{Plans, Rollout};
use super::seen::Seen;
use super::trace::Trace;
use crate::alarm::Alarms;
use crate::clock::{Clock, Moment};
use crate::link::{Crowd, Link, LinkLimits, Links, Scheme, Standing};
use crate::metrics::Metrics;
use crate::metrics::cells::{SiteCells, WorkerCells};
use crate::policy::client::PeerAddr;
use crate::policy::key::Keyer;
use crate::rejection::{AnswerFormat, Rejection, Wanted};
use crate::store::Store;
use crate::store::detached::Detached;
use crate::store::gate::Gate;
use crate::tls::expiry;
use crate::upstream::health::look_after;
use crate::upstream::pool::Upstreams;

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// What is served and how.
    pub plans: Plans,
    /// The counters.
    pub store: Arc<Store>,
    /// Exchanges without a client.
    pub detached: Arc<Detached>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Where attempts pass on their way to the counters.
    pub gate: Arc<Gate>,
    /// What was refused lately.
    pub refusals: Refusals,
    /// Sessions and Basic credentials seen lately.
    pub seen: Seen,
    /// Connections, and streams beyond the first of each.
    pub places: Arc<AtomicIsize>,
    /// When certificates are looked at again.
    pub certificates_due: AtomicU64,
    /// When it is said again that they expire.
    pub expiry_due: AtomicU64,
    /// The guard is about to end.
    pub leaving: AtomicBool,
}

/// How often it is said that certificates expire.
const EXPIRY_EVERY: Duration = Duration::from_hours(24);
/// How often it is looked whether certificates have changed.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(2);

impl Shared {
    /// The guard is about to end and says that it is not ready any more.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether it is about to end.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Reports and counts the counters that had to make room since it was last done.
    pub fn report_evictions(&self) {
        super::report::evictions(self);
    }

    /// All metrics, as they are now.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.report_evictions();
        let (plan, now) = (self.plans.latest(), Clock::system().now());
        let states = plan.sites().iter().flat_map(|site| {
            let states = site.upstream.states.iter();
            states.map(|state| (&*site.site.name, state.server.to_string(), state.standing(now)))
        });
        self.metrics.servers(states);
        self.metrics.text()
    }

    /// Loads certificates again whose files have changed, now and then.
    fn look_at_certificates(&self, now: Moment) {
        let due = self.certificates_due.load(Ordering::Relaxed);
        if now.0 < due {
            return;
        }
        let (next, order) = (now.after(CERTIFICATES_EVERY).0, Ordering::Relaxed);
        if self.certificates_due.compare_exchange(due, next, order, order).is_err() {
            return; // another worker is at it
        }
        let plan = self.plans.latest();
        for tls in plan.settings.listen.iter().filter_map(|listen| listen.tls.as_ref()) {
            match tls.reload_changed() {
                Ok(false) => {}
                Ok(true) => {
                    tracing::info!(event = "certificates_loaded");
                    self.note_certificates();
                }
                Err(error) => {
                    let message = "they stay as they were";
                    tracing::error!(event = "certificates_failed", error = %error, message);
                }
            }
        }
        let due = self.expiry_due.load(order);
        if now.0 >= due {
            self.expiry_due.store(now.after(EXPIRY_EVERY).0, order);
            if due > 0 {
                self.warn_of_expiry(); // at first, whoever read the configuration has
            }
        }
    }

    /// Tells the metrics which certificates are shown now.
    pub fn note_certificates(&self) {
        self.metrics.certificates(&self.expiries());
    }

    fn expiries(&self) -> Vec<(PathBuf, Duration)> {
        let plan = self.plans.latest();
        let shown = plan.settings.listen.iter().filter_map(|listen| listen.tls.as_ref());
        shown.flat_map(|tls| tls.expiries()).collect()
    }

    fn warn_of_expiry(&self) {
        let now = Clock::system().wall_now();
        for (file, not_after) in self.expiries() {
            if let Some(reason) = expiry::doubt(not_after, now) {
                let file = file.display();
                tracing::warn!(event = "certificate_expires", certificate = %file, reason);
            }
        }
    }
}

/// One thread's share.
#[derive(Debug)]
pub struct Worker {
    /// What it has in common with the others.
    pub shared: Arc<Shared>,
    /// Its clients' connections.
    pub links: Links,
    /// Its deadlines.
    pub alarms: Rc<Alarms>,
    /// Its connections to applications.
    pub upstreams: Upstreams,
    /// How many login exchanges are under way.
    pub exchanges: Cell<usize>,
    /// Where it counts what it does.
    pub cells: Arc<WorkerCells>,
    /// Where it counts requests that belong to no site.
    pub nowhere: Arc<SiteCells>,
    /// Its number in the metrics.
    number: usize,
    /// Who wants to know what becomes of a request; nobody, where clients are served.
    pub trace: Option<Rc<Trace>>,
    /// What it said lately to whoever is locked out.
    pub(super) repeats: Repeats,
    serving: RefCell<Rc<LocalPlan>>,
    names: RefCell<Names>,
    ended: Cell<bool>,
}

/// Makes names that nobody can foretell: hashes of a count under a key of this worker's own.
#[derive(Debug)]
struct Names {
    keyer: Keyer,
    count: u64,
}

impl Worker {
    /// A worker with nothing to do yet, which serves by what is rolled out now; `keyer` is its own.
    #[must_use]
    pub fn new((shared, first): (Arc<Shared>, &Rollout), keyer: Keyer, now: Moment) -> Self {
        let alarms = Rc::new(Alarms::new(now));
        let timeouts = first.plan().settings.timeouts;
        let limits = LinkLimits::of(&first.plan().settings);
        let links = Links::new(limits, Arc::clone(&shared.places));
        let upstreams = Upstreams::new(timeouts, Rc::clone(&alarms));
        let (number, cells) = shared.metrics.worker();
        let counting = (&*shared.metrics, number);
        let serving = LocalPlan::new(Arc::clone(first.plan()), &upstreams, counting);
        first.take();
        Self {
            cells,
            nowhere: shared.metrics.site(number, ""),
            number,
            trace: None,
            shared,
            links,
            alarms,
            upstreams,
            exchanges: Cell::new(0),
            repeats: Repeats::default(),
            serving: RefCell::new(Rc::new(serving)),
            names: RefCell::new(Names { keyer, count: 0 }),
            ended: Cell::new(false),
        }
    }

    /// What it serves by.
    #[must_use]
    pub fn serving(&self) -> Rc<LocalPlan> {
        Rc::clone(&self.serving.borrow())
    }

    /// Serves by another plan: requests that begin from now on. Connections stay, those to
    /// applications as well as those of clients.
    pub fn adopt(&self, rollout: &Rollout) {
        self.report(); // what was seen under the rules that go
        let plan = rollout.plan();
        let timeouts = plan.settings.timeouts;
        self.links.set_limits(LinkLimits::of(&plan.settings));
        self.upstreams.set_timeouts(timeouts);
        let counting = (&*self.shared.metrics, self.number);
        let local = LocalPlan::new(Arc::clone(plan), &self.upstreams, counting);
        self.upstreams.keep(local.sites().iter().flat_map(|site| site.servers.pools()));
        self.serving.replace(Rc::new(local));
        rollout.take();
    }

    /// Whether there is room for one more connection; see [`Links::make_room`].
    #[must_use]
    pub fn has_room(&self) -> bool {
        let has_room = self.links.make_room(self.alarms.now());
        if !has_room {
            self.shared.metrics.connection_refused();
        }
        has_room
    }

    /// A connection from `peer` begins, at the listener of that number.
    #[must_use]
    pub fn welcome(&self, peer: PeerAddr, (scheme, listener): (Scheme, usize)) -> Rc<Link> {
        self.cells.connections.add(1);
        let is_proxy = self.serving.borrow().settings.clients.trusted.trusts(peer);
        let standing = if is_proxy { Standing::Proxy } else { Standing::Client };
        self.links.begin((peer, standing), (scheme, listener), &self.alarms)
    }

    /// Nothing runs on this thread any more: what is not yet reported is reported now.
    pub fn end(&self) {
        self.report();
        self.ended.set(true);
    }

    /// Whether nothing runs on this thread any more.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Looks after everything that time changes.
    pub fn sweep(&self, now: Moment) {
        self.alarms.sweep(now);
        self.upstreams.sweep();
        self.report();
        self.shared.look_at_certificates(now);
        let plan = self.serving();
        look_after(plan.checked(), now, plan.settings.timeouts.connect);
    }

    /// Reports what is gathered rather than reported at once.
    fn report(&self) {
        self.shared.report_evictions();
        let crowd = self.links.take_crowd();
        if crowd != Crowd::default() {
            self.shared.metrics.connections_shed(crowd.shed);
            super::report::crowd(&crowd);
        }
        let now = self.shared.store.clock().now();
        for site in self.serving().sites() {
            site.rules().iter().for_each(|rule| super::report::rule(site, rule, now));
        }
    }

    /// Each connection ends with its next answer, so that its client comes to another process.
    pub fn retire(&self) {
        self.links.retire();
        self.alarms.wake_all();
    }

    /// Takes no more requests than those that are here.
    pub fn drain(&self) {
        self.links.drain();
        self.alarms.wake_all();
        self.upstreams.close();
    }

    /// A number that nobody can foretell.
    #[must_use]
    pub fn random(&self) -> u128 {
        let mut names = self.names.borrow_mut();
        names.count += 1;
        names.keyer.number(names.count)
    }

    /// An identifier for a request.
    #[must_use]
    pub fn request_id(&self) -> HeaderValue {
        // eight hex digits at a time: spread the nibbles over the bytes, then add what makes them
        // digits or letters
        let spread = |part: u32| {
            let mut nibbles = u64::from(part);
            nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
            nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
            nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
            let letters = ((nibbles + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
            nibbles + 0x3030_3030_3030_3030 + letters * 0x27
        };
        let number = self.random();
        let mut text = BytesMut::with_capacity(32);
        for part in [96, 64, 32, 0] {
            text.put_u64(spread((number >> part) as u32));
        }
        HeaderValue::from_maybe_shared(text.freeze())
            .unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// A whole response for a request that did not even become one; the connection ends with it.
    #[must_use]
    pub fn raw_rejection(&self, link: &Link, rejection: &Rejection) -> Bytes {
        let wanted = Wanted { format: AnswerFormat::Html, origin: None };
        let plan = self.serving();
        let settings = &plan.settings.response;
        let response = self.report_rejection(link, rejection, &wanted, settings);
        raw(&response)
    }
}

/// A response as it goes over the wire, with the end of the connection announced.
fn raw(response: &Response<Bytes>) -> Bytes {
    let mut raw = BytesMut::with_capacity(512 + response.body().len());
    let reason = response.status().canonical_reason().unwrap_or_default();
    raw.extend_from_slice(b"HTTP/1.1 ");
    raw.extend_from_slice(response.status().as_str().as_bytes());
    raw.put_u8(b' ');
    raw.extend_from_slice(reason.as_bytes());
    for (name, value) in response.headers() {
        raw.extend_from_slice(b"\r\n");
        raw.extend_from_slice(name.as_str().as_bytes());
        raw.extend_from_slice(b": ");
        raw.extend_from_slice(value.as_bytes());
    }
    raw.extend_from_slice(b"\r\nconnection: close\r\ncontent-length: ");
    raw.extend_from_slice(response.body().len().to_string().as_bytes());
    raw.extend_from_slice(b"\r\n\r\n");
    raw.extend_from_slice(response.body());
    raw.freeze()
}
