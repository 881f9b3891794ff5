//! Sockets to listen on, and the loops that accept from them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::inherited::Inherited;
use super::{Stage, StartError, connection};
use crate::config::{Listen, ListenAddr, Proxied};
use crate::guard::Worker;
use crate::link::Scheme;
use crate::policy::client::PeerAddr;
use crate::stream::Stream;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;
/// What may be missing where a port cannot be had.
const LOW_PORTS: &str = "ports below 1024 need the right to bind them: CAP_NET_BIND_SERVICE";

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
    /// The unix sockets that were made here, which are removed in the end.
    pub made: Vec<PathBuf>,
    /// What a successor may have.
    pub offered: Vec<Offered>,
    /// What each worker gets.
    shares: Vec<Vec<Listener>>,
}

/// A listening socket of one worker.
#[derive(Debug)]
pub struct Listener {
    socket: ListenerSocket,
    /// Which of the settings' listeners it is.
    number: usize,
    /// Whether another process accepts from it from now on.
    elsewhere: Arc<AtomicBool>,
}

/// A listening socket that a successor may have.
#[derive(Debug)]
pub struct Offered {
    /// Its address as the settings have it.
    pub address: ListenAddr,
    /// The socket.
    pub socket: ListenerSocket,
    /// Whether a successor has it.
    pub elsewhere: Arc<AtomicBool>,
}

/// A listening socket. Where the kernel does not spread connections over sockets of each worker's
/// own, workers share it.
#[derive(Debug)]
pub enum ListenerSocket {
    /// Over TCP.
    Tcp(std::net::TcpListener),
    /// At a path.
    Unix(std::os::unix::net::UnixListener),
}

/// Binds every address that is not among the `inherited`, once for each worker where that is
/// possible.
///
/// # Errors
///
/// When one of them cannot be listened on.
pub fn bind(
    listen: &[Listen],
    workers: usize,
    inherited: &mut Inherited,
) -> Result<Listeners, StartError> {
    let shares = std::iter::repeat_with(Vec::new).take(workers).collect();
    let (bound, made, offered) = (Vec::new(), Vec::new(), Vec::new());
    let mut listeners = Listeners { bound, made, offered, shares };
    for (number, listen) in listen.iter().enumerate() {
        let failed = |error| {
            let address = match &listen.address {
                ListenAddr::Tcp(address) => address.to_string(),
                ListenAddr::Unix(path) => format!("unix:{}", path.display()),
            };
            let right = match &listen.address {
                ListenAddr::Tcp(_) => LOW_PORTS,
                ListenAddr::Unix(_) => "its directory has to be one that the guard may write to",
            };
            StartError::new(format!("cannot listen on {address}"), error).if_denied(right)
        };
        let mut sockets = inherited.take(&listen.address);
        if sockets.is_empty() {
            sockets = match &listen.address {
                ListenAddr::Tcp(address) => bind_each(*address, workers).map_err(failed)?,
                ListenAddr::Unix(path) => {
                    let socket = bind_unix(path).map_err(failed)?;
                    listeners.made.push(path.clone());
                    vec![ListenerSocket::Unix(socket)]
                }
            };
        }
        listeners.made.extend(inherited.made_at(&listen.address));
        listeners.bound.push(self::bound(listen, &sockets).map_err(failed)?);
        listeners.share((&sockets, number), &listen.address).map_err(failed)?;
    }
    Ok(listeners)
}

/// Where these listen.
fn bound(listen: &Listen, sockets: &[ListenerSocket]) -> io::Result<Bound> {
    match (&listen.address, sockets.first()) {
        (ListenAddr::Tcp(_), Some(ListenerSocket::Tcp(socket))) => {
            let address = socket.local_addr()?;
            Ok(if listen.tls.is_some() { Bound::Tls(address) } else { Bound::Tcp(address) })
        }
        (ListenAddr::Tcp(address), _) => Ok(Bound::Tcp(*address)),
        (ListenAddr::Unix(path), _) => Ok(Bound::Unix(path.clone())),
    }
}

