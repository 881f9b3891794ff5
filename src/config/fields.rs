//! Reading a mapping: its keys by name, every other key an error.

use super::keys::Keys;
use super::node::{Entry, Kind, Node};
use super::places::inside;
use super::reader::Reader;
use super::scalar::mismatch;

/// A mapping whose keys are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    /// The mapping itself.
    pub(super) node: &'a Node,
}

impl<'a> Fields<'a> {
    /// The fields of `node`, which has to be a mapping with no other keys than `keys`.
    pub(super) fn of(node: &'a Node, keys: &'static Keys, reader: &mut Reader<'_>) -> Self {
        let Some(entries) = node.entries() else {
            if let Some(key) = node.text().and_then(|text| keys.joined(text)) {
                let right = format!("write `{key}: ` and the value");
                reader.error(node, format!("there is no blank behind `{key}:`"), &right);
                return Self { node };
            }
            mismatch(node, &format!("a mapping with {}", super::keys::listed(keys.known)), reader);
            return Self { node };
        };
        // a key without a value, and what could stand below it
        let mut open: Option<(&str, &Keys)> = None;
        let entries = named(entries, reader);
        for (at, (name, entry)) in entries.iter().enumerate() {
            let path = entry.value.path.as_ref();
            let outdented = |open: Option<(&str, &Keys)>, name: &str| {
                let inside = open.is_some_and(|(_, inside)| inside.known.contains(&name));
                inside && !keys.known.contains(&name)
            };
            open = open.filter(|open| outdented(Some(*open), name));
            if keys.later.contains(name) {
                reader.error_at(entry.at, path, "is not available in this version", "");
            } else if let Some((above, _)) = open {
                let right = format!("indent it under `{above}`");
                reader.error_at(entry.at, path, "unknown key", &right);
            } else if !keys.known.contains(name) {
                reader.error_at(entry.at, path, "unknown key", &keys.advice(name));
            } else if matches!(entry.value.kind, Kind::Null) {
                open = inside(keys, name).map(|inside| (*name, inside));
                let next = entries.get(at + 1).filter(|(next, _)| outdented(open, next));
                let right = match next {
                    Some((next, _)) => format!("indent `{next}` under it"),
                    None => "give it one or remove the key".to_owned(),
                };
                reader.error_at(entry.at, path, "has no value", &right);
            }
        }
        Self { node }
    }

    /// The value of `key`, if it has one.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.member(key).filter(|value| !matches!(value.kind, Kind::Null))
    }

    /// `key` stands there, with a value or without.
    pub(super) fn has(&self, key: &str) -> bool {
        self.node.member(key).is_some()
    }

    /// `key` does not stand there; where the value is no mapping at all, that is what is wrong.
    pub(super) fn lacks(&self, key: &str) -> bool {
        self.node.entries().is_some() && !self.has(key)
    }

    /// It is a mapping without keys.
    pub(super) fn is_empty(&self) -> bool {
        self.node.entries().is_some_and(<[Entry]>::is_empty)
    }

    /// What `parse` makes of the value of `key`.
    pub(super) fn read<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&'a Node, &mut Reader<'_>) -> Option<T>,
        reader: &mut Reader<'_>,
    ) -> Option<T> {
        self.get(key).and_then(|node| parse(node, reader))
    }

    /// Puts what `parse` makes of the value of `key` into `place`, which keeps what it has where
    /// there is none.
    pub(super) fn set<T>(
        &self,
        key: &str,
        place: &mut T,
        parse: impl FnOnce(&'a Node, &mut Reader<'_>) -> Option<T>,
        reader: &mut Reader<'_>,
    ) {
        if let Some(value) = self.read(key, parse, reader) {
            *place = value;
        }
    }

    /// As [`Self::each`], where a list has to have members.
    pub(super) fn some<T>(
        &self,
        key: &str,
        parse: impl FnMut(&'a Node, &mut Reader<'_>) -> Option<T>,
        reader: &mut Reader<'_>,
    ) -> Vec<T> {
        if let Some(list) = self.get(key).filter(|node| node.items().is_empty()) {
            reader.error(list, "is empty", "name one or remove the key");
        }
        self.each(key, parse, reader)
    }

    /// What `parse` makes of each member of the list under `key`.
    pub(super) fn each<T>(
        &self,
        key: &str,
        mut parse: impl FnMut(&'a Node, &mut Reader<'_>) -> Option<T>,
        reader: &mut Reader<'_>,
    ) -> Vec<T> {
        let items = self.get(key).map_or(&[][..], Node::items);
        items.iter().filter_map(|item| parse(item, reader)).collect()
    }
}

/// The pairs of a mapping whose keys are the user's own.
pub(super) fn pairs<'a>(
    node: &'a Node,
    wanted: &str,
    reader: &mut Reader<'_>,
) -> Vec<(&'a str, &'a Entry)> {
    if let Some(entries) = node.entries() {
        return named(entries, reader);
    }
    mismatch(node, wanted, reader);
    Vec::new()
}

/// The entries whose keys are text; doubled keys are errors.
fn named<'a>(entries: &'a [Entry], reader: &mut Reader<'_>) -> Vec<(&'a str, &'a Entry)> {
    let mut named: Vec<(&str, &Entry)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = entry.value.path.as_ref();
        let Some(name) = entry.name.as_deref() else {
            reader.error_at(entry.at, path, "YAML reads this key as no text", "quote it");
            continue;
        };
        if let Some((_, first)) = named.iter().find(|(other, _)| *other == name) {
            let wrong = format!("stands here twice, first in line {}", first.at.line);
            reader.error_at(entry.at, path, wrong, "remove one of them");
            continue;
        }
        named.push((name, entry));
    }
    named
}
