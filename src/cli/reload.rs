//! `loginward reload`: has the running guard read its configuration again.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::contact::Contact;
use super::{FAILED, OK, USAGE, complain, say};
use crate::admin::api::RELOAD;
use crate::admin::ask::{Answer, Question};

/// Reading a thousand files and telling every worker takes no longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// Have the running guard read its configuration again
///
/// All of it is checked first. One with errors changes nothing; they are printed as `check` prints
/// them.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Exit status:
  0  it is in force; there may be warnings
  1  the guard was started without a file
  2  the configuration has errors and everything is as it was, or the command line is wrong
  3  no guard can be reached"
)]
pub struct Reload {
    #[command(flatten)]
    contact: Contact,
    /// Print the guard's answer as JSON
    #[arg(long)]
    json: bool,
}

impl Reload {
    /// Asks, and says what came of it.
    #[must_use]
    pub fn execute(&self) -> u8 {
        match self.contact.ask(Question::new("POST", RELOAD), PATIENCE) {
            Err(status) => status,
            Ok(answer) if self.json => {
                say(&answer.body.to_string());
                status(&answer)
            }
            Ok(answer) => {
                tell(&answer);
                status(&answer)
            }
        }
    }
}

const fn status(answer: &Answer) -> u8 {
    match answer.status {
        200 => OK,
        422 => USAGE,
        _ => FAILED,
    }
}

fn tell(answer: &Answer) {
    for problem in texts(&answer.body, "problems") {
        complain(problem);
    }
    for key in texts(&answer.body, "need_restart") {
        complain(&format!("warning: {key}: what has changed of this takes a restart"));
    }
    match answer.body.get("detail").and_then(Value::as_str) {
        Some(error) => complain(&format!("not reloaded: {error}")),
        None => say("reloaded"),
    }
}

/// The members of a list, or their texts.
fn texts<'a>(body: &'a Value, list: &str) -> impl Iterator<Item = &'a str> {
    let list = body.get(list).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|item| item.get("text").unwrap_or(item).as_str())
}
