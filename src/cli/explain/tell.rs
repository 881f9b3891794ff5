//! An explanation in words, or as JSON.

use serde_json::{Value, json};

use super::live::Live;
use super::rehearsal::Played;
use crate::cli::rows::whom;
use crate::guard::trace::{AttemptStory, CounterStory, OutcomeStory, Story};
use crate::policy::outcome::weighed::Weighed;
use crate::policy::outcome::{Basis, Outcome};

/// The explanation in words, a line for each step.
#[must_use]
pub fn text(played: &Played, live: &Live) -> String {
    let story = &played.story;
    let mut lines = Lines::default();
    if let Some((method, path)) = &story.asked {
        lines.add("request", format!("{method} {}", shown(path)));
    }
    lines.add("client", client(played));
    lines.add("site", story.site.clone().unwrap_or_else(|| "none".to_owned()));
    for rule in &story.rules {
        let verb = if rule.is_attempt { "an attempt" } else { "no attempt" };
        let how = format!("{} ({} path): {verb}: {}", rule.login, rule.path, rule.why);
        lines.add("login", how.replace("(basic path)", "(Basic)"));
    }
    if story.site.is_some() && story.rules.is_empty() && story.refused.is_none() {
        lines.add("login", "no rule's path fits, so it is no attempt");
    }
    if let Some(attempt) = &story.attempt {
        tell_attempt(&mut lines, attempt, live);
    }
    for hand in &live.hands {
        let until = hand.get("until").and_then(Value::as_str).unwrap_or_default();
        lines.add("by hand", format!("{}: locked until {until}", shown(&whom(hand))));
    }
    for (_, words) in &story.excused {
        lines.add("monitor", format!("would be refused: {words}"));
    }
    if let Some(admitted) = story.admitted {
        lines.add("admission", format!("it may go on: {admitted}"));
    }
    if let Some((_, why)) = live.refusal().filter(|_| story.admitted.is_none()) {
        lines.add("admission", format!("it is refused now: {}", shown(&why)));
    }
    if let Some(outcome) = &story.outcome {
        tell_outcome(&mut lines, outcome);
    }
    lines.add("answer", answer(played));
    lines.0.join("\n")
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, name: &str, text: impl Into<String>) {
        self.0.push(format!("{name:11} {}", text.into()));
    }
}

/// Text that a client has made, in one line.
fn shown(text: &str) -> String {
    text.escape_debug().to_string()
}

fn client(played: &Played) -> String {
    let peer = played.peer;
    match (&played.story.client, played.is_trusted) {
        (Some(client), false) => format!("{client}, who connects; no trusted proxy"),
        (Some(client), true) if *client == peer.to_string() => {
            format!("{client}, a trusted proxy that names nobody else")
        }
        (Some(client), true) => format!("{client}, as the trusted proxy {peer} says"),
        (None, true) => format!("unknown: the trusted proxy {peer} names no usable address"),
        (None, false) => format!("{peer}, who connects"),
    }
}

fn tell_attempt(lines: &mut Lines, attempt: &AttemptStory, live: &Live) {
    let plural = if attempt.guesses == 1 { "guess" } else { "guesses" };
    lines.add("attempt", format!("by {}, {} {plural}", attempt.login, attempt.guesses));
    if attempt.mode == "monitor" {
        lines.add("mode", "monitor: nothing is refused");
    }
    if attempt.usernames.is_empty() {
        lines.add("username", "none");
    }
    for (raw, account) in &attempt.usernames {
        lines.add("username", format!("\"{}\", counted as \"{}\"", shown(raw), shown(account)));
    }
    if attempt.is_uncounted {
        lines.add("counter", "no limit counts this attempt; it is counted by client address");
    }
    for (at, counter) in attempt.counters.iter().enumerate() {
        let now = live.counters.get(at).map(|row| standing(row.as_ref())).unwrap_or_default();
        lines.add("counter", format!("{}{now}", about(counter)));
    }
}

fn about(counter: &CounterStory) -> String {
    let values = counter.parameters.iter();
    let values: Vec<String> =
        values.map(|(name, value)| format!("{name}=\"{}\"", shown(value))).collect();
    let CounterStory { limit, of, cool_off, .. } = counter;
    let plural = if *of == 1 { "failure locks" } else { "failures lock" };
    format!("{limit}: {}; {of} {plural} {cool_off}", values.join(" "))
}

/// How a counter stands in the guard that runs.
fn standing(row: Option<&Value>) -> String {
    let Some(row) = row else { return "; now: nothing counts".to_owned() };
    let number = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or_default();
    let locked = row.get("locked").and_then(Value::as_bool).unwrap_or_default();
    let until = row.get("until").and_then(Value::as_str);
    match (locked, until) {
        (true, Some(until)) => format!("; now: locked until {until}"),
        (true, None) => "; now: locked until it is reset".to_owned(),
        (false, _) => format!("; now: {} of {}", number("failures"), number("of")),
    }
}

