//! Places in shared counters are held under leases: whoever ends without a word gives nothing away,
//! and blocks nobody for long.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
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
        Lease { number, field, claim, sure_until, asked: AtomicU64::new(now.0) }
    }

    fn sure_until(&self, asked: Moment) -> u64 {
        asked.after(Duration::from_millis(self.ttl()).saturating_sub(MARGIN)).0
    }

    /// The server has it.
    pub fn open(&self, lease: &Arc<Lease>) {
        lock(&self.open).insert(lease.number, Arc::clone(lease));
    }

    /// It ends.
    pub fn close(&self, lease: &Lease) {
        lock(&self.open).remove(&lease.number);
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
        let is_due =
            |lease: &&Arc<Lease>| Moment(lease.asked.load(Ordering::Relaxed)).after(third) <= now;
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

/// Whether a server knows a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Each of its counters does.
    Everywhere,
    /// A counter does not: its places may be failures by now.
    Lost,
}

impl Lease {
    /// Whether the server has it at `now`, unless it has lost something.
    #[must_use]
    pub fn is_sure(&self, now: Moment) -> bool {
        now.0 < self.sure_until.load(Ordering::Relaxed)
    }
}
