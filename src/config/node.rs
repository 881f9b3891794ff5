//! A YAML value that remembers where it stands.

use super::error::Position;

/// A value, its place in the file, and the keys that lead to it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it begins.
    pub(super) at: Position,
    /// Such as `sites[0].logins[1].outcome`.
    pub(super) path: Box<str>,
    /// What it is.
    pub(super) kind: Kind,
    /// What the file says where `${…}` was replaced; messages show this, never the replacement.
    pub(super) written: Option<Box<str>>,
}

/// What YAML reads.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Bool(bool),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// A value that could not be had, which has been reported.
    Missing,
    Null,
    Number(serde_json::Number),
    /// Something behind a `!tag`, whose name alone is kept.
    Tagged(String),
    Text(String),
}

/// A key and its value; doubled keys are doubled entries.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Where the key stands.
    pub(super) at: Position,
    /// `None` where YAML reads something that is no key of ours, such as `{a}: b`.
    pub(super) name: Option<String>,
    /// What stands behind it.
    pub(super) value: Node,
}

impl Node {
    /// The members of a list, or the one value that stands in its place.
    pub(super) fn items(&self) -> &[Self] {
        self.list().unwrap_or_else(|| std::slice::from_ref(self))
    }

    /// The members, where it is a list.
    pub(super) fn list(&self) -> Option<&[Self]> {
        if let Kind::List(items) = &self.kind { Some(items) } else { None }
    }

    /// The entries, where it is a mapping.
    pub(super) fn entries(&self) -> Option<&[Entry]> {
        if let Kind::Map(entries) = &self.kind { Some(entries) } else { None }
    }

    /// The value of `key`, where it is a mapping that has one.
    pub(super) fn member(&self, key: &str) -> Option<&Self> {
        let entry = self.entries()?.iter().find(|entry| entry.name.as_deref() == Some(key));
        entry.map(|entry| &entry.value)
    }

    /// The text or the digits of a value that may have a unit.
    pub(super) fn measure(&self) -> Option<String> {
        if let Kind::Number(number) = &self.kind {
            return Some(number.to_string());
        }
        self.text().map(str::to_owned)
    }

    /// The text, where it is one.
    pub(super) fn text(&self) -> Option<&str> {
        if let Kind::Text(text) = &self.kind { Some(text) } else { None }
    }

    /// It is this text.
    pub(super) fn is_text(&self, text: &str) -> bool {
        self.text() == Some(text)
    }

    /// The value as messages show it: short, on one line, without secrets.
    pub(super) fn shown(&self) -> String {
        let text = match (&self.written, &self.kind) {
            (Some(written), _) => written.as_ref().to_owned(),
            (None, Kind::Text(text)) => text.clone(),
            (None, Kind::Bool(value)) => value.to_string(),
            (None, Kind::Number(number)) => number.to_string(),
            (None, Kind::List(_)) => "[…]".to_owned(),
            (None, Kind::Map(_)) => "{…}".to_owned(),
            (None, Kind::Tagged(tag)) => format!("!{tag}"),
            (None, Kind::Missing | Kind::Null) => String::new(),
        };
        shorten(&text)
    }

    /// `advice` that repeats the value; none where that would show what `${…}` brought.
    pub(super) fn unless_secret(&self, advice: String) -> String {
        if self.written.is_none() { advice } else { String::new() }
    }

    /// What kind of value it is, in words.
    pub(super) const fn what(&self) -> &'static str {
        match self.kind {
            Kind::Bool(_) => "true or false",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
            Kind::Missing | Kind::Null => "nothing",
            Kind::Number(_) => "a number",
            Kind::Tagged(_) => "a tag",
            Kind::Text(_) => "text",
        }
    }
}

/// `text` as messages show it: at most 60 characters, none of which moves the cursor.
pub(super) fn shorten(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(60) {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}
