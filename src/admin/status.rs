//! How a guard is, as operators see it.

use serde_json::{Value, json};

use super::Admin;
use crate::clock::Clock;

/// How the guard of `admin` is.
#[must_use]
pub fn status(admin: &Admin) -> Value {
    let shared = admin.reloader.shared();
    let plan = shared.plans.latest();
    let sizes = shared.store.sizes();
    let reloads = shared.metrics.reloads();
    let uptime = Clock::system().wall_now().saturating_sub(admin.started);
    let listening: Vec<String> = admin.listening.iter().map(ToString::to_string).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "state": if shared.is_leaving() { "leaving" } else { "running" },
        "config": admin.config(),
        "started": admin.started.as_secs(),
        "uptime_s": uptime.as_secs(),
        "workers": plan.settings.workers,
        "sites": plan.sites().len(),
        "listening": listening,
        "counters": sizes.counters,
        "locked": sizes.locked,
        "places": sizes.places,
        "waiting": sizes.waiting,
        "reload": {
            "successful": reloads.is_last_successful,
            "latest_success": reloads.last_success.as_secs(),
            "failures": reloads.failures,
        },
    })
}
