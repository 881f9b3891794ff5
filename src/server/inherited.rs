//! Listening sockets that somebody else has bound, such as systemd: they come with the process.
//!
//! Whoever connects while no guard runs waits in them for the next one, so that a restart loses
//! nobody. They are matched to the configuration by their addresses.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;

use super::listen::ListenerSocket;
use crate::config::{ListenAddr, Settings};
use crate::policy::key::{Fingerprinter, Keyer};
use crate::snapshot::place::LockFile;

/// Sockets that are still to be given to those who listen on their addresses.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Given>,
    /// The unix sockets among them that this guard has to remove in the end.
    made: Vec<PathBuf>,
    /// What the counters, and the secrets that were seen, are hashed under that are still to come
    /// from another process.
    pub secrets: Option<(Keyer, Fingerprinter)>,
    /// The lock of the file in which another process keeps its counters, if it does.
    pub lock: Option<LockFile>,
}

/// A socket, and what is known of it.
#[derive(Debug)]
struct Given {
    name: Option<String>,
    address: ListenAddr,
    socket: ListenerSocket,
}

impl Inherited {
    /// Those that the environment tells this process of (`LISTEN_FDS`, `LISTEN_PID`,
    /// `LISTEN_FDNAMES`), which then does not tell of them any more. To be called before there is
    /// another thread, and while nothing is open.
    ///
    /// # Errors
    ///
    /// When one of them is no stream socket that listens at an address; the text says which.
    pub fn from_environment() -> Result<Self, String> {
        // without it, they may be meant for anybody
        if std::env::var_os("LISTEN_PID").is_none() {
            return Ok(Self::default());
        }
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').filter(|name| !name.is_empty()).map(str::to_owned);
        let mut given = ListenFd::from_env();
        let mut sockets = Vec::with_capacity(given.len().min(64));
        for at in 0..given.len() {
            let name = names.next();
            let shown = name.as_deref().unwrap_or("without a name");
            let wrong = |why: &str| {
                format!(
                    "socket {} ({shown}) is inherited and {why}; the guard takes sockets that \
                     listen over TCP or at the path of a unix socket, such as systemd's \
                     ListenStream= without Accept=",
                    at + 1
                )
            };
            let socket = listener(&mut given, at).ok_or_else(|| wrong("is no stream socket"))?;
            let address = address(&socket).ok_or_else(|| wrong("does not listen anywhere"))?;
            sockets.push(Given { name, address, socket });
        }
        Ok(Self { sockets, ..Self::default() })
    }

    /// Those that a predecessor lets go.
    #[must_use]
    pub fn from_predecessor(
        sockets: Vec<(ListenAddr, ListenerSocket)>,
        made: Vec<PathBuf>,
        secrets: (Keyer, Fingerprinter),
    ) -> Self {
        let given = |(address, socket)| Given { name: None, address, socket };
        let sockets = sockets.into_iter().map(given).collect();
        Self { sockets, made, secrets: Some(secrets), lock: None }
    }

    /// Keeps those of which `settings` name the address; which of them that is, in their order.
    pub fn keep_named(&mut self, settings: &Settings) -> Vec<bool> {
        let named: Vec<bool> =
            self.sockets.iter().map(|given| is_named(&given.address, settings)).collect();
        let mut kept = named.iter();
        self.sockets.retain(|_| kept.next().is_some_and(|kept| *kept));
        named
    }

    /// Whether `settings` name the address of each.
    ///
    /// # Errors
    ///
    /// When they do not: nobody would answer those who connect there. The text says what to do.
    pub fn are_named_by(&self, settings: &Settings) -> Result<(), String> {
        let unnamed = |given: &&Given| !is_named(&given.address, settings);
        let Some(given) = self.sockets.iter().find(unnamed) else { return Ok(()) };
        Err(format!(
            "the inherited socket {} ({}) is listened on by nobody: let `listen`, \
             `metrics.address` or `admin.address` name this address, or remove it from the socket unit",
            given.shown(),
            given.name.as_deref().unwrap_or("without a name")
        ))
    }

