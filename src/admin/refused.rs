//! What is remembered of refusals about somebody, with their references.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::counters::wall;
use super::meant::{Asked, Meant, NAMES};
use super::query::Query;
use super::reply::Problem;
use crate::guard::Shared;
use crate::guard::refusals::Refused;
use crate::policy::reference::Reference;
use crate::store::select::Selector;

/// No more are shown.
const MOST_SHOWN: usize = 1_000;

/// The refusals of whom `query` means, the latest first: all of them, where it means nobody.
///
/// # Errors
///
/// When that cannot be understood.
pub fn list(query: Option<&str>, shared: &Shared) -> Result<Value, Problem> {
    let query = Query::parse(query, &NAMES)?;
    let meant = Meant::resolve(Asked::by(|name| query.get(name)), shared)?;
    let selectors = meant.selectors();
    let mut found: Vec<(Reference, Refused)> = Vec::new();
    shared.refusals.each(|reference, remembered| {
        if meant.reference().is_none_or(|wanted| wanted == reference) {
            let people = remembered.people();
            let own = people.filter(|person| selectors.iter().any(|one| concerns(one, person)));
            found.extend(own.map(|person| (reference, person.clone())));
        }
    });
    found.sort_by_key(|(_, refused)| std::cmp::Reverse(refused.when));
    let total = found.len();
    let shown =
        found.iter().take(MOST_SHOWN).map(|(reference, refused)| shown(*reference, refused));
    Ok(json!({ "refusals": shown.collect::<Vec<_>>(), "total": total }))
}

/// Whether a refusal was about whom `meant` names.
fn concerns(meant: &Selector, refused: &Refused) -> bool {
    let Some(claim) = &refused.claim else {
        let client = refused.client.as_deref().and_then(|client| client.parse::<IpAddr>().ok());
        let is_in = |network: ipnet::IpNet| client.is_some_and(|client| network.contains(&client));
        return meant.account.is_none()
            && meant.counter.is_none()
            && meant.site.as_deref().is_none_or(|site| refused.site.as_deref() == Some(site))
            && meant.network.is_none_or(is_in);
    };
    let whoever = Selector { counter: None, ..meant.clone() };
    let counter = meant.counter;
    counter.is_none_or(|own| claim.charges.iter().any(|charge| charge.key == own))
        && whoever.covers(&claim.subject)
}

fn shown(reference: Reference, refused: &Refused) -> Value {
    let names = refused.claim.as_ref().and_then(|claim| claim.subject.shown_names());
    json!({
        "ref": reference.to_string(),
        "when": wall(refused.when),
        "times": refused.times,
        "kind": refused.kind.name(),
        "status": refused.status.as_u16(),
        "reason": refused.reason,
        "site": refused.site.as_deref(),
        "login": refused.login.as_deref(),
        "client": refused.client.as_deref(),
        "peer": refused.peer.as_deref(),
        "username": names.as_deref(),
    })
}
