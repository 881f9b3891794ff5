//! `loginward show`: everything that the guard knows about somebody.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::contact::Contact;
use super::events::line;
use super::rows;
use super::whom::{Whom, parameter};
use super::why;
use super::{FAILED, OK, USAGE, complain, say};
use crate::admin::api::{COUNTERS, LOCKS, REFUSALS};
use crate::admin::ask::Question;
use crate::admin::follow::EVENTS;
use crate::admin::hear::{Heard, hear};

/// Going through a hundred million counters may take that long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Show everything that the guard knows about somebody
///
/// Counters and lockouts, locks by hand, what was refused lately, and the latest events. What is in
/// log files, and what others were told, is not the guard's to show. Everything that is named has
/// to fit.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  loginward show ada@example.com
  loginward show 203.0.113.7 --json
  loginward show --ref QZ52GVYE

Exit status:
  0  there is something
  1  nothing was found
  2  the command line is wrong, or the configuration file, if one is named
  3  no guard can be reached, or it refuses the token"
)]
pub struct Show {
    #[command(flatten)]
    whom: Whom,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    contact: Contact,
}

/// What is known of somebody.
struct Known {
    /// What refused the reference, where that is meant; its counters and locks are in it.
    chain: Option<Value>,
    counters: Vec<Value>,
    locks: Vec<Value>,
    refusals: Vec<Value>,
    events: Vec<Value>,
}

impl Show {
    /// Asks, and prints what it was told.
    #[must_use]
    pub fn execute(&self) -> u8 {
        if self.whom.is_nobody() {
            complain(
                "error: it is not said of whom: name an address, a network, a username or a reference, \
                 or say --site or --counter",
            );
            return USAGE;
        }
        match self.find() {
            Ok(known) => self.tell(&known),
            Err(status) => status,
        }
    }

    fn find(&self) -> Result<Known, u8> {
        let whom = self.whom.understood(&self.contact)?;
        let query = whom.parameters().join("&");
        let (mut counters, mut cursor) = (Vec::new(), String::new());
        loop {
            let target = format!("{COUNTERS}?{query}&limit=1000{cursor}");
            let mut page = self.contact.get(Question::new("GET", &target), PATIENCE)?.body;
            counters.append(&mut taken(&mut page, "counters"));
            let Some(next) = page.get("next").and_then(Value::as_str) else { break };
            cursor = format!("&{}", parameter("cursor", next));
        }
        let list = |path: &str, name: &str| {
            let target = format!("{path}?{query}");
            let mut answer = self.contact.get(Question::new("GET", &target), PATIENCE)?.body;
            Ok::<_, u8>(taken(&mut answer, name))
        };
        let (mut locks, refusals) = (list(LOCKS, "locks")?, list(REFUSALS, "refusals")?);
        let word = whom.reference();
        let chain = word.map_or(Ok(None), |word| why::find(&self.contact, word))?;
        let own = chain.as_ref().and_then(|chain| chain.get("locks_by_hand")?.as_array());
        locks.extend(own.into_iter().flatten().cloned());
        let mut events = self.events(&whom)?;
        if let Some(word) = word {
            let reference = chain.as_ref().and_then(|chain| chain.get("ref")?.as_str());
            let reference = reference.unwrap_or(word);
            events.retain(|event| event.get("ref").and_then(Value::as_str) == Some(reference));
        }
        Ok(Known { chain, counters, locks, refusals, events })
    }

    /// The latest events about whom that names, if events name such a thing; all, where it is a
    /// reference.
    fn events(&self, whom: &Whom) -> Result<Vec<Value>, u8> {
        let Some(parameters) = whom.of_events() else { return Ok(Vec::new()) };
        let target = format!("{EVENTS}?follow=false&last=1000&{}", parameters.join("&"));
        let place = self.contact.place()?;
        let unreachable = |error: &std::io::Error| self.contact.unreachable(&place, error);
        let mut heard = match hear(&place, &target, None).map_err(|error| unreachable(&error))? {
            Ok(heard) => heard,
            Err((status, said)) => {
                complain(&format!("not told: the guard answers {status}: {said}"));
                return Err(FAILED);
            }
        };
        let mut events = Vec::new();
        while let Some(next) = heard.hear().map_err(|error| unreachable(&error))? {
            if let Heard::Event(event) = next {
                events.push(event);
            }
        }
        Ok(events)
    }

    fn tell(&self, known: &Known) -> u8 {
        let Known { chain, counters, locks, refusals, events } = known;
        let lists = [counters, locks, refusals, events];
        let is_nothing = chain.is_none() && lists.iter().all(|list| list.is_empty());
        let status = if is_nothing { FAILED } else { OK };
        if self.json {
            let known = json!({
                "reference": chain,
                "counters": counters,
                "locks": locks,
                "refusals": refusals,
                "events": events,
            });
            say(&known.to_string());
            return status;
        }
        let events: Vec<String> = events.iter().map(line).collect();
        let is_told = chain.is_some();
        let parts = [
            ("Counters:", is_told || counters.is_empty(), rows::counters(counters)),
            ("Locked by hand:", is_told || locks.is_empty(), rows::locks(locks)),
            ("Refused lately:", refusals.is_empty(), rows::refusals(refusals)),
            ("The latest events:", events.is_empty(), events.join("\n")),
        ];
        let parts = parts.into_iter().filter(|(_, is_empty, _)| !is_empty);
        let parts = parts.map(|(title, _, text)| format!("{title}\n{text}"));
        let parts: Vec<String> = chain.iter().map(why::told).chain(parts).collect();
        match status {
            OK => say(&parts.join("\n\n")),
            _ => complain("nothing was found"),
        }
        status
    }
}

fn taken(answer: &mut Value, name: &str) -> Vec<Value> {
    let list = answer.get_mut(name).and_then(Value::as_array_mut);
    list.map(std::mem::take).unwrap_or_default()
}
