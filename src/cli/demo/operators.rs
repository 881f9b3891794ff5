//! Where the demo is asked as a real guard is: a socket in a directory that only its owner can look into.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::OFlags;

use crate::admin::socket::{self, AdminSocket};
use crate::config::Settings;

/// What the names of such directories begin with.
const NAMED: &str = "loginward-demo-";
/// The name of the socket in it.
const SOCKET: &str = "admin.sock";

/// A directory of its own, which goes when it goes out of scope.
#[derive(Debug)]
pub struct Private {
    path: PathBuf,
    /// Locked: the kernel gives that back however the demo ends.
    _own: File,
}

impl Private {
    /// Makes one, and takes away what demos of the same user have left that were killed.
    ///
    /// # Errors
    ///
    /// When there is no place for it.
    pub fn make() -> io::Result<Self> {
        take_away_what_was_left(&std::env::temp_dir());
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("{NAMED}{:016x}", u64::from_ne_bytes(random));
        let path = std::env::temp_dir().join(name);
        // one that is there already is somebody else's, and an error
        DirBuilder::new().mode(0o700).create(&path)?;
        let own = File::open(&path)?;
        // whoever looks what was left has it for a moment, and leaves one without a socket alone
        own.lock()?;
        Ok(Self { path, _own: own })
    }

    /// Where the socket is in it.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // what cannot be removed is nobody's harm
        drop(std::fs::remove_dir_all(&self.path));
    }
}

/// Removes the directories of demos that are gone; what cannot be looked at is left.
fn take_away_what_was_left(place: &Path) {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(is_named_so)) {
        let path = entry.path();
        if is_left(&path).unwrap_or(false) {
            drop(std::fs::remove_dir_all(&path));
        }
    }
}

/// Whether a demo makes such names.
fn is_named_so(name: &str) -> bool {
    let number = name.strip_prefix(NAMED);
    number.is_some_and(|number| number.len() == 16 && number.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether the directory is this user's, and of a demo that is gone.
fn is_left(path: &Path) -> io::Result<bool> {
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits();
    let directory = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    if directory.metadata()?.uid() != rustix::process::geteuid().as_raw() {
        return Ok(false);
    }
    // one that has no socket yet may be about to be locked
    Ok(directory.try_lock().is_ok() && path.join(SOCKET).symlink_metadata().is_ok())
}

/// Binds the socket of `settings`; a demo without one is better than none.
#[must_use]
pub fn bind(settings: &Settings) -> Option<Rc<AdminSocket>> {
    match socket::bind(settings) {
        Ok(socket) => socket.map(Rc::new),
        Err(error) => {
            tracing::warn!(event = "admin_unavailable", error = %error);
            None
        }
    }
}

/// What operators may try, who ask `socket`.
#[must_use]
pub fn introduction(socket: &AdminSocket) -> String {
    let own = std::env::args().next().unwrap_or_else(|| "loginward".to_owned());
    let admin = format!("--admin unix:{}", socket.path().display());
    format!(
        "
As an operator, in another terminal (the reference is on the page that refuses you):
    {own} list {admin}
    {own} reset {admin} --ref REFERENCE
    {own} page {admin}
"
    )
}
