//! Taking back what counts: by any combination, and what locks nevertheless.

use std::cell::RefCell;
use std::collections::HashSet;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::caller::Caller;
use super::meant::{Asked, Meant};
use super::reply::Problem;
use super::sent::Sent;
use super::{counters, locks, references};
use crate::amount;
use crate::events::{self, About, Details, Name};
use crate::guard::Shared;
use crate::guard::refusals::Remembered;
use crate::policy::key::AccountId;
use crate::policy::lockout::{Parameter, Standing};
use crate::store::Reach;
use crate::store::hand::HandLock;
use crate::store::operate::{Removed, Reset};
use crate::store::register::Registered;
use crate::store::select::{Selector, shown_network};
use crate::store::slot::Slot;

/// What a reset may be said to be about.
pub const MEMBERS: [&str; 9] =
    ["what", "ip", "network", "username", "site", "counter", "ref", "all", "only"];
/// No more of what still locks is shown.
const MOST_SHOWN: usize = 100;
/// No more accounts and addresses are kept to look for what still locks.
const MOST_RELATED: usize = 10_000;

/// What a reset takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Take {
    /// Failures and, where it is everything, locks by hand.
    Failures(Reset),
    /// Locks by hand, and no failure.
    LocksByHand,
}

impl Take {
    const fn failures(self) -> Option<Reset> {
        match self {
            Self::Failures(what) => Some(what),
            Self::LocksByHand => None,
        }
    }
}

/// Whom the counters were about that a reset meant.
#[derive(Debug, Default)]
struct Related {
    accounts: HashSet<AccountId>,
    networks: HashSet<IpNet>,
    nearness: Nearness,
}

/// How near a counter has to be to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Nearness {
    /// All that it is about is one of them.
    #[default]
    Whole,
    /// Anything is: where a reference or a counter is meant, nobody has said what matters of it.
    Any,
}

impl Related {
    /// Nobody yet, but whoever `remembered` tells of.
    fn of(meant: &Meant, remembered: Option<&Remembered>) -> Self {
        let names_one = meant.reference().is_some() || meant.base().counter.is_some();
        let nearness = if names_one { Nearness::Any } else { Nearness::Whole };
        let mut related = Self { nearness, ..Self::default() };
        for claim in remembered.into_iter().flat_map(Remembered::claims) {
            let subject = &claim.subject;
            related.accounts.extend(subject.candidates.iter().map(|candidate| candidate.account));
            related.networks.extend([subject.address(), subject.network()]);
        }
        related
    }

    fn add(&mut self, slot: &Slot, of: &Registered) {
        let (by, whose) = (&of.limit.by, slot.whose());
        if let Some(candidate) = whose.candidate.filter(|_| self.accounts.len() < MOST_RELATED) {
            self.accounts.insert(candidate.account);
        }
        if by.contains(&Parameter::IpAddress) && self.networks.len() < MOST_RELATED {
            self.networks.insert(whose.address);
            self.networks.insert(whose.network);
        }
    }

    /// Whether a counter is about one of them.
    fn has(&self, slot: &Slot, of: &Registered) -> bool {
        let (by, whose) = (&of.limit.by, slot.whose());
        let has_name =
            || whose.candidate.is_some_and(|named| self.accounts.contains(&named.account));
        let has_address =
            by.contains(&Parameter::IpAddress) && self.networks.contains(&whose.address);
        let has_network =
            by.contains(&Parameter::IpNetwork) && self.networks.contains(&whose.network);
        // one that is about two of them has to be about two
        match (by.contains(&Parameter::Username), has_address || has_network) {
            (true, is_there) if self.nearness == Nearness::Any => is_there || has_name(),
            (true, is_there) => {
                let is_alone = !by.contains(&Parameter::IpAddress);
                has_name() && (is_alone || is_there)
            }
            (false, is_there) => is_there,
        }
    }

    /// Whether a lock by hand is about one of them.
    fn is_locked_by(&self, lock: &Selector) -> bool {
        let by_name = lock.account.is_none_or(|account| self.accounts.contains(&account));
        let by_address = lock
            .network
            .is_none_or(|network| self.networks.iter().any(|own| network.contains(own)));
        (lock.account.is_some() || lock.network.is_some()) && by_name && by_address
    }
}

/// Takes back what `sent` means; how many counters held something, and what still locks.
///
/// # Errors
///
/// When that cannot be understood; then nothing is taken back.
pub async fn reset(sent: &Sent, caller: Caller, shared: &Shared) -> Result<Value, Problem> {
    let (meant, take) = understand(sent, shared)?;
    let store = &shared.store;
    let remembered = meant.reference().and_then(|reference| shared.refusals.find(reference));
    let mut removed = Removed::default();
    let mut reach = store.refresh().await;
    if take != Take::Failures(Reset::WithoutVerdict) {
        let selectors = hand_selectors(&meant, remembered.as_ref(), shared);
        let (taken, reached) = take_hand_locks(&selectors, shared).await;
        removed.hand_locks = taken;
        reach = reach.and(reached);
    }
    let related = RefCell::new(Related::of(&meant, remembered.as_ref()));
    let parts = |what| meant.parts().into_iter().map(move |part| (part, what));
    for (part, what) in take.failures().into_iter().flat_map(parts) {
        let is_meant = |slot: &Slot, of: &Registered| {
            let fits = meant.fits(slot, of);
            if fits {
                related.borrow_mut().add(slot, of);
            }
            fits
        };
        let (taken, reached) = store.reset_part_everywhere(part, is_meant, what).await;
        removed.counters += taken;
        reach = reach.and(reached);
        tokio::task::yield_now().await;
    }
    let related = related.into_inner();
    let (still, total) = still_locked(&meant, &related, shared).await;
    let hands = still_by_hand((&meant, remembered.as_ref()), &related, shared);
    report((sent, take), (removed, total + hands.len()), &meant, caller);
    let hands = hands.iter().take(MOST_SHOWN);
    let hands: Vec<Value> = hands.map(|(lock, hand)| locks::shown(lock, hand, store)).collect();
    Ok(json!({
        "removed": removed.counters,
        "locks_by_hand": removed.hand_locks,
        "shared": reach.is_shared(),
        "still_locked": still,
        "still_locked_total": total,
        "still_locked_by_hand": hands,
    }))
}

