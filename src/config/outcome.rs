//! How a login rule's answers are read.

use std::ops::RangeInclusive;

use http::header::HeaderName;

use crate::policy::glob::{Case, Glob};
use crate::policy::outcome::location::LocationPattern;
use crate::policy::outcome::{
    BodyPattern, JsonPattern, NoAnswer, Outcome, OutcomeRule, OutcomeRules,
};

use super::doubt;
use super::fields::{Fields, pairs};
use super::keys::{self, listed};
use super::node::{Entry, Kind, Node};
use super::reader::Reader;
use super::scalar::{any_text, choice, measure, text};
use super::source::{broken_regex, cookie};

const VERDICTS: &[(&str, Outcome)] =
    &[("success", Outcome::Success), ("failure", Outcome::Failure), ("ignore", Outcome::Ignored)];

/// The rules that `node` describes.
pub(super) fn outcome(node: &Node, reader: &mut Reader<'_>) -> Option<OutcomeRules> {
    if node.is_text("inferred") {
        let wrong = "`inferred` guesses what a success looks like";
        reader.warn(node, wrong, "name what yours answers under `success`");
        return Some(OutcomeRules::Inferred);
    }
    let rules: Vec<_> = node.items().iter().map(|item| rule(item, reader)).collect();
    let rules = rules.into_iter().collect::<Option<Vec<_>>>()?;
    if !rules.iter().any(|rule| rule.outcome == Outcome::Success) {
        let right = "name under `success` what they answer";
        reader.warn(node, "names no success, so right passwords count as failures too", right);
    }
    Some(OutcomeRules::Listed(rules))
}

fn rule(node: &Node, reader: &mut Reader<'_>) -> Option<OutcomeRule> {
    let fields = Fields::of(node, &keys::VERDICT, reader);
    let given: Vec<_> = VERDICTS.iter().filter(|(key, _)| fields.has(key)).collect();
    match given.as_slice() {
        [(key, outcome)] => conditions(fields.get(key)?, *outcome, reader),
        [] => {
            if fields.is_empty() {
                let right = format!("write {}", listed(keys::VERDICT.known));
                reader.error(node, "says nothing", &right);
            }
            None
        }
        _ => {
            let right = "make each an item of the list of its own";
            reader.error(node, "names several outcomes at once", right);
            None
        }
    }
}

fn conditions(node: &Node, outcome: Outcome, reader: &mut Reader<'_>) -> Option<OutcomeRule> {
    let before = reader.count();
    let fields = Fields::of(node, &keys::CONDITIONS, reader);
    if fields.is_empty() {
        let right = format!("give it {}", listed(keys::CONDITIONS.known));
        reader.error(node, "has no condition and would match every answer", &right);
        return None;
    }
    let rule = OutcomeRule {
        outcome,
        status: fields.some("status", status, reader),
        location: fields.some("location", location, reader),
        header: fields.read("header", header_patterns, reader).unwrap_or_default(),
        set_cookie: fields.some("set_cookie", cookie, reader),
        body: fields.some("body", body, reader),
        json: fields.read("json", json_patterns, reader).unwrap_or_default(),
        answer: fields.some("answer", no_answer, reader),
    };
    for key in ["header", "json"] {
        let empty = |node: &&Node| node.entries().is_some_and(<[Entry]>::is_empty);
        if let Some(node) = fields.get(key).filter(empty) {
            reader.error(node, "is empty", "name one or remove the key");
        }
    }
    if let Some(answer) = fields.get("answer") {
        let others = keys::CONDITIONS.known.iter().any(|key| *key != "answer" && fields.has(key));
        if others || outcome == Outcome::Success {
            let right = "use it alone, under `ignore` or `failure`";
            reader.error(answer, "means that there is no answer to look at", right);
        }
    }
    if reader.count() == before {
        doubt::doubts(&rule, node, reader);
    }
    Some(rule)
}

