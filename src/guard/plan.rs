//! The settings made ready to serve: hosts and paths indexed, limits registered, metrics found.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;

use super::watch::RuleWatch;
use crate::config::{HealthCheck, ServerKey, Settings, SiteSettings};
use crate::metrics::{Metrics, SiteMetrics};
use crate::policy::credentials::{LateField, Source, reads_body};
use crate::policy::hosts::HostIndex;
use crate::policy::key::{CountedLimit, Counting, LimitId, ScopeKind};
use crate::policy::lockout::{Limit, Parameter};
use crate::policy::path::PathIndex;
use crate::policy::route::{Attempts, CounterScope, LoginRule, LogoutRule, Site};
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
    hosts: HostIndex,
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

/// What need not be made again for each rule.
struct Known<'a> {
    rules: RulesByName<'a>,
    /// Expressions by the names they look for: many sites have the same, which take long to compile.
    lates: RefCell<HashMap<Vec<String>, Late>>,
}

impl Known<'_> {
    fn late(&self, rule: &LoginRule) -> Late {
        let key = LateField::names(rule);
        if let Some(late) = self.lates.borrow().get(&key) {
            return late.clone();
        }
        let late = match LateField::new(rule) {
            Ok(Some(fields)) => Late::Fields(fields),
            Ok(None) => Late::Nothing,
            Err(_) => Late::Unscannable,
        };
        self.lates.borrow_mut().insert(key, late.clone());
        late
    }
}

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
        let rules = before.map(Self::rules_by_name).unwrap_or_default();
        let known = Known { rules, lates: RefCell::default() };
        let sites: Vec<_> = settings
            .sites
            .iter()
            .map(|site| {
                let upstream = Arc::new(upstream(site, &mut states));
                Arc::new(SitePlan::new(site, upstream, (store, metrics), &known))
            })
            .collect();
        store.reload();
        store.expect_exchanges_of(settings.timeouts.exchange);
        let hosts = HostIndex::new(sites.iter().map(|site| &*site.site.hosts));
        let mut checked: HashMap<_, _> = HashMap::new();
        for state in sites.iter().flat_map(|site| &site.upstream.states) {
            if state.check.is_some() {
                checked.insert(Arc::as_ptr(state), Arc::clone(state));
            }
        }
        let checked = checked.into_values().collect();
        Self { settings, sites, checked, hosts }
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

    /// The number of the site that answers for `host`; see [`HostIndex::find`].
    #[must_use]
    pub fn site(&self, host: Option<&str>) -> Option<usize> {
        self.hosts.find(host)
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

impl SitePlan {
    fn new(
        settings: &SiteSettings,
        upstream: Arc<Upstream>,
        (store, metrics): (&Store, &Metrics),
        known: &Known<'_>,
    ) -> Self {
        let site = Arc::clone(&settings.site);
        let rule = |rule| Arc::new(RulePlan::new((&site, rule), (store, metrics), known));
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
        known: &Known<'_>,
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
        let before = known.rules.get(&*scope_name).filter(|before| before.reads_alike(rule));
        let new_watch = || Arc::new(RuleWatch::new(store.clock().now()));
        Self {
            reads_body: if reads_body(rule) { ReadsBody::Yes } else { ReadsBody::No },
            scope_name,
            basic: if takes_basic { TakesBasic::Yes } else { TakesBasic::No },
            late: known.late(rule),
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
