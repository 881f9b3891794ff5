//! Login rules.

use std::sync::Arc;

use crate::policy::account::{MailAliases, Naming};
use crate::policy::credentials::Source;
use crate::policy::outcome::OutcomeRules;
use crate::policy::route::{Attempts, CounterScope, LoginRule};

use super::access::access;
use super::fields::Fields;
use super::keys;
use super::lockout::{Level, Use, Username};
use super::node::Node;
use super::outcome::outcome;
use super::path::{PathKind, PathPattern, Segment};
use super::reader::Reader;
use super::scalar::{choice, flag, name, size};
use super::source::{method, password, path, rewrite, session_cookie, username, when};

const MAX_BODY: usize = 64 * 1024;
/// What all waiting bodies together may have.
const MOST_BODY: usize = 64 * 1024 * 1024;

/// What to paste where a rule has no outcome.
const OUTCOME: &[&str] = &[
    "say how the upstream's answer is read, for example",
    "outcome:",
    "  - success: { status: [302, 303], set_cookie: NAME_OF_THE_SESSION_COOKIE }",
    "  - ignore: { status: 429 }",
];

/// The rule that `node` describes, where `above` is how its site counts.
///
/// What is missing from a rule with errors is made up; nobody will ask it.
pub(super) fn login<'a>(
    node: &'a Node,
    above: &Level<'a>,
    reader: &mut Reader<'_>,
) -> (LoginRule, Use<'a>) {
    let fields = Fields::of(node, &keys::LOGIN, reader);
    let paths = paths(&fields, reader);
    let own_name = fields.read("name", name, reader);
    let first_path = || paths.first().map(|(path, _)| path.written.as_ref());
    let methods = fields.some("methods", method, reader);
    let usernames = fields.some("username", username, reader);
    let level = above.under(fields.get("lockout"), reader);
    let rule = LoginRule {
        name: own_name.or_else(first_path).unwrap_or_default().into(),
        methods: if methods.is_empty() { vec!["POST".into()] } else { methods },
        when: fields.read("when", when, reader).unwrap_or_default(),
        naming: naming(&fields, reader),
        passwords: fields.some("password", password, reader),
        session_cookie: fields.read("session_cookie", session_cookie, reader),
        outcome: outcome_of(&fields, &usernames, reader),
        max_body: fields.read("max_body", max_body, reader).unwrap_or(MAX_BODY),
        access: fields.read("access", access, reader),
        lockout: Arc::clone(&level.lockout),
        counters: scope(&level, above),
        usernames,
        paths,
    };
    check_usernames(&rule, &fields, reader);
    check_attempts(&rule, &fields, reader);
    let username = match (fields.has("username"), fields.has("session_cookie")) {
        (true, _) => Username::Named,
        (false, true) => Username::Session,
        (false, false) => Username::Unknown,
    };
    (rule, Use { limits: level.limits, username })
}

/// A login has counters of its own where it has limits of its own.
fn scope(own: &Level<'_>, above: &Level<'_>) -> CounterScope {
    match (own.limits, above.limits) {
        (Some(own), Some(above)) if std::ptr::eq(own, above) => CounterScope::Site,
        (Some(_), _) => CounterScope::Login,
        (None, _) => CounterScope::Site,
    }
}