/// A socket for each worker; the kernel spreads connections over them.
fn bind_each(address: SocketAddr, workers: usize) -> io::Result<Vec<ListenerSocket>> {
    let mut sockets = Vec::with_capacity(workers);
    let bound = if address.port() == 0 {
        // the system's choice is kept, or somebody else may be given the same
        let first = bind_tcp(address, Port::Shared)?;
        let bound = first.local_addr()?;
        sockets.push(ListenerSocket::Tcp(first));
        bound
    } else {
        // another program's port is found out without SO_REUSEPORT, which would share it
        bind_tcp(address, Port::Own)?.local_addr()?
    };
    while sockets.len() < workers {
        sockets.push(ListenerSocket::Tcp(bind_tcp(bound, Port::Shared)?));
    }
    Ok(sockets)
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

/// Removes the unix sockets that a guard made which has ended.
pub fn remove_sockets(made: &[PathBuf]) {
    for path in made {
        // gone already is as good
        drop(std::fs::remove_file(path));
    }
}

impl Listeners {
    /// Gives `sockets` to the workers: each gets one, and each is somebody's.
    fn share(
        &mut self,
        (sockets, number): (&[ListenerSocket], usize),
        address: &ListenAddr,
    ) -> io::Result<()> {
        let mut offered = Vec::with_capacity(sockets.len());
        for socket in sockets {
            let (socket, elsewhere) = (socket.try_clone()?, Arc::default());
            offered.push(Offered { address: address.clone(), socket, elsewhere });
        }
        let many = self.shares.len().max(sockets.len());
        let workers = (0..self.shares.len()).cycle();
        for (worker, offered) in workers.zip(offered.iter().cycle()).take(many) {
            let (socket, elsewhere) = (offered.socket.try_clone()?, &offered.elsewhere);
            if let Some(share) = self.shares.get_mut(worker) {
                share.push(Listener { socket, number, elsewhere: Arc::clone(elsewhere) });
            }
        }
        self.offered.append(&mut offered);
        Ok(())
    }

    /// Binds an address for what it says, unless it is among the `inherited`.
    ///
    /// # Errors
    ///
    /// When it cannot be listened on.
    pub fn bind_for(
        &mut self,
        (address, what): (SocketAddr, &str),
        inherited: &mut Inherited,
    ) -> Result<(std::net::TcpListener, SocketAddr), StartError> {
        let failed = |error| {
            let what = format!("cannot listen on {address} for {what}");
            StartError::new(what, error).if_denied(LOW_PORTS)
        };
        let listener = match inherited.take(&ListenAddr::Tcp(address)).pop() {
            Some(ListenerSocket::Tcp(listener)) => listener,
            Some(ListenerSocket::Unix(_)) | None => bind_tcp(address, Port::Own).map_err(failed)?,
        };
        let bound = listener.local_addr().map_err(failed)?;
        let socket = ListenerSocket::Tcp(listener.try_clone().map_err(failed)?);
        let address = ListenAddr::Tcp(address);
        self.offered.push(Offered { address, socket, elsewhere: Arc::default() });
        Ok((listener, bound))
    }

    /// The listeners of one more worker.
    pub fn take(&mut self) -> Vec<Listener> {
        self.shares.pop().unwrap_or_default()
    }
}

impl ListenerSocket {
    /// The same socket once more, to be passed on.
    ///
    /// # Errors
    ///
    /// When the system has no more file descriptors.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        match self.try_clone()? {
            Self::Tcp(listener) => Ok(listener.into()),
            Self::Unix(listener) => Ok(listener.into()),
        }
    }

    /// The same socket once more.
    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }
}

/// Accepts connections and serves each in a task of its own, until the guard drains.
pub async fn accept(listener: Listener, worker: Rc<Worker>, mut stopping: watch::Receiver<Stage>) {
    let Listener { socket, number, elsewhere } = listener;
    let Ok(acceptor) = Acceptor::new(socket) else { return };
    loop {
        let accepted = tokio::select! {
            accepted = acceptor.accept() => accepted,
            stage = changed(&mut stopping, Stage::Run) => match stage {
                Stage::Pause => {
                    changed(&mut stopping, Stage::Pause).await;
                    continue;
                }
                Stage::Retire if !elsewhere.load(Ordering::Acquire) => break,
                Stage::Drain | Stage::Retire | Stage::Run => return,
            }
        };
        match accepted {
            Ok((stream, peer)) => begin(stream, peer, number, &worker).await,
            // out of file descriptors, most likely: others must end first
            Err(error) => {
                worker.links.shed(worker.alarms.now());
                tracing::warn!(event = "accept_failed", error = %error);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    // nobody else will answer those who have connected already
    let patience = Duration::from_millis(20);
    for _ in 0..BACKLOG {
        match tokio::time::timeout(patience, acceptor.accept()).await {
            Ok(Ok((stream, peer))) => begin(stream, peer, number, &worker).await,
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// Waits for another stage than `from`.
async fn changed(stopping: &mut watch::Receiver<Stage>, from: Stage) -> Stage {
    // without the guard that tells, it is over
    stopping.wait_for(|stage| *stage != from).await.map_or(Stage::Drain, |stage| *stage)
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
