//! `loginward reset`: takes back failures and lockouts.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::contact::{Contact, tell_reach};
use super::rows;
use super::whom::Whom;
use super::{FAILED, OK, USAGE, complain, say};
use crate::admin::api::RESET;
use crate::admin::ask::Question;
use crate::amount;

/// Going through a hundred million counters may take that long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Unlock somebody: forget failures, lockouts and locks by hand
///
/// Everything that is named has to fit: an address with every counter that has it in it, a username
/// in every spelling, a reference with what refused the latest few who were told it. It says how
/// many counters that were, and what locks nevertheless.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  loginward reset ada@example.com
  loginward reset 203.0.113.7
  loginward reset --username ada --ip 203.0.113.0/24
  loginward reset --ref QZ52GVYE
  loginward reset --all --without-verdict
  loginward unlock --site shop --by-hand

Exit status:
  0  something was taken back
  1  nothing was found
  2  the command line is wrong, or the configuration file, if one is named
  3  no guard can be reached, or it refuses the token"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Reset {
    #[command(flatten)]
    whom: Whom,
    /// Everybody
    #[arg(long)]
    all: bool,
    /// Only failures on which the application gave no verdict (5xx, cut off, too slow)
    #[arg(long)]
    without_verdict: bool,
    /// Only locks by hand: failures, and the lockouts that they began, stay
    #[arg(long, conflicts_with = "without_verdict")]
    by_hand: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    contact: Contact,
}

impl Reset {
    /// Asks, and says what came of it.
    #[must_use]
    pub fn execute(&self) -> u8 {
        if self.whom.is_nobody() && !self.all {
            complain(
                "error: it is not said whom to unlock: name an address, a network, a username or a \
                 reference, or say --site, --counter or --all",
            );
            return USAGE;
        }
        let mut body = match self.whom.understood(&self.contact) {
            Ok(whom) => whom.members(),
            Err(status) => return status,
        };
        if self.all {
            body.insert("all".to_owned(), json!(true));
        }
        if self.without_verdict {
            body.insert("only".to_owned(), json!("without_verdict"));
        }
        if self.by_hand {
            body.insert("only".to_owned(), json!("by_hand"));
        }
        let body = Value::Object(body);
        let question = Question { method: "POST", target: RESET, body: Some(&body) };
        match self.contact.get(question, PATIENCE) {
            Ok(answer) => self.tell(&answer.body),
            Err(status) => status,
        }
    }

    fn tell(&self, answer: &Value) -> u8 {
        tell_reach(answer.get("shared").unwrap_or(&Value::Null));
        let number = |name: &str| number(answer, name);
        let (removed, by_hand) = (number("removed"), number("locks_by_hand"));
        let status = if removed + by_hand > 0 { OK } else { FAILED };
        if self.json {
            say(&answer.to_string());
            return status;
        }
        if status == FAILED {
            complain("nothing was found");
        } else {
            let counters = (!self.by_hand).then_some(removed);
            say(&format!("reset: {}", counted(counters, by_hand)));
        }
        let list = |name: &str| answer.get(name).and_then(Value::as_array).cloned();
        let still = list("still_locked").unwrap_or_default();
        if !still.is_empty() {
            let total = number("still_locked_total");
            say(&format!("\nStill locked, {total} in all:\n{}", rows::counters(&still)));
        }
        let hands = list("still_locked_by_hand").unwrap_or_default();
        if !hands.is_empty() {
            say(&format!("\nStill locked by hand:\n{}", rows::locks(&hands)));
        }
        status
    }
}

fn number(answer: &Value, name: &str) -> u64 {
    answer.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// How much that is, in words; no counters where none were meant.
fn counted(counters: Option<u64>, by_hand: u64) -> String {
    let counters = counters.map(amount::counters);
    let by_hand = (by_hand > 0).then(|| amount::locks_by_hand(by_hand));
    counters.into_iter().chain(by_hand).collect::<Vec<_>>().join(", ")
}
