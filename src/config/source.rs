//! Where usernames and passwords stand, and what else must hold for an attempt.

use regex::Regex;

use crate::policy::account::Rewrite;
use crate::policy::credentials::{FieldName, Source};
use crate::policy::glob::{Case, Glob};
use crate::policy::route::When;
use crate::policy::session::SessionName;

use super::address::header;
use super::fields::{Fields, pairs};
use super::keys::{self, Keys, listed};
use super::node::{Kind, Node};
use super::path::{PathPattern, path_pattern};
use super::reader::Reader;
use super::scalar::{any_text, flag, text};

/// Where a username stands.
pub(super) fn username(node: &Node, reader: &mut Reader<'_>) -> Option<Source> {
    source(node, &keys::USERNAME, reader)
}

/// Where a password stands.
pub(super) fn password(node: &Node, reader: &mut Reader<'_>) -> Option<Source> {
    source(node, &keys::PASSWORD, reader)
}

fn source(node: &Node, keys: &'static Keys, reader: &mut Reader<'_>) -> Option<Source> {
    if let Kind::Text(_) = node.kind {
        let name = node.shown();
        let right = format!("for a field of a form write {{ form: \"{name}\" }}");
        reader.error(node, format!("does not say where `{name}` stands"), &right);
        return None;
    }
    let fields = Fields::of(node, keys, reader);
    let given: Vec<_> = keys.known.iter().filter(|key| fields.has(key)).collect();
    match given.as_slice() {
        [] if fields.is_empty() => {
            reader.error(node, "says nothing", &format!("write {}", listed(keys.known)));
            None
        }
        [key] => place(key, fields.get(key)?, reader),
        [] => None,
        _ => {
            let right = "make it a list, [{ … }, { … }], with one key in each";
            reader.error(node, "names several places at once", right);
            None
        }
    }
}

fn place(key: &str, node: &Node, reader: &mut Reader<'_>) -> Option<Source> {
    match key {
        "form" => text(node, reader).map(|name| Source::Form(FieldName::new(name))),
        "json" => text(node, reader)
            .and_then(|written| checked_pointer(node, written, reader))
            .map(|pointer| Source::Json(FieldName::pointer(pointer))),
        "query" => text(node, reader).map(|name| Source::Query(FieldName::new(name))),
        "header" => header(node, reader).map(Source::Header),
        "path" => text(node, reader).map(|name| Source::Path(name.into())),
        _ => {
            let basic = flag(node, reader)?;
            if !basic {
                reader.error(node, "says nothing", "write `basic: true` or remove it");
            }
            basic.then_some(Source::Basic)
        }
    }
}

/// A JSON pointer (RFC 6901) that points to a part of the document.
pub(super) fn checked_pointer<'a>(
    node: &Node,
    written: &'a str,
    reader: &mut Reader<'_>,
) -> Option<&'a str> {
    if written.starts_with('/') {
        return Some(written);
    }
    let right = node.unless_secret(format!("write `/{}`", written.replace('.', "/")));
    reader.error(node, format!("`{}` is no JSON pointer", node.shown()), &right);
    None
}

/// What else must hold for a request.
pub(super) fn when(node: &Node, reader: &mut Reader<'_>) -> Option<When> {
    let fields = Fields::of(node, &keys::WHEN, reader);
    Some(When {
        query: fields.read("query", field_patterns, reader).unwrap_or_default(),
        field: fields.read("field", field_patterns, reader).unwrap_or_default(),
    })
}

fn field_patterns(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<(FieldName, Glob)>> {
    let mut patterns = Vec::new();
    for (name, entry) in pairs(node, "a mapping of names to values", reader) {
        if let Some(value) = any_text(&entry.value, reader) {
            patterns.push((FieldName::new(name), Glob::new(value, Case::Keep)));
        }
    }
    Some(patterns)
}

/// A change to usernames.
pub(super) fn rewrite(node: &Node, reader: &mut Reader<'_>) -> Option<Rewrite> {
    let fields = Fields::of(node, &keys::REWRITE, reader);
    for key in keys::REWRITE.known {
        if fields.lacks(key) {
            reader.error(
                node,
                format!("needs `{key}`"),
                "such as { regex: '^(.*)@.*$', to: '$1' }",
            );
        }
    }
    let regex = fields.read("regex", regex, reader);
    let to = fields.read("to", any_text, reader);
    Some(Rewrite { regex: regex?, to: to?.to_owned() })
}

fn regex(node: &Node, reader: &mut Reader<'_>) -> Option<Regex> {
    let written = text(node, reader)?;
    Regex::new(written).map_err(|error| broken_regex(node, &error, reader)).ok()
}

/// Reports a regular expression that does not compile.
pub(super) fn broken_regex(node: &Node, error: &regex::Error, reader: &mut Reader<'_>) {
    // the lines before the last show the expression, which may hold what `${…}` brought
    let error = error.to_string();
    let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
    reader.error(node, format!("`{}` is no regular expression: {why}", node.shown()), "");
}

/// The cookie that is a session.
pub(super) fn session_cookie(node: &Node, reader: &mut Reader<'_>) -> Option<SessionName> {
    cookie_name(node, reader).map(SessionName::new)
}

/// A pattern for the names of cookies.
pub(super) fn cookie(node: &Node, reader: &mut Reader<'_>) -> Option<Glob> {
    cookie_name(node, reader).map(|written| Glob::new(written, Case::Keep))
}

fn cookie_name<'a>(node: &'a Node, reader: &mut Reader<'_>) -> Option<&'a str> {
    let written = text(node, reader)?;
    let legal = |b: u8| b.is_ascii_graphic() && !b"=;,\"()<>@:\\/[]?{}".contains(&b);
    if !written.bytes().all(legal) {
        let right = "write the name alone, in which `*` stands for any text";
        reader.error(node, format!("`{}` is no name of a cookie", node.shown()), right);
        return None;
    }
    Some(written)
}

/// A method, in upper case.
pub(super) fn method(node: &Node, reader: &mut Reader<'_>) -> Option<Box<str>> {
    let written = text(node, reader)?;
    match http::Method::from_bytes(written.to_ascii_uppercase().as_bytes()) {
        Ok(method) => Some(method.as_str().into()),
        Err(_) => {
            reader.error(
                node,
                format!("`{}` is no method", node.shown()),
                "write one such as POST",
            );
            None
        }
    }
}

/// A path as rules name it.
pub(super) fn path(node: &Node, reader: &mut Reader<'_>) -> Option<PathPattern> {
    let written = text(node, reader)?;
    match path_pattern(written) {
        Ok(pattern) => Some(pattern),
        Err(right) => {
            let right = node.unless_secret(right);
            reader.error(node, format!("`{}` is no path", node.shown()), &right);
            None
        }
    }
}
