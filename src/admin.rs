//! The operators' interface: HTTP over a unix socket that only its owner and root may use.
//!
//! It is served on the main thread, which answers no clients. What can be asked is one `match` in
//! [`api`]; [`ask`] is the other end, which the commands use.

pub mod api;
pub mod ask;
pub mod body;
pub mod follow;
pub mod handover;
pub mod hear;
pub mod page;
pub mod passing;
pub mod socket;
pub mod status;

use std::convert::Infallible;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixListener;

use self::body::AdminBody;
use self::handover::Handover;
use self::socket::AdminSocket;
use crate::server::reload::Reloader;
use crate::server::{Server, listen::Bound};

/// What the operators' interface can tell and do.
#[derive(Debug)]
pub struct Admin {
    /// What is in force, and how it is replaced.
    pub reloader: Rc<Reloader>,
    /// Where the guard listens.
    pub listening: Vec<Bound>,
    /// Since when it runs, since 1970.
    pub started: Duration,
    /// How all is handed over to a successor.
    pub handover: Handover,
    /// Where operators ask.
    pub socket: Weak<AdminSocket>,
}

impl Admin {
    /// The interface of `server`, whose configuration `reloader` replaces.
    #[must_use]
    pub fn new(
        server: &Server,
        reloader: Rc<Reloader>,
        started: Duration,
        socket: &Rc<AdminSocket>,
    ) -> Self {
        let (listening, handover) = (server.bound().to_vec(), Handover::of(server));
        Self { reloader, listening, started, handover, socket: Rc::downgrade(socket) }
    }

    /// The file that the configuration is in.
    #[must_use]
    pub fn config(&self) -> Option<PathBuf> {
        self.reloader.file().map(std::path::Path::to_path_buf)
    }
}

/// Answers whoever connects to `listener`, until it is dropped.
pub async fn serve(listener: UnixListener, admin: Rc<Admin>) {
    let mut paused = admin.handover.paused.subscribe();
    loop {
        // whoever takes over answers them
        drop(paused.wait_for(|is_paused| !is_paused).await);
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            changed = paused.wait_for(|is_paused| *is_paused) => {
                drop(changed);
                continue;
            }
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let admin = Rc::clone(&admin);
        let service = service_fn(move |mut request| {
            let admin = Rc::clone(&admin);
            async move { Ok::<_, Infallible>(answer(&mut request, &admin).await) }
        });
        let mut builder = Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
        let serving = builder.keep_alive(false).serve_connection(TokioIo::new(stream), service);
        let serving = serving.with_upgrades();
        tokio::task::spawn_local(async move {
            // whoever asked has gone; there is nothing to do about it
            drop(serving.await);
        });
    }
}

async fn answer(request: &mut Request<Incoming>, admin: &Rc<Admin>) -> Response<AdminBody> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, follow::EVENTS) => {
            let query = request.uri().query().unwrap_or_default();
            follow::answer(query, request.headers(), admin.reloader.hub().outlets())
        }
        _ => api::answer(request, admin).await.map(AdminBody::Whole),
    }
}
