//! The configuration as it was written, to be shown to operators: what `${…}` brings is not in it,
//! and neither is what stands where secrets stand.

use serde_json::{Map, Value};

use super::node::{Kind, Node};

/// What stands in the stead of a secret.
const MASK: &str = "***";
/// Keys whose values are secrets.
const SECRET: [&str; 6] = ["secret", "token", "passphrase", "hmac_key", "api_key", "authorization"];

/// What `node` says.
pub(super) fn written(node: &Node) -> Value {
    if let Some(written) = &node.written {
        return Value::String(without_userinfo(written));
    }
    match &node.kind {
        Kind::Bool(value) => Value::Bool(*value),
        Kind::List(items) => items.iter().map(written).collect(),
        Kind::Map(entries) => {
            let members = entries.iter().filter_map(|entry| {
                let name = entry.name.clone()?;
                let is_secret = SECRET.contains(&name.as_str()) && entry.value.text().is_some();
                let from_elsewhere = entry.value.written.is_some();
                let value = match is_secret && !from_elsewhere {
                    true => Value::String(MASK.to_owned()),
                    false => written(&entry.value),
                };
                Some((name, value))
            });
            Value::Object(members.collect::<Map<_, _>>())
        }
        Kind::Missing | Kind::Null => Value::Null,
        Kind::Number(number) => Value::Number(number.clone()),
        Kind::Tagged(tag) => Value::String(format!("!{tag}")),
        Kind::Text(text) => Value::String(without_userinfo(text)),
    }
}

/// A URL without the name and the password before its host.
fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASK}@{host}{path}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_host_is_masked() {
        for (url, expected) in [
            ("redis://user:p@ss@host:1/x", "redis://***@host:1/x"),
            ("https://:secret@host", "https://***@host"),
            ("http://host/a@b", "http://host/a@b"),
            ("http://host?u=a@b", "http://host?u=a@b"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(without_userinfo(url), expected);
        }
    }
}
