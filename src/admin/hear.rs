//! Hearing of a running guard's events, as they come.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::time::Duration;

use serde_json::Value;

use super::ask::{Connection, Place, open};

/// A guard that is silent for longer has ended or hangs: it says something every 15 s.
const SILENCE: Duration = Duration::from_secs(60);
/// No line is longer.
const LONGEST: u64 = 1024 * 1024;

/// What a guard says of its events.
#[derive(Debug)]
pub struct Events {
    reader: BufReader<Connection>,
    /// The `id` of the event before the next.
    latest: Option<String>,
}

/// Events, or the status and the words with which they are refused.
pub type Refusable = Result<Events, (u16, String)>;

/// What is heard next.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// An event.
    Event(Value),
    /// So many were lost, because they were not taken in time.
    Lost(u64),
}

/// Asks the guard at `place`; what it refuses it with is its status and what it says. Where it is the
/// guard that told of the event with the id `after`, it goes on after that.
///
/// # Errors
///
/// When there is no guard, or it does not answer in time.
pub fn hear(place: &Place, target: &str, after: Option<&str>) -> io::Result<Refusable> {
    let after = after.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
    Ok(open(place, (target, &after), SILENCE)?.map(|reader| Events { reader, latest: None }))
}

impl Events {
    /// Waits for the next one; `None` where no more come.
    ///
    /// # Errors
    ///
    /// When the guard breaks off or is silent.
    pub fn hear(&mut self) -> io::Result<Option<Heard>> {
        while let Some(line) = self.line()? {
            if let Some(id) = line.strip_prefix("id: ") {
                self.latest = Some(id.to_owned());
            }
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let data: Value = serde_json::from_str(data).map_err(io::Error::other)?;
            let lost = data.get("lost").and_then(Value::as_u64);
            return Ok(Some(lost.map_or(Heard::Event(data), Heard::Lost)));
        }
        Ok(None)
    }

    /// The id of the latest event.
    #[must_use]
    pub fn latest(&self) -> Option<&str> {
        self.latest.as_deref()
    }

    /// A line without its end; `None` at the end of all.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let read = self.reader.by_ref().take(LONGEST).read_line(&mut line)?;
        let is_whole = line.ends_with('\n');
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok((read > 0 && is_whole).then_some(line))
    }
}
