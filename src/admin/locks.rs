//! Locks by hand: made, and listed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::counters::by_hand;
use super::doubts::doubts;
use super::meant::{Asked, Meant, NAMES};
use super::query::Query;
use super::reply::Problem;
use super::sent::Sent;
use crate::clock::Moment;
use crate::events::{self, About, Details, Name};
use crate::guard::Shared;
use crate::store::Store;
use crate::store::hand::{HandLock, MOST};
use crate::store::redis::hands::Stands;
use crate::store::select::{Selector, shown_network};

/// What a lock may be said to be about, and what else is said of it.
pub const MEMBERS: [&str; 10] =
    ["what", "ip", "network", "username", "site", "counter", "ref", "all", "for_s", "reason"];
/// No lock with an end lasts longer: a hundred years.
const LONGEST: u64 = 100 * 366 * 24 * 3600;
/// No reason is longer, and no username: others are locked by the counters that they have.
const LONGEST_TEXT: usize = 256;

/// Locks whom `sent` means, from the next admission on.
///
/// # Errors
///
/// When that cannot be understood, or there are too many locks.
pub async fn lock(sent: &Sent, caller: Caller, shared: &Shared) -> Result<Value, Problem> {
    sent.texts(&["what", "ip", "network", "username", "site", "counter", "ref", "reason"])?;
    let asked = Asked::by(|name| sent.get(name).and_then(Value::as_str));
    match (asked.is_empty(), sent.truth("all")?) {
        (true, false) => return Err(Problem::bad("it is not said whom to lock; or say `all`")),
        (false, true) => return Err(Problem::bad("it is all, or what is named besides")),
        (true, true) | (false, false) => {}
    }
    let plan = shared.plans.latest();
    if let Some(site) = asked.site
        && !plan.sites().iter().any(|known| &*known.site.name == site)
    {
        return Err(Problem::bad(format!("there is no site {site:?}")));
    }
    let meant = Meant::resolve(asked, shared)?;
    let store = &shared.store;
    let until = time(sent)?.map_or(Moment::NEVER, |time| store.clock().now().after(time));
    let reason = sent.text("reason")?;
    let username = meant.username().map(|username| &**username);
    for (name, text) in [("reason", reason), ("username", username)] {
        if text.is_some_and(|text| text.chars().count() > LONGEST_TEXT) {
            let detail = format!("`{name}` has more than {LONGEST_TEXT} characters");
            return Err(Problem::bad(detail));
        }
    }
    let hand = HandLock {
        until,
        reason: reason.map(Arc::from),
        username: meant.username().map(Arc::clone),
    };
    let mut reach = store.refresh().await;
    for selector in selectors(&meant, store)? {
        let how = (&plan.settings.clients, Stands::Always);
        let locked = store.lock_everywhere(selector, hand.clone(), how).await;
        let (_, reached) = locked.map_err(|_| {
            let detail = format!("there are {MOST} locks by hand already");
            Problem::new(StatusCode::CONFLICT, detail)
        })?;
        reach = reach.and(reached);
    }
    report(&meant, &hand, caller, store);
    let mut locked = shown(meant.base(), &hand, store);
    if let Some(members) = locked.as_object_mut() {
        if let Some(reference) = meant.reference() {
            members.insert("what".to_owned(), json!({ "ref": reference.to_string() }));
        }
        let doubts = if meant.username().is_none() && meant.reference().is_none() {
            doubts(meant.base(), &plan.settings.clients)
        } else {
            Vec::new()
        };
        members.insert("shared".to_owned(), json!(reach.is_shared()));
        members.insert("warnings".to_owned(), json!(doubts));
    }
    Ok(locked)
}

/// What has to be locked, so that nothing of what is meant is let through.
fn selectors(meant: &Meant, store: &Store) -> Result<Vec<Selector>, Problem> {
    let selectors = meant.to_come();
    let why = match (meant.reference(), meant.base().counter) {
        (None, None) => return Ok(selectors),
        (Some(_), _) => {
            "no counter refused that, or none that is remembered: name an address, a \
                         username or a site"
        }
        (None, Some(_)) => "there is no such counter",
    };
    let counters = meant.counters(store);
    if counters.is_empty() {
        return Err(Problem::new(StatusCode::NOT_FOUND, why));
    }
    let of = |key| {
        let one = move |own: &Selector| Selector { counter: Some(key), ..own.clone() };
        selectors.iter().map(one)
    };
    Ok(counters.into_iter().flat_map(of).collect())
}

/// For how long; `None`: until somebody unlocks.
fn time(sent: &Sent) -> Result<Option<Duration>, Problem> {
    let Some(seconds) = sent.get("for_s") else { return Ok(None) };
    let seconds = seconds.as_u64().filter(|seconds| (1..=LONGEST).contains(seconds));
    let wrong = || Problem::bad(format!("`for_s` is a number from 1 to {LONGEST}, or null"));
    seconds.map(Duration::from_secs).map(Some).ok_or_else(wrong)
}

