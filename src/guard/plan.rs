//! The settings made ready to serve: hosts and paths indexed, limits registered, metrics found.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;

use super::watch::RuleWatch;
use crate::config::{HealthCheck, ServerKey, Settings, SiteSettings};
use crate::metrics::{Metrics, SiteMetrics};
use crate::policy::credentials::{LateField, Source, reads_body};
use crate::policy::key::{CountedLimit, Counting, LimitId, ScopeKind};
use crate::policy::lockout::{Limit, Parameter};
use crate::policy::path::PathIndex;
use crate::policy::route::{Attempts, CounterScope, HostPattern, LoginRule, LogoutRule, Site};
use crate::store::Store;
use crate::store::register::LimitName;
use crate::upstream::servers::Upstream;
use crate::upstream::state::ServerState;

/// Everything that is looked up to serve a request.
#[derive(Debug)]
pub struct Plan {
    /// The settings it was made from.
    pub settings: Settings,
    sites: Vec<Arc<SitePlan>>,
    checked: Vec<Arc<ServerState>>,
    exact: HashMap<Box<str>, usize>,
    below: HashMap<Box<str>, usize>,
    /// The site for every host that no other names.
    any: Option<usize>,
}

/// A site, ready to serve.
#[derive(Debug)]
pub struct SitePlan {
    /// What is guarded.
    pub site: Arc<Site>,
    /// The application.
    pub upstream: Arc<Upstream>,
    /// Paths nobody may ask for.
    pub closed: PathIndex<()>,
    /// Which rules a path is the login of, and what is an attempt there.
    pub logins: PathIndex<(usize, Attempts)>,
    /// Which logout rules it fits.
    pub logouts: PathIndex<usize>,
    /// What browsers that come with TLS are told about it.
    pub hsts: Option<HeaderValue>,
    rules: Vec<Arc<RulePlan>>,
}

/// A login rule, ready to judge.
#[derive(Debug)]
pub struct RulePlan {
    /// The rule.
    pub rule: Arc<LoginRule>,
    /// What tells it from the rules of other sites.
    pub scope_name: String,
    /// Whether it looks at bodies.
    pub reads_body: ReadsBody,
    /// Whether it looks at `Authorization: Basic`.
    pub basic: TakesBasic,
    /// Finds its fields in bodies that are too large to be read.
    pub late: Late,
    /// Whether a limit of it counts by user agent.
    pub counts_agent: CountsAgent,
    /// Its numbers.
    pub metrics: SiteMetrics,
    /// Whether it sees what a rule should see; the same across reloads that leave it as it is.
    pub watch: Arc<RuleWatch>,
    /// The rule as it reads requests that carry Basic credentials and no fields.
    pub basic_alone: LoginRule,
    limits: Vec<CountedLimit>,
    fallback: CountedLimit,
}

/// What to look for in bodies that are too large to be read.
#[derive(Clone, Debug)]
pub enum Late {
    /// These fields.
    Fields(LateField),
    /// Nothing: no field of the rule stands in a body.
    Nothing,
    /// Something that cannot be looked for; such bodies do not pass.
    Unscannable,
}

/// Whether a rule looks at bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadsBody {
    /// Never.
    No,
    /// A field of it stands there.
    Yes,
}

/// Whether a rule looks at `Authorization: Basic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesBasic {
    /// No.
    No,
    /// Its username stands there.
    Yes,
}

/// Whether a limit counts by user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountsAgent {
    /// None does.
    No,
    /// One does.
    Yes,
}

/// The rules that were in force until now, by what tells them apart.
type RulesByName<'a> = HashMap<&'a str, &'a Arc<RulePlan>>;

/// What is known of the servers of all sites: those of several sites once.
type States = HashMap<(ServerKey, Option<HealthCheck>), Arc<ServerState>>;

