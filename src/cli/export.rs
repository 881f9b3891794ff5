//! `loginward export`: everything that counts, for another guard.

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::time::Duration;

use clap::Args;
use rustix::fs::{FileType, fstat};
use serde_json::json;

use super::contact::Contact;
use super::{FAILED, OK, UNREACHABLE, complain};
use crate::admin::api::EXPORT;
use crate::admin::ask::open;
use crate::admin::moved::{End, LONGEST, Line};
use crate::amount;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Print everything that counts, for `import` at another guard
///
/// Counters, lockouts and locks by hand, as lines of JSON with names and addresses in clear; no
/// password, no key and no hash is among them. Attempts go on meanwhile, and those that come later
/// are not in it.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  (umask 077; loginward export > counters.jsonl)
  loginward export --config old.yaml | loginward import --config new.yaml -

Exit status:
  0  all of it is printed
  1  there is nothing, or not all of it came
  2  the command line is wrong, or the configuration file, if one is named
  3  no guard can be reached, or it refuses the token"
)]
pub struct Export {
    /// Print on standard error as JSON how much it was
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    contact: Contact,
}

impl Export {
    /// Asks, and prints what it is told.
    #[must_use]
    pub fn execute(&self) -> u8 {
        match self.print() {
            Ok(Some(End { counters: 0, locks: 0 })) => {
                self.tell(End { counters: 0, locks: 0 });
                FAILED
            }
            Ok(Some(end)) => {
                self.tell(end);
                OK
            }
            Ok(None) => {
                complain("not complete: the guard broke off; `import` takes no such file");
                FAILED
            }
            Err(status) => status,
        }
    }

    /// Prints all; the last line, if it came.
    fn print(&self) -> Result<Option<End>, u8> {
        let place = self.contact.place()?;
        let unreachable = |error: &io::Error| self.contact.unreachable(&place, error);
        let mut lines = match open(&place, (EXPORT, ""), PATIENCE) {
            Ok(Ok(lines)) => lines,
            Ok(Err((status, said))) => {
                complain(&format!("not told: the guard answers {status}: {said}"));
                let is_refused = [401, 403, 421].contains(&status);
                return Err(if is_refused { UNREACHABLE } else { FAILED });
            }
            Err(error) => return Err(unreachable(&error)),
        };
        let mut out = io::stdout().lock();
        if is_readable_by_others(&out) {
            complain(
                "warning: others may read that file, and it has usernames and addresses in it",
            );
        }
        let mut line = Vec::new();
        let mut last = Vec::new();
        loop {
            std::mem::swap(&mut last, &mut line);
            line.clear();
            let read = lines.by_ref().take(2 * LONGEST as u64).read_until(b'\n', &mut line);
            if read.map_err(|error| unreachable(&error))? == 0 {
                break;
            }
            if let Err(error) = out.write_all(&line) {
                complain(&format!("not complete: standard output: {error}"));
                return Err(FAILED);
            }
        }
        if let Err(error) = out.flush() {
            complain(&format!("not complete: standard output: {error}"));
            return Err(FAILED);
        }
        Ok(match serde_json::from_slice(&last) {
            Ok(Line::End(end)) => Some(end),
            Ok(Line::Counter(_) | Line::Lock(_) | Line::LoginwardExport(_)) | Err(_) => None,
        })
    }

    fn tell(&self, End { counters, locks }: End) {
        if self.json {
            complain(&json!({ "counters": counters, "locks_by_hand": locks }).to_string());
        } else {
            let counted = (amount::counters(counters), amount::locks_by_hand(locks));
            complain(&format!("exported: {}, {}", counted.0, counted.1));
        }
    }
}

/// Whether what is printed goes into a file that not only its owner may read.
fn is_readable_by_others(out: &io::StdoutLock<'_>) -> bool {
    fstat(out).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & 0o077 != 0
    })
}
