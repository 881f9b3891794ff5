//! `loginward import`: takes in what another guard exported.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::contact::{Contact, tell_reach};
use super::{FAILED, OK, UNREACHABLE, USAGE, complain, say};
use crate::admin::api::IMPORT;
use crate::admin::ask::{Answer, send};
use crate::admin::moved::{KIND, LONGEST, Reading};
use crate::amount;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Take in the counters, lockouts and locks by hand that another guard exported
///
/// Whatever counts more there or here is what counts; taking the same file in again changes
/// nothing. Lockouts are shorter by the time that has passed since the export. What has no place
/// here, such as the counters of a limit that is not configured, is said.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  loginward import counters.jsonl
  loginward export --config old.yaml | loginward import --config new.yaml -

Exit status:
  0  something of it counts here now
  1  there was nothing in it that counts here
  2  the file or the command line is wrong, or the configuration file, if one is named
  3  no guard can be reached, or it refuses the token"
)]
pub struct Import {
    /// What `export` printed; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    contact: Contact,
}

impl Import {
    /// Sends it, and says what came of it.
    #[must_use]
    pub fn execute(&self) -> u8 {
        self.send().map_or_else(|status| status, |answer| self.tell(&answer))
    }

    fn send(&self) -> Result<Answer, u8> {
        let place = self.contact.place()?;
        let name = self.file.display();
        let wrong = |error: &dyn std::fmt::Display| {
            complain(&format!("error: {name}: {error}"));
            USAGE
        };
        let mut from: Box<dyn Read> = if self.file == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            let mut file = File::open(&self.file).map_err(|error| wrong(&error))?;
            // so that of a file that is wrong nothing is taken; of what cannot be read twice it is
            // said how much was
            if file.metadata().is_ok_and(|it| it.is_file()) {
                check(BufReader::new(&file)).map_err(|why| wrong(&why))?;
                file.rewind().map_err(|error| wrong(&error))?;
            }
            Box::new(file)
        };
        let answer = send(&place, (IMPORT, KIND), &mut from, PATIENCE)
            .map_err(|error| self.contact.unreachable(&place, &error))?;
        match answer.status {
            200 => Ok(answer),
            401 | 403 | 421 => {
                complain(&format!("refused: {place}: {}", answer.detail()));
                Err(UNREACHABLE)
            }
            400 => Err(wrong(&answer.detail())),
            status => {
                complain(&format!("not done: the guard answers {status}: {}", answer.detail()));
                Err(FAILED)
            }
        }
    }

    fn tell(&self, answer: &Answer) -> u8 {
        tell_reach(answer.body.get("shared").unwrap_or(&Value::Null));
        let number = |path: &str| answer.body.pointer(path).and_then(Value::as_u64);
        let number = |path: &str| number(path).unwrap_or_default();
        let of = |what: &str| {
            ["new", "joined", "known"].map(|how| number(&format!("/{what}/{how}"))).iter().sum()
        };
        let (counters, locks): (u64, u64) = (of("counters"), of("locks_by_hand"));
        let status = if counters + locks > 0 { OK } else { FAILED };
        if self.json {
            say(&answer.body.to_string());
            return status;
        }
        let (new, known) = (number("/counters/new"), number("/counters/known"));
        say(&format!(
            "imported: {} ({new} new, {} joined with what was here, {known} known already), {} of \
             them locked; {}",
            amount::counters(counters),
            number("/counters/joined"),
            number("/locked"),
            amount::locks_by_hand(locks),
        ));
        let over = number("/counters/expired") + number("/locks_by_hand/expired");
        if over > 0 {
            // a fleet remembers resets, and does not take in again what one took away
            let of_fleet = answer.body.get("shared").is_some_and(|shared| !shared.is_null());
            let since = if of_fleet { "over, or reset here, since" } else { "over since" };
            say(&format!("{since} the export: {over}"));
        }
        let not_taken = answer.body.get("not_taken").and_then(Value::as_array);
        for reason in not_taken.into_iter().flatten() {
            complain(&line(reason));
        }
        let spellings = number("/without_spelling");
        if spellings > 0 {
            complain(&format!(
                "of {spellings} counters the spelling of the username is not known here: a success \
                 does not clear their failures"
            ));
        }
        status
    }
}

/// Whether it is whole.
fn check(mut lines: impl BufRead) -> Result<(), String> {
    let mut reading = Reading::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(LONGEST as u64 + 2).read_until(b'\n', &mut line);
        if read.map_err(|error| error.to_string())? == 0 {
            return reading.end().map_err(|wrong| wrong.to_string());
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        reading.take(text).map_err(|wrong| wrong.to_string())?;
    }
}

/// What was not taken, in words.
fn line(reason: &Value) -> String {
    let text = |name: &str| reason.get(name).and_then(Value::as_str);
    let count = reason.get("count").and_then(Value::as_u64).unwrap_or_default();
    let place = [("site", text("site")), ("login", text("login")), ("limit", text("limit"))];
    let place = place.into_iter().filter_map(|(name, value)| Some(format!("{name} {:?}", value?)));
    let place = place.collect::<Vec<_>>().join(", ");
    let why = match text("why").unwrap_or_default() {
        "client_excepted" => "the limit does not count that client here",
        "counter_unknown" => "the counter that was locked by hand was not there",
        "limit_counts_otherwise" => "a limit of that name counts by other parameters here",
        "limit_not_configured" => "no such limit is configured here",
        "name_cut" => "too little is known of the username",
        "name_empty" => "nothing is left of that username here",
        "network_too_wide" => "addresses are told apart more finely here",
        "session_only" => "only a session told the account",
        "site_not_configured" => "no such site is configured here",
        "too_many_locks" => "there are too many locks by hand here",
        other => other,
    };
    match place.as_str() {
        "" => format!("not taken: {count}: {why}"),
        place => format!("not taken: {count} of {place}: {why}"),
    }
}