    /// Reports each of them.
    pub fn report(&self) {
        for given in &self.sockets {
            let (address, name) = (given.shown(), given.name.as_deref());
            tracing::info!(event = "socket_inherited", address, name);
        }
    }

    /// Those that listen on `address`.
    pub fn take(&mut self, address: &ListenAddr) -> Vec<ListenerSocket> {
        let taken = self.sockets.extract_if(.., |given| same(address, &given.address));
        taken.map(|given| given.socket).collect()
    }

    /// The path of `address`, if it is one of a socket that this guard has to remove.
    #[must_use]
    pub fn made_at(&self, address: &ListenAddr) -> Option<PathBuf> {
        let ListenAddr::Unix(path) = address else { return None };
        self.made.contains(path).then(|| path.clone())
    }
}

impl Given {
    fn shown(&self) -> String {
        match &self.address {
            ListenAddr::Tcp(address) => address.to_string(),
            ListenAddr::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

/// The socket at this place, if it is one for streams.
fn listener(given: &mut ListenFd, at: usize) -> Option<ListenerSocket> {
    let tcp = given.take_tcp_listener(at).ok().flatten().map(ListenerSocket::Tcp);
    tcp.or_else(|| given.take_unix_listener(at).ok().flatten().map(ListenerSocket::Unix))
}

/// Where it listens, if it does. From now on, nobody waits for it to have a connection.
fn address(socket: &ListenerSocket) -> Option<ListenAddr> {
    let fd = match socket {
        ListenerSocket::Tcp(listener) => listener.as_fd(),
        ListenerSocket::Unix(listener) => listener.as_fd(),
    };
    // with `Accept=`, it would be a connection
    if !rustix::net::sockopt::socket_acceptconn(fd).ok()? {
        return None;
    }
    match socket {
        ListenerSocket::Tcp(listener) => {
            listener.set_nonblocking(true).ok()?;
            listener.local_addr().ok().map(ListenAddr::Tcp)
        }
        ListenerSocket::Unix(listener) => {
            listener.set_nonblocking(true).ok()?;
            let address = listener.local_addr().ok()?;
            address.as_pathname().map(Path::to_path_buf).map(ListenAddr::Unix)
        }
    }
}

fn is_named(address: &ListenAddr, settings: &Settings) -> bool {
    let admin = settings.admin_tcp.as_ref().map(|admin| admin.address);
    let others = [settings.metrics, admin].into_iter().flatten().map(ListenAddr::Tcp);
    let others: Vec<ListenAddr> = others.collect();
    let mut listen = settings.listen.iter().map(|listen| &listen.address).chain(&others);
    listen.any(|named| same(named, address))
}

/// Whether who connects to one reaches the other.
fn same(one: &ListenAddr, other: &ListenAddr) -> bool {
    let place = |address: &SocketAddr| (address.ip(), address.port());
    match (one, other) {
        (ListenAddr::Tcp(one), ListenAddr::Tcp(other)) => place(one) == place(other),
        (ListenAddr::Unix(one), ListenAddr::Unix(other)) => {
            // `/var/run` is a link to `/run`
            let real = |path: &Path| path.canonicalize().ok();
            one == other || real(one).is_some_and(|one| real(other) == Some(one))
        }
        (ListenAddr::Tcp(_), ListenAddr::Unix(_)) | (ListenAddr::Unix(_), ListenAddr::Tcp(_)) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        std::fs::write(real.join("socket"), "").unwrap();
        let unix = |path: &Path| ListenAddr::Unix(path.join("socket"));
        let tcp = |text: &str| ListenAddr::Tcp(text.parse().unwrap());
        assert!(same(&unix(&real), &unix(&link)));
        assert!(!same(&unix(&real), &unix(dir.path())));
        assert!(same(&tcp("[::]:443"), &tcp("[0:0::0]:443")));
        assert!(!same(&tcp("[::]:443"), &tcp("0.0.0.0:443")), "it takes others too");
        assert!(!same(&tcp("127.0.0.1:80"), &tcp("127.0.0.1:0")));
        assert!(!same(&tcp("127.0.0.1:80"), &unix(&real)));
    }
}
