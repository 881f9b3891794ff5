//! Which addresses, networks and usernames have most failures at present, by looking at every
//! counter.
//!
//! An attempt counts on several counters. So what a client or an account has is what the limit says
//! that saw most of it, on each site.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::policy::key::{AccountId, LimitId};
use crate::policy::lockout::{Parameter, Standing};
use crate::store::scan::Found;
use crate::store::select::{shown_name, shown_network};
use crate::store::slot::Slot;

/// Whose failures they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    Account(AccountId),
    Address(IpNet),
    Network(IpNet),
}

/// What one of them has.
#[derive(Debug)]
struct Sum {
    /// Its counter with most failures, which knows how it is written.
    slot: Arc<Slot>,
    largest: u64,
    /// A limit belongs to one site.
    by_limit: Vec<(LimitId, Arc<str>, u64)>,
    counters: u64,
    locked: u64,
}

/// All that have failures.
#[derive(Debug, Default)]
pub struct Tops {
    sums: HashMap<Who, Sum>,
    counters: u64,
}

impl Tops {
    /// Takes a counter into account.
    pub fn see(&mut self, found: &Found<'_>) {
        if found.history.is_blank() {
            return; // attempts are under way, and none has failed yet
        }
        self.counters += 1;
        let is_locked = matches!(found.history.standing(), Standing::Locked(_));
        let failures = u64::from(found.history.shown());
        let (whose, by) = (found.slot.whose(), &found.registered.limit.by);
        let account = whose.candidate.filter(|_| by.contains(&Parameter::Username));
        if let Some(candidate) = account {
            self.add(Who::Account(candidate.account), found.slot, (failures, is_locked));
        }
        let by_address = by.contains(&Parameter::IpAddress);
        if by_address {
            self.add(Who::Address(whose.address), found.slot, (failures, is_locked));
        }
        if by_address || by.contains(&Parameter::IpNetwork) {
            self.add(Who::Network(whose.network), found.slot, (failures, is_locked));
        }
    }

    fn add(&mut self, who: Who, slot: &Arc<Slot>, (failures, is_locked): (u64, bool)) {
        let sum = self.sums.entry(who).or_insert_with(|| Sum {
            slot: Arc::clone(slot),
            largest: failures,
            by_limit: Vec::new(),
            counters: 0,
            locked: 0,
        });
        if failures > sum.largest {
            (sum.slot, sum.largest) = (Arc::clone(slot), failures);
        }
        sum.counters += 1;
        sum.locked += u64::from(is_locked);
        match sum.by_limit.iter_mut().find(|(limit, ..)| *limit == slot.limit) {
            Some((.., known)) => *known += failures,
            None => sum.by_limit.push((slot.limit, Arc::clone(&slot.site), failures)),
        }
    }

    /// The first `most` of each kind, as JSON.
    #[must_use]
    pub fn shown(&self, most: usize) -> Value {
        let mut accounts = Vec::new();
        let (mut addresses, mut networks) = (Vec::new(), Vec::new());
        for (who, sum) in &self.sums {
            let failures = sum.failures();
            let list = match who {
                Who::Account(_) => &mut accounts,
                Who::Address(_) => &mut addresses,
                Who::Network(_) => &mut networks,
            };
            list.push((failures, *who, sum));
        }
        json!({
            "counters": self.counters,
            "username": first(accounts, most),
            "ip_address": first(addresses, most),
            "ip_network": first(networks, most),
        })
    }
}

impl Sum {
    /// On each site those of the limit that has most.
    fn failures(&self) -> u64 {
        let mut by_site: Vec<(&str, u64)> = Vec::new();
        for (_, site, failures) in &self.by_limit {
            match by_site.iter_mut().find(|(known, _)| *known == &**site) {
                Some((_, most)) => *most = (*most).max(*failures),
                None => by_site.push((site, *failures)),
            }
        }
        by_site.iter().map(|(_, failures)| failures).sum()
    }
}

/// Those with most failures, the most first; those that have as many always in the same order.
fn first(mut all: Vec<(u64, Who, &Sum)>, most: usize) -> Vec<Value> {
    let shown = |who: Who, sum: &Sum| match who {
        Who::Account(_) => shown_name(&sum.slot),
        Who::Address(network) | Who::Network(network) => shown_network(network),
    };
    all.retain(|(failures, _, _)| *failures > 0);
    if all.len() > most {
        all.select_nth_unstable_by_key(most, |(failures, _, _)| Reverse(*failures));
        all.truncate(most);
    }
    let mut rows: Vec<(u64, String, &Sum)> =
        all.into_iter().map(|(failures, who, sum)| (failures, shown(who, sum), sum)).collect();
    rows.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    let row = |(failures, value, sum): (u64, String, &Sum)| {
        json!({
            "value": value, "failures": failures, "counters": sum.counters, "locked": sum.locked,
        })
    };
    rows.into_iter().map(row).collect()
}