fn report(meant: &Meant, hand: &HandLock, caller: Caller, store: &Store) {
    let base = meant.base();
    let client = base.network.map(shown_network);
    let until = super::counters::time(hand.until, store);
    let who =
        if *meant == Meant::default() { format!("{caller}, all") } else { caller.to_string() };
    let reason = match &hand.reason {
        Some(reason) => format!("{who}: {reason}"),
        None => who,
    };
    let reference = meant.reference().map(|reference| reference.to_string());
    let counter = reference.or_else(|| base.counter.map(|key| key.reference()));
    let about = About {
        client: client.as_deref(),
        site: base.site.as_deref(),
        username: hand.username.as_deref(),
        ..About::default()
    };
    let details = Details {
        until: Some(&until),
        reason: Some(&reason),
        reference: counter.as_deref(),
        ..Details::default()
    };
    events::report(Name::LockedByHand, about, details);
}

/// The locks in force that have to do with whom `query` means: all of them, where it means nobody.
///
/// # Errors
///
/// When that cannot be understood.
pub async fn list(query: Option<&str>, shared: &Shared) -> Result<Value, Problem> {
    let known: Vec<&str> = NAMES.into_iter().chain(["q"]).collect();
    let query = Query::parse(query, &known)?;
    let text = query.get("q").map(str::to_lowercase);
    let meant = Meant::resolve(Asked::by(|name| query.written(name)), shared)?;
    let selectors = meant.selectors();
    let reach = shared.store.refresh_hand_locks().await;
    let mut locks = shared.store.hand_locks();
    locks.retain(|(lock, _)| selectors.iter().any(|meant| concerns(lock, meant)));
    each_once(&mut locks);
    if meant.reference().is_some() {
        locks.clear(); // it is a counter's, or an answer's
    }
    locks.sort_by_key(|(_, hand)| std::cmp::Reverse(hand.until));
    let locks: Vec<Value> =
        locks.iter().map(|(what, hand)| shown(what, hand, &shared.store)).collect();
    let has = |lock: &Value| text.as_ref().is_none_or(|text| has_text(lock, text));
    let locks: Vec<Value> = locks.into_iter().filter(has).collect();
    Ok(json!({ "locks": locks, "total": locks.len(), "shared": reach.is_shared() }))
}

/// Whether anything that is said of a lock has `text` in it, in whichever case.
fn has_text(lock: &Value, text: &str) -> bool {
    let what = lock.get("what").and_then(Value::as_object);
    let said = what.into_iter().flat_map(Map::values).chain(lock.get("reason"));
    said.filter_map(Value::as_str).any(|said| said.to_lowercase().contains(text))
}

/// What an operator said once: a username may come to several accounts, each of which is locked.
#[must_use]
pub fn said((lock, hand): &(Selector, HandLock)) -> (Selector, HandLock) {
    let account = lock.account.filter(|_| hand.username.is_none());
    (Selector { account, ..lock.clone() }, hand.clone())
}

/// Leaves of locks that were said once the first.
pub fn each_once(locks: &mut Vec<(Selector, HandLock)>) {
    let mut met = HashSet::new();
    locks.retain(|lock| met.insert(said(lock)));
}

/// Whether a lock of `lock` has to do with everything that `meant` names.
#[must_use]
pub fn concerns(lock: &Selector, meant: &Selector) -> bool {
    let network = meant.network.is_none_or(|meant| {
        lock.network.is_some_and(|lock| lock.contains(&meant) || meant.contains(&lock))
    });
    network
        && (meant.site.is_none() || meant.site == lock.site)
        && (meant.account.is_none() || meant.account == lock.account)
        && (meant.counter.is_none() || meant.counter == lock.counter)
}

/// Whether `lock` refuses everybody, wherever `meant` is about.
#[must_use]
pub fn is_of_all(lock: &Selector, meant: &Selector) -> bool {
    let is_for_all = Selector { site: lock.site.clone(), ..Selector::default() };
    *lock == is_for_all && (lock.site.is_none() || meant.site.is_none() || lock.site == meant.site)
}

/// A lock by hand as lists show it.
#[must_use]
pub fn shown(what: &Selector, hand: &HandLock, store: &Store) -> Value {
    let mut about = Map::new();
    if let Some(network) = what.network {
        let is_one = network.prefix_len() == network.max_prefix_len();
        let name = if is_one { "ip" } else { "network" };
        about.insert(name.to_owned(), json!(shown_network(network)));
    }
    let username = hand.username.as_deref().or_else(|| what.account.map(|_| "(not known)"));
    if let Some(username) = username {
        about.insert("username".to_owned(), json!(username));
    }
    if let Some(site) = &what.site {
        about.insert("site".to_owned(), json!(&**site));
    }
    if let Some(counter) = what.counter {
        about.insert("counter".to_owned(), json!(format!("{counter:?}")));
    }
    if about.is_empty() {
        about.insert("all".to_owned(), json!(true));
    }
    let mut shown = by_hand(hand, store);
    if let Some(members) = shown.as_object_mut() {
        members.insert("what".to_owned(), Value::Object(about));
    }
    shown
}
