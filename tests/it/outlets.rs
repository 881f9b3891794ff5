//! Where events go besides the log, and what they show of people.

mod audit;
mod follow;
mod full;
mod others;
mod privacy;
mod syslog;
mod webhook;

use serde_json::Value;

/// Lines of JSON.
fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The values of a member of all that have it, in order.
fn members<'a>(objects: &'a [Value], name: &str) -> Vec<&'a str> {
    objects.iter().filter_map(|object| object[name].as_str()).collect()
}
