//! A running guard's life: it does what it is told until it is told to end.

use std::rc::Rc;

use super::signals::{Asked, Signals};
use crate::server::Server;
use crate::server::reload::Reloader;

/// Whether a guard reloads by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// When its files change.
    Files,
    /// Only when it is told to.
    Nothing,
}

/// How a guard came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// What was under way is finished, or its time was over.
    Drained,
    /// Told twice, it did not wait.
    Hurried,
}

/// Lives until it has ended.
pub async fn live(server: Server, reloader: Reloader, watch: Watch, mut signals: Signals) {
    let reloader = Rc::new(reloader);
    if watch == Watch::Files {
        let following = Rc::clone(&reloader);
        tokio::task::spawn_local(async move { following.follow_files().await });
    }
    let reason = loop {
        match signals.next().await {
            Asked::End(signal) => break signal,
            Asked::Reload => {
                let reloader = Rc::clone(&reloader);
                // a signal to end does not wait for it; what came of it is reported
                tokio::task::spawn_local(async move { drop(reloader.reload("SIGHUP").await) });
            }
        }
    };
    match end(&server, reason, &mut signals).await {
        End::Drained => server.stop(),
        End::Hurried => server.abandon(),
    }
    tracing::info!(event = "stopped");
}

/// Says that it is not ready, goes on for a while, and finishes what is here.
async fn end(server: &Server, reason: &str, signals: &mut Signals) -> End {
    let shutdown = server.shared().plans.latest().settings.shutdown;
    server.shared().leave();
    if !shutdown.delay.is_zero() {
        tracing::info!(event = "leaving", reason);
        tokio::select! {
            () = tokio::time::sleep(shutdown.delay) => {}
            _ = signals.end() => return End::Hurried,
        }
    }
    tracing::info!(event = "stopping", reason);
    server.drain();
    tokio::select! {
        () = server.drained() => End::Drained,
        _ = signals.end() => End::Hurried,
    }
}
