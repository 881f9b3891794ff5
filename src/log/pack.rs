//! A traced event in few bytes: packed by whoever traces it, unpacked by the thread that writes it.

use std::fmt::Debug;
use std::fmt::Write as _;
use std::time::Duration;

use tracing::field::{Field, Iter, Visit};
use tracing::{Level, Metadata};

use super::line::{LineWriter, cut};
use super::show::Show;
use crate::config::LogFormat;

/// What a field is, in a packed event.
const NUMBER: u8 = 0;
const TEXT: u8 = 1;

/// Packs the fields of an event: of each its number, what it is, and its value.
#[derive(Debug)]
pub struct Packer<'a>(pub &'a mut Vec<u8>);

impl Packer<'_> {
    fn text(&mut self, field: &Field, value: &str) {
        let (shown, is_cut) = cut(value);
        let more = if is_cut { "…" } else { "" };
        let length = u16::try_from(shown.len() + more.len()).unwrap_or_default();
        self.0.extend_from_slice(&[number_of(field), TEXT]);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(shown.as_bytes());
        self.0.extend_from_slice(more.as_bytes());
    }
}

/// Events have at most 32 fields.
fn number_of(field: &Field) -> u8 {
    u8::try_from(field.index()).unwrap_or(u8::MAX)
}

impl Visit for Packer<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.extend_from_slice(&[number_of(field), NUMBER]);
        self.0.extend_from_slice(&value.to_le_bytes());
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
    /// A number.
    Number(u64),
    /// Text, whoever made it.
    Text(&'a str),
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
    pub packed: &'a [u8],
}

impl<'a> Entry<'a> {
    /// How important it is.
    #[must_use]
    pub fn level(&self) -> Level {
        *self.kind.level()
    }

    /// Its fields in order.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields { names: self.kind.fields().iter(), rest: self.packed }
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

    /// Writes its fields as a line of `format` has them, all but the time.
    pub fn write(&self, out: &mut String, format: LogFormat, show: &Show) {
        let mut line = LineWriter::new(out, format, self.level());
        for (name, value) in self.fields() {
            match value {
                Value::Number(number) => line.number(name, number),
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
pub struct Fields<'a> {
    names: Iter,
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'static str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[number, what], rest) = self.rest.split_first_chunk()?;
        let field = self.names.find(|field| number_of(field) == number)?;
        let value = if what == NUMBER {
            let (value, rest) = rest.split_first_chunk()?;
            self.rest = rest;
            Value::Number(u64::from_le_bytes(*value))
        } else {
            let (length, rest) = rest.split_first_chunk()?;
            let (text, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
            self.rest = rest;
            Value::Text(std::str::from_utf8(text).unwrap_or_default())
        };
        Some((field.name(), value))
    }
}
