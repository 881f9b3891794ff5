//! How counters stand in the guard that runs, what is locked there by hand, and what it would refuse.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::rehearsal::Played;
use crate::admin::api::{COUNTERS, LOCKS};
use crate::admin::ask::Question;
use crate::cli::contact::Contact;
use crate::guard::trace::{CounterStory, Story};
use crate::rejection::reason::Reason;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How an attempt stands in the guard that runs.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Its counters, in their order; none where nothing counts there.
    pub counters: Vec<Option<Value>>,
    /// The locks by hand that refuse it.
    pub hands: Vec<Value>,
}

impl Live {
    /// How that story's attempt stands in the guard at `contact`. If it cannot be asked, that is
    /// told.
    ///
    /// # Errors
    ///
    /// The exit status then.
    pub fn of(contact: &Contact, story: &Story) -> Result<Self, u8> {
        let Some(attempt) = &story.attempt else { return Ok(Self::default()) };
        let site = story.site.as_deref().unwrap_or_default();
        let counters = attempt.counters.iter().map(|counter| standing(contact, site, counter));
        let counters: Vec<Option<Value>> = counters.collect::<Result<_, u8>>()?;
        let hands = hands(contact, story, &counters)?;
        Ok(Self { counters, hands })
    }

    /// What the guard that runs would refuse it with, and why, in words.
    #[must_use]
    pub fn refusal(&self) -> Option<(Reason, String)> {
        let text = |row: &Value, name: &str| {
            row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        if let Some(hand) = self.hands.first() {
            let until = text(hand, "until");
            let reason = text(hand, "reason");
            let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
            return Some((Reason::ByHand, format!("locked by hand until {until}{reason}")));
        }
        let locked = self.counters.iter().flatten().filter(|row| row["locked"] == true);
        let locked: Vec<String> = locked
            .map(|row| format!("{} until {}", text(row, "limit"), text(row, "until")))
            .collect();
        let why = || format!("locked out by {}", locked.join(", "));
        (!locked.is_empty()).then(|| (Reason::Locked, why()))
    }

    /// Makes of what was played here, where nothing is locked, what would come of it there.
    pub fn amend(&self, played: &mut Played) {
        let Some((reason, why)) = self.refusal() else { return };
        let story = &mut played.story;
        let is_monitored = story.attempt.as_ref().is_some_and(|own| own.mode == "monitor");
        if is_monitored {
            story.excused.push((reason, why));
        } else if story.admitted.take().is_some() {
            story.outcome = None;
            story.refused = Some((reason, why));
            story.status = None;
            played.is_forwarded = false;
        }
    }
}

/// The locks by hand that refuse the attempt of that story, whose counters stand so.
fn hands(contact: &Contact, story: &Story, rows: &[Option<Value>]) -> Result<Vec<Value>, u8> {
    let all = locks(contact, "")?;
    if all.is_empty() {
        return Ok(all);
    }
    let mut of_name = Vec::new();
    for (raw, _) in story.attempt.iter().flat_map(|attempt| &attempt.usernames) {
        of_name.extend(locks(contact, &format!("?username={}", encoded(raw)))?);
    }
    let client = story.client.as_deref().unwrap_or_default();
    let of_address = locks(contact, &format!("?ip={}", encoded(client)))?;
    let site = story.site.as_deref();
    let refuses = |lock: &Value| {
        let what = |name: &str| lock.get("what").and_then(|what| what.get(name)?.as_str());
        let is_given = |name: &str| what(name).is_some();
        let counter = what("counter");
        let is_counter = |row: &Value| row.get("id").and_then(Value::as_str) == counter;
        (!is_given("username") || of_name.contains(lock))
            && (!(is_given("ip") || is_given("network")) || of_address.contains(lock))
            && (!is_given("site") || what("site") == site)
            && (counter.is_none() || rows.iter().flatten().any(is_counter))
    };
    Ok(all.iter().filter(|lock| refuses(lock)).cloned().collect())
}

fn locks(contact: &Contact, query: &str) -> Result<Vec<Value>, u8> {
    let target = format!("{LOCKS}{query}");
    let mut answer = contact.get(Question::new("GET", &target), PATIENCE)?.body;
    let locks = answer.get_mut("locks").and_then(Value::as_array_mut).map(std::mem::take);
    let mut locks = locks.unwrap_or_default();
    // it goes on from one question to the next
    for lock in locks.iter_mut().filter_map(Value::as_object_mut) {
        lock.remove("remaining_s");
    }
    Ok(locks)
}

fn standing(contact: &Contact, site: &str, counter: &CounterStory) -> Result<Option<Value>, u8> {
    let mut target = format!("{COUNTERS}?limit=1000&site={}", encoded(site));
    for (parameter, key) in [("ip_address", "ip"), ("username", "username")] {
        let mut values = counter.parameters.iter().filter(|(name, _)| *name == parameter);
        if let Some((_, value)) = values.find(|(_, value)| !value.starts_with('(')) {
            let key = key_for(key, value);
            target.push_str(&format!("&{key}={}", encoded(value)));
        }
    }
    let answer = contact.get(Question::new("GET", &target), PATIENCE)?;
    let rows = answer.body.get("counters").and_then(Value::as_array);
    let mut rows = rows.map_or(&[][..], Vec::as_slice).iter();
    Ok(rows.find(|row| is_of(row, counter)).cloned())
}

/// Whether a row is about a counter; usernames are found in every spelling, so they are right.
fn is_of(row: &Value, counter: &CounterStory) -> bool {
    let parameters = row.get("parameters");
    let same = |(name, value): &(&str, String)| {
        let own = parameters.and_then(|all| all.get(*name)).and_then(Value::as_str);
        own.is_some_and(|own| *name == "username" || own == value)
    };
    row.get("limit").and_then(Value::as_str) == Some(&*counter.limit)
        && counter.parameters.iter().all(same)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// An address that is counted by its network is looked for as one.
fn key_for<'a>(key: &'a str, value: &str) -> &'a str {
    if key == "ip" && value.contains('/') { "network" } else { key }
}