impl Plan {
    /// Makes `settings` ready: their limits are `store`'s from now on. What `before` has seen of
    /// rules that are the same is still known.
    #[must_use]
    pub fn new(
        settings: Settings,
        store: &Store,
        metrics: &Metrics,
        before: Option<&Self>,
    ) -> Self {
        let mut states = before.map(Self::states).unwrap_or_default();
        let before = before.map(Self::rules_by_name).unwrap_or_default();
        let sites: Vec<_> = settings
            .sites
            .iter()
            .map(|site| {
                let upstream = Arc::new(upstream(site, &mut states));
                Arc::new(SitePlan::new(site, upstream, (store, metrics), &before))
            })
            .collect();
        store.reload();
        let (mut exact, mut below, mut any) = (HashMap::new(), HashMap::new(), None);
        for (at, plan) in sites.iter().enumerate() {
            if plan.site.hosts.is_empty() {
                any = any.or(Some(at));
            }
            for host in &plan.site.hosts {
                match host {
                    HostPattern::Below(name) => below.entry(name.clone()).or_insert(at),
                    HostPattern::Exact(name) => exact.entry(name.clone()).or_insert(at),
                };
            }
        }
        let mut checked: HashMap<_, _> = HashMap::new();
        for state in sites.iter().flat_map(|site| &site.upstream.states) {
            if state.check.is_some() {
                checked.insert(Arc::as_ptr(state), Arc::clone(state));
            }
        }
        let checked = checked.into_values().collect();
        Self { settings, sites, checked, exact, below, any }
    }

    fn rules_by_name(&self) -> RulesByName<'_> {
        let rules = self.sites.iter().flat_map(|site| &site.rules);
        rules.map(|rule| (&*rule.scope_name, rule)).collect()
    }

    fn states(&self) -> States {
        let states = self.sites.iter().flat_map(|site| &site.upstream.states);
        states.map(|state| ((state.server.key(), state.check.clone()), Arc::clone(state))).collect()
    }

    /// The servers that are asked whether they are well, those of several sites once.
    #[must_use]
    pub fn checked(&self) -> &[Arc<ServerState>] {
        &self.checked
    }

    /// All sites, by number.
    #[must_use]
    pub fn sites(&self) -> &[Arc<SitePlan>] {
        &self.sites
    }

    /// The number of the site that answers for `host`, as a `Host` field names it; the first of the file where a
    /// request of HTTP/1.0 names none and no site is for every host.
    #[must_use]
    pub fn site(&self, host: Option<&str>) -> Option<usize> {
        match host {
            None => self.any.or(Some(0)),
            Some(_) if self.exact.is_empty() && self.below.is_empty() => self.any,
            Some(host) => self.named(&bare_host(host)).or(self.any),
        }
    }

    fn named(&self, host: &str) -> Option<usize> {
        if let Some(at) = self.exact.get(host) {
            return Some(*at);
        }
        let mut rest = host;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(at) = self.below.get(parent) {
                return Some(*at);
            }
            rest = parent;
        }
        None
    }
}

/// A site's application, with what is known of its servers.
fn upstream(site: &SiteSettings, states: &mut States) -> Upstream {
    let servers = site.upstream.servers.iter();
    let states = servers.map(|server| {
        let check = &site.upstream.health_check;
        let state = states.entry((server.key(), check.clone()));
        let new = || Arc::new(ServerState::new(server.clone(), check.clone()));
        Arc::clone(state.or_insert_with(new))
    });
    Upstream { states: states.collect(), settings: site.upstream.clone() }
}

