//! How a log line is written: fields in order, what clients made escaped and cut.

use std::fmt::Write as _;
use std::time::Duration;

use tracing::Level;

use crate::config::LogFormat;

/// Longer values are cut.
const MOST_CHARS: usize = 256;

/// Writes the fields of one line, all but the time.
#[derive(Debug)]
pub struct LineWriter<'a> {
    out: &'a mut String,
    format: LogFormat,
}

impl<'a> LineWriter<'a> {
    /// Begins a line of `level` in `out`.
    pub fn new(out: &'a mut String, format: LogFormat, level: Level) -> Self {
        let mut writer = Self { out, format };
        writer.text("level", level_name(level));
        writer
    }

    /// Adds a number.
    pub fn number(&mut self, name: &str, value: u64) {
        self.digits(name, itoa::Buffer::new().format(value));
    }

    /// Adds a number that is in digits already.
    pub fn digits(&mut self, name: &str, digits: &str) {
        write_name(self.out, self.format, name);
        self.out.push_str(digits);
    }

    /// Adds text, whoever made it.
    pub fn text(&mut self, name: &str, value: &str) {
        write_name(self.out, self.format, name);
        write_value(self.out, self.format, cut(value));
    }
}

/// Appends the name of a field and what stands around it.
pub(super) fn write_name(out: &mut String, format: LogFormat, name: &str) {
    let name = if name == "message" { "msg" } else { name };
    let (before, after) = match format {
        LogFormat::Json => (",\"", "\":"),
        LogFormat::Text => (" ", "="),
    };
    out.push_str(before);
    out.push_str(name);
    out.push_str(after);
}

/// Appends the text of a field, which may have been cut. Returns where it stands and how long it
/// is, unless something in it had to be escaped.
pub(super) fn write_value(
    out: &mut String,
    format: LogFormat,
    (shown, is_cut): (&str, bool),
) -> Option<(usize, usize)> {
    let class = class_of(shown);
    if format == LogFormat::Text && class == BARE && !is_cut && !shown.is_empty() {
        let begin = out.len();
        out.push_str(shown);
        return Some((begin, shown.len()));
    }
    out.push('"');
    let begin = out.len();
    if class == ODD {
        write_escaped(out, shown);
    } else {
        out.push_str(shown);
    }
    // what is escaped takes more room than it has
    let is_plain = out.len() - begin == shown.len();
    if is_cut {
        out.push('…');
    }
    let length = out.len() - begin;
    out.push('"');
    is_plain.then_some((begin, length))
}

/// The beginning of `value`, and whether there is more of it.
pub(super) fn cut(value: &str) -> (&str, bool) {
    if value.len() <= MOST_CHARS {
        return (value, false);
    }
    match value.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => (value.get(..end).unwrap_or_default(), true),
        None => (value, false),
    }
}

/// Appends a whole line: the time, the fields that a [`LineWriter`] wrote, and how often it came
/// again, if it did.
pub fn write_line(
    out: &mut Vec<u8>,
    stamp: &mut Stamp,
    format: LogFormat,
    (wall, fields): (Duration, &str),
    repeated: u64,
) {
    let (before, after) = match format {
        LogFormat::Json => (&b"{\"ts\":\""[..], &b"\""[..]),
        LogFormat::Text => (&b"ts="[..], &b""[..]),
    };
    out.extend_from_slice(before);
    out.extend_from_slice(stamp.at(wall).as_bytes());
    out.extend_from_slice(after);
    out.extend_from_slice(fields.as_bytes());
    if repeated > 0 {
        let count = match format {
            LogFormat::Json => format!(",\"repeated\":{repeated}"),
            LogFormat::Text => format!(" repeated={repeated}"),
        };
        out.extend_from_slice(count.as_bytes());
    }
    out.extend_from_slice(match format {
        LogFormat::Json => b"}\n",
        LogFormat::Text => b"\n",
    });
}

/// The text of the latest time, of which most is that of the one before.
#[derive(Debug, Default)]
pub struct Stamp {
    /// When that was, in milliseconds.
    at: Option<u64>,
    text: String,
}

