//! Bounded waiting: for something to be so, never for some time to pass.

use std::time::{Duration, Instant};

/// How long anything may take; much longer than it ever does.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at that nothing tells of.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until `holds`; fails where that does not come to be.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "this did not come to be: {what}");
        std::thread::park_timeout(LOOK);
    }
}

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "tests measure how long the guard takes")]
pub fn now() -> Instant {
    Instant::now()
}
