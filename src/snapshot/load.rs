//! What is in the file, taken in before anybody is served; what cannot be used is put aside.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use super::format::{HEAD, Head};
use super::place::Place;
use crate::clock::{Moment, Stamp, millis};
use crate::log::line::write_time;
use crate::policy::key::Keyer;
use crate::store::Store;
use crate::store::recall::{Recalled, Recollection};

/// A file that is about to be taken in.
#[derive(Debug)]
pub enum Reading {
    /// One that begins well.
    Begun(BufReader<File>, Head),
    /// There is none.
    None,
    /// It is something else.
    Strange(String),
}

/// What was in the file.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What of it counts.
    pub recollection: Recollection,
    /// When it was written last, since 1970; zero where there was none.
    pub written: Duration,
    /// Whether it was put aside, and why.
    pub put_aside: Option<String>,
}

/// What is intact of a file.
struct Intact {
    frames: usize,
    last: Option<Stamp>,
    /// What comes after that, if anything does.
    damage: Option<io::Error>,
}

impl Reading {
    /// Looks at the file that is there.
    #[must_use]
    pub fn of(place: &Place) -> Self {
        match place.open() {
            Ok(Some(file)) => Self::begin(BufReader::with_capacity(256 * 1024, file)),
            Ok(None) => Self::None,
            Err(error) => Self::Strange(error.to_string()),
        }
    }

    fn begin(mut file: BufReader<File>) -> Self {
        let mut bytes = Vec::with_capacity(HEAD);
        if let Err(error) = file.by_ref().take(HEAD as u64).read_to_end(&mut bytes) {
            return Self::Strange(error.to_string());
        }
        match Head::read(&bytes) {
            Ok(head) => Self::Begun(file, head),
            Err(strange) => Self::Strange(strange.to_string()),
        }
    }

    /// What the counters in it were hashed under.
    #[must_use]
    pub fn keyer(&self) -> Option<Keyer> {
        match self {
            Self::Begun(_, head) => Some(head.keyer),
            Self::None | Self::Strange(_) => None,
        }
    }
}

/// Takes everything in that can be read, puts the file aside if that is not all, and reports both.
pub fn load(reading: Reading, place: &Place, store: &Store) -> Found {
    let mut found = Found::default();
    let wrong = match reading {
        Reading::None => {
            let message = "there is none yet; it begins with nothing";
            tracing::info!(event = "snapshot_new", file = %place.path().display(), message);
            return found;
        }
        Reading::Strange(wrong) => Some(wrong),
        Reading::Begun(mut file, head) => {
            let begun = store.clock().stamp();
            let (recalled, last, wrong) = read(&mut file, &head, store);
            found.recollection = store.recall(recalled);
            found.written = last.map_or(Duration::ZERO, |last| Duration::from_millis(last.wall));
            report(&found, place, begun.elapsed(store.clock().stamp()));
            wrong
        }
    };
    if let Some(reason) = &wrong {
        put_aside(place, reason);
    } else if let Some(reason) = leave_unknown(place, found.recollection.unknown) {
        found.put_aside = Some(reason);
        return found;
    }
    found.put_aside = wrong;
    found
}

/// Puts a file aside in which there are so many counters of limits that are not configured: it will be
/// made anew without them, and whoever has mistyped a name wants them back. Why it was, if it was.
pub fn leave_unknown(place: &Place, unknown: usize) -> Option<String> {
    if unknown == 0 {
        return None;
    }
    let file = place.path().display();
    let reason =
        format!("{unknown} of its counters are of sites, logins or limits that are not configured");
    let message = "they do not count; if it is a mistake, end the guard, put the configuration right, \
                   rename that file back, and start it";
    match place.put_aside() {
        Ok(aside) => {
            let aside = aside.display();
            tracing::warn!(event = "snapshot_put_aside", %file, %aside, reason, message);
        }
        Err(error) => {
            tracing::error!(event = "snapshot_put_aside", %file, reason, error = %error);
        }
    }
    Some(reason)
}

fn report(found: &Found, place: &Place, took: Duration) {
    let Recollection { counters, locked, unknown, hand_locks } = found.recollection;
    let mut written = String::new();
    write_time(&mut written, found.written);
    let file = place.path().display();
    tracing::info!(
        event = "snapshot_loaded",
        %file,
        counters,
        locked,
        hand_locks,
        unknown,
        written,
        took_ms = millis(took)
    );
}

fn put_aside(place: &Place, reason: &str) {
    let file = place.path().display();
    match place.put_aside() {
        Ok(aside) => {
            let aside = aside.display();
            tracing::error!(event = "snapshot_put_aside", %file, %aside, reason);
        }
        Err(error) => {
            let message = "it cannot be kept";
            tracing::error!(event = "snapshot_put_aside", %file, reason, message, error = %error);
        }
    }
}

/// All that is intact, when the last of it was written, and what is wrong with the rest.
fn read(
    file: &mut BufReader<File>,
    head: &Head,
    store: &Store,
) -> (Recalled, Option<Stamp>, Option<String>) {
    let Intact { frames, last, damage } = look_through(file, head);
    let mut wrong = damage.map(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            "its end is torn; what comes before it is used".to_owned()
        } else {
            format!("{error}; what comes before that is used")
        }
    });
    let mut recalled = Recalled::default();
    let Some(last) = last else { return (recalled, None, wrong) };
    let (now, stamp) = (store.clock().now(), store.clock().stamp());
    let since_last = last.elapsed(stamp);
    if let Err(error) = file.seek(SeekFrom::Start(HEAD as u64)) {
        return (recalled, Some(last), Some(error.to_string()));
    }
    for _ in 0..frames {
        // it was intact a moment ago
        let Ok(Some(frame)) = head.next_frame(file) else { break };
        let before_last =
            Duration::from_millis(last.since_boot.saturating_sub(frame.stamp.since_boot));
        let age = millis(since_last.saturating_add(before_last));
        let written = Moment(now.0.saturating_sub(age));
        if recalled.take(&frame.records, written).is_none() {
            let why = "it says something that is not understood; what comes before that is used";
            wrong = Some(why.to_owned());
            break;
        }
    }
    (recalled, Some(last), wrong)
}

fn look_through(file: &mut BufReader<File>, head: &Head) -> Intact {
    let mut intact = Intact { frames: 0, last: None, damage: None };
    loop {
        match head.next_frame(file) {
            Ok(Some(frame)) => {
                intact.frames += 1;
                intact.last = Some(frame.stamp);
            }
            Ok(None) => return intact,
            Err(error) => return Intact { damage: Some(error), ..intact },
        }
    }
}
