//! What the lines of another guard's export mean to this one, by its own configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::super::meant::{Asked, Meant, network};
use super::super::moved::{Counter, Lock, Lost, Spelled, Who};
use crate::clock::{Moment, millis};
use crate::guard::Shared;
use crate::guard::plan::{Plan, RulePlan};
use crate::policy::account::{Account, MailAliases};
use crate::policy::client::{ClientAddr, Prefixes};
use crate::policy::key::candidate::{AGENT_CHARS, cut};
use crate::policy::key::{
    Candidate, Charge, CountedLimit, Key, ScopeKind, Subject, charge, subject,
};
use crate::policy::lockout::{Parameter, Spelling};
use crate::policy::route::CounterScope;
use crate::store::hand::HandLock;
use crate::store::moved::Incoming;
use crate::store::register::LimitName;
use crate::store::select::Selector;

/// Why something is not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Not {
    /// It means nothing here.
    Here(Why),
    /// It cannot be understood.
    Understood(String),
}

/// What it lacks here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    ClientExcepted,
    CounterUnknown,
    LimitCountsOtherwise,
    LimitNotConfigured,
    NameCut,
    NameEmpty,
    NetworkTooWide,
    SessionOnly,
    SiteNotConfigured,
    TooManyLocks,
}

/// What a line means here.
pub(super) struct Meaning {
    /// The counters, more than one where logins read a username differently.
    pub counters: Vec<Incoming>,
    /// The username was spelled in one way, which is not known here.
    pub is_without_spelling: bool,
}

/// A limit that is configured here.
struct Known {
    counted: CountedLimit,
    /// How the logins that it counts take aliases.
    aliases: Vec<MailAliases>,
}

/// This guard, as lines are held against it.
pub(super) struct Here<'a> {
    shared: &'a Shared,
    /// The configuration in force when the first line came.
    pub plan: Arc<Plan>,
    limits: HashMap<LimitName, Known>,
    /// When the other one told it, by the clock here.
    zero: Moment,
    now: Moment,
}

impl<'a> Here<'a> {
    /// Here, where lines were told at that wall-clock time, in milliseconds since 1970. Where this
    /// clock is behind, no time has passed.
    pub(super) fn new(shared: &'a Shared, told: u64) -> Self {
        let (plan, clock) = (shared.plans.latest(), shared.store.clock());
        let mut limits: HashMap<LimitName, Known> = HashMap::new();
        for site in plan.sites() {
            for rule in site.rules() {
                add(&mut limits, &site.site.name, rule);
            }
        }
        let now = clock.now();
        let age = millis(clock.wall_now()).saturating_sub(told);
        Self { shared, plan, limits, zero: Moment(now.0.saturating_sub(age)), now }
    }

    /// How long ago it was told.
    pub(super) fn age(&self) -> Duration {
        self.now.since(self.zero)
    }

    /// What a counter means.
    pub(super) fn counters(&self, told: &Counter) -> Result<Meaning, Not> {
        let keyer = self.shared.store.keyer();
        let shown = value(&told.who, Parameter::Username);
        let spelling = match (told.spelling, shown) {
            (None, _) => Spelling::Unknown,
            (Some(Spelled::AsShown), Some(shown)) => {
                Spelling::One(keyer.spelling(shown.as_bytes()))
            }
            (Some(_), _) => Spelling::Mixed,
        };
        let history = told.history(spelling, self.zero, self.now);
        let all = self.find(&told.who)?.into_iter();
        let counters = all.map(|(charge, subject)| Incoming { charge, subject, history });
        Ok(Meaning {
            counters: counters.collect(),
            is_without_spelling: told.spelling == Some(Spelled::Another),
        })
    }

    /// The counters that are named so.
    fn find(&self, who: &Who) -> Result<Vec<(Charge, Arc<Subject>)>, Not> {
        let name = LimitName {
            site: who.site.as_str().into(),
            login: who.login.as_deref().map(Into::into),
            limit: who.limit.as_str().into(),
            kind: if who.uncounted { ScopeKind::Uncounted } else { ScopeKind::Limit },
        };
        let known = self.limits.get(&name).ok_or(Not::Here(Why::LimitNotConfigured))?;
        let by = &known.counted.limit.by;
        let is_same = by.len() == who.parameters.len()
            && by.iter().all(|parameter| who.parameters.contains_key(parameter.name()));
        if !is_same {
            return Err(Not::Here(Why::LimitCountsOtherwise));
        }
        let bare = self.bare(who, known)?;
        let keyer = self.shared.store.keyer();
        if !by.contains(&Parameter::Username) {
            return Ok(vec![(charge(keyer, &known.counted, &bare, None), Arc::new(bare))]);
        }
        let named = self.candidates(who, known)?.into_iter().map(|candidate| {
            let mut subject = bare.clone();
            subject.candidates = candidate.into();
            (charge(keyer, &known.counted, &subject, Some(0)), Arc::new(subject))
        });
        Ok(named.collect())
    }

