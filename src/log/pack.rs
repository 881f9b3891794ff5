//! A traced event in the words of its log line, with where each field's value stands in it.
//!
//! Whoever traces an event writes its line at once, all but the time. Who wants the fields finds
//! them in it, and behind it those values that the line has to escape.

use std::fmt::Debug;
use std::fmt::Write as _;
use std::time::Duration;

use tracing::field::{Field, Iter, Visit};
use tracing::{Level, Metadata};

use super::kinds::Kind;
use super::line::{LineWriter, cut, write_value};
use super::show::Show;
use crate::config::LogFormat;

/// Where the value of a field stands in the text of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    begin: u32,
    length: u16,
    /// The number of the field; events have at most 32.
    field: u8,
    what: What,
}

/// What stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Number,
    Text,
    /// Text that is escaped in the line, and stands as it is behind it; counted from there.
    Behind,
}

/// The fields of an event; its room is used again for the next one.
#[derive(Debug, Default)]
pub struct Packed {
    line: String,
    /// What stands behind the line.
    behind: String,
    places: Vec<Place>,
}

/// How much room is kept for lines, and for what stands behind them.
const KEPT_BYTES: usize = 512;

impl Packed {
    /// A copy.
    #[must_use]
    pub fn of(fields: Fields<'_>) -> Self {
        let Fields { line, behind, places } = fields;
        Self { line: line.to_owned(), behind: behind.to_owned(), places: places.to_owned() }
    }

    /// Becomes a copy of `fields`.
    pub fn keep(&mut self, fields: Fields<'_>) {
        self.clear();
        self.line.push_str(fields.line);
        self.behind.push_str(fields.behind);
        self.places.extend_from_slice(fields.places);
    }

    fn clear(&mut self) {
        self.line.clear();
        self.line.shrink_to(KEPT_BYTES);
        self.behind.clear();
        self.behind.shrink_to(KEPT_BYTES);
        self.places.clear();
    }

    /// What was packed.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields { line: &self.line, behind: &self.behind, places: &self.places }
    }
}

/// Packs the fields of an event.
#[derive(Debug)]
pub struct Packer<'a> {
    packed: &'a mut Packed,
    format: LogFormat,
    kind: &'a Kind,
}

impl<'a> Packer<'a> {
    /// Packs an event of this kind, whose line is one of `format`.
    pub fn new(packed: &'a mut Packed, format: LogFormat, kind: &'a Kind) -> Self {
        packed.clear();
        packed.line.push_str(kind.level());
        Self { packed, format, kind }
    }

    fn text(&mut self, field: &Field, value: &str) {
        let Packed { line, behind, .. } = &mut *self.packed;
        line.push_str(self.kind.name(field));
        let (shown, is_cut) = cut(value);
        match write_value(line, self.format, (shown, is_cut)) {
            Some((begin, length)) => self.note(field, (begin, length), What::Text),
            None => {
                let begin = behind.len();
                behind.push_str(shown);
                behind.push_str(if is_cut { "…" } else { "" });
                let length = behind.len() - begin;
                self.note(field, (begin, length), What::Behind);
            }
        }
    }

    fn note(&mut self, field: &Field, (begin, length): (usize, usize), what: What) {
        // values are cut, and fields are few
        let begin = u32::try_from(begin).unwrap_or_default();
        let length = u16::try_from(length).unwrap_or_default();
        let field = u8::try_from(field.index()).unwrap_or(u8::MAX);
        self.packed.places.push(Place { begin, length, field, what });
    }
}

impl Visit for Packer<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        let line = &mut self.packed.line;
        line.push_str(self.kind.name(field));
        let begin = line.len();
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(value);
        line.push_str(digits);
        self.note(field, (begin, digits.len()), What::Number);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // what cannot be shown is left out
        _ = write!(text, "{value:?}");
        self.text(field, &text);
    }
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number, in digits.
    Number(&'a str),
    /// Text, whoever made it.
    Text(&'a str),
}

/// The fields of an event, packed.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// Its line, all but the time, as the log has it that shows everything.
    pub line: &'a str,
    /// Values that are escaped in it, as they are.
    pub behind: &'a str,
    /// Where each value stands.
    pub places: &'a [Place],
}

/// A packed event, and what is the same for all of its kind.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// When it was, since 1970.
    pub wall: Duration,
    /// What is the same for all of its kind.
    pub kind: &'static Metadata<'static>,
    /// How often it came again; zero for one that did not.
    pub repeated: u64,
    /// Its fields.
    pub packed: Fields<'a>,
}

impl<'a> Entry<'a> {
    /// How important it is.
    #[must_use]
    pub fn level(&self) -> Level {
        *self.kind.level()
    }

