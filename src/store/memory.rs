//! The only user of moka: what may be forgotten at any time, in tables of bounded size.
//!
//! moka's traps and how they are kept out of the way: its default admission policy refuses
//! newcomers when the table is full, so recency alone decides here; its clock cannot be driven, so
//! deadlines are part of the values; what must not be evicted is not kept in it at all.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Mutex;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::clock::Moment;
use crate::policy::key::Fingerprint;

/// Keys are keyed hashes already; hashing them once more would only cost.
#[derive(Debug, Default)]
pub struct HashedAlready(u64);

impl Hasher for HashedAlready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = (value >> 64) as u64 ^ value as u64;
    }
}

/// Builds [`HashedAlready`].
pub type BuildHashedAlready = BuildHasherDefault<HashedAlready>;

/// A poisoned lock means a bug of ours; the counters behind it are still the best there are.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Things that were seen lately and may be forgotten at any time.
#[derive(Debug)]
pub struct Recent<V: Clone + Send + Sync + 'static> {
    seen: Cache<Fingerprint, (Moment, V), BuildHashedAlready>,
}

impl<V: Clone + Send + Sync + 'static> Recent<V> {
    /// Remembers at most `capacity` things, the latest.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let seen = Cache::builder()
            .max_capacity(capacity)
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(BuildHashedAlready::default());
        Self { seen }
    }

    /// What is remembered of `what` at `now`.
    #[must_use]
    pub fn get(&self, what: Fingerprint, now: Moment) -> Option<V> {
        self.seen.get(&what).filter(|(until, _)| now < *until).map(|(_, value)| value)
    }

    /// Remembers `value` of `what` until then.
    pub fn remember(&self, what: Fingerprint, value: V, until: Moment) {
        self.seen.insert(what, (until, value));
    }

    /// Everything that is remembered at `now`, until when, in no order.
    #[must_use]
    pub fn all(&self, now: Moment) -> Vec<(Fingerprint, Moment, V)> {
        let all = self.seen.iter().map(|(what, (until, value))| (*what, until, value));
        all.filter(|(_, until, _)| now < *until).collect()
    }

    /// Forgets `what`.
    pub fn forget(&self, what: Fingerprint) {
        self.seen.invalidate(&what);
    }
}
