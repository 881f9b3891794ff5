//! The operators' interface: HTTP over a unix socket that only its owner and root may use.
//!
//! It is served on the main thread, which answers no clients. What can be asked is one `match` in
//! [`api`]; [`ask`] is the other end, which the commands use.

pub mod api;
pub mod ask;
pub mod socket;
pub mod status;

use std::convert::Infallible;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixListener;

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
}

impl Admin {
    /// The interface of `server`, whose configuration `reloader` replaces.
    #[must_use]
    pub fn new(server: &Server, reloader: Rc<Reloader>, started: Duration) -> Self {
        Self { reloader, listening: server.bound().to_vec(), started }
    }

    /// The file that the configuration is in.
    #[must_use]
    pub fn config(&self) -> Option<PathBuf> {
        self.reloader.file().map(std::path::Path::to_path_buf)
    }
}

/// Answers whoever connects to `listener`, until it is dropped.
pub async fn serve(listener: UnixListener, admin: Rc<Admin>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let admin = Rc::clone(&admin);
        let service = service_fn(move |request| {
            let admin = Rc::clone(&admin);
            async move { Ok::<_, Infallible>(api::answer(&request, &admin).await) }
        });
        let mut builder = Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
        let serving = builder.keep_alive(false).serve_connection(TokioIo::new(stream), service);
        tokio::task::spawn_local(async move {
            // whoever asked has gone; there is nothing to do about it
            drop(serving.await);
        });
    }
}
