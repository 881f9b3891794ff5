//! Questions about counters wait until the counters are here, and nobody takes them away meanwhile.
//!
//! A guard that takes over has none before its predecessor has settled its last attempt: a list would
//! be empty, a reset undone by what is still to come, a lock known to no file. What is asked then
//! waits, as attempts do, and is sent away where that takes too long. A guard that hands over waits for
//! whoever is being answered, as it does for attempts.

use std::time::Duration;

use http::StatusCode;

use super::reply::Problem;
use crate::guard::Shared;
use crate::store::gate::{Pass, Shut};

/// How long a question waits, so that whoever asks is answered before he gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until the counters are here; they stay until what is returned is dropped. Dropping the future
/// leaves nothing behind.
///
/// # Errors
///
/// When they do not come in time, or another guard has them now; then nothing has been done.
pub async fn counters(shared: &Shared) -> Result<Pass, Problem> {
    let passed = shared.gate.pass(shared.store.clock(), 0, PATIENCE).await;
    passed.map_err(|shut| {
        let detail = match shut {
            Shut::Late => "the counters are still with the guard that this one takes over from",
            Shut::Gone => "another guard has the counters now",
        };
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{detail}; ask again"))
    })
}
