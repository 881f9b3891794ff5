//! `--success`: the conditions of a success on one line, as YAML writes them.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// The conditions of one `--success`, in the order they were given; all of them have to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success(Vec<(String, String)>);

/// What `--help` says about it.
pub const HELP: &str = "\
What the application answers to a right password: conditions that all have to hold.
Give it several times for several kinds of success. Every other answer counts as a
failure; without --success it is guessed what a success is, and a warning says so.

  status=302,303            or 2xx, or 200-299
  location=/app*            where it redirects to; `*` is any text
  set_cookie=sessionid*     a cookie that it sets and does not delete
  header=NAME:VALUE         a header field; `*` is any text
  json=/token               a JSON pointer at which something stands
  json=/ok:true             a JSON pointer at which this stands
  body=\"Welcome back\"       a text in the body

Example: --success 'status=302 location=/app* set_cookie=sessionid'";

/// What a `--success` may look like, for errors.
pub const EXAMPLE: &str = "status=302 location=/app* set_cookie=sessionid";

impl FromStr for Success {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let mut conditions = Vec::new();
        for word in words(text)? {
            let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
                return Err(SyntaxError::NoCondition(word));
            };
            if key == "header" && !value.contains(':') {
                return Err(SyntaxError::NoHeader(value.to_owned()));
            }
            conditions.push((key.to_owned(), value.to_owned()));
        }
        if conditions.is_empty() { Err(SyntaxError::Empty) } else { Ok(Self(conditions)) }
    }
}

/// The words between blanks; what stands in double quotes is one, and `\` keeps the next letter.
fn words(text: &str) -> Result<Vec<String>, SyntaxError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(letters.next()),
            letter if letter.is_whitespace() && !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    if quoted { Err(SyntaxError::Unclosed) } else { Ok(words) }
}

impl Success {
    /// The conditions as a YAML mapping in one line.
    #[must_use]
    pub fn yaml(&self) -> String {
        let mut keys: Vec<&str> = Vec::new();
        for (key, _) in &self.0 {
            if !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        let pairs: Vec<String> =
            keys.iter().map(|key| format!("{}: {}", plain(key), self.value_of(key))).collect();
        format!("{{ {} }}", pairs.join(", "))
    }

    /// Whatever the configuration does not know is left to it: it knows what was meant.
    fn value_of(&self, key: &str) -> String {
        let values = self.0.iter().filter(|(own, _)| own == key).map(|(_, value)| value.as_str());
        match key {
            "status" => list(values.flat_map(|value| value.split(',')).map(plain)),
            "header" => mapping(values.map(|value| value.split_once(':').unwrap_or((value, "")))),
            "json" => json(values),
            _ => list(values.map(quoted)),
        }
    }
}

fn list(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.collect();
    match values.as_slice() {
        [only] => only.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}

fn mapping<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{}: {}", quoted(name), quoted(value.trim()))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// A pointer alone asks for anything; numbers, `true` and `false` are what they are in JSON.
fn json<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let pair = |value: &'a str| {
        let (pointer, wanted) = value.split_once(':').unwrap_or((value, "*"));
        let wanted = wanted.trim();
        let bare = matches!(
            serde_json::from_str(wanted),
            Ok(Value::Bool(_) | Value::Null | Value::Number(_))
        );
        let wanted = if bare { wanted.to_owned() } else { quoted(wanted) };
        format!("{}: {wanted}", quoted(pointer))
    };
    let pairs: Vec<String> = values.map(pair).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// `text` as it is, where YAML reads that as one word.
fn plain(text: &str) -> String {
    let word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let bare = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(word);
    if bare { text.to_owned() } else { quoted(text) }
}

/// `text` in quotes, so that neither YAML nor `${…}` changes it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut yaml = String::with_capacity(text.len() + 2);
    yaml.push('"');
    for letter in text.replace("${", "$${").chars() {
        match letter {
            '"' | '\\' => yaml.extend(['\\', letter]),
            ' ' => yaml.push(letter),
            letter if letter.is_ascii_graphic() || letter.is_alphanumeric() => yaml.push(letter),
            letter => yaml.push_str(&format!("\\U{:08x}", u32::from(letter))),
        }
    }
    yaml.push('"');
    yaml
}

/// Why a `--success` says nothing, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// It has no condition.
    Empty,
    /// This word is none.
    NoCondition(String),
    /// This is no header's name and value.
    NoHeader(String),
    /// A quote has no end.
    Unclosed,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(out, "it has no condition; write some, such as \"{EXAMPLE}\""),
            Self::NoCondition(word) => write!(
                out,
                "`{word}` is no condition; write KEY=VALUE without blanks around the `=`, such as \
                 \"{EXAMPLE}\", and put quotes around a value with blanks: body=\"Welcome back\""
            ),
            Self::NoHeader(value) => write!(
                out,
                "`header={value}` names no value; write header=NAME:VALUE, such as \
                 header=x-login:ok*"
            ),
            Self::Unclosed => out.write_str("a quote is not closed; write body=\"Welcome back\""),
        }
    }
}

impl std::error::Error for SyntaxError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, yaml: &str) {
        assert_eq!(written.parse::<Success>().map(|success| success.yaml()), Ok(yaml.to_owned()));
    }

    #[track_caller]
    fn check_error(written: &str, expected: &str) {
        let error = written.parse::<Success>().expect_err("an error").to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn conditions_become_yaml() {
        check(
            "status=302 location=/app* set_cookie=sessionid",
            r#"{ status: 302, location: "/app*", set_cookie: "sessionid" }"#,
        );
        check("  status=302,303  status=2xx ", "{ status: [302, 303, 2xx] }");
        check("set_cookie=a set_cookie=b*", r#"{ set_cookie: ["a", "b*"] }"#);
        check(
            "header=X-Login:ok* header=x-a:b:c",
            r#"{ header: { "X-Login": "ok*", "x-a": "b:c" } }"#,
        );
        check(
            r#"json=/token json=/ok:true json=/n:1 json=/s:"a b""#,
            r#"{ json: { "/token": "*", "/ok": true, "/n": 1, "/s": "a b" } }"#,
        );
        check(r#"body="Welcome \"back\"" "#, r#"{ body: "Welcome \"back\"" }"#);
        check("location=/a?b=c", r#"{ location: "/a?b=c" }"#);
    }

    #[test]
    fn what_only_the_configuration_knows_is_left_to_it() {
        check("stauts=302", r#"{ stauts: "302" }"#);
        check("status=x}", r#"{ status: "x}" }"#);
        check("a:b=c", r#"{ "a:b": "c" }"#);
        check("location=${HOME}\u{7f}", r#"{ location: "$${HOME}\U0000007f" }"#);
    }

    #[test]
    fn what_is_no_condition_is_refused_with_what_would_be_right() {
        check_error("", "it has no condition");
        check_error("302", "`302` is no condition; write KEY=VALUE");
        check_error("status = 302", "`status` is no condition");
        check_error("=302", "`=302` is no condition");
        check_error("header=x-login", "`header=x-login` names no value");
        check_error("body=\"Welcome", "a quote is not closed");
    }
}