impl Stamp {
    fn at(&mut self, wall: Duration) -> &str {
        let seconds = wall.as_secs();
        let at = seconds.saturating_mul(1000).saturating_add(wall.subsec_millis().into());
        let before = self.at.replace(at);
        if before == Some(at) {
            return &self.text;
        }
        if before.map(|before| before / 1000) != Some(seconds) {
            self.text.clear();
            write_time(&mut self.text, Duration::from_secs(seconds));
        }
        self.text.truncate("1970-01-01T00:00:00.".len());
        let millis = wall.subsec_millis();
        for digit in [millis / 100, millis / 10 % 10, millis % 10] {
            self.text.push(char::from_digit(digit, 10).unwrap_or('0'));
        }
        self.text.push('Z');
        &self.text
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

/// Logfmt needs no quotes around it.
const BARE: u8 = 0;
/// It needs nothing but quotes.
const QUOTED: u8 = 1;
/// It may have to be escaped.
const ODD: u8 = 3;

/// What each byte means for the text that it is in.
#[expect(clippy::indexing_slicing, reason = "a wrong index would not compile")]
const CLASSES: [u8; 256] = {
    let mut classes = [ODD; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        classes[byte as usize] = match byte {
            b'"' | b'\\' => ODD,
            b' ' | b'=' => QUOTED,
            _ => BARE,
        };
        byte += 1;
    }
    classes
};

/// What the oddest of its bytes is.
fn class_of(text: &str) -> u8 {
    // without a branch for each letter
    text.bytes()
        .fold(BARE, |class, byte| class | CLASSES.get(usize::from(byte)).copied().unwrap_or(ODD))
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

/// Text on its way to a terminal: whatever a terminal might obey is escaped as in JSON.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' => shown.push('"'),
            letter => write_escaped(&mut shown, letter.encode_utf8(&mut [0; 4])),
        }
    }
    shown
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
    let millis = u64::from(wall.subsec_millis());
    write_pair(line, year / 100 % 100);
    let pairs = [
        (year % 100, '-'),
        (month, '-'),
        (day_of_month, 'T'),
        (hours, ':'),
        (minutes, ':'),
        (seconds, '.'),
    ];
    for (number, end) in pairs {
        write_pair(line, number);
        line.push(end);
    }
    write_pair(line, millis / 10);
    line.push(digit(millis));
    line.push('Z');
}

/// Two digits. A refusal has a time in it, and [`std::fmt`] would be a tenth of what that costs.
fn write_pair(line: &mut String, number: u64) {
    line.push(digit(number / 10));
    line.push(digit(number));
}

/// The last digit of `number`.
fn digit(number: u64) -> char {
    char::from(b'0' + (number % 10) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: LogFormat, repeated: u64) -> String {
        let mut fields = String::new();
        let mut line = LineWriter::new(&mut fields, format, Level::INFO);
        line.text("event", "login_failed");
        line.text("client", "192.0.2.1");
        line.text("username", "bob\" level=error\n\u{202e}x\u{1b}[31m");
        line.number("failures", 3);
        let mut out = Vec::new();
        let wall = Duration::from_millis(1_795_571_696_789);
        write_line(&mut out, &mut Stamp::default(), format, (wall, &fields), repeated);
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
        assert_eq!(parsed["ts"], "2026-11-25T01:54:56.789Z");
        assert_eq!(parsed["repeated"], 7);
    }

    #[test]
    fn long_values_are_cut() {
        let mut fields = String::new();
        let mut line = LineWriter::new(&mut fields, LogFormat::Text, Level::INFO);
        line.text("username", &"é".repeat(5000));
        assert_eq!(fields, format!(" level=info username=\"{}…\"", "é".repeat(256)));
    }

    #[test]
    fn the_stamp_of_a_line_is_its_own() {
        let mut stamp = Stamp::default();
        assert_eq!(stamp.at(Duration::from_millis(1_005)), "1970-01-01T00:00:01.005Z");
        assert_eq!(stamp.at(Duration::from_millis(1_999)), "1970-01-01T00:00:01.999Z");
        assert_eq!(stamp.at(Duration::from_millis(2_000)), "1970-01-01T00:00:02.000Z");
        assert_eq!(stamp.at(Duration::from_millis(1_001)), "1970-01-01T00:00:01.001Z");
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
