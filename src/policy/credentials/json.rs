//! JSON: every value in the document, under the path of keys that leads to it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Unreadable;
use super::body::{Field, Place, Sink, Value};
use super::field::{FoundName, Mark};

/// No login needs more, and each level is a frame on the stack.
const MAX_DEPTH: u8 = 64;

/// Hands every value of a body that is one JSON document to `sink`, doubled keys included.
///
/// # Errors
///
/// If it is not exactly that.
pub(super) fn read(
    text: &[u8],
    name: &mut FoundName,
    sink: &mut dyn Sink,
) -> Result<(), Unreadable> {
    let mut json = serde_json::Deserializer::from_slice(without_mark(text));
    Node::top(name, sink)
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|_| Unreadable::Malformed("the body is not JSON, or nested too deeply"))
}

/// Hands over what stands before the first fault: some upstreams stop behind the first document.
/// Says whether there was one.
pub(super) fn read_leading(text: &[u8], name: &mut FoundName, sink: &mut dyn Sink) -> bool {
    let mut json = serde_json::Deserializer::from_slice(without_mark(text));
    let mut any = false;
    while Node::top(name, sink).deserialize(&mut json).is_ok() {
        any = true;
    }
    any
}

/// How a body begins, as far as JSON is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Not like an object or array.
    Other,
    /// Like one.
    Json,
    /// Like one in UTF-16 or UTF-32, which some parsers detect.
    Wide,
}

/// Looks at the first bytes of `text`.
pub(super) fn beginning(text: &[u8]) -> Beginning {
    let opens = |byte: Option<&u8>| matches!(byte, Some(b'{' | b'['));
    if opens(without_mark(text).trim_ascii_start().first()) && text.get(1) != Some(&0) {
        return Beginning::Json;
    }
    let wide = text.starts_with(&[0xff, 0xfe])
        || text.starts_with(&[0xfe, 0xff])
        || text.iter().take(4).any(|byte| *byte == 0);
    let mut signs = text.iter().take(64).filter(|byte| !matches!(byte, 0 | 0xfe | 0xff));
    if wide && opens(signs.find(|byte| !byte.is_ascii_whitespace())) {
        Beginning::Wide
    } else {
        Beginning::Other
    }
}

/// Whether a body that begins like JSON can hardly be anything else, such as `[section]`.
pub(super) fn is_likely(text: &[u8]) -> bool {
    let mut signs = without_mark(text).iter().filter(|byte| !byte.is_ascii_whitespace());
    match signs.next() {
        Some(b'{') => true,
        Some(b'[') => signs.next().is_some_and(|next| b"{[\"'-0123456789".contains(next)),
        _ => false,
    }
}

fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// A value to be read; what it holds is handed over on the way.
struct Node<'a> {
    name: &'a mut FoundName,
    sink: &'a mut dyn Sink,
    depth: u8,
}

impl<'a> Node<'a> {
    fn top(name: &'a mut FoundName, sink: &'a mut dyn Sink) -> Self {
        name.clear();
        Self { name, sink, depth: 0 }
    }

    fn value(&mut self, text: &[u8]) {
        self.sink.field(Field { place: Place::Json, name: self.name, value: Value::Plain(text) });
    }

    fn below<E: Error>(&mut self) -> Result<Node<'_>, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Node { name: self.name, sink: self.sink, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.value(text.as_bytes());
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.visit_str("")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.visit_str(if value { "true" } else { "false" })
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.visit_str(&number.to_string())
    }

    /// `7`, `7.0` and `70e-1` are one number for most upstreams, and written alike here.
    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.visit_str(&number.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let mut empty = true;
        while items.next_element_seed(self.below()?)?.is_some() {
            empty = false;
        }
        if empty {
            self.value(b"");
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut empty = true;
        while let Some(mark) = members.next_key_seed(Key(self.name))? {
            empty = false;
            members.next_value_seed(self.below()?)?;
            self.name.leave(mark);
        }
        if empty {
            self.value(b"");
        }
        Ok(())
    }
}

/// A key to be read; goes down to it.
struct Key<'a>(&'a mut FoundName);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Mark;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Mark, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Mark;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Mark, E> {
        Ok(self.0.enter(key))
    }
}
