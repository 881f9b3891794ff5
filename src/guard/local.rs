//! A worker's own share of each site: what it counts and holds without a word to other threads.
//!
//! Reference counts that several threads change cost more than all that they keep alive, so a
//! request holds on to these and never to the plan itself.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use super::plan::{Plan, RulePlan, SitePlan};
use super::watch::Batch;
use crate::metrics::Metrics;
use crate::metrics::cells::SiteCells;
use crate::policy::route::Mode;
use crate::rejection::Rejection;
use crate::upstream::pool::Upstreams;
use crate::upstream::servers::Servers;

/// Everything that is served, as one worker serves it. A request keeps the one it began with, also
/// where another comes meanwhile.
#[derive(Debug)]
pub struct LocalPlan {
    plan: Arc<Plan>,
    sites: Vec<Rc<LocalSite>>,
}

/// A site, as one worker serves it.
#[derive(Debug)]
pub struct LocalSite {
    /// Its name, in this thread's own copy.
    pub name: Arc<str>,
    /// This thread's connections to its application.
    pub servers: Rc<Servers>,
    /// Where this thread counts what concerns it.
    pub cells: Arc<SiteCells>,
    plan: Arc<SitePlan>,
    rules: Vec<Rc<LocalRule>>,
}

/// A login rule, as one worker judges by it.
#[derive(Debug)]
pub struct LocalRule {
    /// What it has seen since the last sweep.
    pub batch: RefCell<Batch>,
    plan: Arc<RulePlan>,
}

impl LocalRule {
    /// Whether it refuses nothing.
    #[must_use]
    pub fn monitors(&self) -> bool {
        self.rule.lockout.mode == Mode::Monitor
    }
}

impl LocalPlan {
    /// This worker's share of `plan`; the worker has that number in `metrics`.
    #[must_use]
    pub fn new(
        plan: Arc<Plan>,
        upstreams: &Upstreams,
        (metrics, worker): (&Metrics, usize),
    ) -> Self {
        let site = |site: &Arc<SitePlan>| {
            let cells = metrics.site(worker, &site.site.name);
            Rc::new(LocalSite::new(site, upstreams, cells))
        };
        let sites = plan.sites().iter().map(site).collect();
        Self { plan, sites }
    }

    /// The site that answers for `host`; see [`Plan::site`].
    #[must_use]
    pub fn site(&self, host: Option<&str>) -> Option<&Rc<LocalSite>> {
        self.plan.site(host).and_then(|number| self.sites.get(number))
    }

    /// All sites.
    #[must_use]
    pub fn sites(&self) -> &[Rc<LocalSite>] {
        &self.sites
    }
}

impl LocalSite {
    /// This worker's share of `plan`, with its cells for that.
    #[must_use]
    pub fn new(plan: &Arc<SitePlan>, upstreams: &Upstreams, cells: Arc<SiteCells>) -> Self {
        let rule = |plan: &Arc<RulePlan>| {
            Rc::new(LocalRule { batch: RefCell::default(), plan: Arc::clone(plan) })
        };
        Self {
            name: Arc::from(&*plan.site.name),
            servers: Rc::new(Servers::new(&plan.upstream, upstreams)),
            cells,
            rules: plan.rules().iter().map(rule).collect(),
            plan: Arc::clone(plan),
        }
    }

    /// Counts what the upstream did wrong, where a request failed for that.
    pub fn blame(&self, rejection: &Rejection) {
        if let Rejection::Upstream(error) = rejection
            && let Some(fault) = error.fault()
        {
            self.cells.fault(fault);
        }
    }

    /// The rule of that number.
    #[must_use]
    pub fn rule(&self, at: usize) -> Option<&Rc<LocalRule>> {
        self.rules.get(at)
    }

    /// All its rules.
    #[must_use]
    pub fn rules(&self) -> &[Rc<LocalRule>] {
        &self.rules
    }
}

impl Deref for LocalPlan {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

impl Deref for LocalSite {
    type Target = SitePlan;

    fn deref(&self) -> &SitePlan {
        &self.plan
    }
}

impl Deref for LocalRule {
    type Target = RulePlan;

    fn deref(&self) -> &RulePlan {
        &self.plan
    }
}
