//! How many events were not told, by outlet, since the process began.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is told of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlet {
    /// The audit log.
    Audit,
    /// Standard error; what did not even fit into the buffer before it is missing everywhere.
    Log,
    /// Whoever follows at the operators' interface.
    Stream,
    /// Webhooks.
    Webhook,
}

/// All of them.
pub const OUTLETS: [Outlet; 4] = [Outlet::Audit, Outlet::Log, Outlet::Stream, Outlet::Webhook];

static DROPPED: [AtomicU64; OUTLETS.len()] = [const { AtomicU64::new(0) }; OUTLETS.len()];

impl Outlet {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Log => "log",
            Self::Stream => "stream",
            Self::Webhook => "webhook",
        }
    }
}

/// So many events more were not told.
pub fn count(outlet: Outlet, events: u64) {
    if let Some(dropped) = DROPPED.get(outlet as usize) {
        dropped.fetch_add(events, Ordering::Relaxed);
    }
}

/// How many were not told so far.
#[must_use]
pub fn so_far(outlet: Outlet) -> u64 {
    DROPPED.get(outlet as usize).map_or(0, |dropped| dropped.load(Ordering::Relaxed))
}
