//! Lists of counters: found by looking at all of them, sorted, a page at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::meant::{Asked, Meant, NAMES};
use super::paging::{Cursor, Order, Page, Place, Sort};
use super::query::Query;
use super::reply::Problem;
use crate::clock::Moment;
use crate::guard::Shared;
use crate::log::line::write_time;
use crate::policy::lockout::{Parameter, Standing};
use crate::policy::reference::Reference;
use crate::store::Store;
use crate::store::hand::HandLock;
use crate::store::scan::Found;
use crate::store::select::{Row, shown_network};
use crate::store::slot::Slot;

/// What else than [`NAMES`] a list may be asked with.
const MORE: [&str; 6] = ["q", "state", "sort", "order", "limit", "cursor"];
/// No page has more rows.
const MOST_ROWS: usize = 1_000;
/// How many a page has where it is not said.
const USUAL_ROWS: usize = 100;
/// No text that is searched for is longer.
const LONGEST_TEXT: usize = 256;

/// How a counter stands that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Any,
    ByHand,
    Counting,
    Locked,
}

/// What is looked for.
#[derive(Debug)]
struct Search {
    meant: Meant,
    state: State,
    /// In lower case.
    text: Option<String>,
}

/// A page of the list that `query` asks for. Attempts go on meanwhile; what they change in a part
/// that has been looked at is not in it.
///
/// # Errors
///
/// When it asks for what there is not.
pub async fn list(query: Option<&str>, shared: &Shared) -> Result<Value, Problem> {
    let known: Vec<&str> = NAMES.into_iter().chain(MORE).collect();
    let query = Query::parse(query, &known)?;
    let search = Search::of(&query, shared)?;
    let mut page = page(&query)?;
    let reach = shared.store.refresh().await;
    let mut elsewhere = HashSet::new();
    let mut see = |found: &Found<'_>| {
        if search.finds(found) {
            let sort = page.sort();
            page.see(found.slot, || place(sort, found));
        }
    };
    shared.store.scan_held_elsewhere(|found| {
        elsewhere.insert(found.slot.key);
        see(found);
    });
    for part in search.meant.parts() {
        shared.store.scan(part, |found| {
            // it may have come here since
            if !elsewhere.contains(&found.slot.key) {
                see(found);
            }
        });
        // whatever else there is to do, such as to end
        tokio::task::yield_now().await;
    }
    let (slots, total, next) = page.done();
    let rows = shared.store.rows(&slots);
    let rows: Vec<Value> = rows.iter().map(|row| shown(row, &shared.store)).collect();
    Ok(json!({ "counters": rows, "total": total,
        "next": next.map(|next| next.to_string()), "shared": reach.is_shared() }))
}

fn page(query: &Query) -> Result<Page<Arc<Slot>>, Problem> {
    let sorts = [
        ("remaining", Sort::Remaining),
        ("failures", Sort::Failures),
        ("latest", Sort::Latest),
        ("site", Sort::Site),
    ];
    let sort = query.choice("sort", &sorts, Sort::Remaining)?;
    let usual = if sort == Sort::Site { Order::Ascending } else { Order::Descending };
    let orders = [("asc", Order::Ascending), ("desc", Order::Descending)];
    let order = query.choice("order", &orders, usual)?;
    let limit = query.number("limit", 1..=MOST_ROWS, USUAL_ROWS)?;
    let cursor = query.get("cursor").map(|written| {
        let cursor = written.parse::<Cursor>().ok().filter(|cursor| cursor.is_of(sort, order));
        cursor.ok_or_else(|| Problem::bad("`cursor` is none that a list in this order gave"))
    });
    Ok(Page::new((sort, order), limit, cursor.transpose()?))
}

