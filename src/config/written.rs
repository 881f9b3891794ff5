//! The configuration as it was written, to be shown to operators: what `${…}` brings is not in it,
//! and neither is what stands where secrets stand.
//!
//! A secret may be written elsewhere, too, where YAML's anchors stand: what says the same as a secret
//! is one, wherever it is.

use serde_json::{Map, Value};

use super::node::{Kind, Node};

/// What stands in the stead of a secret.
const MASK: &str = "***";
/// Keys whose values are secrets, under whatever key they stand.
const SECRET: [&str; 6] = ["secret", "token", "passphrase", "hmac_key", "api_key", "authorization"];
/// The secrets that settings have: a key of the file, and the member of what stands there.
const KNOWN: [(&str, &str); 2] = [("webhooks", "secret"), ("privacy", "key")];

/// Those of the shared store, which may be short: they are masked where they stand, and elsewhere if
/// they are long enough to be no other word.
const OF_STORE: [&str; 3] =
    ["store.redis.key", "store.redis.password", "store.redis.sentinel.password"];
const NO_WORD: usize = 8;

/// What `root` says.
pub(super) fn written(root: &Node) -> Value {
    let of = |(above, key): (&str, &str)| -> Vec<String> {
        let items = root.member(above).map_or(&[][..], Node::items);
        items.iter().filter_map(|item| item.member(key)?.measure()).collect()
    };
    let of_store = OF_STORE.iter().filter_map(|path| {
        let node = path.split('.').try_fold(root, |node, key| node.member(key));
        node?.measure().filter(|secret| secret.len() >= NO_WORD)
    });
    let known = KNOWN.into_iter().flat_map(of).filter(|secret| !secret.is_empty());
    let secrets = known.chain(of_store).collect();
    Writer { secrets, hooks: of(("webhooks", "url")) }.value(root)
}

/// Writes down what is no secret.
struct Writer {
    /// What the secrets are.
    secrets: Vec<String>,
    /// Where events are posted: whoever knows the path of a webhook can post there.
    hooks: Vec<String>,
}

impl Writer {
    fn value(&self, node: &Node) -> Value {
        if let Some(written) = &node.written {
            return self.text(written);
        }
        match &node.kind {
            Kind::Bool(value) => Value::Bool(*value),
            Kind::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Kind::Map(entries) => {
                let members = entries.iter().filter_map(|entry| {
                    let name = entry.name.clone()?;
                    let value = self.member(&name, &entry.value);
                    Some((name, value))
                });
                Value::Object(members.collect::<Map<_, _>>())
            }
            Kind::Missing | Kind::Null => Value::Null,
            Kind::Number(number) if self.is_secret(&number.to_string()) => {
                Value::String(MASK.to_owned())
            }
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Tagged(tag) => Value::String(format!("!{tag}")),
            Kind::Text(text) => self.text(text),
        }
    }

    /// The value of the key `name`.
    fn member(&self, name: &str, value: &Node) -> Value {
        if value.written.is_some() {
            return self.value(value); // it shows no more than where the value comes from
        }
        let is_secret = SECRET.contains(&name) || OF_STORE.contains(&&*value.path);
        if is_secret && !matches!(value.kind, Kind::Null) {
            return Value::String(MASK.to_owned());
        }
        match value.text().filter(|_| name == "url" && value.path.starts_with("anchors")) {
            Some(url) => Value::String(host_alone(&without_userinfo(url))),
            None => self.value(value),
        }
    }

    fn text(&self, text: &str) -> Value {
        Value::String(if self.hooks.iter().any(|hook| hook == text) {
            host_alone(&without_userinfo(text))
        } else if self.is_secret(text) {
            MASK.to_owned()
        } else {
            without_userinfo(text)
        })
    }

    /// Whether a secret is in `text`.
    fn is_secret(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| text.contains(secret.as_str()))
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
    fn what_a_shared_store_is_asked_with_is_masked() {
        let text = "anchors: { a: hidden-too }\nstore: { redis: { username: me, password: me, \
                    key: hidden-too, sentinel: { password: 1234 }, tls: { key: redis.key } } }\n";
        let root = crate::config::yaml::parse(text).expect("YAML");
        let shown = written(&root);
        let said = shown.to_string();
        assert!(!said.contains("hidden") && !said.contains("1234"), "{shown}");
        let redis = &shown["store"]["redis"];
        assert_eq!((&redis["password"], &redis["username"]), (&"***".into(), &"me".into()));
        assert_eq!(redis["tls"]["key"], "redis.key");
    }

    #[test]
    fn what_says_the_same_as_a_secret_is_one() {
        let text = "anchors:\n  hook: &h whsec_hidden\n  place: &p \"https://h.test/hidden\"\n  \
                    all: { a: [x, whsec_hidden], b: { c: \"say whsec_hidden\", d: 1234567890123456 } }\n  \
                    whole: &w { url: \"https://h.test/hidden\", secret: hidden }\n\
                    webhooks: [{ url: *p, secret: *h }, *w]\n\
                    privacy: { usernames: hashed, key: 1234567890123456 }\n";
        let root = crate::config::yaml::parse(text).expect("YAML");
        let shown = written(&root);
        let said = shown.to_string();
        assert!(!said.contains("hidden") && !said.contains("1234"), "{shown}");
        assert_eq!(shown["anchors"]["place"], "https://h.test/***");
        assert_eq!(shown["anchors"]["all"]["a"][0], "x");
        assert_eq!(shown["privacy"]["usernames"], "hashed");
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
