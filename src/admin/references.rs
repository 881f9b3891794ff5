//! What refused a reference: the chain from the answer to the counters and what unlocks them.

use http::StatusCode;
use serde_json::{Value, json};

use super::counters::{shown, time, wall};
use super::locks;
use super::meant::{Asked, Meant};
use super::reply::Problem;
use crate::guard::Shared;
use crate::guard::refusals::Refused;
use crate::policy::key::Key;
use crate::policy::reference::Reference;
use crate::rejection::AnswerKind;
use crate::store::hand::HandLock;
use crate::store::select::{Row, Selector};

/// The chain of what refused `written`.
///
/// # Errors
///
/// When it is no reference, or nothing is known of it.
pub fn chain(written: &str, shared: &Shared) -> Result<Value, Problem> {
    let asked = Asked { reference: Some(written), ..Asked::default() };
    let meant = Meant::resolve(asked, shared)?;
    let Some(reference) = meant.reference() else {
        return Err(Problem::bad("a reference is 8 letters or digits"));
    };
    let refused = shared.refusals.find(reference);
    let (counters, others) = rows(&meant, refused.as_ref(), shared);
    if refused.is_none() && counters.is_empty() {
        let detail = "nothing is known of it any more: it is long ago, or was another guard's";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    let hands = refused.as_ref().map_or_else(Vec::new, |refused| by_hand(refused, shared));
    let is_locked = counters.iter().any(|row| row.locked_until.is_some()) || !hands.is_empty();
    let store = &shared.store;
    let shown_rows =
        |rows: &[Row]| rows.iter().map(|row| shown(row, store)).collect::<Vec<Value>>();
    let hands: Vec<Value> =
        hands.iter().map(|(lock, hand)| locks::shown(lock, hand, store)).collect();
    let mut chain = match &refused {
        Some(refused) => told(refused, shared),
        None => of_counter(&counters),
    };
    if let Some(members) = chain.as_object_mut() {
        let kind = refused.as_ref().map_or(AnswerKind::Locked, |refused| refused.kind);
        members.insert("ref".to_owned(), json!(reference.to_string()));
        members.insert("counters".to_owned(), json!(shown_rows(&counters)));
        members.insert("others".to_owned(), json!(shown_rows(&others)));
        members.insert("locks_by_hand".to_owned(), json!(hands));
        members.insert("unlock".to_owned(), json!(unlock(kind, is_locked, reference)));
    }
    Ok(chain)
}

/// The counters that refused, and the others that the request would have been charged to.
fn rows(meant: &Meant, refused: Option<&Refused>, shared: &Shared) -> (Vec<Row>, Vec<Row>) {
    let mut slots = Vec::new();
    for part in meant.parts() {
        shared.store.scan(part, |found| {
            if meant.fits(found.slot, found.registered) {
                slots.push(std::sync::Arc::clone(found.slot));
            }
        });
    }
    let claim = refused.and_then(|refused| refused.claim.as_ref());
    let keys: Vec<Key> =
        claim.iter().flat_map(|claim| claim.charges.iter().map(|charge| charge.key)).collect();
    let others: Vec<_> = shared.store.slots(&keys);
    let others: Vec<_> =
        others.into_iter().filter(|slot| !slots.iter().any(|own| own.key == slot.key)).collect();
    (shared.store.rows(&slots), shared.store.rows(&others))
}

/// The locks by hand in force that refuse whom the refusal was about.
#[must_use]
pub fn by_hand(refused: &Refused, shared: &Shared) -> Vec<(Selector, HandLock)> {
    let Some(claim) = refused.claim.as_ref().filter(|_| refused.was_by_hand()) else {
        return Vec::new();
    };
    let mut locks = shared.store.hand_locks();
    locks.retain(|(lock, _)| {
        let of_counter = lock
            .counter
            .is_some_and(|counter| claim.charges.iter().any(|charge| charge.key == counter));
        of_counter || lock.covers(&claim.subject)
    });
    locks
}

fn told(refused: &Refused, shared: &Shared) -> Value {
    let username = refused.claim.as_ref().and_then(|claim| claim.subject.shown_names());
    json!({
        "when": wall(refused.latest),
        "first": wall(refused.first),
        "times": refused.times,
        "kind": refused.kind.name(),
        "status": refused.status.as_u16(),
        "reason": refused.reason,
        "site": refused.site.as_deref(),
        "login": refused.login.as_deref(),
        "client": refused.client.as_deref(),
        "peer": refused.peer.as_deref(),
        "username": username.as_deref(),
        "until": refused.until.map(|until| time(until, &shared.store)),
    })
}

/// What a counter tells by itself, where its refusals are not remembered.
fn of_counter(counters: &[Row]) -> Value {
    let first = counters.first();
    json!({
        "when": null,
        "first": null,
        "times": 0,
        "kind": AnswerKind::Locked.name(),
        "status": null,
        "reason": "locked out",
        "site": first.map(|row| &*row.site),
        "login": first.and_then(|row| row.login.as_deref()),
        "client": null,
        "peer": null,
        "username": null,
        "until": null,
    })
}

/// What ends it, in words.
fn unlock(kind: AnswerKind, is_locked: bool, reference: Reference) -> String {
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
