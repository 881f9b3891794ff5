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
                let value = member(&name, &entry.value);
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

/// The value of the key `name`.
fn member(name: &str, value: &Node) -> Value {
    if value.written.is_some() {
        return written(value); // it shows no more than where the value comes from
    }
    if SECRET.contains(&name) && !matches!(value.kind, Kind::Null) {
        return Value::String(MASK.to_owned());
    }
    // whoever knows the path of a webhook can post there
    let is_hook = ["webhooks", "anchors"].iter().any(|above| value.path.starts_with(above));
    match value.text().filter(|_| is_hook && name == "url") {
        Some(url) => Value::String(host_alone(&without_userinfo(url))),
        None => written(value),
    }
}

/// A URL without what follows its host.
fn host_alone(url: &str) -> String {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(begin..).and_then(|rest| rest.find(['/', '?', '#']));
    match end.and_then(|end| url.get(..begin + end)) {
        Some(host) => format!("{host}/{MASK}"),
        None => url.to_owned(),
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
    fn secrets_are_masked_whatever_they_are_written_as() {
        let text = "webhooks:\n  - { url: \"https://u:p@hooks.test/T0/hidden?k=hidden\", \
                    secret: [hidden, hidden] }\n  - { url: \"https://hooks.test\", secret: hidden }\n";
        let root = crate::config::yaml::parse(text).expect("YAML");
        let shown = written(&root);
        assert!(!shown.to_string().contains("hidden"), "{shown}");
        assert_eq!(shown["webhooks"][0]["url"], "https://***@hooks.test/***");
        assert_eq!(shown["webhooks"][1]["url"], "https://hooks.test");
    }

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
