//! The audit log in a file, which is put aside when it is large, and may be moved away by others.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::audit::Sink;
use super::piece::Place;
use super::queue::Line;
use super::settings::AuditFile;

/// The audit log in a file.
#[derive(Debug)]
pub struct AuditLog {
    settings: AuditFile,
    open: Option<Open>,
    place: Place,
    /// Where a file that cannot be put aside has to be before that is tried again.
    patience: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
    /// Whether its last line was cut, and has to end before the next begins.
    is_torn: bool,
}

impl AuditLog {
    /// Opens it, and makes it where it is not there; later, where the disk is full now.
    ///
    /// # Errors
    ///
    /// When it could not be written if there were room.
    pub fn open(settings: &AuditFile) -> io::Result<Self> {
        let open = match Open::at(&settings.path) {
            Err(error) if is_full(&error) => None,
            opened => Some(opened?),
        };
        Ok(Self { settings: settings.clone(), open, place: Place::default(), patience: 0 })
    }

    /// The file as it is now; another one where it was moved away.
    fn current(&mut self) -> io::Result<&mut Open> {
        let own = self.open.as_ref().map(|open| open.file.metadata()).transpose()?;
        let there = std::fs::metadata(&self.settings.path);
        let is_same = matches!((&own, &there), (Some(own), Ok(there))
            if (own.dev(), own.ino()) == (there.dev(), there.ino()));
        if let (true, Some(open), Some(own)) = (is_same, &mut self.open, own) {
            open.length = own.len();
        } else {
            self.place.begin_anew();
            self.patience = 0;
            self.open = Some(Open::at(&self.settings.path)?);
        }
        self.open.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Puts the file aside, or goes on with it for a while: evidence in a large file is better than
    /// none.
    fn put_aside(&mut self, length: u64) {
        if let Err(error) = self.rotate() {
            self.patience = length + self.settings.size;
            let reason = format!("it cannot be put aside and grows: {error}");
            tracing::error!(event = "audit_failed", reason);
        }
    }

    /// Its name and those of earlier ones count on.
    fn rotate(&mut self) -> io::Result<()> {
        let name = |number: u32| {
            let mut name = OsString::from(&self.settings.path);
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..self.settings.keep).rev() {
            rename(&name(number), &name(number + 1))?;
        }
        rename(&self.settings.path, &name(1))?;
        self.open = None;
        Ok(())
    }
}

/// Whether nothing is wrong but that there is no room, which may change.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Renames a file that may not be there.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed,
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).read(true).mode(0o600).open(path)?;
        let data = file.metadata()?;
        if !data.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let length = data.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        Ok(Self { file, length, is_torn: last != [b'\n'] })
    }

    /// Ends a line in the middle of which its writer was killed, or had no more room.
    fn end_line(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.file.write_all(b"\n")?;
            self.is_torn = false;
        }
        Ok(())
    }
}

impl Sink for AuditLog {
    fn write(&mut self, lines: &mut VecDeque<Line>) -> io::Result<()> {
        while let Some(first) = lines.front().map(|line| line.text.len() as u64) {
            let size = self.settings.size.max(self.patience);
            let open = self.current()?;
            open.end_line()?;
            let length = open.length;
            let is_full = length > 0 && length + first > size;
            if is_full && !self.place.is_inside() {
                self.put_aside(length);
                continue;
            }
            let room = usize::try_from(size.saturating_sub(length)).unwrap_or(usize::MAX);
            if let Some(open) = &mut self.open {
                self.place.write(&mut open.file, lines, room)?;
            }
        }
        Ok(())
    }
}
