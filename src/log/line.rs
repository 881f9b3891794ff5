//! One log line: fields in order, what clients made escaped and cut.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use tracing::Level;

use crate::config::LogFormat;

/// Longer values are cut.
const MOST_CHARS: usize = 256;

/// A log line.
#[derive(Clone, Debug)]
pub struct Line {
    level: Level,
    wall: Duration,
    fields: Vec<(&'static str, Value)>,
}

#[derive(Clone, Debug, Hash)]
enum Value {
    Number(u64),
    Text(Box<str>),
}

impl Line {
    /// A line of `level` at a wall-clock time since 1970.
    #[must_use]
    pub const fn new(level: Level, wall: Duration) -> Self {
        Self { level, wall, fields: Vec::new() }
    }

    /// Adds a number.
    pub fn number(&mut self, name: &'static str, value: u64) {
        self.fields.push((name, Value::Number(value)));
    }

    /// Adds text, whoever made it.
    pub fn text(&mut self, name: &'static str, value: &str) {
        let name = if name == "message" { "msg" } else { name };
        let value = match value.char_indices().nth(MOST_CHARS) {
            Some((end, _)) => {
                let mut cut = value.get(..end).unwrap_or_default().to_owned();
                cut.push('…');
                cut.into()
            }
            None => value.into(),
        };
        self.fields.push((name, Value::Text(value)));
    }

    /// Hashes all that makes the line what it says, but not when.
    pub fn hash_content(&self, hasher: &mut impl Hasher) {
        self.fields.hash(hasher);
    }

    /// Appends the line in `format`, marked as one of several where `repeated` is not 0.
    pub fn write(&self, out: &mut Vec<u8>, format: LogFormat, repeated: u64) {
        let mut line = String::with_capacity(160);
        match format {
            LogFormat::Json => self.write_json(&mut line, repeated),
            LogFormat::Text => self.write_text(&mut line, repeated),
        }
        line.push('\n');
        out.extend_from_slice(line.as_bytes());
    }

    fn write_text(&self, line: &mut String, repeated: u64) {
        line.push_str("ts=");
        write_time(line, self.wall);
        line.push_str(" level=");
        line.push_str(level_name(self.level));
        for (name, value) in &self.fields {
            line.push(' ');
            line.push_str(name);
            line.push('=');
            match value {
                Value::Number(number) => _ = write!(line, "{number}"),
                Value::Text(text) => write_logfmt(line, text),
            }
        }
        if repeated > 0 {
            _ = write!(line, " repeated={repeated}");
        }
    }

    fn write_json(&self, line: &mut String, repeated: u64) {
        line.push_str("{\"ts\":\"");
        write_time(line, self.wall);
        line.push_str("\",\"level\":\"");
        line.push_str(level_name(self.level));
        line.push('"');
        for (name, value) in &self.fields {
            _ = write!(line, ",\"{name}\":");
            match value {
                Value::Number(number) => _ = write!(line, "{number}"),
                Value::Text(text) => {
                    line.push('"');
                    write_escaped(line, text);
                    line.push('"');
                }
            }
        }
        if repeated > 0 {
            _ = write!(line, ",\"repeated\":{repeated}");
        }
        line.push('}');
    }
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// A bare word where it is one, quoted and escaped otherwise.
fn write_logfmt(line: &mut String, text: &str) {
    let bare = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\');
    if !text.is_empty() && text.bytes().all(bare) {
        line.push_str(text);
        return;
    }
    line.push('"');
    write_escaped(line, text);
    line.push('"');
}

/// Escapes as in JSON, besides whatever a terminal or a log viewer might obey or break a line at.
fn write_escaped(line: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            letter if is_unprintable(letter) => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    _ = write!(line, "\\u{unit:04x}");
                }
            }
            letter => line.push(letter),
        }
    }
}

/// Controls, line separators, and what turns the direction of writing or shows as nothing.
fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// RFC 3339, in UTC, with milliseconds.
pub fn write_time(line: &mut String, wall: Duration) {
    let seconds = wall.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // days are counted from 1 March of year 0, so that the leap day is the last of a year
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let day_of_month = day - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
    let millis = wall.subsec_millis();
    _ = write!(
        line,
        "{year:04}-{month:02}-{day_of_month:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: LogFormat, repeated: u64) -> String {
        let mut line = Line::new(Level::INFO, Duration::from_millis(1_795_571_696_789));
        line.text("event", "login_failed");
        line.text("client", "192.0.2.1");
        line.text("username", "bob\" level=error\n\u{202e}x\u{1b}[31m");
        line.number("failures", 3);
        let mut out = Vec::new();
        line.write(&mut out, format, repeated);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn client_made_text_cannot_break_out_of_its_field() {
        assert_eq!(
            written(LogFormat::Text, 0),
            "ts=2026-11-25T01:54:56.789Z level=info event=login_failed client=192.0.2.1 \
             username=\"bob\\\" level=error\\n\\u202ex\\u001b[31m\" failures=3\n"
        );
        let json = written(LogFormat::Json, 7);
        let parsed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(parsed["username"], "bob\" level=error\n\u{202e}x\u{1b}[31m");
        assert_eq!(parsed["repeated"], 7);
    }

    #[test]
    fn long_values_are_cut() {
        let mut line = Line::new(Level::INFO, Duration::ZERO);
        line.text("username", &"é".repeat(5000));
        let mut out = Vec::new();
        line.write(&mut out, LogFormat::Text, 0);
        assert!(out.len() < 700, "{}", out.len());
    }

    #[test]
    fn times_are_calendar_times() {
        let check = |seconds, expected: &str| {
            let mut line = String::new();
            write_time(&mut line, Duration::from_secs(seconds));
            assert_eq!(line, expected);
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400, "2000-02-29T00:00:00.000Z");
        check(1_709_164_800, "2024-02-29T00:00:00.000Z");
        check(4_107_542_399, "2100-02-28T23:59:59.000Z");
    }
}