fn naming(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Naming {
    let are_one = fields.read("email_aliases", flag, reader).unwrap_or_default();
    Naming {
        rewrites: fields.some("username_rewrite", rewrite, reader),
        aliases: if are_one { MailAliases::Same } else { MailAliases::Distinct },
    }
}

fn max_body(node: &Node, reader: &mut Reader<'_>) -> Option<usize> {
    size(node, 1..=MOST_BODY, reader)
}

fn paths(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Vec<(PathPattern, Attempts)> {
    if fields.lacks("path") {
        reader.error(fields.node, "needs `path`", "such as `path: /login`");
    }
    let words = [("all", Attempts::All), ("with_credentials", Attempts::WithCredentials)];
    let attempts = fields.read("attempts", |node, r| choice(node, &words, r), reader);
    let one = |node: &Node, reader: &mut Reader<'_>| {
        let pattern = path(node, reader)?;
        let attempts = attempts.unwrap_or_else(|| usual_attempts(&pattern));
        if attempts == Attempts::All && is_script(&pattern) {
            let wrong = format!("`{}` probably serves other things too", node.shown());
            let right = "take `attempts: with_credentials` and name the `password`, \
                         or every request to it counts as a guess";
            reader.warn(node, wrong, right);
        }
        Some((pattern, attempts))
    };
    fields.some("path", one, reader)
}

fn usual_attempts(pattern: &PathPattern) -> Attempts {
    match &pattern.kind {
        PathKind::Exact(path) if **path == *"/" => Attempts::WithCredentials,
        PathKind::Exact(_) | PathKind::Template(_) => Attempts::All,
        PathKind::Prefix(_) => Attempts::WithCredentials,
    }
}

/// One script often answers for many pages of an application.
fn is_script(pattern: &PathPattern) -> bool {
    const ENDINGS: &[&str] = &[
        ".php", ".cgi", ".pl", ".asp", ".aspx", ".ashx", ".jsp", ".jspx", ".do", ".action", ".cfm",
    ];
    let path = pattern.written.to_ascii_lowercase();
    matches!(pattern.kind, PathKind::Exact(_)) && ENDINGS.iter().any(|end| path.ends_with(end))
}

fn outcome_of(fields: &Fields<'_>, usernames: &[Source], reader: &mut Reader<'_>) -> OutcomeRules {
    let basic = !usernames.is_empty() && usernames.iter().all(|source| *source == Source::Basic);
    if basic && fields.lacks("outcome") {
        return OutcomeRules::Basic;
    }
    if fields.lacks("outcome") {
        let indent = " ".repeat(fields.node.at.column.saturating_sub(1));
        reader.error(fields.node, "needs `outcome`", &OUTCOME.join(&format!("\n{indent}")));
    }
    let own = fields.read("outcome", outcome, reader);
    own.unwrap_or_else(|| OutcomeRules::Listed(Vec::new()))
}

/// Reports names that no path has, and rewrites of nothing.
fn check_usernames(rule: &LoginRule, fields: &Fields<'_>, reader: &mut Reader<'_>) {
    let Some(node) = fields.get("username") else {
        for (key, verb) in [("username_rewrite", "rewrite"), ("email_aliases", "fold")] {
            if let Some(node) = fields.get(key) {
                let wrong = format!("there is no `username` to {verb}");
                reader.error(node, wrong, "name one or remove this");
            }
        }
        return;
    };
    for source in &rule.usernames {
        let Source::Path(name) = source else { continue };
        if !rule.paths.is_empty() && !rule.paths.iter().any(|(path, _)| has_name(path, name)) {
            let right = format!("write it into the path, such as \"/u/{{{name}}}/login\"");
            reader.error(node, format!("no path of the rule has `{{{name}}}`"), &right);
        }
    }
}

/// Reports paths on which nothing could ever be an attempt.
fn check_attempts(rule: &LoginRule, fields: &Fields<'_>, reader: &mut Reader<'_>) {
    if fields.has("username") || fields.has("password") {
        return;
    }
    let needs = |(_, attempts): &&(PathPattern, Attempts)| *attempts == Attempts::WithCredentials;
    if let Some((path, _)) = rule.paths.iter().find(needs) {
        let wrong = format!("on `{}` only requests with credentials are attempts", path.written);
        reader.error(fields.node, wrong, "name the `password` or the `username`");
    }
}

fn has_name(path: &PathPattern, name: &str) -> bool {
    match &path.kind {
        PathKind::Template(segments) => {
            segments.iter().any(|segment| matches!(segment, Segment::Name(own) if **own == *name))
        }
        PathKind::Exact(_) | PathKind::Prefix(_) => false,
    }
}
