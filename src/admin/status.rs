//! How a guard is, as operators see it.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::Admin;
use super::api::shown;
use super::rules::suspicions;
use crate::clock::{Clock, millis};
use crate::guard::Shared;
use crate::outlets::audit::Writing;
use crate::snapshot::load::Found;
use crate::store::Store;
use crate::store::gate::Standing;

/// How the guard of `admin` is.
#[must_use]
pub fn status(admin: &Admin) -> Value {
    let shared = admin.reloader.shared();
    let plan = shared.plans.latest();
    let sizes = shared.store.sizes();
    let reloads = shared.metrics.reloads();
    let uptime = Clock::system().wall_now().saturating_sub(admin.started);
    let listening: Vec<String> = admin.listening.iter().map(ToString::to_string).collect();
    let monitored = plan.settings.monitored();
    let monitored: Vec<_> =
        monitored.map(|(site, login)| json!({ "site": site, "login": login })).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "state": state(shared),
        "config": admin.config(),
        "started": admin.started.as_secs(),
        "uptime_s": uptime.as_secs(),
        "workers": plan.settings.workers,
        "sites": plan.sites().len(),
        "monitored": monitored,
        "listening": listening,
        "counters": sizes.counters,
        "locked": sizes.locked,
        "places": sizes.places,
        "waiting": sizes.waiting,
        "locks_by_hand": shared.store.hand_locks().len(),
        "detached": shared.detached.count(),
        "connections": shared.places.load(Ordering::Relaxed).max(0),
        "max_counters": plan.settings.store.max_counters,
        "max_lockouts": plan.settings.store.max_lockouts,
        "reload": {
            "successful": reloads.is_last_successful,
            "latest_success": reloads.last_success.as_secs(),
            "failures": reloads.failures,
            "problems": shown(admin.reloader.problems().iter()),
            "need_restart": admin.reloader.need_restart(),
        },
        "suspicions": suspicions(admin),
        "audit": admin.reloader.hub().outlets().audit().map(audit),
        "snapshot": snapshot(&shared.store),
        "store": shared_store(&shared.store),
    })
}

/// How it stands with the store that other guards share; null where there is none.
fn shared_store(store: &Store) -> Value {
    let Some(wire) = store.wire() else { return Value::Null };
    let (settings, away) = (wire.settings(), wire.breaker().away());
    json!({
        "place": settings.place.to_string(),
        "up": away.is_none(),
        "away_since": away.as_ref().map(|away| away.since.as_secs()),
        "reason": away.map(|away| away.why.to_string()),
        "on_outage": settings.on_outage.name(),
        "evicts": wire.evicts(),
    })
}

/// How it stands with the audit log.
fn audit(audit: &Writing) -> Value {
    let trouble = audit.trouble();
    let state = if trouble.is_none() { "writing" } else { "failing" };
    json!({ "state": state, "reason": trouble })
}

/// What the guard is about.
fn state(shared: &Shared) -> &'static str {
    match shared.gate.standing() {
        _ if shared.is_leaving() => "leaving",
        Standing::Awaiting => "taking_over",
        Standing::Closed => "handing_over",
        Standing::Open => "running",
    }
}

/// How it stands with the file that keeps the counters; null where there is none.
fn snapshot(store: &Store) -> Value {
    let Some(progress) = store.progress() else { return Value::Null };
    let numbers = progress.numbers(store.clock().now());
    let Found { recollection, written, put_aside } = numbers.found;
    json!({
        "file": progress.path(),
        "state": numbers.standing.name(),
        "latest_write": numbers.latest.as_secs(),
        "behind_ms": millis(numbers.behind),
        "bytes": numbers.bytes,
        "errors": numbers.errors,
        "loaded": {
            "written": written.as_secs(),
            "counters": recollection.counters,
            "locked": recollection.locked,
            "locks_by_hand": recollection.hand_locks,
            "unknown": recollection.unknown,
        },
        "put_aside": put_aside,
    })
}
