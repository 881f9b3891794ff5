//! Reading single values: text, numbers, durations, sizes, words of a choice.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::keys::{listed, nearest};
use super::node::{Kind, Node};
use super::reader::Reader;
use super::units;

const QUOTE: &str = "quote it";
const TEXT: &str = "text";

/// Says that `node` is not the `wanted` kind of value, and how it comes that YAML reads it so.
pub(super) fn mismatch(node: &Node, wanted: &str, reader: &mut Reader<'_>) {
    let (what, shown) = (node.what(), reader.shown(node));
    let (wrong, right) = match (&node.kind, reader.char_at(node.at)) {
        (Kind::Missing, _) => return,
        (Kind::Null, _) => ("has no value".to_owned(), "give it one or remove it"),
        (Kind::Map(_), Some('{')) if wanted == TEXT => {
            (format!("expected {wanted}, but YAML reads `{{` as the beginning of {what}"), QUOTE)
        }
        (Kind::List(items), Some('[')) if wanted == TEXT && items.len() == 1 => {
            (format!("expected {wanted}, not {what}"), "remove the `[ ]`, or quote them")
        }
        (Kind::List(_), _) if !wanted.starts_with("a mapping") => {
            (format!("expected {wanted}, not {what}"), "write one value")
        }
        (Kind::List(_) | Kind::Map(_), _) => (format!("expected {wanted}, not {what}"), ""),
        (Kind::Bool(_) | Kind::Number(_), _) if wanted == TEXT => {
            (format!("expected {wanted}, but YAML reads `{shown}` as {what}"), QUOTE)
        }
        (Kind::Tagged(_), _) => {
            (format!("expected {wanted}, but YAML reads `{shown}` as {what}"), QUOTE)
        }
        (Kind::Bool(_) | Kind::Number(_) | Kind::Text(_), _) => {
            (format!("expected {wanted}, not `{shown}`"), "")
        }
    };
    reader.error(node, wrong, right);
}

/// Text, maybe none.
pub(super) fn any_text<'a>(node: &'a Node, reader: &mut Reader<'_>) -> Option<&'a str> {
    if node.text().is_none() {
        mismatch(node, TEXT, reader);
    }
    node.text()
}

/// Text that is not empty.
pub(super) fn text<'a>(node: &'a Node, reader: &mut Reader<'_>) -> Option<&'a str> {
    let text = any_text(node, reader)?;
    if text.is_empty() {
        reader.error(node, "is empty", "");
        return None;
    }
    Some(text)
}

/// Text that identifies something in logs and lists.
pub(super) fn name<'a>(node: &'a Node, reader: &mut Reader<'_>) -> Option<&'a str> {
    let name = text(node, reader)?;
    if name.chars().any(char::is_control) || name.len() > 200 {
        let right = "write at most 200 bytes on one line";
        reader.error(node, format!("`{}` is no name", node.shown()), right);
        return None;
    }
    Some(name)
}

/// `true` or `false`.
pub(super) fn flag(node: &Node, reader: &mut Reader<'_>) -> Option<bool> {
    if let Kind::Bool(value) = node.kind {
        return Some(value);
    }
    // what `${…}` brought is text
    let value = node.text().and_then(|text| text.parse().ok());
    if value.is_none() {
        mismatch(node, "true or false", reader);
    }
    value
}

/// One of the `words`, as what it stands for.
pub(super) fn choice<T: Copy>(
    node: &Node,
    words: &[(&str, T)],
    reader: &mut Reader<'_>,
) -> Option<T> {
    let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let Kind::Text(text) = &node.kind else {
        mismatch(node, &listed(&names), reader);
        return None;
    };
    let found = words.iter().find(|(word, _)| word == text);
    if found.is_none() {
        let right = match nearest(text, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write {}", listed(&names)),
        };
        reader.error(node, format!("`{}` is unknown", node.shown()), &right);
    }
    found.map(|(_, value)| *value)
}

/// A whole number within `range`.
pub(super) fn whole<T>(node: &Node, range: RangeInclusive<T>, reader: &mut Reader<'_>) -> Option<T>
where
    T: TryFrom<u64> + PartialOrd + std::fmt::Display,
{
    let written = measure(node, "a whole number", reader)?;
    let number = written.parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
    let fitting = number.filter(|number| range.contains(number));
    if fitting.is_none() {
        let shown = reader.shown(node);
        let is_odd = matches!(node.kind, Kind::Number(_)) && shown.contains(['e', 'E']);
        let plain = if is_odd { ", without exponent" } else { "" };
        let right = format!("write a whole number from {} to {}", range.start(), range.end());
        reader.error(node, format!("`{shown}` does not fit here"), &format!("{right}{plain}"));
    }
    fitting
}

/// A duration of at least `least`.
pub(super) fn duration_from(
    node: &Node,
    least: Duration,
    reader: &mut Reader<'_>,
) -> Option<Duration> {
    let read = units::duration(&measure(node, "a duration such as 10m", reader)?);
    let right = match read {
        Ok(duration) if duration >= least => return Some(duration),
        Ok(_) if least >= Duration::from_secs(1) => "it has to be at least 1s",
        Ok(_) => "it has to be at least 1ms",
        Err(right) => right,
    };
    reader.error(node, refused(node, "duration", reader), right);
    None
}

/// A duration that is not nothing.
pub(super) fn duration(node: &Node, reader: &mut Reader<'_>) -> Option<Duration> {
    duration_from(node, Duration::from_millis(1), reader)
}

/// A size in bytes within `range`.
pub(super) fn size(
    node: &Node,
    range: RangeInclusive<usize>,
    reader: &mut Reader<'_>,
) -> Option<usize> {
    let read = units::size(&measure(node, "a size such as 64KiB", reader)?);
    let right = match read {
        Ok(size) if range.contains(&size) => return Some(size),
        Ok(_) => {
            let [least, most] = [range.start(), range.end()].map(|size| units::shown(*size));
            format!("write a size from {least} to {most}")
        }
        Err(right) => right.to_owned(),
    };
    reader.error(node, refused(node, "size", reader), &right);
    None
}

fn refused(node: &Node, what: &str, reader: &Reader<'_>) -> String {
    format!("`{}` is no {what} that fits here", reader.shown(node))
}

/// The text of something with a unit; a number without one as its digits.
pub(super) fn measure(node: &Node, wanted: &str, reader: &mut Reader<'_>) -> Option<String> {
    let written = node.measure();
    if written.is_none() {
        mismatch(node, wanted, reader);
    }
    written
}
