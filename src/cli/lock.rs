//! `loginward lock`: locks somebody out by hand.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::contact::{Contact, tell_reach};
use super::rows;
use super::whom::Whom;
use super::{OK, USAGE, complain, say};
use crate::admin::api::LOCK;
use crate::admin::ask::Question;
use crate::config::duration_of;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lock somebody out by hand, whether or not he ever failed
///
/// It holds from the next attempt on, also for those who are never locked otherwise; `reset` takes
/// it away. Everything that is named has to fit. A reference means the counters that refused it.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  loginward lock 203.0.113.0/24 --for 1h --reason 'credential stuffing'
  loginward lock --username ada --site shop
  loginward lock --ref QZ52GVYE --reason 'called, and was not who he said'
  loginward lock --all --for 10m --reason 'we are being attacked'

Exit status:
  0  locked
  1  there are too many locks by hand, there is no such counter, or none refused the reference
  2  the command line is wrong, or the configuration file, if one is named
  3  no guard can be reached, or it refuses the token"
)]
pub struct Lock {
    #[command(flatten)]
    whom: Whom,
    /// Everybody, at every site
    #[arg(long)]
    all: bool,
    /// For how long, such as 30m, 1h or 7d; default: until `reset`
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Why, for lists and logs; those who are refused do not see it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    contact: Contact,
}

fn time(written: &str) -> Result<Duration, String> {
    let time = duration_of(written)?;
    if time.as_secs() == 0 { Err("write a second or more".to_owned()) } else { Ok(time) }
}

impl Lock {
    /// Asks, and says what came of it.
    #[must_use]
    pub fn execute(&self) -> u8 {
        if self.whom.is_nobody() && !self.all {
            complain(
                "error: it is not said whom to lock: name an address, a network, a username or a \
                 reference, or say --site, --counter or --all",
            );
            return USAGE;
        }
        let whom = match self.whom.understood(&self.contact) {
            Ok(whom) => whom,
            Err(status) => return status,
        };
        // most references have a digit, and most names have none
        let word = whom.bare_reference();
        let word = word.filter(|word| word.contains(|letter: char| letter.is_ascii_digit()));
        let mut body = whom.members();
        if self.all {
            body.insert("all".to_owned(), json!(true));
        }
        if let Some(time) = self.time {
            body.insert("for_s".to_owned(), json!(time.as_secs()));
        }
        if let Some(reason) = &self.reason {
            body.insert("reason".to_owned(), json!(reason));
        }
        let body = Value::Object(body);
        let question = Question { method: "POST", target: LOCK, body: Some(&body) };
        match self.contact.get(question, PATIENCE) {
            Ok(answer) => {
                if let Some(word) = word {
                    complain(&format!(
                        "note: {word} is locked as a username: no such reference is known"
                    ));
                }
                tell_reach(answer.body.get("shared").unwrap_or(&Value::Null));
                if self.json {
                    say(&answer.body.to_string())
                } else {
                    tell(answer.body)
                }
                OK
            }
            Err(status) => status,
        }
    }
}

fn tell(locked: Value) {
    let warnings = locked.get("warnings").and_then(Value::as_array).cloned().unwrap_or_default();
    say(&format!("locked:\n{}", rows::locks(&[locked])));
    for warning in warnings.iter().filter_map(Value::as_str) {
        complain(&format!("warning: {warning}; `loginward reset` takes it away"));
    }
}
