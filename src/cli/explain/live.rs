//! How counters stand in the guard that runs.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::admin::api::COUNTERS;
use crate::admin::ask::Question;
use crate::cli::contact::Contact;
use crate::guard::trace::{CounterStory, Story};

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the counters of an attempt stand, in their order; none where nothing counts there.
pub type Standings = Vec<Option<Value>>;

/// How the counters of that story's attempt stand in the guard at `contact`. If it cannot be asked,
/// that is told.
///
/// # Errors
///
/// The exit status then.
pub fn standings(contact: &Contact, story: &Story) -> Result<Standings, u8> {
    let counters = story.attempt.as_ref().map_or(&[][..], |attempt| &attempt.counters);
    let site = story.site.as_deref().unwrap_or_default();
    counters.iter().map(|counter| standing(contact, site, counter)).collect()
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
