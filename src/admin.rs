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
pub mod guest;
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
use self::guest::Guest;
use self::handover::Handover;
use self::socket::AdminSocket;
use self::statistics::Recorder;
use crate::server::crowd::Crowd;
use crate::server::impatient::Impatient;
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
/// So many are answered at a time who may ask; others wait until one of them has gone.
const MOST_CONNECTIONS: usize = 64;
/// So many may be connected over TCP who have shown no token.
const MOST_STRANGERS: usize = 64;
/// Whoever takes nothing of his answer for so long is cut off.
const SEND_TIME: Duration = Duration::from_mins(1);

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
    let strangers = Crowd::new(MOST_STRANGERS);
    let mut paused = admin.handover.paused.subscribe();
    loop {
        // whoever takes over answers them
        drop(paused.wait_for(|is_paused| !is_paused).await);
        let place = match &entrance {
            Entrance::Tcp(_) => None,
            Entrance::Unix(_) => Arc::clone(&places).acquire_owned().await.ok(),
        };
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
        let places = Arc::clone(&places);
        let guest = match place {
            Some(place) => Guest::known(places, place),
            None => Guest::stranger(&strangers, places),
        };
        tokio::task::spawn_local(async move {
            let guest = Rc::new(guest);
            match connected {
                Connected::Tcp(stream, peer) => {
                    answer_all(stream, (door, Caller::Tcp(peer), guest), admin).await;
                }
                Connected::Unix(stream) => {
                    let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                    answer_all(stream, (door, Caller::Unix(uid), guest), admin).await;
                }
            }
        });
    }
}

/// Answers the requests of a connection, until it ends, another guard takes over, or whoever asks has
/// to go.
async fn answer_all<S>(stream: S, by: (Rc<Door>, Caller, Rc<Guest>), admin: Rc<Admin>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut paused = admin.handover.paused.subscribe();
    let (door, caller, guest) = by;
    let asking = Rc::clone(&guest);
    let service = service_fn(move |request| {
        let (door, guest, admin) = (Rc::clone(&door), Rc::clone(&asking), Rc::clone(&admin));
        async move { Ok::<_, Infallible>(api::answer(request, (&door, caller, &guest), &admin).await) }
    });
    let stream = TokioIo::new(Impatient::new(stream, SEND_TIME));
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    builder.max_buf_size(READ_TIMES * LONGEST_HEAD).max_headers(READ_TIMES * MOST_FIELDS);
    let serving = builder.serve_connection(stream, service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        () = guest.must_go() => return,
        // whoever asked has gone; there is nothing to do about it
        ended = &mut serving => return drop(ended),
        changed = paused.wait_for(|is_paused| *is_paused) => drop(changed),
    }
    serving.as_mut().graceful_shutdown();
    tokio::select! {
        ended = serving => drop(ended),
        () = guest.must_go() => {}
    }
}
