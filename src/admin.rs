//! The operators' interface: HTTP over a unix socket that only its owner and root may use, or over
//! loopback TCP for whoever knows the token.
//!
//! It is served on the main thread, which answers no clients. What can be asked is one `match` in
//! [`api`]; [`ask`] is the other end, which the commands use.

pub mod api;
pub mod ask;
pub mod body;
pub mod caller;
pub mod config;
pub mod counters;
pub mod door;
pub mod doubts;
pub mod export;
pub mod follow;
pub mod handover;
pub mod hear;
pub mod import;
pub mod locks;
pub mod meant;
pub mod moved;
pub mod page;
pub mod paging;
pub mod passing;
pub mod present;
pub mod query;
pub mod references;
pub mod refused;
pub mod reply;
pub mod reset;
pub mod rules;
pub mod sent;
pub mod socket;
pub mod statistics;
pub mod status;
pub mod token;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;

use self::caller::Caller;
use self::door::Door;
use self::handover::Handover;
use self::socket::AdminSocket;
use self::statistics::Recorder;
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
    /// What has happened in the last hours.
    pub recorder: Recorder,
}

impl Admin {
    /// The interface of `server`, whose configuration `reloader` replaces.
    #[must_use]
    pub fn new(
        server: &Server,
        reloader: Rc<Reloader>,
        started: Duration,
        socket: Option<&Rc<AdminSocket>>,
    ) -> Self {
        let (listening, handover) = (server.bound().to_vec(), Handover::of(server));
        let recorder = Recorder::begin(reloader.shared());
        let socket = socket.map_or_else(Weak::new, Rc::downgrade);
        Self { reloader, listening, started, handover, socket, recorder }
    }

    /// The file that the configuration is in.
    #[must_use]
    pub fn config(&self) -> Option<PathBuf> {
        self.reloader.file().map(std::path::Path::to_path_buf)
    }
}

/// No head of a request may have more bytes; what is longer yet, hyper answers with 431 and no words.
const LONGEST_HEAD: usize = 16 * 1024;
/// No request may have more header fields.
const MOST_FIELDS: usize = 64;
/// So many times that is read nevertheless, to say what is wrong.
const READ_TIMES: usize = 8;
/// How long the head of a request may take, and how long a connection may wait for the next.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// So many are answered at a time; others wait until one of them has gone.
const MOST_CONNECTIONS: usize = 64;

/// Where operators connect.
#[derive(Debug)]
pub enum Entrance {
    /// Over TCP.
    Tcp(TcpListener),
    /// At a unix socket.
    Unix(UnixListener),
}

/// Somebody who has connected.
enum Connected {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Entrance {
    async fn accept(&self) -> io::Result<Connected> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Connected::Tcp(stream, peer)
            }
            Self::Unix(listener) => Connected::Unix(listener.accept().await?.0),
        })
    }
}

/// Answers whoever connects to `entrance` and may come in by `door`, until it is dropped.
pub async fn serve(entrance: Entrance, door: Door, admin: Rc<Admin>) {
    let door = Rc::new(door);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut paused = admin.handover.paused.subscribe();
    loop {
        // whoever takes over answers them
        drop(paused.wait_for(|is_paused| !is_paused).await);
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = entrance.accept() => accepted,
            changed = paused.wait_for(|is_paused| *is_paused) => {
                drop(changed);
                continue;
            }
        };
        let Ok(connected) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (door, admin) = (Rc::clone(&door), Rc::clone(&admin));
        tokio::task::spawn_local(async move {
            match connected {
                Connected::Tcp(stream, peer) => {
                    answer_all(TokioIo::new(stream), (door, Caller::Tcp(peer)), admin).await;
                }
                Connected::Unix(stream) => {
                    let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                    answer_all(TokioIo::new(stream), (door, Caller::Unix(uid)), admin).await;
                }
            }
            drop(place);
        });
    }
}

/// Answers the requests of a connection, until it ends or another guard takes over.
async fn answer_all<S>(stream: TokioIo<S>, by: (Rc<Door>, Caller), admin: Rc<Admin>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut paused = admin.handover.paused.subscribe();
    let service = service_fn(move |request| {
        let (door, caller, admin) = (Rc::clone(&by.0), by.1, Rc::clone(&admin));
        async move { Ok::<_, Infallible>(api::answer(request, (&door, caller), &admin).await) }
    });
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    builder.max_buf_size(READ_TIMES * LONGEST_HEAD).max_headers(READ_TIMES * MOST_FIELDS);
    let serving = builder.serve_connection(stream, service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // whoever asked has gone; there is nothing to do about it
        ended = &mut serving => return drop(ended),
        changed = paused.wait_for(|is_paused| *is_paused) => drop(changed),
    }
    serving.as_mut().graceful_shutdown();
    drop(serving.await);
}
