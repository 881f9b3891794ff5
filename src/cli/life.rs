//! A running guard's life: it does what it is told until it is told to end.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::manager;
use super::signals::{Asked, Signals};
use crate::admin::socket::AdminSocket;
use crate::admin::{self, Admin};
use crate::clock::Clock;
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

/// A guard that has been started.
#[derive(Debug)]
pub struct Life {
    /// What serves.
    pub server: Server,
    /// What replaces its configuration.
    pub reloader: Reloader,
    /// Whether it does so by itself.
    pub watch: Watch,
    /// Where operators ask.
    pub admin: Option<AdminSocket>,
}

/// Lives until it has ended.
///
/// # Errors
///
/// When operators cannot be listened to; then it ends at once.
pub async fn live(life: Life, mut signals: Signals) -> io::Result<()> {
    let Life { server, reloader, watch, admin } = life;
    let reloader = Rc::new(reloader);
    if watch == Watch::Files {
        let following = Rc::clone(&reloader);
        tokio::task::spawn_local(async move { following.follow_files().await });
    }
    if let Some(socket) = &admin {
        let started = Clock::system().wall_now();
        let admin = Rc::new(Admin::new(&server, Rc::clone(&reloader), started));
        tokio::task::spawn_local(admin::serve(socket.listener()?, admin));
        let address = format!("unix:{}", socket.path().display());
        tracing::info!(event = "admin_listening", address);
    }
    tokio::task::spawn_local(manager::keep_telling(Arc::clone(server.pulses())));
    manager::is_ready("serving");
    let reason = loop {
        match signals.next().await {
            Asked::End(signal) => break signal,
            Asked::Reload => {
                let reloader = Rc::clone(&reloader);
                // a signal to end does not wait for it
                tokio::task::spawn_local(async move {
                    manager::reloads();
                    manager::has_reloaded(&reloader.reload("SIGHUP").await);
                });
            }
        }
    };
    match end(&server, reason, &mut signals).await {
        End::Drained => server.stop(),
        End::Hurried => server.abandon(),
    }
    drop(admin);
    tracing::info!(event = "stopped");
    Ok(())
}

/// Says that it is not ready, goes on for a while, and finishes what is here.
async fn end(server: &Server, reason: &str, signals: &mut Signals) -> End {
    let shutdown = server.shared().plans.latest().settings.shutdown;
    server.shared().leave();
    manager::ends_within(shutdown.delay.saturating_add(shutdown.deadline));
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
