//! The plan in force, and how a new one gets to every worker.

use std::sync::Arc;

use tokio::sync::watch;

use super::plan::Plan;

/// The plan in force. Requests do not ask here: each worker has a share of its own.
#[derive(Debug)]
pub struct Plans(watch::Sender<Rollout>);

/// A plan on its way to the workers.
#[derive(Clone, Debug)]
pub struct Rollout {
    plan: Arc<Plan>,
    taken: Arc<watch::Sender<usize>>,
}

/// What a worker hears of new plans by.
#[derive(Debug)]
pub struct Coming(watch::Receiver<Rollout>);

impl Rollout {
    fn new(plan: Plan) -> Self {
        Self { plan: Arc::new(plan), taken: Arc::new(watch::Sender::new(0)) }
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// One more worker serves by it.
    pub fn take(&self) {
        self.taken.send_modify(|taken| *taken += 1);
    }

    /// Waits until so many workers serve by it.
    pub async fn until_taken(&self, workers: usize) {
        let mut taken = self.taken.subscribe();
        // it cannot end before this does, which holds on to the other end
        drop(taken.wait_for(|taken| *taken >= workers).await);
    }
}

impl Plans {
    /// `plan` is the first.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self(watch::Sender::new(Rollout::new(plan)))
    }

    /// The plan in force.
    #[must_use]
    pub fn latest(&self) -> Arc<Plan> {
        Arc::clone(&self.0.borrow().plan)
    }

    /// The plan in force, as a worker takes it.
    #[must_use]
    pub fn now(&self) -> Rollout {
        self.0.borrow().clone()
    }

    /// `plan` is in force from now on: every worker serves requests that begin by it as soon as it
    /// has heard of it.
    pub fn replace(&self, plan: Plan) -> Rollout {
        let rollout = Rollout::new(plan);
        self.0.send_replace(rollout.clone());
        rollout
    }

    /// Hears of the plans to come.
    #[must_use]
    pub fn follow(&self) -> Coming {
        Coming(self.0.subscribe())
    }
}

impl Coming {
    /// Waits for another plan than the one that was told last. Dropping the future misses none.
    pub async fn next(&mut self) -> Rollout {
        // all that is served ends before the plans do
        drop(self.0.changed().await);
        self.0.borrow_and_update().clone()
    }

    /// The plan in force.
    #[must_use]
    pub fn now(&mut self) -> Rollout {
        self.0.borrow_and_update().clone()
    }
}