/// Takes away the locks by hand that are meant, each as a whole: a lock on a username may be one on
/// several accounts. How many there were.
async fn take_hand_locks(selectors: &[Selector], shared: &Shared) -> (usize, Reach) {
    let store = &shared.store;
    let mut locks = store.hand_locks();
    let is_meant = |lock: &Selector| selectors.iter().any(|selector| lock.is_within(selector));
    let meant = locks.iter().filter(|(lock, _)| is_meant(lock));
    let said: HashSet<(Selector, HandLock)> = meant.map(locks::said).collect();
    locks.retain(|lock| said.contains(&locks::said(lock)));
    let gone: Vec<Selector> = locks.into_iter().map(|(lock, _)| lock).collect();
    (said.len(), store.unlock_everywhere(&gone).await)
}

/// The locks by hand that are meant.
fn hand_selectors(
    meant: &Meant,
    remembered: Option<&Remembered>,
    shared: &Shared,
) -> Vec<Selector> {
    if meant.reference().is_none() {
        return meant.selectors();
    }
    let locks = references::by_hand(meant, remembered, shared);
    locks.into_iter().map(|(lock, _)| lock).collect()
}

fn understand(sent: &Sent, shared: &Shared) -> Result<(Meant, Take), Problem> {
    sent.texts(&["what", "ip", "network", "username", "site", "counter", "ref", "only"])?;
    let asked = Asked::by(|name| sent.get(name).and_then(Value::as_str));
    match (asked.is_empty(), sent.truth("all")?) {
        (true, false) => return Err(Problem::bad("it is not said what to reset; or say `all`")),
        (false, true) => return Err(Problem::bad("it is all, or what is named besides")),
        (true, true) | (false, false) => {}
    }
    let what = match sent.text("only")? {
        None => Take::Failures(Reset::Everything),
        Some("without_verdict") => Take::Failures(Reset::WithoutVerdict),
        Some("by_hand") => Take::LocksByHand,
        Some(_) => return Err(Problem::bad("`only` is \"without_verdict\" or \"by_hand\"")),
    };
    Ok((Meant::resolve(asked, shared)?, what))
}

/// The counters that still lock whom the reset was about, and how many there are.
async fn still_locked(meant: &Meant, related: &Related, shared: &Shared) -> (Vec<Value>, usize) {
    let store = &shared.store;
    let (mut rows, mut total) = (Vec::new(), 0);
    for part in crate::store::Store::parts() {
        store.scan(part, |found| {
            let is_locked = matches!(found.history.standing(), Standing::Locked(_));
            let is_about = || {
                related.has(found.slot, found.registered)
                    || meant.fits(found.slot, found.registered)
            };
            if is_locked && is_about() {
                total += 1;
                rows.extend((rows.len() < MOST_SHOWN).then(|| found.row()));
            }
        });
        tokio::task::yield_now().await;
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.locked_until));
    (rows.iter().map(|row| counters::shown(row, store)).collect(), total)
}

/// The locks by hand that still refuse whom the reset was about.
fn still_by_hand(
    (meant, remembered): (&Meant, Option<&Remembered>),
    related: &Related,
    shared: &Shared,
) -> Vec<(Selector, HandLock)> {
    let claims: Vec<_> = remembered.into_iter().flat_map(Remembered::claims).collect();
    let selectors = meant.selectors();
    let mut hands = shared.store.hand_locks();
    hands.retain(|(lock, _)| {
        let is_named = *meant != Meant::default() && meant.reference().is_none();
        let covers = is_named && selectors.iter().any(|own| locks::concerns(lock, own));
        let refuses = claims.iter().any(|claim| references::refuses(lock, claim));
        let is_of_all = locks::is_of_all(lock, meant.base());
        covers || refuses || is_of_all || related.is_locked_by(lock)
    });
    locks::each_once(&mut hands);
    hands
}

fn report(
    (sent, take): (&Sent, Take),
    (removed, still): (Removed, usize),
    meant: &Meant,
    caller: Caller,
) {
    let Removed { counters, hand_locks } = removed;
    let how = match take {
        Take::Failures(Reset::Everything) => "",
        Take::Failures(Reset::WithoutVerdict) => "failures without a verdict of ",
        Take::LocksByHand => "only what was locked by hand: ",
    };
    let what = if sent.get("all").is_some() { "all: " } else { "" };
    let counters = amount::counters(counters as u64);
    let by_hand = amount::locks_by_hand(hand_locks as u64);
    let lock = if still == 1 { "locks" } else { "lock" };
    let reason = format!("{caller}: {what}{how}{counters}, {by_hand}; {still} still {lock}");
    let base = meant.base();
    let client = base.network.map(shown_network);
    let reference = meant.reference().map(|reference| reference.to_string());
    let reference = reference.or_else(|| base.counter.map(|key| key.reference()));
    let about = About {
        client: client.as_deref(),
        site: base.site.as_deref(),
        username: meant.username().map(|name| &**name),
        ..About::default()
    };
    let details =
        Details { reason: Some(&reason), reference: reference.as_deref(), ..Details::default() };
    events::report(Name::CountersReset, about, details);
}
