//! What refused a reference: the chain from the answer to the counters and what unlocks them.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Value, json};

use super::counters::{shown, time, wall};
use super::locks;
use super::meant::{Asked, Meant};
use super::reply::Problem;
use crate::guard::Shared;
use crate::guard::refusals::{Refused, Remembered};
use crate::policy::key::{Claim, Key};
use crate::policy::reference::Reference;
use crate::rejection::AnswerKind;
use crate::store::hand::HandLock;
use crate::store::select::{Row, Selector};

/// The chain of what refused `written`.
///
/// # Errors
///
/// When it is no reference, or nothing is known of it.
pub async fn chain(written: &str, shared: &Shared) -> Result<Value, Problem> {
    let asked = Asked { reference: Some(written), ..Asked::default() };
    let meant = Meant::resolve(asked, shared)?;
    let Some(reference) = meant.reference() else {
        return Err(Problem::bad("a reference is 8 letters or digits"));
    };
    let reach = shared.store.refresh().await;
    let remembered = shared.refusals.find(reference);
    let (counters, others) = rows(&meant, remembered.as_ref(), shared);
    if remembered.is_none() && counters.is_empty() {
        let detail = "nothing is known of it any more: it is long ago, or was another guard's";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    let hands = by_hand(&meant, remembered.as_ref(), shared);
    let is_locked = counters.iter().any(|row| row.locked_until.is_some()) || !hands.is_empty();
    let store = &shared.store;
    let shown_rows =
        |rows: &[Row]| rows.iter().map(|row| shown(row, store)).collect::<Vec<Value>>();
    let hands: Vec<Value> =
        hands.iter().map(|(lock, hand)| locks::shown(lock, hand, store)).collect();
    let mut chain = match &remembered {
        Some(remembered) => told(remembered, shared),
        None => of_counter(&counters, is_locked),
    };
    let kind = remembered.as_ref().map(|known| known.latest.kind);
    if let Some(members) = chain.as_object_mut() {
        members.insert("ref".to_owned(), json!(reference.to_string()));
        members.insert("belongs_to".to_owned(), json!(belongs_to(reference, &counters)));
        members.insert("counters".to_owned(), json!(shown_rows(&counters)));
        members.insert("others".to_owned(), json!(shown_rows(&others)));
        members.insert("shared".to_owned(), json!(reach.is_shared()));
        members.insert("locks_by_hand".to_owned(), json!(hands));
        members.insert("unlock".to_owned(), json!(unlock(kind, is_locked, reference)));
    }
    Ok(chain)
}

/// The counters that refused, and the others that the requests would have been charged to.
fn rows(meant: &Meant, remembered: Option<&Remembered>, shared: &Shared) -> (Vec<Row>, Vec<Row>) {
    let mut slots = Vec::new();
    for part in meant.parts() {
        shared.store.scan(part, |found| {
            if meant.fits(found.slot, found.registered) {
                slots.push(std::sync::Arc::clone(found.slot));
            }
        });
    }
    let claims = remembered.into_iter().flat_map(Remembered::claims);
    let mut keys: Vec<Key> =
        claims.flat_map(|claim| claim.charges.iter().map(|charge| charge.key)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| !slots.iter().any(|own| own.key == *key));
    let others = shared.store.slots(&keys);
    (shared.store.rows(&slots), shared.store.rows(&others))
}

/// The locks by hand in force on the counters of the reference that is meant, and those that refuse whom
/// a lock by hand has refused with it.
#[must_use]
pub fn by_hand(
    meant: &Meant,
    remembered: Option<&Remembered>,
    shared: &Shared,
) -> Vec<(Selector, HandLock)> {
    let people = remembered.into_iter().flat_map(Remembered::people);
    let people = people.filter(|person| person.was_by_hand());
    let claims: Vec<_> = people.filter_map(|person| person.claim.as_ref()).collect();
    let mut locks = shared.store.hand_locks();
    locks.retain(|(lock, _)| {
        lock.counter.is_some_and(|counter| meant.has_refused(counter))
            || claims.iter().any(|claim| refuses(lock, claim))
    });
    locks
}

/// Whether a lock by hand refuses what `claim` would have been charged for.
#[must_use]
pub fn refuses(lock: &Selector, claim: &Claim) -> bool {
    let of_counter = lock
        .counter
        .is_some_and(|counter| claim.charges.iter().any(|charge| charge.key == counter));
    of_counter || lock.covers(&claim.subject)
}

fn told(remembered: &Remembered, shared: &Shared) -> Value {
    let Remembered { first, times, latest, .. } = remembered;
    json!({
        "when": wall(latest.when),
        "first": wall(*first),
        "times": times,
        "kind": latest.kind.name(),
        "status": latest.status.as_u16(),
        "reason": latest.reason,
        "site": latest.site.as_deref(),
        "login": latest.login.as_deref(),
        "client": latest.client.as_deref(),
        "peer": latest.peer.as_deref(),
        "username": username(latest),
        "until": until(latest, shared),
        "people": remembered.people().map(|one| person(one, shared)).collect::<Vec<_>>(),
    })
}

/// Somebody who was told the reference.
fn person(refused: &Refused, shared: &Shared) -> Value {
    json!({
        "when": wall(refused.when),
        "times": refused.times,
        "client": refused.client.as_deref(),
        "username": username(refused),
        "until": until(refused, shared),
    })
}

fn username(refused: &Refused) -> Option<Cow<'_, str>> {
    refused.claim.as_ref().and_then(|claim| claim.subject.shown_names())
}

