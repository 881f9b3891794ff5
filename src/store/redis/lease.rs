//! Places in shared counters are held under leases: whoever ends without a word gives nothing away,
//! and blocks nobody for long.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::{Moment, millis};
use crate::policy::key::Claim;
use crate::store::memory::lock;

/// A lease outlives the longest exchange by so much.
pub const BEYOND: Duration = Duration::from_secs(5);
/// A lease is taken for lost so long before the server would say so.
const MARGIN: Duration = Duration::from_secs(1);

/// The places of one attempt.
#[derive(Debug)]
pub struct Lease {
    number: u64,
    /// What counters know it by.
    pub field: Box<str>,
    /// What the attempt is charged to.
    pub claim: Arc<Claim>,
    /// Until then the server has it, if it has lost nothing.
    sure_until: AtomicU64,
    /// When it was last asked for.
    asked: AtomicU64,
    /// Whether the server that is there now was asked for it.
    is_asked_for: AtomicBool,
    /// Whether none ever was: the guard gave the places out alone.
    is_alone: AtomicBool,
}

/// Those of this guard.
#[derive(Debug)]
pub struct Leases {
    base: u128,
    next: AtomicU64,
    /// For how long they run, in milliseconds.
    ttl: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<Lease>>>,
}

impl Leases {
    /// None yet; `base` is random, so that no two guards' are the same.
    #[must_use]
    pub fn new(base: u128, ttl: Duration) -> Self {
        let (next, ttl) = (AtomicU64::new(0), AtomicU64::new(millis(ttl)));
        Self { base, next, ttl, open: Mutex::default() }
    }

    /// For how long one runs that is asked for from now on.
    pub fn set_ttl(&self, ttl: Duration) {
        self.ttl.store(millis(ttl), Ordering::Relaxed);
    }

    /// For how long they run, in milliseconds.
    #[must_use]
    pub fn ttl(&self) -> u64 {
        self.ttl.load(Ordering::Relaxed)
    }

    /// One that is about to be asked for.
    #[must_use]
    pub fn begin(&self, claim: &Arc<Claim>, now: Moment) -> Lease {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = self.base.wrapping_add(u128::from(number));
        let (field, claim) = (format!("l:{id:032x}").into(), Arc::clone(claim));
        let sure_until = AtomicU64::new(self.sure_until(now));
        let (is_asked_for, is_alone) = (AtomicBool::new(true), AtomicBool::new(false));
        let asked = AtomicU64::new(now.0);
        Lease { number, field, claim, sure_until, asked, is_asked_for, is_alone }
    }

    /// One that no server is asked for now, as long as there is none.
    #[must_use]
    pub fn begin_alone(&self, claim: &Arc<Claim>, now: Moment) -> Arc<Lease> {
        let lease = Arc::new(self.begin(claim, now));
        lease.is_asked_for.store(false, Ordering::Relaxed);
        lease.is_alone.store(true, Ordering::Relaxed);
        self.open(&lease);
        lease
    }

    /// Those that the server which is there now was not asked for.
    #[must_use]
    pub fn unasked(&self) -> Vec<Arc<Lease>> {
        let open = lock(&self.open);
        open.values().filter(|lease| !lease.is_asked_for()).map(Arc::clone).collect()
    }

    /// Whatever server was asked for them, another one is there now.
    pub fn lose_all(&self) {
        let open = lock(&self.open);
        open.values().for_each(|lease| lease.is_asked_for.store(false, Ordering::Relaxed));
    }

    /// Nobody knows whether the server has it: it is asked again.
    pub fn lose(&self, lease: &Lease) {
        lease.is_asked_for.store(false, Ordering::Relaxed);
    }

    /// The server is asked for a lease at `now` that it was not asked for before; whether the lease
    /// has not ended meanwhile.
    #[must_use]
    pub fn ask_for(&self, lease: &Lease, now: Moment) -> bool {
        let open = lock(&self.open);
        let is_open = open.contains_key(&lease.number);
        if is_open {
            lease.sure_until.store(self.sure_until(now), Ordering::Relaxed);
            lease.asked.store(now.0, Ordering::Relaxed);
            lease.is_asked_for.store(true, Ordering::Relaxed);
            lease.is_alone.store(false, Ordering::Relaxed);
        }
        is_open
    }

    fn sure_until(&self, asked: Moment) -> u64 {
        asked.after(Duration::from_millis(self.ttl()).saturating_sub(MARGIN)).0
    }

    /// The server has it.
    pub fn open(&self, lease: &Arc<Lease>) {
        lock(&self.open).insert(lease.number, Arc::clone(lease));
    }

    /// It ends; no server is asked for it any more. Whether none ever was.
    pub fn close(&self, lease: &Lease) -> Alone {
        let mut open = lock(&self.open);
        open.remove(&lease.number);
        if lease.is_alone.load(Ordering::Relaxed) { Alone::Yes } else { Alone::No }
    }

    /// Those that are open.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.open).len()
    }

    /// Those that run for a third of their time by `now`.
    #[must_use]
    pub fn due(&self, now: Moment) -> Vec<Arc<Lease>> {
        let third = Duration::from_millis(self.ttl() / 3);
        let is_due = |lease: &&Arc<Lease>| {
            let asked = Moment(lease.asked.load(Ordering::Relaxed));
            lease.is_asked_for() && asked.after(third) <= now
        };
        lock(&self.open).values().filter(is_due).map(Arc::clone).collect()
    }

    /// The server knew a lease when it was asked at `asked`, or has lost it.
    pub fn renewed(&self, lease: &Lease, asked: Moment, known: Known) {
        let sure_until = match known {
            Known::Everywhere => self.sure_until(asked),
            Known::Lost => 0,
        };
        lease.sure_until.store(sure_until, Ordering::Relaxed);
        lease.asked.store(asked.0, Ordering::Relaxed);
    }
}

/// Whether places were given out by a guard alone, and no server was ever asked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// One was.
    No,
    /// None was.
    Yes,
}

/// Whether a server knows a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Each of its counters does.
    Everywhere,
    /// A counter does not: its places may be failures by now.
    Lost,
}

impl Lease {
    /// Whether the server that is there now was asked for it.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        self.is_asked_for.load(Ordering::Relaxed)
    }

    /// Whether the server has it at `now`, unless it has lost something.
    #[must_use]
    pub fn is_sure(&self, now: Moment) -> bool {
        now.0 < self.sure_until.load(Ordering::Relaxed)
    }
}
