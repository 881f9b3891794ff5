//! `${NAME}` and `${file:PATH}` in values, replaced before anything is read from them.

use super::node::{Kind, Node};
use super::reader::{Reader, read};

/// Replaces them in everything below `node`; `$${` stands for `${`.
pub(super) fn expand(node: &mut Node, reader: &mut Reader<'_>) {
    match &mut node.kind {
        Kind::List(items) => {
            for item in items {
                expand(item, reader);
            }
        }
        Kind::Map(entries) => {
            for entry in entries.iter_mut().filter(|entry| &*entry.value.path != "anchors") {
                expand(&mut entry.value, reader);
            }
        }
        Kind::Text(written) if written.contains("${") => {
            let written = std::mem::take(written);
            let expanded = replaced(&written, reader);
            node.written = Some(written.into());
            match expanded {
                Ok(text) => node.kind = Kind::Text(text),
                Err((wrong, right)) => {
                    reader.error(node, wrong, right);
                    node.kind = Kind::Missing;
                }
            }
        }
        Kind::Bool(_)
        | Kind::Missing
        | Kind::Null
        | Kind::Number(_)
        | Kind::Tagged(_)
        | Kind::Text(_) => {}
    }
}

/// What `written` comes to, or what is wrong and what would be right.
fn replaced(written: &str, reader: &Reader<'_>) -> Result<String, (String, &'static str)> {
    let mut text = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            text.push_str(before);
            text.push_str("${");
            rest = after;
            continue;
        }
        text.push_str(before);
        let unclosed = || ("has a `${` without `}`".to_owned(), "write `$${` for the text itself");
        let (name, after) = after.split_once('}').ok_or_else(unclosed)?;
        text.push_str(&value(name, reader)?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn value(name: &str, reader: &Reader<'_>) -> Result<String, (String, &'static str)> {
    if let Some(path) = name.strip_prefix("file:") {
        let text = read(&reader.path(path))
            .map_err(|why| (format!("cannot read the file `{path}`: {why}"), ""))?;
        return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(legal)
    {
        let wrong = format!("`${{{name}}}` names no environment variable");
        return Err((wrong, "write `${NAME}` or `${file:PATH}`, or `$${` for the text itself"));
    }
    (reader.variable)(name).ok_or_else(|| {
        (format!("the environment variable `{name}` is not set"), "set it where loginward starts")
    })
}
