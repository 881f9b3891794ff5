//! Sockets to listen on, and the loops that accept from them.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::{Stage, StartError, connection};
use crate::config::{Listen, ListenAddr, Proxied};
use crate::guard::Worker;
use crate::link::Scheme;
use crate::policy::client::PeerAddr;
use crate::stream::Stream;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Where a guard listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// At this address.
    Tcp(SocketAddr),
    /// At this address, with TLS.
    Tls(SocketAddr),
    /// At this unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Bound {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(out, "http://{address}"),
            Self::Tls(address) => write!(out, "https://{address}"),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// All listening sockets, before they are given to workers.
#[derive(Debug)]
pub struct Listeners {
    /// Where they listen.
    pub bound: Vec<Bound>,
    tcp: Vec<(Vec<std::net::TcpListener>, usize)>,
    unix: Vec<(std::os::unix::net::UnixListener, usize)>,
}

/// A listening socket of one worker.
#[derive(Debug)]
pub struct Listener {
    socket: ListenerSocket,
    /// Which of the settings' listeners it is.
    number: usize,
}

#[derive(Debug)]
enum ListenerSocket {
    /// Its own; the kernel spreads connections over those of all workers.
    Tcp(std::net::TcpListener),
    /// One that all workers share.
    Unix(std::os::unix::net::UnixListener),
}

/// Binds every address, once for each worker where that is possible.
///
/// # Errors
///
/// When one of them cannot be listened on.
pub fn bind(listen: &[Listen], workers: usize) -> Result<Listeners, StartError> {
    let mut listeners = Listeners { bound: Vec::new(), tcp: Vec::new(), unix: Vec::new() };
    for (number, Listen { address, tls, .. }) in listen.iter().enumerate() {
        match address {
            ListenAddr::Tcp(address) => {
                let failed = |error| StartError::new(format!("cannot listen on {address}"), error);
                let mut sockets = Vec::with_capacity(workers);
                let bound = if address.port() == 0 {
                    // the system's choice is kept, or somebody else may be given the same
                    sockets.push(bind_tcp(*address, Port::Shared).map_err(failed)?);
                    sockets.first().map_or(Ok(*address), std::net::TcpListener::local_addr)
                } else {
                    // another program's port is found out without SO_REUSEPORT, which would share it
                    bind_tcp(*address, Port::Own).and_then(|first| first.local_addr())
                };
                let bound = bound.map_err(failed)?;
                while sockets.len() < workers {
                    sockets.push(bind_tcp(bound, Port::Shared).map_err(failed)?);
                }
                listeners.bound.push(match tls {
                    Some(_) => Bound::Tls(bound),
                    None => Bound::Tcp(bound),
                });
                listeners.tcp.push((sockets, number));
            }
            ListenAddr::Unix(path) => {
                let listener = bind_unix(path).map_err(|error| {
                    StartError::new(format!("cannot listen on unix:{}", path.display()), error)
                })?;
                listeners.bound.push(Bound::Unix(path.clone()));
                listeners.unix.push((listener, number));
            }
        }
    }
    Ok(listeners)
}

/// Binds the address of the metrics.
///
/// # Errors
///
/// When it cannot be listened on.
pub fn bind_metrics(
    address: SocketAddr,
) -> Result<(std::net::TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::new(format!("cannot listen on {address} for metrics"), error);
    let listener = bind_tcp(address, Port::Own).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Whether other sockets may listen on the same port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Own,
    Shared,
}

fn bind_tcp(address: SocketAddr, port: Port) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 clients too, as the contract's `[::]:8080` suggests
        socket.set_only_v6(false)?;
    }
    if port == Port::Shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    remove_stale(path)?;
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A socket that an earlier guard left behind is removed; one that somebody listens on is not.
///
/// # Errors
///
/// When somebody listens on it, or it cannot be removed.
pub fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(_) => std::fs::remove_file(path),
    }
}

/// Removes the unix sockets of a guard that has ended.
pub fn remove_sockets(bound: &[Bound]) {
    for bound in bound {
        if let Bound::Unix(path) = bound {
            // gone already is as good
            drop(std::fs::remove_file(path));
        }
    }
}

impl Listeners {
    /// The listeners of one more worker.
    ///
    /// # Errors
    ///
    /// When the system has no more file descriptors.
    pub fn take(&mut self) -> Result<Vec<Listener>, StartError> {
        let tcp = self.tcp.iter_mut().filter_map(|(sockets, number)| {
            let socket = ListenerSocket::Tcp(sockets.pop()?);
            Some(Listener { socket, number: *number })
        });
        let mut own: Vec<Listener> = tcp.collect();
        for (shared, number) in &self.unix {
            let clone = shared.try_clone();
            let clone = clone.map_err(|error| StartError::new("cannot share a socket", error))?;
            own.push(Listener { socket: ListenerSocket::Unix(clone), number: *number });
        }
        Ok(own)
    }
}

/// Accepts connections and serves each in a task of its own, until the guard drains.
pub async fn accept(listener: Listener, worker: Rc<Worker>, mut stopping: watch::Receiver<Stage>) {
    let Listener { socket, number } = listener;
    let Ok(acceptor) = Acceptor::new(socket) else { return };
    loop {
        let accepted = tokio::select! {
            accepted = acceptor.accept() => accepted,
            changed = stopping.wait_for(|stage| *stage == Stage::Drain) => {
                drop(changed);
                return;
            }
        };
        match accepted {
            Ok((stream, peer)) => begin(stream, peer, number, &worker).await,
            // out of file descriptors, most likely: others must end first
            Err(error) => {
                worker.links.shed(worker.alarms.now());
                tracing::warn!(message = "a connection could not be accepted", error = %error);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn begin(stream: Stream, peer: PeerAddr, number: usize, worker: &Rc<Worker>) {
    if !worker.has_room() {
        return;
    }
    if worker.links.are_leaving() {
        tokio::task::yield_now().await; // so that they are gone, before more come
    }
    let (plan, worker) = (worker.serving(), Rc::clone(worker));
    let Some(listen) = plan.settings.listen.get(number) else { return };
    let config = listen.tls.as_ref().map(|tls| Arc::clone(tls.config()));
    let scheme = if config.is_some() { Scheme::Https } else { Scheme::Http };
    // it counts among the connections from now on
    let link = worker.welcome(peer, (scheme, number));
    match (listen.proxied, config) {
        (Proxied::Yes, config) => {
            tokio::task::spawn_local(connection::serve_proxied(stream, link, config, worker));
        }
        (Proxied::No, None) => {
            tokio::task::spawn_local(connection::serve(stream, link, worker));
        }
        (Proxied::No, Some(config)) => {
            tokio::task::spawn_local(connection::serve_tls(stream, link, config, worker));
        }
    }
}

enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn new(socket: ListenerSocket) -> io::Result<Self> {
        match socket {
            ListenerSocket::Tcp(listener) => TcpListener::from_std(listener).map(Self::Tcp),
            ListenerSocket::Unix(listener) => UnixListener::from_std(listener).map(Self::Unix),
        }
    }

    async fn accept(&self) -> io::Result<(Stream, PeerAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                // a client that vanished without a word is found out
                let probe = TcpKeepalive::new().with_time(Duration::from_mins(1));
                SockRef::from(&stream).set_tcp_keepalive(&probe)?;
                Ok((Stream::Tcp(stream), PeerAddr::ip(peer.ip())))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), PeerAddr::Unix))
            }
        }
    }
}
