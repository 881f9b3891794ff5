//! `loginward list`: who has failed, and who is locked out.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::contact::{Contact, tell_reach};
use super::rows;
use super::whom::{Whom, parameter};
use super::why::{self, Form};
use super::{FAILED, OK, complain, say};
use crate::admin::api::{COUNTERS, LOCKS};
use crate::admin::ask::Question;

/// Going through a hundred million counters may take that long.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many rows the guard is asked for at a time.
const PAGE: usize = 1000;

/// List who has failed to log in, and who is locked out
///
/// Without WHAT it lists everybody: those who are locked out first, the longest time left first. A
/// word that is both a reference and a username means both.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  loginward list
  loginward list --locked
  loginward list ada@example.com
  loginward list 203.0.113.7
  loginward list 203.0.113.0/24 --site shop
  loginward list --ref QZ52GVYE
  loginward list qz52-gvye

Exit status:
  0  there are some
  1  nothing was found
  2  the command line is wrong, or the configuration file, if one is named
  3  no guard can be reached, or it refuses the token"
)]
pub struct List {
    #[command(flatten)]
    whom: Whom,
    /// Only those who are locked out
    #[arg(long)]
    locked: bool,
    /// Only what has this text in it
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// What comes first: most time left, most failures, latest failure, or by site
    #[arg(long, value_name = "ORDER", default_value = "remaining")]
    sort: Sort,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = some)]
    limit: usize,
    /// All of them, however many
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    contact: Contact,
}

fn some(written: &str) -> Result<usize, String> {
    let number = written.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "write a number, and not 0".to_owned())
}

/// What comes first.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    Remaining,
    Failures,
    Latest,
    Site,
}

impl Sort {
    const fn name(self) -> &'static str {
        match self {
            Self::Remaining => "remaining",
            Self::Failures => "failures",
            Self::Latest => "latest",
            Self::Site => "site",
        }
    }
}

/// What was found.
struct Found {
    counters: Vec<Value>,
    total: u64,
    locks: Vec<Value>,
    /// What refused the word that was given, where that is a reference.
    chain: Option<Value>,
    /// Whether it is so at all guards that share the counters.
    shared: Value,
}

impl Found {
    fn is_nothing(&self) -> bool {
        self.counters.is_empty() && self.locks.is_empty() && self.chain.is_none()
    }
}

impl List {
    /// Asks, and prints what it was told.
    #[must_use]
    pub fn execute(&self) -> u8 {
        if let Some(reference) = self.whom.reference() {
            let form = if self.json { Form::Json } else { Form::Text };
            return why::tell(&self.contact, reference, form);
        }
        let found = match self.find() {
            Ok(found) => found,
            Err(status) => return status,
        };
        tell_reach(&found.shared);
        let status = if found.is_nothing() { FAILED } else { OK };
        if self.json {
            let Found { counters, total, locks, chain, shared } = found;
            let list = json!({
                "counters": counters,
                "total": total,
                "locks": locks,
                "reference": chain,
                "shared": shared,
            });
            say(&list.to_string());
        } else {
            tell(&found);
        }
        status
    }

    fn find(&self) -> Result<Found, u8> {
        let mut counters: Vec<Value> = Vec::new();
        let most = if self.all { usize::MAX } else { self.limit };
        let mut cursor = None;
        let (total, shared) = loop {
            let wanted = (most - counters.len()).clamp(1, PAGE);
            let target = format!("{COUNTERS}?{}", self.query(wanted, cursor.as_deref()));
            let mut page = self.contact.get(Question::new("GET", &target), PATIENCE)?.body;
            let rows = page.get_mut("counters").and_then(Value::as_array_mut);
            counters.append(rows.unwrap_or(&mut Vec::new()));
            cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() || counters.len() >= most {
                let total = page.get("total").and_then(Value::as_u64).unwrap_or_default();
                break (total, page.get("shared").cloned().unwrap_or_default());
            }
        };
        counters.truncate(most);
        let locks = self.locks()?;
        let word = self.whom.bare_reference();
        let chain = word.map_or(Ok(None), |word| why::find(&self.contact, word))?;
        Ok(Found { counters, total, locks, chain, shared })
    }

    fn query(&self, limit: usize, cursor: Option<&str>) -> String {
        let mut parameters = self.whom.parameters();
        parameters.push(format!("sort={}&limit={limit}", self.sort.name()));
        if self.locked {
            parameters.push("state=locked".to_owned());
        }
        parameters.extend(self.search.as_deref().map(|text| parameter("q", text)));
        parameters.extend(cursor.map(|cursor| parameter("cursor", cursor)));
        parameters.join("&")
    }

    /// The locks by hand that have to do with it.
    fn locks(&self) -> Result<Vec<Value>, u8> {
        let mut parameters = self.whom.parameters();
        parameters.extend(self.search.as_deref().map(|text| parameter("q", text)));
        let target = format!("{LOCKS}?{}", parameters.join("&"));
        let mut answer = self.contact.get(Question::new("GET", &target), PATIENCE)?.body;
        let locks = answer.get_mut("locks").and_then(Value::as_array_mut);
        Ok(locks.map(std::mem::take).unwrap_or_default())
    }
}

fn tell(found: &Found) {
    if found.is_nothing() {
        complain("nothing was found");
    }
    if let Some(chain) = &found.chain {
        say(&why::told(chain));
    }
    if !found.counters.is_empty() {
        say(&rows::counters(&found.counters));
    }
    let more = found.total.saturating_sub(found.counters.len() as u64);
    if more > 0 {
        complain(&format!("{more} more: --all lists them"));
    }
    if !found.locks.is_empty() {
        let is_first = found.chain.is_none() && found.counters.is_empty();
        let gap = if is_first { "" } else { "\n" };
        say(&format!("{gap}Locked by hand:\n{}", rows::locks(&found.locks)));
    }
}
