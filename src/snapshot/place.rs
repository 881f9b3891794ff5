//! Where the file is: the directory, the file itself, the one that will replace it, those that were
//! put aside, and the lock that tells whose they are.
//!
//! The lock is a file of its own beside it, since the file itself is replaced; the kernel gives it back
//! when its holder ends, however it ends. A successor gets it from its predecessor, so that no third
//! guard can come in between.

use std::cmp::Ordering;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::config::RunAs;
use crate::server::StartError;

/// So many files are kept that could not be used.
const MOST_ASIDE: u32 = 3;

/// The file and what is beside it, which belong to this process.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    lock: LockFile,
}

/// What has become of a file that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none in its place.
    Gone,
    /// There is more in it than was written.
    Longer,
    /// Something else is in its place.
    Other,
    /// It is as it was written.
    Same,
    /// There is less in it than was written.
    Shorter,
}

/// The lock of a file.
#[derive(Debug)]
pub struct LockFile(File);

impl LockFile {
    /// One that another process has passed on.
    #[must_use]
    pub fn of_predecessor(lock: OwnedFd) -> Self {
        Self(lock.into())
    }

    /// The same lock once more.
    ///
    /// # Errors
    ///
    /// When the system has no more file descriptors.
    pub fn duplicate(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Whether it is that of the file at `path`.
    #[must_use]
    pub fn is_of(&self, path: &Path) -> bool {
        let identity = |data: fs::Metadata| (data.dev(), data.ino());
        let own = self.0.metadata().ok().map(identity);
        own.is_some() && own == fs::metadata(beside(path, ".lock")).ok().map(identity)
    }
}

impl From<LockFile> for OwnedFd {
    fn from(lock: LockFile) -> Self {
        lock.0.into()
    }
}

/// Makes the directory of the file at `path` if it is not there, and gives what is there of the file
/// to `whom`, where that is somebody else. To be done while the process may.
///
/// # Errors
///
/// When the directory cannot be made or given away.
pub fn prepare(path: &Path, whom: Option<&RunAs>) -> Result<(), StartError> {
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |error: io::Error| cannot(&what, &error.to_string())
    };
    let dir = dir(path);
    if !dir.exists() {
        let made = DirBuilder::new().mode(0o700).create(dir);
        made.map_err(|error| {
            let why = format!("it cannot be made: {error}; make it, for the guard's user");
            cannot(&dir.display().to_string(), &why)
        })?;
        if let Some(whom) = whom {
            let given = std::os::unix::fs::chown(dir, Some(whom.uid), Some(whom.gid));
            given.map_err(failed(dir))?;
        }
    }
    let Some(whom) = whom else { return Ok(()) };
    for path in [path.to_owned(), beside(path, ".lock")] {
        // never by way of a link, which somebody else may have put there
        let Ok(file) = options().open(&path) else { continue };
        if file.metadata().is_ok_and(|data| data.is_file() && data.nlink() == 1) {
            fchown(&file, Some(whom.uid), Some(whom.gid)).map_err(failed(&path))?;
        }
    }
    Ok(())
}

