//! Which counters an operator means, and what a list shows of each.

use std::sync::Arc;

use ipnet::IpNet;

use crate::clock::Moment;
use crate::policy::client::{ClientAddr, ClientRules};
use crate::policy::key::{AccountId, Key, Subject};
use crate::policy::lockout::{History, Parameter, Standing};
use crate::store::hand::HandLock;
use crate::store::register::Registered;
use crate::store::slot::Slot;

/// Which counters an operator means: all that fit everything given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Those of this site.
    pub site: Option<Arc<str>>,
    /// Those of clients in this network, whichever way their address is counted.
    pub network: Option<IpNet>,
    /// Those of this account.
    pub account: Option<AccountId>,
    /// This one.
    pub counter: Option<Key>,
}

impl Selector {
    /// Clients whose addresses are counted together are meant together.
    pub fn widen(&mut self, rules: &ClientRules) {
        self.network = self.network.map(|network| {
            let counted = ClientAddr::new(network.addr()).network(rules.address);
            if counted.contains(&network) { counted } else { network.trunc() }
        });
    }

    /// Whether the counter `slot` under `limit` is meant.
    #[must_use]
    pub fn fits(&self, slot: &Slot, limit: &Registered) -> bool {
        let by = &limit.limit.by;
        self.counter.is_none_or(|wanted| wanted == slot.key)
            && self.site.as_ref().is_none_or(|site| *site == slot.site)
            && self.account.is_none_or(|account| names(slot, by) == Some(account))
            && self.network.is_none_or(|network| {
                let whose = slot.whose();
                let address = by.contains(&Parameter::IpAddress).then_some(whose.address);
                let coarser = by.contains(&Parameter::IpNetwork).then_some(whose.network);
                [address, coarser].into_iter().flatten().any(|counted| overlap(counted, network))
            })
    }

    /// Whether an attempt of `subject` is meant; a counter is never an attempt.
    #[must_use]
    pub fn covers(&self, subject: &Subject) -> bool {
        self.counter.is_none()
            && self.site.as_ref().is_none_or(|site| *site == subject.site)
            && self.network.is_none_or(|network| overlap(network, subject.address()))
            && self.account.is_none_or(|account| {
                subject.candidates.iter().any(|candidate| candidate.account == account)
            })
    }

    /// Whether everything that `self` means is meant by `other` too.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let network_within = match (self.network, other.network) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mine), Some(theirs)) => theirs.contains(&mine),
        };
        network_within
            && (other.site.is_none() || other.site == self.site)
            && (other.account.is_none() || other.account == self.account)
            && (other.counter.is_none() || other.counter == self.counter)
    }
}

fn names(slot: &Slot, by: &[Parameter]) -> Option<AccountId> {
    let candidate = slot.whose().candidate.filter(|_| by.contains(&Parameter::Username));
    candidate.map(|candidate| candidate.account)
}

fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// What a list shows of one counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The counter.
    pub id: Key,
    /// Its site.
    pub site: Arc<str>,
    /// Its login, where the counters are the login's own.
    pub login: Option<Arc<str>>,
    /// Its limit.
    pub limit: Arc<str>,
    /// The values it counts, by the parameters' names.
    pub parameters: Vec<(&'static str, String)>,
    /// Failures that count.
    pub failures: u32,
    /// Of them, those the upstream gave no verdict on.
    pub without_verdict: u32,
    /// How many lock.
    pub of: u32,
    /// The end of its lockout, [`Moment::NEVER`] if it has none.
    pub locked_until: Option<Moment>,
    /// When the latest of them came.
    pub latest: Moment,
    /// The lock by hand that refuses whatever it counts.
    pub by_hand: Option<HandLock>,
    /// Attempts that are with the upstream, through whichever guard.
    pub places: u32,
    /// Of them, those through this guard; `None` where there are no others.
    pub places_here: Option<u32>,
    /// Attempts that wait for a place, at this guard.
    pub waiting: usize,
}

/// The row of the counter `slot`, whose aged history is `history`.
#[must_use]
pub fn row(slot: &Slot, history: &History, registered: &Registered) -> Row {
    let whose = slot.whose();
    let value = |parameter: &Parameter| {
        let text = match parameter {
            Parameter::Username => shown_name(slot),
            Parameter::IpAddress => shown_network(whose.address),
            Parameter::IpNetwork => shown_network(whose.network),
            Parameter::UserAgent => whose.user_agent.unwrap_or_default().to_owned(),
        };
        (parameter.name(), text)
    };
    let locked_until = match history.standing() {
        Standing::Locked(until) => Some(until),
        Standing::Open(_) => None,
    };
    Row {
        id: slot.key,
        site: Arc::clone(&slot.site),
        login: registered.name.login.clone(),
        limit: Arc::clone(&registered.name.limit),
        parameters: registered.limit.by.iter().map(value).collect(),
        failures: history.shown(),
        without_verdict: history.without_verdict(),
        of: registered.limit.failures.get(),
        locked_until,
        latest: history.latest(),
        by_hand: None,
        places: 0,
        places_here: None,
        waiting: 0,
    }
}

/// The username that a counter is about, as it was typed.
#[must_use]
pub fn shown_name(slot: &Slot) -> String {
    let shown = slot.whose().candidate.and_then(|candidate| candidate.shown);
    shown.unwrap_or("(known by its session)").to_owned()
}

/// A network as people write it: a single address without its length.
#[must_use]
pub fn shown_network(network: IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}