fn until(refused: &Refused, shared: &Shared) -> Option<String> {
    refused.until.map(|until| time(until, &shared.store))
}

/// What a counter tells by itself, where nobody is remembered whom it refused.
fn of_counter(counters: &[Row], is_locked: bool) -> Value {
    let first = counters.first();
    let reason = if is_locked {
        "it is locked; nobody is remembered whom it refused"
    } else {
        "it is not locked, and nobody is remembered whom it refused"
    };
    json!({
        "when": null,
        "first": null,
        "times": 0,
        "kind": AnswerKind::Locked.name(),
        "status": null,
        "reason": reason,
        "site": first.map(|row| &*row.site),
        "login": first.and_then(|row| row.login.as_deref()),
        "client": null,
        "peer": null,
        "username": null,
        "until": null,
        "people": [],
    })
}

/// The counter that the reference belongs to, in words: whomever that refuses is told the same.
fn belongs_to(reference: Reference, counters: &[Row]) -> Option<String> {
    let own = counters.iter().find(|row| Reference::of(row.id) == reference)?;
    let values: Vec<String> =
        own.parameters.iter().map(|(name, value)| format!("{name} {value}")).collect();
    Some(format!(
        "the counter of {}: everybody whom that refuses is told this reference",
        values.join(", ")
    ))
}

/// What ends it, in words.
fn unlock(kind: Option<AnswerKind>, is_locked: bool, reference: Reference) -> String {
    let Some(kind) = kind else {
        let held = if is_locked { "unlocks it" } else { "takes its failures back" };
        return format!("`loginward reset --ref {reference}` {held}");
    };
    match kind {
        AnswerKind::Locked if is_locked => {
            format!("`loginward reset --ref {reference}` unlocks what refused it")
        }
        AnswerKind::Locked => "What refused it locks no more.".to_owned(),
        AnswerKind::Busy => "There is nothing to unlock: it passes within seconds.".to_owned(),
        AnswerKind::Denied => {
            "No counter refused it but the configuration: see `access` and `closed`.".to_owned()
        }
        AnswerKind::Error => {
            "Not the guard but the application failed: see `upstream_failed` in the log.".to_owned()
        }
        AnswerKind::Refused => "The request itself was refused, whoever sends it.".to_owned(),
    }
}
