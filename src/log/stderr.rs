//! Standard error, written to without waiting for whoever reads it.

use std::io::Write as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};

/// How much a pipe or a terminal that takes anything takes at once.
const PIECE: usize = 4096;
/// How much may wait for a reader.
const MOST_WAITING: usize = 4 * 1024 * 1024;
/// How much room is kept that nobody waits in.
const KEPT: usize = 512 * 1024;

/// Standard error.
#[derive(Debug)]
pub(super) struct StandardError {
    /// What was not yet taken.
    waiting: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Takes everything at once.
    File,
    /// Takes what there is room for.
    Stream,
}

impl StandardError {
    /// What this process has.
    #[must_use]
    pub(super) fn new() -> Self {
        let is_file = fstat(std::io::stderr())
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        Self { waiting: Vec::new(), kind: if is_file { Kind::File } else { Kind::Stream } }
    }

    /// Where lines are to be appended, unless too many wait already.
    pub(super) const fn room(&mut self) -> Option<&mut Vec<u8>> {
        if self.waiting.len() < MOST_WAITING { Some(&mut self.waiting) } else { None }
    }

    /// Everything was taken.
    #[must_use]
    pub(super) const fn is_clear(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Writes what is taken within `patience`.
    pub(super) fn write(&mut self, patience: Duration) {
        let piece = match self.kind {
            Kind::File => usize::MAX,
            Kind::Stream => PIECE,
        };
        let mut stderr = std::io::stderr().lock();
        let mut taken = 0;
        while let Some(rest) = self.waiting.get(taken..).filter(|rest| !rest.is_empty()) {
            if self.kind == Kind::Stream && !takes_more(&stderr, patience) {
                break;
            }
            let piece = rest.get(..piece).unwrap_or(rest);
            match stderr.write(piece) {
                Ok(written) if written > 0 => taken += written,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // there is nobody to tell that standard error is gone
                Ok(_) | Err(_) => taken = self.waiting.len(),
            }
        }
        self.waiting.drain(..taken);
        self.waiting.shrink_to(KEPT);
    }
}

fn takes_more(stderr: &std::io::StderrLock<'_>, patience: Duration) -> bool {
    let seconds = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
    let patience = Timespec { tv_sec: seconds, tv_nsec: patience.subsec_nanos().into() };
    let mut ready = [PollFd::new(stderr, PollFlags::OUT)];
    // also where it is closed: writing tells
    poll(&mut ready, Some(&patience)).is_ok_and(|ready| ready > 0)
}
