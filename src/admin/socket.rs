//! The unix socket where operators ask, and the lock that tells whether a guard is there.
//!
//! The lock is a file beside the socket, which the kernel gives back when its holder ends, however
//! it ends. Whoever has it is the only guard of that address; a socket that is there nevertheless
//! was left behind.

use std::cell::Cell;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::{Admin, Settings, USUAL_ADMIN};
use crate::privileges::{self, make_directory_of};
use crate::server::StartError;
use crate::server::listen::remove_stale;

/// How many may wait to be answered.
const BACKLOG: i32 = 16;

/// A socket that operators can connect to. Nobody else can have the same address meanwhile.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    lock: File,
    owner: Cell<Owner>,
}

/// Who removes a socket in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Other,
    This,
}

/// Binds the socket that the settings ask for; the directory of one that is named is made. The usual
/// one is done without where it is not possible.
///
/// # Errors
///
/// When another guard has it, or when the configured one cannot be had.
pub fn bind(settings: &Settings) -> Result<Option<AdminSocket>, StartError> {
    let admin = &settings.admin;
    let (path, may_lack) = match admin {
        Admin::At(path) => (path.as_path(), false),
        Admin::Beside(path) => (path.as_path(), true),
        Admin::Nowhere => return Ok(None),
        Admin::Usual => (Path::new(USUAL_ADMIN), true),
    };
    let made = match admin {
        Admin::At(path) => make_directory_of(path, settings.run_as.as_ref()),
        Admin::Beside(_) | Admin::Nowhere | Admin::Usual => Ok(()),
    };
    match made.and_then(|()| AdminSocket::bind(path)) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if may_lack && !is_taken(&error) => {
            let message = match admin {
                Admin::Beside(_) => "`loginward run --upgrade` cannot take over from this guard",
                Admin::At(_) | Admin::Nowhere | Admin::Usual => UNAVAILABLE,
            };
            let address = format!("unix:{}", path.display());
            tracing::warn!(event = "admin_unavailable", address, error = %error, message);
            Ok(None)
        }
        Err(error) => {
            let what = format!("cannot be asked at unix:{}", path.display());
            Err(failed(what, error, settings))
        }
    }
}

/// What to do where nobody can ask.
const UNAVAILABLE: &str = "`loginward list`, `status` and others cannot reach this guard; name a place \
    in the configuration, such as `admin: { address: \"unix:admin.sock\" }`, or make that directory, \
    for the guard's user";

fn failed(what: String, error: io::Error, settings: &Settings) -> StartError {
    let who = privileges::shown(settings.run_as.as_ref());
    if error.kind() == io::ErrorKind::NotFound {
        let text = format!("{error}; make the directory that it is to lie in, for {who}");
        return StartError::new(what, io::Error::other(text));
    }
    StartError::new(what, error).if_denied(format!("{who} needs a directory to write to"))
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::ResourceBusy)
}

impl AdminSocket {
    fn bind(path: &Path) -> io::Result<Self> {
        let lock = lock(path)?;
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // what the file will have: there is no moment at which others may connect
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(path)?)?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            listener: socket.into(),
            path: path.to_owned(),
            lock,
            owner: Cell::new(Owner::This),
        })
    }

    /// The one at `path` that another process has, with its lock; it stays that one's until this
    /// one owns it.
    #[must_use]
    pub fn of_predecessor(path: &Path, listener: OwnedFd, lock: OwnedFd) -> Self {
        let (listener, lock) = (UnixListener::from(listener), File::from(lock));
        Self { listener, path: path.to_owned(), lock, owner: Cell::new(Owner::Other) }
    }

    /// It and its lock, to be passed on.
    ///
    /// # Errors
    ///
    /// When the system has no more file descriptors.
    pub fn duplicates(&self) -> io::Result<Vec<OwnedFd>> {
        Ok(vec![self.listener.try_clone()?.into(), self.lock.try_clone()?.into()])
    }

    /// This process removes it in the end.
    pub fn own(&self) {
        self.owner.set(Owner::This);
    }

    /// Another process has it and will remove it.
    pub fn leave(&self) {
        self.owner.set(Owner::Other);
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What connections are accepted from; it may be closed before the address is given up.
    ///
    /// # Errors
    ///
    /// When the system has no more file descriptors.
    pub fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if self.owner.get() == Owner::This {
            // gone already is as good; the lock goes afterwards
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Takes the lock of an address.
fn lock(path: &Path) -> io::Result<File> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let mut options = OpenOptions::new();
    let lock = options.create(true).truncate(false).write(true).mode(0o600).open(beside)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let why = "another guard runs there; give each an `admin` address of its own, or none";
            Err(io::Error::new(io::ErrorKind::ResourceBusy, why))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_address_has_one_guard_and_what_one_left_behind_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let first = AdminSocket::bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(AdminSocket::bind(&path).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        drop(first);
        assert!(!path.exists());
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "left behind");
        drop(AdminSocket::bind(&path).unwrap());
        let others = UnixListener::bind(&path).unwrap();
        assert_eq!(AdminSocket::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(others);
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        std::fs::write(&path, "text").unwrap();
        assert!(AdminSocket::bind(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
    }
}
