//! URL-encoded fields: of a query, a body or a cookie.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

use super::body::{Field, Place, Sink, Value};
use super::field::FoundName;
use crate::policy::path::percent::{Escape, escape};

/// Hands every field of `text` to `sink`, in each way to tell fields apart: by `&`, and, as Rack
/// once did and plain text needs it, by `;` and line ends too.
pub(super) fn read(text: &[u8], place: Place, name: &mut FoundName, sink: &mut dyn Sink) {
    for pair in text.split(|byte| *byte == b'&') {
        read_pair(pair, place, name, sink);
    }
    let other_end = |byte: &u8| matches!(byte, b';' | b'\r' | b'\n');
    if memchr3(b';', b'\r', b'\n', text).is_some() {
        sink.next_reading();
        // a word by itself is text, and no field
        let pairs = text.split(|byte| *byte == b'&' || other_end(byte));
        for pair in pairs.filter(|pair| pair.contains(&b'=')) {
            read_pair(pair, place, name, sink);
        }
    }
}

/// Hands the cookies of one `Cookie` line to `sink`.
pub(super) fn read_cookies(line: &[u8], name: &mut FoundName, sink: &mut dyn Sink) {
    for pair in line.split(|byte| *byte == b';') {
        read_pair(pair, Place::Cookie, name, sink);
    }
}

fn read_pair(pair: &[u8], place: Place, name: &mut FoundName, sink: &mut dyn Sink) {
    let end = memchr(b'=', pair).unwrap_or(pair.len());
    let (key, value) = pair.split_at_checked(end).unwrap_or((pair, &[]));
    if key.is_empty() {
        return;
    }
    name.set(&decode(key, Wide::Read));
    let value = Value::Encoded(value.get(1..).unwrap_or_default());
    sink.field(Field { place, name, value });
}

/// Whether `%u006c` is an `l` and a stray `%` nothing, as for ASP, or just signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wide {
    Leave,
    Read,
}

/// Whether ASP takes `text` for something else than others do.
pub(super) fn is_odd(text: &[u8]) -> bool {
    let odd = |tail: &[u8]| !matches!(escape(tail), Some((Escape::Byte(_), _)));
    let mut escapes = text.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    escapes.any(|(at, _)| odd(text.get(at + 1..).unwrap_or_default()))
}

/// What an encoded name or value stands for; what is no escape is left as it is.
pub(super) fn decode(text: &[u8], wide: Wide) -> Cow<'_, [u8]> {
    if memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match if *byte == b'%' { escape(tail) } else { None } {
            Some((Escape::Byte(byte), tail)) => {
                decoded.push(byte);
                rest = tail;
            }
            Some((Escape::Wide(c), tail)) if wide == Wide::Read => {
                decoded.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = tail;
            }
            None if *byte == b'%' && wide == Wide::Read => {}
            Some(_) | None => decoded.push(if *byte == b'+' { b' ' } else { *byte }),
        }
    }
    Cow::Owned(decoded)
}
