//! Files whose content may change.
//!
//! They are read now and then and compared with what they were: what is mounted into containers or
//! lies on other machines tells of no change, and links are swapped under names that stay.

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often they are looked at.
pub const EVERY: Duration = Duration::from_millis(500);
/// Nothing that can be configured is larger.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Files, and what was in them when they were last taken.
#[derive(Debug)]
pub struct Watched {
    files: Vec<PathBuf>,
    hashing: RandomState,
    /// What was in them when somebody read them for good.
    taken: u64,
    /// What was in them at the last look.
    latest: u64,
}

impl Watched {
    /// `files`, which were read just now.
    #[must_use]
    pub fn new(files: Vec<PathBuf>) -> Self {
        let mut watched = Self { files, hashing: RandomState::new(), taken: 0, latest: 0 };
        watched.look();
        watched.taken = watched.latest;
        watched
    }

    /// Looks at them; call it before they are read for good.
    pub fn look(&mut self) {
        self.latest = self.digest();
    }

    /// What was there at the last look has been read for good, and consists of `files`.
    pub fn take(&mut self, files: Vec<PathBuf>) {
        if files != self.files {
            self.files = files;
            self.look();
        }
        self.taken = self.latest;
    }

    /// Whether they have other content than was taken, the same for two looks: whoever changes
    /// several does not do it all at once.
    pub fn has_changed(&mut self) -> bool {
        let before = self.latest;
        self.look();
        self.latest == before && self.latest != self.taken
    }

    fn digest(&self) -> u64 {
        let mut hasher = self.hashing.build_hasher();
        for path in &self.files {
            let content = content(path);
            hasher.write_u64(content.as_ref().map_or(u64::MAX, |bytes| bytes.len() as u64));
            hasher.write(content.as_deref().unwrap_or_default());
        }
        hasher.finish()
    }
}

/// What is in a file; nothing where there is none.
fn content(path: &Path) -> Option<Vec<u8>> {
    // whatever else it is may have no end
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let mut bytes = Vec::new();
    let file = is_file.then(|| File::open(path).ok()).flatten()?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        let mut watched = Watched::new(vec![path.clone(), other.clone()]);
        assert!(!watched.has_changed());
        std::fs::write(&path, "1").unwrap();
        assert!(!watched.has_changed(), "more may come");
        std::fs::write(&other, "2").unwrap();
        assert!(!watched.has_changed(), "more may come");
        assert!(watched.has_changed());
        watched.look();
        watched.take(vec![path.clone(), other]);
        assert!(!watched.has_changed());
        std::fs::write(&path, "1").unwrap();
        assert!(!watched.has_changed() && !watched.has_changed(), "the same again");
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change_and_the_same_content_elsewhere_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (link, one, two) = (dir.path().join("l"), dir.path().join("1"), dir.path().join("2"));
        std::fs::write(&one, "1").unwrap();
        std::fs::write(&two, "2").unwrap();
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let mut watched = Watched::new(vec![link.clone()]);
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&two, &link).unwrap();
        assert!(!watched.has_changed());
        assert!(watched.has_changed());
        std::fs::write(&two, "1").unwrap();
        assert!(!watched.has_changed() && !watched.has_changed());
    }
}
