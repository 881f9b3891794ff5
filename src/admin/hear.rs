//! Hearing of a running guard's events, as they come.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::time::Duration;

use serde_json::Value;

use super::ask::{Connection, Place};

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
    let mut stream = place.connect(SILENCE)?;
    // the answer to this version is not cut into pieces
    let request = format!("GET {target} HTTP/1.0\r\n{}\r\n", place.fields());
    stream.write_all(request.as_bytes())?;
    let mut events = Events { reader: BufReader::new(stream) };
    let strange = || io::Error::other("what answers there is no guard");
    let first = events.line()?.ok_or_else(strange)?;
    let mut words = first.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1.")).ok_or_else(strange)?;
    let status: u16 = words.next().and_then(|status| status.parse().ok()).ok_or_else(strange)?;
    while events.line()?.is_some_and(|line| !line.is_empty()) {}
    if status == 200 {
        return Ok(Ok(events));
    }
    let mut said = String::new();
    events.reader.take(LONGEST).read_to_string(&mut said)?;
    let detail = serde_json::from_str::<Value>(&said).ok();
    let detail = detail.and_then(|said| Some(said.get("detail")?.as_str()?.to_owned()));
    Ok(Err((status, detail.unwrap_or_default())))
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
