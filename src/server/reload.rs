//! Other settings while the guard runs.

use crate::config::Settings;
use crate::guard::Shared;
use crate::guard::plan::Plan;
use crate::guard::rollout::Rollout;

/// Serves by `settings` from now on, as far as they can change while the guard runs. Counters are
/// kept, and held against the limits of the same names.
pub fn apply(shared: &Shared, settings: Settings) -> Rollout {
    let before = shared.plans.latest();
    let (settings, _) = settings.after(&before.settings);
    let plan = Plan::new(settings, &shared.store, &shared.metrics, Some(&before));
    shared.plans.replace(plan)
}
