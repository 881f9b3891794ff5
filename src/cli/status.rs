//! `loginward status`: how the running guard is.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::contact::Contact;
use super::{FAILED, OK, complain, say};
use crate::admin::api::STATUS;
use crate::admin::ask::Question;
use crate::log::line::escaped;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Say how the running guard is
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Exit status:
  0  it runs
  1  it answers that something went wrong
  2  the command line is wrong, or the configuration file, if one is named
  3  no guard can be reached: nobody answers, or what does is none; or it refuses the token"
)]
pub struct Status {
    #[command(flatten)]
    contact: Contact,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Asks, and says what it was told.
    #[must_use]
    pub fn execute(&self) -> u8 {
        match self.contact.ask(Question::new("GET", STATUS), PATIENCE) {
            Err(status) => status,
            Ok(answer) if answer.status != 200 => {
                complain(&format!("not understood: the guard answers {}", answer.status));
                FAILED
            }
            Ok(answer) if self.json => {
                say(&answer.body.to_string());
                OK
            }
            Ok(answer) => {
                say(&lines(&answer.body));
                OK
            }
        }
    }
}

/// What the guard says, a line each.
fn lines(status: &Value) -> String {
    let member = |path: &str| status.pointer(path).map_or_else(String::new, shown);
    let mut rows = vec![
        (
            "state",
            format!(
                "{}, for {} s, process {}",
                member("/state").replace('_', " "),
                member("/uptime_s"),
                member("/pid")
            ),
        ),
        ("version", member("/version")),
        ("configuration", configuration(status)),
        ("listening", member("/listening")),
        ("sites", member("/sites")),
        ("monitor mode", monitored(status)),
        ("workers", member("/workers")),
        ("counters", format!("{}, and {} locked", member("/counters"), member("/locked"))),
        ("locks by hand", member("/locks_by_hand")),
        ("attempts", format!("{} places held, {} waiting", member("/places"), member("/waiting"))),
        ("snapshot", snapshot(status)),
        ("shared store", shared_store(status)),
    ];
    rows.extend(audit(status).map(|audit| ("audit log", audit)));
    let list = |path: &str| status.pointer(path).and_then(Value::as_array).cloned();
    let waiting = list("/reload/need_restart").unwrap_or_default();
    if !waiting.is_empty() {
        let keys: Vec<String> = waiting.iter().map(shown).collect();
        rows.push(("restart needed", format!("for what has changed of {}", keys.join(", "))));
    }
    let suspicions = list("/suspicions").unwrap_or_default();
    rows.extend(suspicions.iter().map(|said| ("looks wrong", shown(said))));
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let rows = rows.iter().map(|(name, value)| format!("{name:width$}  {}", escaped(value)));
    rows.collect::<Vec<_>>().join("\n")
}

/// Whether events are written down, where they should be.
fn audit(status: &Value) -> Option<String> {
    let state = status.pointer("/audit/state")?;
    let reason = status.pointer("/audit/reason").and_then(Value::as_str);
    Some(match reason {
        None => shown(state),
        Some(reason) => format!("cannot be written: {reason}"),
    })
}

/// Whether a restart forgets the counters.
fn snapshot(status: &Value) -> String {
    let member = |name: &str| status.pointer(&format!("/snapshot/{name}"));
    let Some(file) = member("file") else {
        return match status.get("store").filter(|store| !store.is_null()) {
            Some(_) => "none: the shared store keeps the counters".to_owned(),
            None => "none: a restart forgets the counters".to_owned(),
        };
    };
    let (file, bytes) = (shown(file), member("bytes").map_or_else(String::new, shown));
    match member("state").and_then(Value::as_str) {
        Some("writing") => format!("{file}, {bytes} bytes"),
        _ => format!("{file} cannot be written: a restart forgets the counters; see the log"),
    }
}

/// Whether the counters are those of other guards, too.
fn shared_store(status: &Value) -> String {
    let member = |name: &str| status.pointer(&format!("/store/{name}"));
    let Some(place) = member("place").map(shown) else {
        return "none: this guard counts alone".to_owned();
    };
    if member("up") == Some(&Value::Bool(true)) {
        return match member("evicts").and_then(Value::as_str) {
            None => place,
            Some(policy) => format!(
                "{place}, which throws lockouts away when it is full (maxmemory-policy {policy})"
            ),
        };
    }
    let reason = member("reason").map_or_else(String::new, shown);
    let meanwhile = match member("on_outage").and_then(Value::as_str) {
        Some("refuse") => "attempts are answered 503",
        Some("allow") => "attempts go through uncounted",
        _ => "this guard counts alone",
    };
    format!("{place} is out of reach ({reason}): {meanwhile}")
}

/// The logins in `monitor` mode.
fn monitored(status: &Value) -> String {
    let logins = status.get("monitored").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let name = |login: &Value| {
        let part = |key: &str| login.get(key).map_or_else(String::new, shown);
        format!("{} {}", part("site"), part("login"))
    };
    match logins {
        [] => "no login".to_owned(),
        logins => logins.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}

fn configuration(status: &Value) -> String {
    let file = status.get("config").filter(|file| !file.is_null());
    let file = file.map_or_else(|| "from the command line".to_owned(), shown);
    if status.pointer("/reload/successful") == Some(&Value::Bool(false)) {
        return format!("{file}; it cannot be used as it is now, an earlier one is in force");
    }
    file
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
