//! What the service manager is told of a guard's life (`sd_notify(3)`); nothing where there is none.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::server::pulse::{Pulses, Vigil};
use crate::server::reload::{ReloadError, Reloaded};

/// What may be wasted between the end of what is waited for and that of the process.
const SLACK: Duration = Duration::from_secs(5);

/// It serves; in words, `status`.
pub fn is_ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// This process is the guard from now on.
pub fn is_main() {
    tell(&[NotifyState::MainPid(std::process::id())]);
}

/// It begins to reload, because the service manager said so: it waits for that and for what
/// follows.
pub fn reloads() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => complain(&error),
    }
}

/// It has reloaded or could not, and serves in any case.
pub fn has_reloaded(result: &Result<Reloaded, ReloadError>) {
    is_ready(match result {
        Ok(reloaded) if reloaded.need_restart.is_empty() => "serving, reloaded",
        Ok(_) => "serving, reloaded; some changes need a restart, see the log",
        Err(_) => "serving as before: the configuration cannot be used, see the log",
    });
}

/// It is about to end, which takes at most so long.
pub fn ends_within(longest: Duration) {
    let longest = longest.saturating_add(SLACK).as_micros();
    let extended = NotifyState::ExtendTimeoutUsec(u32::try_from(longest).unwrap_or(u32::MAX));
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing what is under way"), extended]);
}

/// Tells the service manager, twice in the time after which that would end the guard, that it goes
/// on, if it does: if each of its workers does. Ends at once where nobody wants to know.
pub async fn keep_telling(pulses: Arc<Pulses>) {
    let Some(longest) = sd_notify::watchdog_enabled().filter(|longest| !longest.is_zero()) else {
        return;
    };
    let mut vigil = Vigil::over(&pulses);
    let mut every = tokio::time::interval(longest / 2);
    every.tick().await; // the first one comes at once
    loop {
        every.tick().await;
        if vigil.finds_all_going(&pulses) {
            tell(&[NotifyState::Watchdog]);
        } else {
            let message = "a worker does not go on; the service manager is told nothing";
            tracing::error!(event = "worker_hangs", message);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        complain(&error);
    }
}

fn complain(error: &io::Error) {
    tracing::warn!(event = "service_manager_unreachable", reason = %error);
}
