//! Reading an export line by line: each one is what it should be, and none is missing.

use std::fmt;

use serde_json::Value;

use super::{Header, Line, VERSION};
use crate::amount;

/// No line is longer.
pub const LONGEST: usize = 64 * 1024;

/// An export that is being read.
#[derive(Debug, Default)]
pub struct Reading {
    lines: u64,
    counters: u64,
    locks: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Begin,
    Ended,
    Within,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line's number, from 1.
    pub line: u64,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.why)
    }
}

impl Reading {
    /// What the next line says.
    ///
    /// # Errors
    ///
    /// When it is none that could follow.
    pub fn take(&mut self, line: &[u8]) -> Result<Line, Wrong> {
        self.lines += 1;
        let read = self.read(line).map_err(|why| Wrong { line: self.lines, why })?;
        match &read {
            Line::Counter(_) => self.counters += 1,
            Line::End(_) => self.state = State::Ended,
            Line::Lock(_) => self.locks += 1,
            Line::LoginwardExport(_) => self.state = State::Within,
        }
        Ok(read)
    }

    fn read(&self, line: &[u8]) -> Result<Line, String> {
        if line.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        match self.state {
            State::Begin => header(line).map(Line::LoginwardExport),
            State::Ended => Err("there is more after what should be the last line".to_owned()),
            State::Within => match parse(line)? {
                Line::LoginwardExport(_) => Err("another export begins here".to_owned()),
                Line::End(end) if (end.counters, end.locks) != (self.counters, self.locks) => {
                    Err(format!(
                        "it counts {} and {}, but there are {} and {}: lines are missing, or are \
                         there twice",
                        amount::counters(end.counters),
                        amount::locks_by_hand(end.locks),
                        self.counters,
                        self.locks
                    ))
                }
                line @ (Line::Counter(_) | Line::End(_) | Line::Lock(_)) => Ok(line),
            },
        }
    }

    /// What is wrong with the line that was taken last.
    #[must_use]
    pub const fn wrong(&self, why: String) -> Wrong {
        Wrong { line: self.lines, why }
    }

    /// There are no more lines.
    ///
    /// # Errors
    ///
    /// When there should be.
    pub fn end(&self) -> Result<(), Wrong> {
        let line = self.lines + 1;
        match self.state {
            State::Begin => Err(Wrong { line, why: "there is nothing".to_owned() }),
            State::Ended => Ok(()),
            State::Within => {
                let why = "it ends here, and the line that says how much there was is missing";
                Err(Wrong { line, why: why.to_owned() })
            }
        }
    }
}

/// The first line; another version's may say what this one does not know.
fn header(line: &[u8]) -> Result<Header, String> {
    let foreign = || "this is no export of loginward".to_owned();
    let value: Value = serde_json::from_slice(line).map_err(|_| foreign())?;
    let version = value.pointer("/loginward_export/version").ok_or_else(foreign)?;
    if *version != VERSION {
        return Err(format!("it is of version {version}, and this program knows {VERSION}"));
    }
    match parse(line)? {
        Line::LoginwardExport(header) => Ok(header),
        Line::Counter(_) | Line::End(_) | Line::Lock(_) => Err(foreign()),
    }
}

fn parse(line: &[u8]) -> Result<Line, String> {
    serde_json::from_slice(line).map_err(|error| {
        let column = error.column();
        let text = error.to_string();
        let why = text.split(" at line ").next().unwrap_or_default();
        format!("{why} (column {column})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str =
        r#"{"loginward_export":{"version":1,"program":"0.1.0","at":"now","at_ms":5}}"#;
    const COUNTER: &str = r#"{"counter":{"who":{"site":"s","limit":"l","parameters":{"username":null}},"latest_ms":-1}}"#;
    const LOCK: &str = r#"{"lock":{"username":"bob","until_ms":"never"}}"#;

    fn read(lines: &[&str]) -> Result<(), Wrong> {
        let mut reading = Reading::default();
        lines.iter().try_for_each(|line| reading.take(line.as_bytes()).map(drop))?;
        reading.end()
    }

    #[test]
    fn a_whole_export_is_read() {
        let end = r#"{"end":{"counters":2,"locks":1}}"#;
        assert_eq!(read(&[FIRST, COUNTER, COUNTER, LOCK, end]), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let end = r#"{"end":{"counters":1,"locks":0}}"#;
        let other = FIRST.replace(":1,", ":2,\"new\":0,");
        let unknown = COUNTER.replace("latest_ms", "lastest_ms");
        let long = format!("{COUNTER}{}", " ".repeat(LONGEST));
        let check = |lines: &[&str], said: &str| {
            let wrong = read(lines).unwrap_err().to_string();
            assert!(wrong.starts_with(said), "{lines:?}: {wrong}");
        };
        check(&[], "line 1: there is nothing");
        check(&["root:x:0:0:root:/root:/bin/sh"], "line 1: this is no export");
        check(&["{}"], "line 1: this is no export");
        check(&[&other], "line 1: it is of version 2, and this program knows 1");
        check(&[FIRST, COUNTER], "line 3: it ends here");
        check(&[FIRST, COUNTER.split_at(40).0], "line 2: EOF while parsing");
        check(&[FIRST, COUNTER, ""], "line 3: EOF while parsing");
        check(&[FIRST, &unknown], "line 2: unknown field `lastest_ms`");
        check(&[FIRST, "{\"sausage\":1}"], "line 2: unknown variant `sausage`");
        check(&[FIRST, &long], "line 2: it is longer");
        check(
            &[FIRST, COUNTER, COUNTER, end],
            "line 4: it counts 1 counter and 0 locks by hand, but there are 2 and 0",
        );
        check(&[FIRST, COUNTER, end, COUNTER], "line 4: there is more");
        check(&[FIRST, FIRST], "line 2: another export begins");
    }
}
