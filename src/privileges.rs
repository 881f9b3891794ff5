//! What the process may do, given up before it serves anybody.
//!
//! All of this happens on the main thread, after the addresses are bound and before there are
//! workers, which therefore never have more than what is left.

pub mod sandbox;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::Path;

use nix::unistd::{Gid, Uid, geteuid, initgroups, setgid, setgroups, setuid};

use crate::config::RunAs;

/// Neither this process nor one that it starts can gain what it has not. For the calling thread
/// and those that it starts.
///
/// # Errors
///
/// When the kernel refuses.
pub fn gain_no_more() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Whether this is root, who may do everything.
#[must_use]
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Who the process is or will be, in words.
#[must_use]
pub fn shown(whom: Option<&RunAs>) -> String {
    let own = || (geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let (uid, gid) = whom.map_or_else(own, |whom| (whom.uid, whom.gid));
    match whom.and_then(|whom| whom.name.as_ref()) {
        Some(name) => format!("user {} ({uid}, group {gid})", name.to_string_lossy()),
        None => format!("user {uid} (group {gid})"),
    }
}

/// Makes the directory that a file at `path` lies in, if it is not there, for `whom`, where that is
/// somebody else. Whatever that one should lie in has to be there.
///
/// # Errors
///
/// When it cannot be made or given away.
pub fn make_directory_of(path: &Path, whom: Option<&RunAs>) -> io::Result<()> {
    let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty() && !dir.exists()) else {
        return Ok(());
    };
    DirBuilder::new().mode(0o755).create(dir)?;
    match whom.filter(|_| is_root()) {
        Some(whom) => give(dir, whom),
        None => Ok(()),
    }
}

/// Every thread of the process is `whom` from now on, and cannot go back. Nothing happens where it
/// is so already.
///
/// # Errors
///
/// When only somebody else can do that, or it could be undone.
pub fn become_user(whom: &RunAs) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(whom.uid), Gid::from_raw(whom.gid));
    if geteuid() == user && nix::unistd::getegid() == group {
        return Ok(());
    }
    if !is_root() {
        let why = "only root can become another user; start it as root or as that user";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    // the groups first: it takes root to change them
    match &whom.name {
        Some(name) => initgroups(name, group)?,
        None => setgroups(&[group])?,
    }
    setgid(group)?;
    setuid(user)?;
    if !user.is_root() && setuid(Uid::from_raw(0)).is_ok() {
        return Err(io::Error::other("the system lets it become root again"));
    }
    Ok(())
}

/// Gives what is at `path` to `whom`.
///
/// # Errors
///
/// When it cannot be given away.
pub fn give(path: &Path, whom: &RunAs) -> io::Result<()> {
    chown(path, Some(whom.uid), Some(whom.gid))
}
