//! YAML text -> a tree that remembers where everything stands. The only user of the YAML crate.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::Number;

use super::error::Position;
use super::node::{Entry, Kind, Node, shorten};

/// Aliases of aliases could make a tree that does not fit into memory.
const MOST_NODES: usize = 200_000;

/// Why a text is no YAML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    /// Where, if that is known.
    pub(super) at: Option<Position>,
    /// Where that began which went wrong.
    pub(super) begun: Option<Position>,
    /// What the YAML crate says.
    pub(super) message: String,
}

/// The tree that `text` describes.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let left = Cell::new(MOST_NODES);
    let root = Tree { at: Position::START, path: String::new(), left: &left };
    root.deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| SyntaxError {
        at: error.location().map(|place| Position { line: place.line(), column: place.column() }),
        begun: position_in(&error.to_string()),
        message: error.to_string(),
    })
}

/// Reads the next value.
struct Tree<'a> {
    at: Position,
    path: String,
    left: &'a Cell<usize>,
}

impl Tree<'_> {
    fn node<E: Error>(self, kind: Kind) -> Result<Node, E> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| E::custom("too many values"))?);
        Ok(Node { at: self.at, path: self.path.into(), kind, written: None })
    }

    const fn child(&self, at: Position, path: String) -> Self {
        Self { at, path, left: self.left }
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Node;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.node(Kind::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.node(Kind::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.node(Kind::Number(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node, E> {
        self.node(Kind::Text(value.to_string()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Node, E> {
        self.node(Kind::Text(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        let kind = Number::from_f64(value).map(Kind::Number);
        self.node(kind.unwrap_or_else(|| Kind::Text(value.to_string())))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.node(Kind::Text(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.node(Kind::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.node(Kind::Null)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Node, A::Error> {
        let (tag, value) = access.variant::<String>()?;
        value.newtype_variant::<IgnoredAny>()?;
        self.node(Kind::Tagged(tag))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(at) = list.next_element_seed(Place)? {
            let path = format!("{}[{}]", self.path, items.len());
            items.extend(list.next_element_seed(self.child(at, path))?);
        }
        self.node(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(at) = map.next_key_seed(Place)? {
            let key = map.next_key_seed(self.child(at, self.path.clone()))?;
            let name = key.and_then(name_of);
            let path = way(&self.path, name.as_deref());
            let value_at = map.next_value_seed(Place)?;
            let value = map.next_value_seed(self.child(value_at, path))?;
            entries.push(Entry { at, name, value });
        }
        self.node(Kind::Map(merged(entries)))
    }
}

fn name_of(key: Node) -> Option<String> {
    match key.kind {
        Kind::Text(text) => Some(text),
        Kind::Number(number) => Some(number.to_string()),
        Kind::Bool(value) => Some(value.to_string()),
        Kind::List(_) | Kind::Map(_) | Kind::Missing | Kind::Null | Kind::Tagged(_) => None,
    }
}

fn way(parent: &str, name: Option<&str>) -> String {
    match name {
        None | Some("<<") => parent.to_owned(),
        Some(name) if parent.is_empty() => shorten(name),
        Some(name) => format!("{parent}.{}", shorten(name)),
    }
}

/// Merge keys, as YAML 1.1 has them and people who use anchors expect: `<<: *defaults` adds what
/// is not there yet.
fn merged(entries: Vec<Entry>) -> Vec<Entry> {
    let (merges, mut entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(merges);
    for source in merges.iter().flat_map(|merge| merge.value.items()) {
        let Kind::Map(inherited) = &source.kind else { continue };
        for entry in inherited {
            if !entries.iter().any(|own| own.name == entry.name) {
                entries.push(entry.clone());
            }
        }
    }
    entries
}

/// Others called `<<` stay, as unknown keys.
fn merges(entry: &Entry) -> bool {
    let is_map = |node: &Node| matches!(node.kind, Kind::Map(_));
    entry.name.as_deref() == Some("<<") && entry.value.items().iter().all(is_map)
}

/// Where the next value stands, without reading it.
///
/// The YAML crate tells positions in errors alone. Asking for a newtype looks at the next value
/// and leaves it there, and only counts how deep that goes; so this asks until it is too deep, and
/// takes the position from the error.
#[derive(Clone, Copy)]
struct Place;

impl<'de> DeserializeSeed<'de> for Place {
    type Value = Position;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Position, D::Error> {
        let told = deserializer.deserialize_newtype_struct("", self);
        Ok(told.err().and_then(|error| position_in(&error.to_string())).unwrap_or(Position::START))
    }
}

impl<'de> Visitor<'de> for Place {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_newtype_struct("", self)
    }
}

/// `recursion limit exceeded at line 3 column 10`; the beginning of the file is not mentioned, and
/// where there are two places the second is where it began.
fn position_in(error: &str) -> Option<Position> {
    let (_, place) = error.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(" column ")?;
    Some(Position { line: line.parse().ok()?, column: column.parse().ok()? })
}
