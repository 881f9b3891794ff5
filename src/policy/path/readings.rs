//! All the forms in which some upstream may take a path.

use std::fmt;

use super::normal::{self, Overlong, Slashes};

/// A path that could be taken for so many others that nobody can say where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclear;

impl fmt::Display for Unclear {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the path can be read in too many ways")
    }
}

impl std::error::Error for Unclear {}

/// No client that means well comes near: it takes half a dozen tricks in one path.
const MAX_READINGS: usize = 96;
const MAX_BYTES: usize = 256 * 1024;
const MAX_DECODINGS: u8 = 3;

/// Steps that an upstream takes or leaves, each at any time.
const STEPS: [fn(&str) -> Option<String>; 7] = [
    normal::slash_backslashes,
    normal::drop_parameters,
    normal::drop_sessions,
    normal::cut,
    normal::collapse_slashes,
    normal::resolve_dots,
    normal::plain_letters,
];

struct Reading {
    text: String,
    decodings: u8,
}

/// What `raw` may become by any of the steps in any order, itself included.
///
/// # Errors
///
/// If that is too much.
pub(super) fn of(raw: &str) -> Result<Vec<String>, Unclear> {
    let mut readings = vec![Reading { text: raw.to_owned(), decodings: 0 }];
    let mut bytes = raw.len();
    let mut at = 0;
    while let Some(reading) = readings.get(at) {
        for next in next_readings(reading) {
            if readings.iter().any(|known| known.text == next.text) {
                continue;
            }
            bytes += next.text.len();
            if readings.len() == MAX_READINGS || bytes > MAX_BYTES {
                return Err(Unclear);
            }
            readings.push(next);
        }
        at += 1;
    }
    Ok(readings.into_iter().map(|reading| reading.text).collect())
}

fn next_readings(reading: &Reading) -> Vec<Reading> {
    let Reading { text, decodings } = reading;
    let steps = STEPS.iter().filter_map(|step| step(text));
    let mut next: Vec<_> = steps.map(|text| Reading { text, decodings: *decodings }).collect();
    if *decodings < MAX_DECODINGS {
        let decoded = decode(text).into_iter();
        next.extend(decoded.map(|text| Reading { text, decodings: decodings + 1 }));
    }
    next
}

/// What one decoding may make of `text`.
fn decode(text: &str) -> Vec<String> {
    let mut decoded = Vec::new();
    if let Some(bytes) = normal::percent_decode(text, Slashes::Decode) {
        decoded.push(normal::to_text(&bytes, Overlong::Read));
        if std::str::from_utf8(&bytes).is_err() {
            decoded.push(normal::to_text(&bytes, Overlong::Leave));
        }
    }
    let others = normal::percent_decode(text, Slashes::Leave);
    decoded.extend(others.map(|bytes| normal::to_text(&bytes, Overlong::Read)));
    decoded
}