/// A host's name alone: no port, no final dot, in lower case.
fn bare_host(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

impl SitePlan {
    fn new(
        settings: &SiteSettings,
        upstream: Arc<Upstream>,
        (store, metrics): (&Store, &Metrics),
        before: &RulesByName<'_>,
    ) -> Self {
        let site = Arc::clone(&settings.site);
        let rule = |rule| Arc::new(RulePlan::new((&site, rule), (store, metrics), before));
        let rules: Vec<_> = site.logins.iter().map(rule).collect();
        let paths = |(at, rule): (usize, &Arc<LoginRule>)| {
            let paths = rule.paths.clone().into_iter();
            paths.map(move |(path, attempts)| (path, (at, attempts))).collect::<Vec<_>>()
        };
        let logouts = site.logouts.iter().enumerate();
        Self {
            upstream,
            closed: PathIndex::new(site.closed.iter().map(|path| (path.clone(), ()))),
            logins: PathIndex::new(site.logins.iter().enumerate().flat_map(paths)),
            logouts: PathIndex::new(logouts.map(|(at, logout)| (logout.path.clone(), at))),
            hsts: settings.hsts.clone(),
            rules,
            site,
        }
    }

    /// Its login rules, by number.
    #[must_use]
    pub fn rules(&self) -> &[Arc<RulePlan>] {
        &self.rules
    }

    /// The logout rule of that number.
    #[must_use]
    pub fn logout(&self, at: usize) -> Option<&LogoutRule> {
        self.site.logouts.get(at)
    }
}

impl RulePlan {
    fn new(
        (site, rule): (&Site, &Arc<LoginRule>),
        (store, metrics): (&Store, &Metrics),
        before: &RulesByName<'_>,
    ) -> Self {
        let login = match rule.counters {
            CounterScope::Login => Some(Arc::clone(&rule.name)),
            CounterScope::Site => None,
        };
        let name = |limit: &Arc<str>, kind| LimitName {
            site: Arc::clone(&site.name),
            login: login.clone(),
            limit: Arc::clone(limit),
            kind,
        };
        let limits = rule.lockout.limits.iter();
        let limits = limits
            .map(|limit| store.register(name(&limit.name, ScopeKind::Limit), Arc::clone(limit)));
        let fallback = Arc::new(rule.lockout.fallback());
        let takes_basic = rule.usernames.contains(&Source::Basic);
        let agent = |limit: &Arc<Limit>| limit.by.contains(&Parameter::UserAgent);
        let counts_agent = rule.lockout.limits.iter().any(agent);
        let scope_name = format!("{}\0{}", site.name, rule.name);
        let before = before.get(&*scope_name).filter(|before| before.reads_alike(rule));
        let new_watch = || Arc::new(RuleWatch::new(store.clock().now()));
        Self {
            reads_body: if reads_body(rule) { ReadsBody::Yes } else { ReadsBody::No },
            scope_name,
            basic: if takes_basic { TakesBasic::Yes } else { TakesBasic::No },
            late: match LateField::new(rule) {
                Ok(Some(fields)) => Late::Fields(fields),
                Ok(None) => Late::Nothing,
                Err(_) => Late::Unscannable,
            },
            counts_agent: if counts_agent { CountsAgent::Yes } else { CountsAgent::No },
            watch: before.map_or_else(new_watch, |before| Arc::clone(&before.watch)),
            metrics: metrics.login(&site.name, &rule.name),
            basic_alone: LoginRule {
                usernames: vec![Source::Basic],
                passwords: Vec::new(),
                ..(**rule).clone()
            },
            limits: limits.collect(),
            fallback: store.register(name(&fallback.name, ScopeKind::Uncounted), fallback),
            rule: Arc::clone(rule),
        }
    }

    /// Whether it sees in requests and answers what `rule` sees.
    fn reads_alike(&self, rule: &LoginRule) -> bool {
        // regular expressions are compared by how they are written, and so is all else
        let written = |rule: &LoginRule| {
            format!("{:?}", (&rule.paths, &rule.usernames, &rule.passwords, &rule.outcome))
        };
        written(&self.rule) == written(rule)
    }

    /// The limit of that number, if its attempts are held against it.
    #[must_use]
    pub fn limit(&self, id: LimitId) -> Option<&Limit> {
        let mut all = self.limits.iter().chain([&self.fallback]);
        all.find(|counted| counted.id == id).map(|counted| &*counted.limit)
    }

    /// The limits its attempts are held against.
    #[must_use]
    pub fn counting(&self) -> Counting<'_> {
        Counting { limits: &self.limits, fallback: &self.fallback }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_port_final_dot_and_case() {
        let check = |host, expected: &str| assert_eq!(bare_host(host), expected);
        check("Shop.Example.:8080", "shop.example");
        check("shop.example:", "shop.example");
        check("[2001:db8::1]:80", "[2001:db8::1]");
        check("[2001:db8::1]", "[2001:db8::1]");
    }
}
