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
}

/// What is heard next.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// An event.
    Event(Value),
    /// So many were lost, because they were not taken in time.
    Lost(u64),
}

/// Asks the guard at `place`; what it refuses it with is its status and what it says.
///
/// # Errors
///
/// When there is no guard, or it does not answer in time.
pub fn hear(place: &Place, target: &str) -> io::Result<Result<Events, (u16, String)>> {
    Ok(open(place, target, SILENCE)?.map(|reader| Events { reader }))
}

impl Events {
    /// Waits for the next one; `None` where no more come.
    ///
    /// # Errors
    ///
    /// When the guard breaks off or is silent.
    pub fn hear(&mut self) -> io::Result<Option<Heard>> {
        while let Some(line) = self.line()? {
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let data: Value = serde_json::from_str(data).map_err(io::Error::other)?;
            let lost = data.get("lost").and_then(Value::as_u64);
            return Ok(Some(lost.map_or(Heard::Event(data), Heard::Lost)));
        }
        Ok(None)
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