impl Place {
    /// Takes the place at `path`, which has to be one for a file.
    ///
    /// # Errors
    ///
    /// When it is none, or another guard has it.
    pub fn take(path: &Path) -> Result<Self, StartError> {
        let shown = path.display().to_string();
        let wrong = |why: &str| Err(cannot(&shown, why));
        match fs::metadata(dir(path)) {
            Ok(data) if data.is_dir() => {}
            Ok(_) => return wrong("its directory is no directory; name another"),
            Err(error) => {
                return wrong(&format!("its directory: {error}; make it, for the guard's user"));
            }
        }
        match fs::symlink_metadata(path).map(|data| data.file_type()) {
            Ok(kind) if kind.is_symlink() => {
                return wrong("it is a symbolic link; name the file that it leads to");
            }
            Ok(kind) if kind.is_dir() => return wrong("it is a directory; name a file in it"),
            Ok(kind) if !kind.is_file() => return wrong("it is no regular file; name another"),
            Ok(_) => {
                if let Err(error) = options().open(path) {
                    return wrong(&format!("it cannot be read: {error}; {}", right()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return wrong(&format!("{error}; {}", right())),
        }
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let lock = match lock.open(beside(path, ".lock")) {
            Ok(lock) => lock,
            Err(error) => {
                return wrong(&format!("no file can be made beside it: {error}; {}", right()));
            }
        };
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock: LockFile(lock) }),
            Err(TryLockError::WouldBlock) => {
                wrong("another guard has it; give each a file of its own, or none")
            }
            Err(TryLockError::Error(error)) => wrong(&format!("it cannot be locked: {error}")),
        }
    }

    /// The place at `path` that another guard passes on.
    #[must_use]
    pub fn inherit(path: &Path, lock: LockFile) -> Self {
        Self { path: path.to_owned(), lock }
    }

    /// Finds out whether the file can be replaced. A disk that is full or broken may get better, and
    /// is no error.
    ///
    /// # Errors
    ///
    /// When it never can.
    pub fn check(&self) -> Result<(), StartError> {
        match self.create(&[]) {
            Ok(_) => Ok(()),
            Err(error) if is_trouble(&error) => Ok(()),
            Err(error) => {
                let why = format!("no file can be made beside it: {error}; {}", right());
                Err(cannot(&self.path.display().to_string(), &why))
            }
        }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its lock once more.
    ///
    /// # Errors
    ///
    /// When the system has no more file descriptors.
    pub fn duplicate(&self) -> io::Result<LockFile> {
        self.lock.duplicate()
    }

    /// The file, if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn open(&self) -> io::Result<Option<File>> {
        match options().open(&self.path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A file that begins with `head` and will be in the stead of the one that is there; for its owner
    /// alone.
    ///
    /// # Errors
    ///
    /// When it cannot be made or written.
    pub fn create(&self, head: &[u8]) -> io::Result<File> {
        let new = self.new_path();
        // one that was left behind may be anybody's
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(new)?;
        file.write_all(head)?;
        Ok(file)
    }

    /// The file that was created is the file from now on, also after a power failure.
    ///
    /// # Errors
    ///
    /// When the system does not say so.
    pub fn install(&self) -> io::Result<()> {
        fs::rename(self.new_path(), &self.path)?;
        File::open(dir(&self.path))?.sync_all()
    }

    /// The file that was created is not wanted.
    pub fn discard(&self) {
        // it is overwritten the next time, if it is still there
        drop(fs::remove_file(self.new_path()));
    }

    /// Keeps the file that is there under another name, until others come; which one.
    ///
    /// # Errors
    ///
    /// When it cannot be kept.
    pub fn put_aside(&self) -> io::Result<PathBuf> {
        let aside = |number: u32| beside(&self.path, &format!(".aside-{number}"));
        for number in (1..MOST_ASIDE).rev() {
            match fs::rename(aside(number), aside(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        // it stays where it is until another one is whole
        if fs::hard_link(&self.path, aside(1)).is_err() {
            fs::copy(&self.path, aside(1))?;
        }
        Ok(aside(1))
    }

    /// What has become of `file`, which was this file when it had so many bytes.
    ///
    /// # Errors
    ///
    /// When that cannot be found out.
    pub fn state_of(&self, file: &File, length: u64) -> io::Result<State> {
        let own = file.metadata()?;
        let there = match fs::symlink_metadata(&self.path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Gone),
            Err(error) => return Err(error),
        };
        if (own.dev(), own.ino()) != (there.dev(), there.ino()) {
            return Ok(State::Other);
        }
        Ok(match own.len().cmp(&length) {
            Ordering::Equal => State::Same,
            Ordering::Greater => State::Longer,
            Ordering::Less => State::Shorter,
        })
    }

    fn new_path(&self) -> PathBuf {
        beside(&self.path, ".new")
    }
}

/// How files are opened that are there: never by way of a link, and without waiting for a pipe.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).custom_flags(flags.bits().cast_signed());
    options
}

/// The directory of `path`.
#[must_use]
pub fn dir(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}

/// Whether it is the disk's fault, and not that of who says where the file is.
#[expect(clippy::wildcard_enum_match_arm, reason = "foreign and open-ended")]
fn is_trouble(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            true
        }
        _ => error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()),
    }
}

/// What would be right.
fn right() -> String {
    let user = nix::unistd::geteuid();
    format!("the directory has to be one in which user {user} may write, or name a file elsewhere")
}

fn cannot(path: &str, why: &str) -> StartError {
    StartError::new(format!("store.snapshot: {path}"), io::Error::other(why.to_owned()))
}
