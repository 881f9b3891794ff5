//! A running guard's life: it does what it is told until it is told to end.

use std::future::pending;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::manager;
use super::signals::{Asked, Signals};
use super::upgrade::Taking;
use crate::admin::door::{Door, Hosts};
use crate::admin::socket::AdminSocket;
use crate::admin::{self, Admin, Entrance};
use crate::clock::Clock;
use crate::server::reload::Reloader;
use crate::server::{Server, Stage};

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
    /// At which unix socket operators ask.
    pub admin: Option<AdminSocket>,
    /// What they have to know over TCP.
    pub token: Option<Box<[u8]>>,
    /// What comes of taking over from a predecessor.
    pub taking: Option<Taking>,
}

/// Lives until it has ended.
///
/// # Errors
///
/// When operators cannot be listened to; then it ends at once.
pub async fn live(life: Life, mut signals: Signals) -> io::Result<()> {
    let Life { mut server, reloader, watch, admin, token, mut taking } = life;
    let admin = admin.map(Rc::new);
    let reloader = Rc::new(reloader);
    if watch == Watch::Files {
        let following = Rc::clone(&reloader);
        tokio::task::spawn_local(async move { following.follow_files().await });
    }
    let asked = listen_to_operators(&mut server, &reloader, (admin.as_ref(), token))?;
    tokio::task::spawn_local(manager::keep_telling(Arc::clone(server.pulses())));
    manager::is_ready("serving");
    let reason = loop {
        let next = tokio::select! {
            next = signals.next() => next,
            taken = outcome(&mut taking) => match taken {
                Ok(()) => {
                    if let Some(admin) = &admin {
                        admin.own();
                    }
                    manager::is_main();
                    continue;
                }
                Err(error) => {
                    step_back(server, admin.as_deref());
                    return Err(error);
                }
            },
            () = handed_over(asked.as_deref()) => {
                server.retire();
                leave(admin.as_deref());
                break "handed over";
            }
        };
        match next {
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
    if taking.is_some() {
        // the predecessor goes on, with everything that is its own
        step_back(server, admin.as_deref());
        return Ok(());
    }
    match end(&server, reason, &mut signals).await {
        End::Drained => server.stop(),
        End::Hurried => server.abandon(),
    }
    drop(admin);
    tracing::info!(event = "stopped");
    Ok(())
}

/// Listens to operators wherever they may ask; `None` where they may not.
///
/// # Errors
///
/// When a socket cannot be listened on.
pub fn listen_to_operators(
    server: &mut Server,
    reloader: &Rc<Reloader>,
    (socket, token): (Option<&Rc<AdminSocket>>, Option<Box<[u8]>>),
) -> io::Result<Option<Rc<Admin>>> {
    let tcp = server.take_admin();
    if socket.is_none() && tcp.is_none() {
        return Ok(None);
    }
    let started = Clock::system().wall_now();
    let admin = Rc::new(Admin::new(server, Rc::clone(reloader), started, socket));
    if let Some(socket) = socket {
        let entrance = Entrance::Unix(socket.listener()?);
        tokio::task::spawn_local(admin::serve(entrance, Door::of_socket(), Rc::clone(&admin)));
        let address = format!("unix:{}", socket.path().display());
        tracing::info!(event = "admin_listening", address);
    }
    if let Some((listener, bound)) = tcp {
        let entrance = Entrance::Tcp(tokio::net::TcpListener::from_std(listener)?);
        // whoever knows no token is not let in where there should be one
        let token = Some(token.unwrap_or_default());
        let door = Door { hosts: Hosts::At(bound), token };
        tokio::task::spawn_local(admin::serve(entrance, door, Rc::clone(&admin)));
        tracing::info!(event = "admin_listening", address = %format!("http://{bound}"));
    }
    let remembering = Rc::clone(&admin);
    tokio::task::spawn_local(async move {
        remembering.recorder.keep_looking(remembering.reloader.shared()).await;
    });
    Ok(Some(admin))
}

/// Waits until a predecessor has handed everything over, or goes on after all.
async fn outcome(taking: &mut Option<Taking>) -> io::Result<()> {
    let Some(under_way) = taking else { return pending().await };
    let outcome = under_way.await.unwrap_or_else(|gone| Err(io::Error::other(gone)));
    *taking = None;
    outcome
}

/// Waits until a successor has everything.
async fn handed_over(admin: Option<&Admin>) {
    match admin {
        Some(admin) => admin.handover.done.notified().await,
        None => pending().await,
    }
}

/// Another guard goes on with what this one has.
fn step_back(server: Server, admin: Option<&AdminSocket>) {
    leave(admin);
    server.step_back();
}

fn leave(admin: Option<&AdminSocket>) {
    if let Some(admin) = admin {
        admin.leave();
    }
}

/// Says that it is not ready, goes on for a while, and finishes what is here.
async fn end(server: &Server, reason: &str, signals: &mut Signals) -> End {
    let shutdown = server.shared().plans.latest().settings.shutdown;
    server.shared().leave();
    if server.stage() == Stage::Retire {
        // it is the successor by which the service manager goes
        tracing::info!(event = "stopping", reason);
        return tokio::select! {
            () = server.drained() => End::Drained,
            _ = signals.end() => End::Hurried,
        };
    }
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
