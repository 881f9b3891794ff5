//! What all workers share, made from the settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64};

use super::Shared;
use super::plan::Plan;
use super::refusals::Refusals;
use super::rollout::Plans;
use super::seen::Seen;
use crate::clock::Clock;
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::policy::key::{Fingerprinter, Keyer};
use crate::store::Store;
use crate::store::detached::Detached;
use crate::store::gate::{Gate, Standing};

impl Shared {
    /// What serves by `settings`, with no counters yet; `clock` drives them. What hashes are made
    /// under must be random.
    #[must_use]
    pub fn new(
        settings: Settings,
        clock: Clock,
        (keyer, fingerprinter): (Keyer, Fingerprinter),
        standing: Standing,
    ) -> Arc<Self> {
        let store = Store::new(&settings.store, clock, keyer);
        let detached = Arc::new(Detached::default());
        let places = Arc::new(AtomicIsize::new(0));
        let holdings = (Arc::clone(&store), Arc::clone(&detached), Arc::clone(&places));
        let metrics = Arc::new(Metrics::new(holdings));
        let plans = Plans::new(Plan::new(settings, &store, &metrics, None));
        Arc::new(Self {
            plans,
            store,
            detached,
            metrics,
            gate: Gate::new(standing),
            refusals: Refusals::default(),
            seen: Seen::new(fingerprinter),
            places,
            certificates_due: AtomicU64::new(0),
            expiry_due: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
        })
    }
}
