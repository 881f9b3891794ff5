//! Outcome rules that are legal and doubtful.

use crate::policy::outcome::{Outcome, OutcomeRule};

use super::node::Node;
use super::reader::Reader;

/// Warns of what `rule`, whose conditions are `node`, might take for what it is not.
pub(super) fn doubts(rule: &OutcomeRule, node: &Node, reader: &mut Reader<'_>) {
    match rule.outcome {
        Outcome::Success => success(rule, node, reader),
        Outcome::Ignored => ignored(rule, node, reader),
        Outcome::Failure => {}
    }
}

fn success(rule: &OutcomeRule, node: &Node, reader: &mut Reader<'_>) {
    let tells = !rule.location.is_empty() || !rule.header.is_empty() || !rule.json.is_empty();
    if tells {
        return;
    }
    let form = answers(rule, 200..=200);
    match (rule.set_cookie.is_empty(), rule.body.is_empty()) {
        (true, true) if form => reader.warn(
            node,
            "the login form itself answers so",
            "add what only a success has: `location`, `set_cookie`, `json`",
        ),
        (true, false) if form => reader.warn(
            node,
            "a text in the login form, or one that the client sent, would be a success",
            "add what only a success has: `location`, `set_cookie`, `json`",
        ),
        (false, true) if rule.status.is_empty() => reader.warn(
            node,
            "many applications set their session cookie on failures too",
            "add what only a success has: `status`, `location`, `json`",
        ),
        _ => {}
    }
}

fn ignored(rule: &OutcomeRule, node: &Node, reader: &mut Reader<'_>) {
    let doubtful = answers(rule, 200..=399) || answers(rule, 401..=401);
    if !doubtful || !rule.answer.is_empty() {
        return;
    }
    let wrong = "may be what a wrong password is answered with, and then guesses are free";
    if rule.body.is_empty() {
        reader.warn(node, wrong, "limit it to a `status` such as 429");
    } else {
        let wrong = format!("{wrong}, also where the text in it is forged");
        reader.warn(node, wrong, "limit it to a `status` such as 503");
    }
}

/// The rule can match a status in `range`.
fn answers(rule: &OutcomeRule, range: std::ops::RangeInclusive<u16>) -> bool {
    let overlaps = |own: &std::ops::RangeInclusive<u16>| {
        own.start() <= range.end() && range.start() <= own.end()
    };
    rule.status.is_empty() || rule.status.iter().any(overlaps)
}