impl Search {
    fn of(query: &Query, shared: &Shared) -> Result<Self, Problem> {
        let meant = Meant::resolve(Asked::by(|name| query.written(name)), shared)?;
        let states = [
            ("locked", State::Locked),
            ("counting", State::Counting),
            ("by_hand", State::ByHand),
            ("any", State::Any),
        ];
        let state = query.choice("state", &states, State::Any)?;
        let text = query.get("q").map(str::to_lowercase);
        if text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT) {
            return Err(Problem::bad(format!("`q` is longer than {LONGEST_TEXT} bytes")));
        }
        Ok(Self { meant, state, text })
    }

    fn finds(&self, found: &Found<'_>) -> bool {
        let is_locked = matches!(found.history.standing(), Standing::Locked(_));
        let stands = match self.state {
            State::Any => true,
            State::ByHand => found.by_hand().is_some(),
            State::Counting => !is_locked,
            State::Locked => is_locked,
        };
        stands
            && self.meant.fits(found.slot, found.registered)
            && self.text.as_ref().is_none_or(|text| has_text(found, text))
    }
}

/// Whether anything that a list shows of a counter has `text` in it, in whichever case.
fn has_text(found: &Found<'_>, text: &str) -> bool {
    let (slot, name) = (found.slot, &found.registered.name);
    let whose = slot.whose();
    let has = |value: &str| value.to_lowercase().contains(text);
    let counted = |parameter: &Parameter| match parameter {
        Parameter::Username => {
            let shown = whose.candidate.and_then(|candidate| candidate.shown);
            shown.is_some_and(has)
        }
        Parameter::IpAddress => has(&shown_network(whose.address)),
        Parameter::IpNetwork => has(&shown_network(whose.network)),
        Parameter::UserAgent => whose.user_agent.is_some_and(has),
    };
    found.registered.limit.by.iter().any(counted)
        || has(&slot.site)
        || name.login.as_deref().is_some_and(has)
        || has(&name.limit)
        || text.parse() == Ok(Reference::of(slot.key))
}

/// Where a counter stands in an order.
fn place(sort: Sort, found: &Found<'_>) -> Place {
    let history = &found.history;
    let until = match history.standing() {
        Standing::Locked(until) => until.0,
        Standing::Open(_) => 0,
    };
    let (failures, latest) = (u64::from(history.shown()), history.latest().0);
    let (first, second) = match sort {
        Sort::Remaining | Sort::Site => (until, failures),
        Sort::Failures => (failures, latest),
        Sort::Latest => (latest, failures),
    };
    let site = if sort == Sort::Site { &*found.slot.site } else { "" };
    Place { site: site.into(), first, second, key: found.slot.key.0 }
}

/// A counter as lists show it.
#[must_use]
pub fn shown(row: &Row, store: &Store) -> Value {
    let until = row.locked_until;
    let parameters: Map<String, Value> =
        row.parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "id": format!("{:?}", row.id),
        "ref": row.id.reference(),
        "site": &*row.site,
        "login": row.login.as_deref(),
        "limit": &*row.limit,
        "parameters": parameters,
        "failures": row.failures,
        "without_verdict": row.without_verdict,
        "of": row.of,
        "locked": until.is_some(),
        "remaining_s": until.and_then(|until| seconds_left(until, store)),
        "until": until.map(|until| time(until, store)),
        "latest": time(row.latest, store),
        "places": row.places,
        "places_here": row.places_here,
        "waiting": row.waiting,
        "by_hand": row.by_hand.as_ref().map(|hand| by_hand(hand, store)),
    })
}

/// A lock by hand as lists show it.
#[must_use]
pub fn by_hand(hand: &HandLock, store: &Store) -> Value {
    json!({
        "reason": hand.reason.as_deref(),
        "remaining_s": seconds_left(hand.until, store),
        "until": time(hand.until, store),
    })
}

/// Seconds until then, rounded up; none where that never comes.
fn seconds_left(until: Moment, store: &Store) -> Option<u64> {
    let left = until.since(store.clock().now()).as_millis().div_ceil(1000);
    (until != Moment::NEVER).then(|| u64::try_from(left).unwrap_or(u64::MAX))
}

/// The time of day that is so long after 1970, in whole seconds.
#[must_use]
pub fn wall(since: Duration) -> String {
    let mut text = String::new();
    write_time(&mut text, Duration::from_secs(since.as_secs()));
    text
}

/// The time of day, in whole seconds; `never` where that never comes.
#[must_use]
pub fn time(moment: Moment, store: &Store) -> String {
    if moment == Moment::NEVER {
        return "never".to_owned();
    }
    wall(store.clock().wall(moment).saturating_add(Duration::from_millis(500)))
}