    /// Whose failures they are, but for the username.
    fn bare(&self, who: &Who, known: &Known) -> Result<Subject, Not> {
        let clients = &self.plan.settings.clients;
        let address = network_of(who, Parameter::IpAddress, clients.address)?;
        let coarser = network_of(who, Parameter::IpNetwork, clients.network)?;
        let some = address.or(coarser);
        if some.is_some_and(|net| known.counted.limit.except.contains(net.addr())) {
            return Err(Not::Here(Why::ClientExcepted));
        }
        let nobody = std::net::Ipv4Addr::UNSPECIFIED.into();
        let client = ClientAddr::new(some.map_or(nobody, |net| net.addr()));
        let whose = subject(&who.site.as_str().into(), client, clients);
        let (address, network) = (whose.address(), whose.network());
        let (address, network) = (some.unwrap_or(address), coarser.unwrap_or(network));
        let agent = value(who, Parameter::UserAgent);
        let agent = agent.map(|agent| cut(agent, AGENT_CHARS).into());
        Ok(Subject::new(whose.site, address, network).calling_itself(agent))
    }

    /// The accounts that logins here take the username for.
    fn candidates(&self, who: &Who, known: &Known) -> Result<Vec<Candidate>, Not> {
        let shown = value(who, Parameter::Username);
        let shown = match (who.lost, shown) {
            (None, Some(shown)) => shown,
            (Some(Lost::Name), _) => return Err(Not::Here(Why::NameCut)),
            (Some(Lost::Counter | Lost::Session), _) | (None, None) => {
                return Err(Not::Here(Why::SessionOnly));
            }
        };
        let (keyer, normal) = (self.shared.store.keyer(), who.account.as_deref().unwrap_or(shown));
        let mut candidates: Vec<Candidate> = Vec::new();
        for account in known.aliases.iter().filter_map(|aliases| Account::named(normal, *aliases)) {
            let mut candidate = Candidate::typed(keyer, shown.as_bytes(), &account);
            if candidate.name.is_none() && Account::new(shown).as_ref() != Some(&account) {
                candidate.name = Some(Box::new(account.as_str().into()));
            }
            candidates.push(candidate);
        }
        if candidates.is_empty() { Err(Not::Here(Why::NameEmpty)) } else { Ok(candidates) }
    }

    /// What a lock by hand means, and until when it is.
    pub(super) fn lock(&self, told: &Lock) -> Result<(Vec<Selector>, HandLock), Not> {
        match told.lost {
            None => {}
            Some(Lost::Counter) => return Err(Not::Here(Why::CounterUnknown)),
            Some(Lost::Name | Lost::Session) => return Err(Not::Here(Why::NameCut)),
        }
        let asked = Asked {
            site: told.site.as_deref(),
            network: told.network.as_deref(),
            username: told.username.as_deref(),
            ..Asked::default()
        };
        if asked.is_empty() && told.counter.is_none() {
            return Err(Not::Understood("it does not say whom it locks".to_owned()));
        }
        if let Some(site) = asked.site
            && !self.plan.sites().iter().any(|known| &*known.site.name == site)
        {
            return Err(Not::Here(Why::SiteNotConfigured));
        }
        let counters: Vec<Option<Key>> = match &told.counter {
            Some(who) => self.find(who)?.iter().map(|(charge, _)| Some(charge.key)).collect(),
            None => vec![None],
        };
        let meant = Meant::resolve(asked, self.shared);
        let meant = meant.map_err(|problem| Not::Understood(problem.detail))?.selectors();
        let with = |counter: Option<Key>| {
            meant.iter().map(move |selector| Selector { counter, ..selector.clone() })
        };
        let hand = HandLock {
            until: told.until_ms.moment(self.zero),
            reason: told.reason.as_deref().map(Into::into),
            username: told.username.as_deref().map(Into::into),
        };
        Ok((counters.into_iter().flat_map(with).collect(), hand))
    }
}

/// The value of a parameter, as it was told.
fn value(who: &Who, parameter: Parameter) -> Option<&str> {
    who.parameters.get(parameter.name()).and_then(Option::as_deref)
}

/// The network that a parameter tells, as it is counted here.
fn network_of(who: &Who, parameter: Parameter, prefix: Prefixes) -> Result<Option<IpNet>, Not> {
    let Some(written) = value(who, parameter) else { return Ok(None) };
    let Some(told) = network(written) else {
        return Err(Not::Understood(format!("{written:?} is no address and no network")));
    };
    let counted = ClientAddr::new(told.addr()).network(prefix);
    if counted.contains(&told) { Ok(Some(counted)) } else { Err(Not::Here(Why::NetworkTooWide)) }
}

fn add(limits: &mut HashMap<LimitName, Known>, site: &Arc<str>, rule: &RulePlan) {
    let counting = rule.counting();
    let all = counting.limits.iter().map(|counted| (counted, ScopeKind::Limit));
    for (counted, kind) in all.chain([(counting.fallback, ScopeKind::Uncounted)]) {
        let name = LimitName {
            site: Arc::clone(site),
            login: match rule.rule.counters {
                CounterScope::Login => Some(Arc::clone(&rule.rule.name)),
                CounterScope::Site => None,
            },
            limit: Arc::clone(&counted.limit.name),
            kind,
        };
        let new = || Known { counted: counted.clone(), aliases: Vec::new() };
        let known = limits.entry(name).or_insert_with(new);
        let aliases = rule.rule.naming.aliases;
        if !known.aliases.contains(&aliases) {
            known.aliases.push(aliases);
        }
    }
}