fn tell_outcome(lines: &mut Lines, outcome: &OutcomeStory) {
    let OutcomeStory { judgement, by, rules } = outcome;
    let why = match (judgement.basis, *by) {
        (Basis::NoVerdict, _) => "the upstream gave no verdict, which counts as a failure",
        (Basis::Unmatched, "inferred") => "it does not look like a success",
        (Basis::Unmatched, _) => "no rule fits, which counts as a failure",
        (Basis::Rule, "basic") => "as for HTTP Basic authentication",
        (Basis::Rule, "inferred") => "it looks like one",
        (Basis::Rule, _) => "a rule fits",
    };
    lines.add("outcome", format!("{}: {why}", word(judgement.outcome)));
    for (at, (of, miss)) in rules.iter().enumerate() {
        let fits = match miss {
            None => "fits".to_owned(),
            Some(miss) => format!("does not fit: `{}`", miss.name()),
        };
        lines.add("", format!("rule {} ({}) {fits}", at + 1, word(*of)));
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Failure => "failure",
        Outcome::Ignored => "ignored",
        Outcome::Success => "success",
    }
}

fn answer(played: &Played) -> String {
    let Story { refused, status, .. } = &played.story;
    match (refused, status) {
        (Some((reason, words)), Some(status)) => {
            format!("{status} from the guard ({}): {words}", reason.name())
        }
        (None, Some(status)) if played.is_forwarded => format!("{status} from the application"),
        (None, Some(status)) => format!("{status} from the guard: a redirect to https"),
        (Some((reason, words)), None) => {
            format!("from the guard, as `response` says ({}): {}", reason.name(), shown(words))
        }
        (None, None) => "the application's; name one with --response or --status".to_owned(),
    }
}

/// The explanation for programs.
#[must_use]
pub fn json(played: &Played, live: &Live) -> Value {
    let story = &played.story;
    let rules = story.rules.iter().map(|rule| {
        json!({
            "login": rule.login,
            "path": rule.path,
            "attempt": rule.is_attempt,
            "why": rule.why,
        })
    });
    let excused = story.excused.iter();
    let excused = excused.map(|(reason, why)| json!({ "reason": reason.name(), "why": why }));
    json!({
        "method": story.asked.as_ref().map(|(method, _)| method),
        "path": story.asked.as_ref().map(|(_, path)| path),
        "peer": played.peer.to_string(),
        "trusted": played.is_trusted,
        "client": story.client,
        "site": story.site,
        "rules": rules.collect::<Vec<_>>(),
        "locks_by_hand": live.hands,
        "attempt": story.attempt.as_ref().map(|attempt| attempt_json(attempt, live)),
        "would_refuse": excused.collect::<Vec<_>>(),
        "admitted": story.admitted,
        "outcome": story.outcome.as_ref().map(outcome_json),
        "forwarded": played.is_forwarded,
        "refused": story.refused.as_ref().map(|(reason, why)| {
            json!({ "kind": reason.kind().name(), "reason": reason.name(), "why": why })
        }),
        "status": story.status.filter(|_| played.is_answered || story.refused.is_some()),
    })
}

fn attempt_json(attempt: &AttemptStory, live: &Live) -> Value {
    let names = attempt.usernames.iter();
    let names = names.map(|(raw, account)| json!({ "raw": raw, "account": account }));
    let counters = attempt.counters.iter().enumerate().map(|(at, counter)| {
        let parameters = counter.parameters.iter();
        let parameters = parameters.map(|(name, value)| ((*name).to_owned(), json!(value)));
        json!({
            "limit": counter.limit,
            "of": counter.of,
            "cool_off": counter.cool_off,
            "parameters": parameters.collect::<serde_json::Map<_, _>>(),
            "now": live.counters.get(at),
        })
    });
    json!({
        "login": attempt.login,
        "mode": attempt.mode,
        "written": attempt.written,
        "guesses": attempt.guesses,
        "usernames": names.collect::<Vec<_>>(),
        "counters": counters.collect::<Vec<_>>(),
        "uncounted": attempt.is_uncounted,
    })
}

fn outcome_json(outcome: &OutcomeStory) -> Value {
    let rule = |(of, miss): &Weighed| json!({ "outcome": word(*of), "misses": miss.map(|miss| miss.name()) });
    let basis = match outcome.judgement.basis {
        Basis::NoVerdict => "no_verdict",
        Basis::Rule => "rule",
        Basis::Unmatched => "unmatched",
    };
    json!({
        "outcome": word(outcome.judgement.outcome),
        "basis": basis,
        "by": outcome.by,
        "rules": outcome.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}
