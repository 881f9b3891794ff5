//! `loginward events`: what has happened at the running guard, and what happens.

use std::time::Duration;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tracing::Level;

use super::contact::Contact;
use super::{FAILED, OK, UNREACHABLE, USAGE, complain, say};
use crate::admin::ask::Place;
use crate::admin::follow::EVENTS;
use crate::admin::hear::{Events as Followed, Heard, hear};
use crate::config::LogFormat;
use crate::log::line::LineWriter;
use crate::outlets::latest::MOST;

/// Fields in the order in which people look for them; others follow, and what clients make is last.
const ORDER: [&str; 14] = [
    "client", "peer", "site", "login", "mode", "limit", "failures", "of", "until", "status", "ref",
    "repeated", "reason", "username",
];

/// A guard that has ended is looked for so often, and so long after each time, while another may begin.
const TIMES: u32 = 20;
const AGAIN: Duration = Duration::from_millis(100);

/// Say what has happened at the running guard, and what happens
///
/// Without --follow it prints the latest events, of which the guard keeps 1,000, and ends. Lines of
/// the access log are no events.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  loginward events
  loginward events --follow --name locked_out,refused --site shop
  loginward events --follow --json | jq .username

Exit status:
  0  there were some
  1  there were none; with --follow: the guard has ended, and no other has taken over
  2  the command line is wrong, or the configuration file, if one is named
  3  no guard can be reached"
)]
pub struct Events {
    #[command(flatten)]
    contact: Contact,
    /// Go on with those that come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Only these, such as `locked_out,refused`
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    name: Vec<String>,
    /// Only those of this site
    #[arg(long, value_name = "SITE")]
    site: Vec<String>,
    /// Only those about this client
    #[arg(long, value_name = "ADDRESS")]
    client: Vec<String>,
    /// Only those about this account, in whatever spelling
    #[arg(long, value_name = "NAME")]
    username: Vec<String>,
    /// How many of the latest that fit; default: all, with --follow none
    #[arg(long, value_name = "NUMBER")]
    last: Option<usize>,
    /// Print each as JSON
    #[arg(long)]
    json: bool,
}

impl Events {
    /// Prints events until there are no more.
    #[must_use]
    pub fn execute(&self) -> u8 {
        let place = match self.contact.place() {
            Ok(place) => place,
            Err(status) => return status,
        };
        let unreachable = |error: &std::io::Error| self.contact.unreachable(&place, error);
        let mut events = match hear(&place, &self.target(self.last), None) {
            Ok(Ok(events)) => events,
            Ok(Err((status, said))) => {
                complain(&format!("not told: the guard answers {status}: {said}"));
                return match status {
                    400 => USAGE,
                    401 | 403 | 421 => UNREACHABLE,
                    _ => FAILED,
                };
            }
            Err(error) => return unreachable(&error),
        };
        let mut heard = 0_u64;
        loop {
            match events.hear() {
                Ok(Some(next)) => {
                    self.print(&next);
                    heard += 1;
                }
                Err(error) if !self.follow => return unreachable(&error),
                Ok(None) if !self.follow => return if heard > 0 { OK } else { FAILED },
                Ok(None) | Err(_) => match self.go_on(&place, &events) {
                    Some(others) => events = others,
                    None => {
                        complain("the guard has ended");
                        return FAILED;
                    }
                },
            }
        }
    }

    /// Follows whoever goes on at the same place, if anybody does: the guard, or one that has taken over
    /// from it. Of the latter nothing has been heard yet, and so all is.
    fn go_on(&self, place: &Place, before: &Followed) -> Option<Followed> {
        for _ in 0..TIMES {
            if let Ok(Ok(events)) = hear(place, &self.target(Some(MOST)), before.latest()) {
                return Some(events);
            }
            std::thread::park_timeout(AGAIN);
        }
        None
    }

    fn target(&self, last: Option<usize>) -> String {
        let last = last.unwrap_or(if self.follow { 0 } else { MOST });
        let mut target = format!("{EVENTS}?follow={}&last={last}", self.follow);
        for (key, values) in [
            ("name", &self.name),
            ("site", &self.site),
            ("client", &self.client),
            ("username", &self.username),
        ] {
            for value in values {
                let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
                target.push_str(&format!("&{key}={value}"));
            }
        }
        target
    }

    fn print(&self, heard: &Heard) {
        match heard {
            Heard::Event(event) if self.json => say(&event.to_string()),
            Heard::Event(event) => say(&line(event)),
            Heard::Lost(events) if self.json => {
                say(&serde_json::json!({ "lost": events }).to_string());
            }
            Heard::Lost(events) => complain(&format!("{events} events were lost: too slow")),
        }
    }
}

/// An event as people read it, a line.
#[must_use]
pub fn line(event: &Value) -> String {
    let empty = serde_json::Map::new();
    let members = event.as_object().unwrap_or(&empty);
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_other = |name: &&String| {
        let first = ["ts", "level", "event"];
        !first.contains(&name.as_str()) && !ORDER.contains(&name.as_str())
    };
    let mut written = String::new();
    let mut writer = LineWriter::new(&mut written, LogFormat::Text, Level::INFO);
    let others = members.keys().filter(is_other).map(String::as_str);
    let (clients_own, first) = ORDER.split_last().unwrap_or((&"username", &[]));
    for name in first.iter().copied().chain(others).chain([*clients_own]) {
        match members.get(name) {
            Some(Value::Number(number)) => writer.number(name, number.as_u64().unwrap_or_default()),
            Some(Value::String(text)) => writer.text(name, text),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {}
        }
    }
    let fields = written.strip_prefix(" level=info").unwrap_or_default();
    format!("{} {}{fields}", text("ts"), text("event"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_what_people_look_for_and_ends_with_what_clients_made() {
        let event = serde_json::json!({
            "ts": "2026-11-25T03:03:33.256Z", "level": "warn", "event": "locked_out",
            "username": "bob\n\u{1b}[31m", "client": "203.0.113.7", "site": "shop", "of": 5,
            "count": 3,
        });
        assert_eq!(
            line(&event),
            "2026-11-25T03:03:33.256Z locked_out client=203.0.113.7 site=shop of=5 count=3 \
             username=\"bob\\n\\u001b[31m\""
        );
    }
}