/// `302`, `4xx` or `200-299`.
pub(super) fn status(node: &Node, reader: &mut Reader<'_>) -> Option<RangeInclusive<u16>> {
    let written = measure(node, "a status such as 302", reader)?;
    let code = |text: &str| text.trim().parse::<u16>().ok();
    let range = match written.to_ascii_lowercase().strip_suffix("xx") {
        Some(class) => code(class).filter(|c| *c < 10).map(|class| class * 100..=class * 100 + 99),
        None => match written.split_once('-') {
            Some((first, last)) => code(first).zip(code(last)).map(|(first, last)| first..=last),
            None => code(&written).map(|only| only..=only),
        },
    };
    let legal =
        |r: &RangeInclusive<u16>| 100 <= *r.start() && r.start() <= r.end() && *r.end() <= 599;
    let range = range.filter(legal);
    if range.is_none() {
        let right = "write one from 100 to 599, a range such as 200-299, or a class such as 4xx";
        reader.error(node, format!("`{}` is no status", reader.shown(node)), right);
    }
    range
}

fn location(node: &Node, reader: &mut Reader<'_>) -> Option<LocationPattern> {
    let written = text(node, reader)?;
    if !written.starts_with(['/', '*']) && !written.starts_with("http") {
        let right = format!("begin it with `/`, `http` or `*`, such as \"/{written}\"");
        let right = node.unless_secret(right);
        reader.error(node, format!("`{}` matches no Location", node.shown()), &right);
        return None;
    }
    let glob = Glob::new(written, Case::Keep);
    let same_host = written.starts_with('/');
    Some(if same_host { LocationPattern::SameHost(glob) } else { LocationPattern::Whole(glob) })
}

fn header_patterns(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<(HeaderName, Glob)>> {
    let mut patterns = Vec::new();
    for (name, entry) in pairs(node, "a mapping of field names to values", reader) {
        let pattern = any_text(&entry.value, reader).map(|value| Glob::new(value, Case::Keep));
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => patterns.extend(pattern.map(|pattern| (name, pattern))),
            Err(_) => {
                let right = "write the name alone, such as x-login";
                reader.error_at(entry.at, &entry.value.path, "is no header field", right);
            }
        }
    }
    Some(patterns)
}

fn body(node: &Node, reader: &mut Reader<'_>) -> Option<BodyPattern> {
    if !matches!(node.kind, Kind::Map(_)) {
        return text(node, reader).map(|text| BodyPattern::Text(text.as_bytes().into()));
    }
    let fields = Fields::of(node, &keys::BODY, reader);
    let node = fields.get("regex")?;
    let written = text(node, reader)?;
    let regex = regex::bytes::Regex::new(written);
    regex.map(BodyPattern::Regex).map_err(|error| broken_regex(node, &error, reader)).ok()
}

fn json_patterns(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<(String, JsonPattern)>> {
    let mut patterns = Vec::new();
    for (name, entry) in pairs(node, "a mapping of JSON pointers to values", reader) {
        if !name.starts_with('/') {
            let right = format!("write `/{}`", name.replace('.', "/"));
            reader.error_at(entry.at, &entry.value.path, "is no JSON pointer", &right);
        }
        let any = entry.value.is_text("*");
        let pattern =
            if any { JsonPattern::Present } else { JsonPattern::Value(json(&entry.value)) };
        patterns.push((name.to_owned(), pattern));
    }
    Some(patterns)
}

/// The value that YAML and JSON both can write.
fn json(node: &Node) -> serde_json::Value {
    match &node.kind {
        Kind::Bool(value) => (*value).into(),
        Kind::List(items) => items.iter().map(json).collect(),
        Kind::Map(entries) => {
            let named = |entry: &Entry| Some((entry.name.clone()?, json(&entry.value)));
            serde_json::Value::Object(entries.iter().filter_map(named).collect())
        }
        Kind::Missing | Kind::Null => serde_json::Value::Null,
        Kind::Number(number) => number.clone().into(),
        Kind::Tagged(text) | Kind::Text(text) => text.as_str().into(),
    }
}

fn no_answer(node: &Node, reader: &mut Reader<'_>) -> Option<NoAnswer> {
    choice(node, &[("timeout", NoAnswer::Timeout), ("cut", NoAnswer::Cut)], reader)
}
