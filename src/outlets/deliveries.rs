//! What came of posting events, counted since the process began.

use std::sync::atomic::{AtomicU64, Ordering};

/// What came of posting an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It will not be tried any more.
    Abandoned,
    /// It was taken.
    Delivered,
    /// It was not taken, and may be tried again.
    Failed,
}

/// All of them.
pub const DELIVERIES: [Delivery; 3] = [Delivery::Abandoned, Delivery::Delivered, Delivery::Failed];

static COUNTS: [AtomicU64; DELIVERIES.len()] = [const { AtomicU64::new(0) }; DELIVERIES.len()];

impl Delivery {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// One more.
pub fn count(delivery: Delivery) {
    if let Some(count) = COUNTS.get(delivery as usize) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many there were.
#[must_use]
pub fn so_far(delivery: Delivery) -> u64 {
    COUNTS.get(delivery as usize).map_or(0, |count| count.load(Ordering::Relaxed))
}