    /// Its fields in order.
    #[must_use]
    pub fn fields(&self) -> Unpacked<'a> {
        Unpacked { names: self.kind.fields().iter(), packed: self.packed }
    }

    /// The text of a field.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.fields().find_map(|(own, value)| match value {
            Value::Text(text) if own == name => Some(text),
            Value::Number(_) | Value::Text(_) => None,
        })
    }

    /// Its name, where it is an event that others than the log are told of.
    #[must_use]
    pub fn event(&self) -> Option<&'a str> {
        let name = self.text("event").filter(|_| is_told(self.kind));
        name.filter(|name| *name != "request")
    }

    /// Its line in the log, which is one of `format`, as `show` shows it; `room` is for that.
    pub fn line<'b>(&self, room: &'b mut String, format: LogFormat, show: &Show) -> &'b str
    where
        'a: 'b,
    {
        if show.is_clear() {
            return self.packed.line;
        }
        room.clear();
        self.write(room, format, show);
        room
    }

    /// Writes its fields as a line of `format` has them, all but the time.
    pub fn write(&self, out: &mut String, format: LogFormat, show: &Show) {
        let mut line = LineWriter::new(out, format, self.level());
        for (name, value) in self.fields() {
            match value {
                Value::Number(digits) => line.digits(name, digits),
                Value::Text(text) => line.text(name, &show.field(self, name, text)),
            }
        }
    }
}

/// Whether others than the log may be told of events of this kind. Lines of the access log are of
/// them, and left out later.
#[must_use]
pub fn is_told(kind: &Metadata<'_>) -> bool {
    *kind.level() <= Level::INFO && kind.fields().field("event").is_some()
}

/// The fields of a packed event, by name.
#[derive(Debug)]
pub struct Unpacked<'a> {
    names: Iter,
    packed: Fields<'a>,
}

impl<'a> Iterator for Unpacked<'a> {
    type Item = (&'static str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (place, rest) = self.packed.places.split_first()?;
        self.packed.places = rest;
        let field = self.names.find(|field| field.index() == usize::from(place.field))?;
        let Fields { line, behind, .. } = self.packed;
        let text = if place.what == What::Behind { behind } else { line };
        let begin = usize::try_from(place.begin).ok()?;
        let value = text.get(begin..begin + usize::from(place.length)).unwrap_or_default();
        Some((
            field.name(),
            match place.what {
                What::Number => Value::Number(value),
                What::Behind | What::Text => Value::Text(value),
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{Event, Subscriber, span};

    use super::super::kinds::Kinds;
    use super::*;
    use crate::outlets::settings::Privacy;

    type Lines = Arc<Mutex<Vec<(&'static Metadata<'static>, Packed)>>>;

    /// Keeps what is traced, in one format.
    struct Keeper(LogFormat, Lines);

    impl Subscriber for Keeper {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &Event<'_>) {
            let (mut packed, mut kinds) = (Packed::default(), Kinds::default());
            let kind = kinds.of(event.metadata(), self.0);
            event.record(&mut Packer::new(&mut packed, self.0, kind));
            self.1.lock().expect("a lock").push((event.metadata(), packed));
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    const VALUES: [&str; 10] = [
        "bare",
        "",
        "two words",
        "a=b",
        "\"quoted\"",
        "back\\slash",
        "line\nbreak",
        "Gr\u{fc}\u{df}e",
        "\u{202e}turned",
        "\u{1f600}",
    ];

    /// Events with each of `values`, packed.
    fn traced(format: LogFormat, values: &[&str]) -> Vec<(&'static Metadata<'static>, Packed)> {
        let lines = Lines::default();
        let trace = |value: &&str| {
            let none: Option<&str> = None;
            let (count, other) = (u64::MAX, format_args!("{value}"));
            tracing::warn!(event = "stopping", none, count, value, %other, message = "end");
        };
        let keeper = Keeper(format, Arc::clone(&lines));
        tracing::subscriber::with_default(keeper, || values.iter().for_each(trace));
        std::mem::take(&mut *lines.lock().expect("a lock"))
    }

    #[test]
    fn an_event_is_packed_as_its_line_and_its_fields_are_found_in_it() {
        let long = ["\u{e9}".repeat(5000), "\"".repeat(300), "x".repeat(257)];
        let values: Vec<&str> = VALUES.into_iter().chain(long.iter().map(String::as_str)).collect();
        for format in [LogFormat::Text, LogFormat::Json] {
            let events = traced(format, &values);
            assert_eq!(events.len(), values.len());
            for ((kind, packed), value) in events.iter().zip(&values) {
                let packed = packed.fields();
                let entry = Entry { wall: Duration::ZERO, kind, repeated: 0, packed };
                let more = "…".repeat(usize::from(value.chars().count() > 256));
                let shown: String = value.chars().take(256).chain(more.chars()).collect();
                let mut fields: Vec<_> = entry.fields().collect();
                fields.sort_by_key(|(name, _)| *name);
                let expected = [
                    ("count", Value::Number("18446744073709551615")),
                    ("event", Value::Text("stopping")),
                    ("message", Value::Text("end")),
                    ("other", Value::Text(&shown)),
                    ("value", Value::Text(&shown)),
                ];
                assert_eq!(fields, expected);
                assert_eq!(entry.event(), Some("stopping"));
                let (mut written, mut room) = (String::new(), String::new());
                let clear = Show::new(&Privacy::default(), b"");
                entry.write(&mut written, format, &clear);
                assert_eq!(entry.line(&mut room, format, &clear), written);
            }
        }
    }
}
