//! What refused a reference: `loginward list --ref CODE`.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::contact::Contact;
use super::rows;
use super::{FAILED, OK, USAGE, complain, say};
use crate::admin::api::REFERENCE;
use crate::admin::ask::{Answer, Question};
use crate::log::line::escaped;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// To programs.
    Json,
    /// To people.
    Text,
}

/// Asks what refused `reference`, and tells it.
#[must_use]
pub fn tell(contact: &Contact, reference: &str, form: Form) -> u8 {
    let answer = match ask(contact, reference) {
        Ok(answer) => answer,
        Err(status) => return status,
    };
    if form == Form::Json {
        say(&answer.body.to_string());
    }
    match answer.status {
        200 if form == Form::Json => {}
        200 => say(&told(&answer.body)),
        404 => {
            complain(answer.detail());
            return FAILED;
        }
        400 => {
            complain(&format!("error: {}", answer.detail()));
            return USAGE;
        }
        status => {
            complain(&format!("not done: the guard answers {status}: {}", answer.detail()));
            return FAILED;
        }
    }
    OK
}

/// The chain of `word`, if something is known of that as a reference.
///
/// # Errors
///
/// The exit status, where the guard cannot be asked.
pub fn find(contact: &Contact, word: &str) -> Result<Option<Value>, u8> {
    let answer = ask(contact, word)?;
    Ok((answer.status == 200).then_some(answer.body))
}

fn ask(contact: &Contact, reference: &str) -> Result<Answer, u8> {
    let reference = utf8_percent_encode(reference, NON_ALPHANUMERIC).to_string();
    let target = REFERENCE.replace("{ref}", &reference);
    contact.ask(Question::new("GET", &target), PATIENCE)
}

/// The chain, as people read it.
#[must_use]
pub fn told(chain: &Value) -> String {
    let text = |name: &str| chain.get(name).and_then(Value::as_str).map(escaped);
    let times = chain.get("times").and_then(Value::as_u64).unwrap_or_default();
    let when = text("when").map(|when| match times {
        0 | 1 => when,
        _ => format!("{when}, {times} times since {}", text("first").unwrap_or_default()),
    });
    let from = text("client").map(|client| match text("peer") {
        Some(peer) => format!("{client}, by way of {peer}"),
        None => client,
    });
    let at = text("site").map(|site| match text("login") {
        Some(login) => format!("{site}, login {login}"),
        None => site,
    });
    let lines = [
        ("reference", text("ref")),
        ("it is of", text("belongs_to")),
        ("refused", when),
        ("client", from),
        ("username", text("username")),
        ("at", at),
        (if times == 0 { "state" } else { "because" }, text("reason")),
        ("until", text("until")),
    ];
    let mut told: Vec<String> = lines
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name:9}  {}", value?)))
        .collect();
    let list = |name: &str| chain.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let people = list("people");
    if people.len() > 1 {
        told.push(format!("\nThe latest who were told it:\n{}", rows::people(&people)));
    }
    let title = if times == 0 { "The counter:" } else { "Refused by these counters:" };
    for (title, counters) in [(title, list("counters")), ("Counted besides:", list("others"))] {
        if !counters.is_empty() {
            told.push(format!("\n{title}\n{}", rows::counters(&counters)));
        }
    }
    let hands = list("locks_by_hand");
    if !hands.is_empty() {
        told.push(format!("\nLocked by hand:\n{}", rows::locks(&hands)));
    }
    told.extend(text("unlock").map(|unlock| format!("\n{unlock}")));
    told.join("\n")
}
