//! The notation of the vectors, read.
//!
//! | step | meaning |
//! |---|---|
//! | `F(user,ip[,agent])[×n]→outcome` | a login with a wrong password; `n*` is a new name and `*` a new address each time, `∅` a field that is missing, `""` an empty one, `"u1 "` a quoted text |
//! | `S(…)→outcome`, `X(…)→outcome` | with the right one; the same as `F` |
//! | `E(…)`, `T(…)`, `R(…)` | answered by a 500; by a 429; by a redirect that begins no session |
//! | `GET F(…)→outcome` | by GET, with a query |
//! | `page(ip)→status` | somebody looks at the login form |
//! | `wait 60s`, `wait 999ms` | the clock moves |
//! | `set WHAT` | other settings from now on |
//! | `reset(ip=A, username=u1)→n` | a reset and how many counters held something; also `site`, nothing at all, `locks`; `pardon(…)` takes back failures without a verdict |
//! | `lock(ip=A) 60s`, `lock(ip=A)` | by hand |
//! | `[ip=A→3 (ttl 10); …]`, `[—]` | the counters at that moment, in any order, and their seconds to live |

use std::time::Duration;

use super::values;

/// Something that happens, and what is expected of it.
#[derive(Clone, Debug)]
pub enum Step {
    /// An operator's lock.
    Lock(Selection, Option<Duration>),
    /// Somebody looks at the form.
    Page(String, String),
    /// Logins, all alike, and the outcome of each.
    Login(Attempt, usize, String),
    /// A reset and how much it removes.
    Reset(Selection, Take, usize),
    /// What the counters are.
    See(Vec<Counter>),
    /// Other settings.
    Set(String),
    /// Time passes.
    Wait(Duration),
}

/// A login.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The username; `n*` is a new one each time.
    pub user: Option<String>,
    /// The password.
    pub password: &'static str,
    /// The client's address.
    pub ip: String,
    /// Its user agent.
    pub agent: Option<String>,
    /// `POST` or `GET`.
    pub method: &'static str,
}

/// What an operator means: pairs such as `ip` and `10.1.1.1`.
pub type Selection = Vec<(String, String)>;

/// What a reset takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// All of it; counters are counted.
    Counters,
    /// All of it; locks by hand are counted.
    Locks,
    /// Failures without a verdict.
    Pardon,
}

/// A counter that should be there.
#[derive(Clone, Debug)]
pub struct Counter {
    /// As a driven guard shows it.
    pub shown: String,
    /// When it is gone if nothing more happens.
    pub ttl: Option<Duration>,
}

/// The steps of a sequence.
pub fn steps(written: &str) -> Vec<Step> {
    let written = split(written, ';').into_iter().map(str::trim);
    written.filter(|step| !step.is_empty()).map(step).collect()
}

fn step(written: &str) -> Step {
    if let Some(inner) = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Step::See(counters(inner));
    }
    if let Some(time) = written.strip_prefix("wait ") {
        return Step::Wait(duration(time));
    }
    if let Some(change) = written.strip_prefix("set ") {
        return Step::Set(change.to_owned());
    }
    let (verb, rest) = written.split_once('(').unwrap_or_else(|| panic!("no step: {written}"));
    let (inner, after) = rest.rsplit_once(')').unwrap_or_else(|| panic!("no step: {written}"));
    let result = after.split_once('→').map_or("", |(_, result)| result);
    let removed = || result.parse().unwrap_or_else(|_| panic!("how many? {written}"));
    match verb {
        "lock" => {
            let time = after.trim();
            Step::Lock(selection(inner), (!time.is_empty()).then(|| duration(time)))
        }
        "page" => Step::Page(values::address(inner).to_owned(), result.to_owned()),
        "pardon" => Step::Reset(selection(inner), Take::Pardon, removed()),
        "reset" => Step::Reset(selection(inner), Take::Counters, removed()),
        "reset locks" => Step::Reset(selection(inner), Take::Locks, removed()),
        verb => {
            let times = after.strip_prefix('×').and_then(|rest| rest.split_once('→'));
            let times = times.map_or(1, |(times, _)| times.parse().unwrap());
            Step::Login(attempt(verb, inner), times, result.to_owned())
        }
    }
}

fn attempt(verb: &str, inner: &str) -> Attempt {
    let (method, kind) = verb.split_once(' ').map_or(("POST", verb), |(_, kind)| ("GET", kind));
    let password = match kind {
        "E" => "crash",
        "F" | "X" => "wrong",
        "R" => "again",
        "S" => "good",
        "T" => "throttle",
        other => panic!("no step: {other}"),
    };
    let parts = split(inner, ',');
    let [user, ip, agent @ ..] = parts.as_slice() else { panic!("who? {inner}") };
    let agent = agent.first().map_or_else(|| Some("ua1".to_owned()), |agent| values::text(agent));
    Attempt {
        user: values::text(user),
        password,
        ip: values::address(ip).to_owned(),
        agent,
        method,
    }
}

fn selection(written: &str) -> Selection {
    let pairs = written.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), values::address(value).to_owned())
    };
    pairs.map(pair).collect()
}

fn counters(written: &str) -> Vec<Counter> {
    let items = split(written, ';').into_iter().map(str::trim);
    items.filter(|item| !item.is_empty() && *item != "—").map(counter).collect()
}

fn counter(written: &str) -> Counter {
    let (counter, ttl) = match written.split_once(" (ttl ") {
        Some((counter, ttl)) => (counter, ttl.strip_suffix(')').map(|ttl| format!("{ttl}s"))),
        None => (written, None),
    };
    Counter { shown: values::expected(counter), ttl: ttl.map(|ttl| duration(&ttl)) }
}

/// `60s`, `1.5s` or `999ms`.
fn duration(written: &str) -> Duration {
    let (number, unit) = match written.strip_suffix("ms") {
        Some(number) => (number, 1.0),
        None => (written.strip_suffix('s').unwrap_or_else(|| panic!("no time: {written}")), 1000.0),
    };
    Duration::from_secs_f64(number.parse::<f64>().unwrap() * unit / 1000.0)
}

/// Splits where `at` stands outside of quotes, brackets, braces and parentheses.
pub fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut begin, mut depth, mut quoted) = (Vec::new(), 0, 0, false);
    for (index, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            letter if letter == at && depth == 0 && !quoted => {
                parts.push(&text[begin..index]);
                begin = index + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}
