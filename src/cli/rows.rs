//! Counters and locks by hand, as people read them.

use serde_json::Value;

use super::table::{Table, width};

/// Counters, a line each.
#[must_use]
pub fn counters(counters: &[Value]) -> String {
    let mut table = Table::new(&["LOCKED FOR", "FAILURES", "SITE", "WHO", "LIMIT", "REF"]);
    for row in counters {
        let of = format!("{}/{}", number(row, "failures"), number(row, "of"));
        let notes = notes(row);
        let failures = if notes.is_empty() { of } else { format!("{of} ({})", notes.join(", ")) };
        let limit = text(row, "limit");
        let limit = match row.get("login").and_then(Value::as_str) {
            Some(login) => format!("{login} {limit}"),
            None => limit.to_owned(),
        };
        table.add(&[
            left(row),
            failures,
            text(row, "site").to_owned(),
            who(row),
            limit,
            text(row, "ref").to_owned(),
        ]);
    }
    table.text(width())
}

/// What there is to say of a counter's failures, and of the attempts that may become some. Where
/// other guards share it, it is said what is this guard's alone.
fn notes(row: &Value) -> Vec<String> {
    let here = row.get("places_here").and_then(Value::as_u64);
    let under_way =
        here.map_or_else(|| "under way".to_owned(), |here| format!("under way, {here} here"));
    let waiting = if here.is_some() { "waiting here" } else { "waiting" };
    let all =
        [("without_verdict", "without a verdict"), ("places", &*under_way), ("waiting", waiting)];
    let there = all.into_iter().map(|(name, note)| (number(row, name), note));
    there.filter(|(count, _)| *count > 0).map(|(count, note)| format!("{count} {note}")).collect()
}

/// Locks by hand, a line each.
#[must_use]
pub fn locks(locks: &[Value]) -> String {
    let mut table = Table::new(&["LOCKED FOR", "WHOM", "REASON"]);
    for lock in locks {
        table.add(&[time_left(lock), whom(lock), text(lock, "reason").to_owned()]);
    }
    table.text(width())
}

/// People who were told one reference, a line each.
#[must_use]
pub fn people(people: &[Value]) -> String {
    let mut table = Table::new(&["REFUSED", "TIMES", "CLIENT", "USERNAME"]);
    for one in people {
        let shown = |name: &str| match text(one, name) {
            "" => "-".to_owned(),
            text => text.to_owned(),
        };
        let times = number(one, "times").to_string();
        table.add(&[shown("when"), times, shown("client"), shown("username")]);
    }
    table.text(width())
}

/// What was refused, a line each.
#[must_use]
pub fn refusals(refusals: &[Value]) -> String {
    let mut table = Table::new(&["REF", "REFUSED", "TIMES", "CLIENT", "USERNAME", "BECAUSE"]);
    for one in refusals {
        let shown = |name: &str| match text(one, name) {
            "" => "-".to_owned(),
            text => text.to_owned(),
        };
        let times = number(one, "times").to_string();
        let [whose, when] = ["ref", "when"].map(shown);
        let [client, username, reason] = ["client", "username", "reason"].map(shown);
        table.add(&[whose, when, times, client, username, reason]);
    }
    table.text(width())
}

/// Whom a lock by hand is about.
#[must_use]
pub fn whom(lock: &Value) -> String {
    let what = lock.get("what").and_then(Value::as_object);
    let parts = what.into_iter().flatten().map(|(name, value)| {
        match (name.as_str(), value.as_str().unwrap_or_default()) {
            ("all", _) => "everybody".to_owned(),
            ("ref", value) => format!("what refused {value}"),
            ("username", value) => value.to_owned(),
            (name, value) => format!("{name} {value}"),
        }
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// The values that a counter counts; the username first.
#[must_use]
pub fn who(row: &Value) -> String {
    let value = |name: &str| row.get("parameters")?.get(name)?.as_str();
    let names = ["username", "ip_address", "ip_network", "user_agent"];
    let values: Vec<&str> = names.iter().filter_map(|name| value(name)).collect();
    values.join(", ")
}

/// How long a counter is locked, by its failures or by hand.
fn left(row: &Value) -> String {
    let is_locked = row.get("locked") == Some(&Value::Bool(true));
    match row.get("by_hand").filter(|hand| !hand.is_null()) {
        _ if is_locked => time_left(row),
        Some(hand) => format!("{} (by hand)", time_left(hand)),
        None => "-".to_owned(),
    }
}

/// The time that is left, as people say it.
#[must_use]
pub fn time_left(locked: &Value) -> String {
    match locked.get("remaining_s").and_then(Value::as_u64) {
        Some(seconds) => duration(seconds),
        None => "ever".to_owned(),
    }
}

/// A duration in its two largest units.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        (_, _, _) => format!("{days}d {}h", hours % 24),
    }
}

fn number(row: &Value, name: &str) -> u64 {
    row.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m 0s"),
            (3599, "59m 59s"),
            (3600, "1h 0m"),
            (90_000, "1d 1h"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
