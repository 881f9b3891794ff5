//! The way of an attempt to the counters, which another process may have.

use http::Response;

use super::Visit;
use super::recognise::Attempt;
use crate::policy::route::Mode;
use crate::rejection::Rejection;
use crate::store::gate::{Pass, Shut};

impl Visit<'_> {
    /// Lets an attempt pass as soon as this process has the counters; in `monitor` mode, where
    /// nothing is delayed or refused, it goes on without.
    pub(super) async fn pass(&self, attempt: &Attempt) -> Result<Option<Pass>, Rejection> {
        let shared = &self.worker.shared;
        let lockout = &attempt.rule.rule.lockout;
        if lockout.mode == Mode::Monitor {
            return Ok(shared.gate.try_pass());
        }
        let bytes = attempt.body.held();
        let passed = shared.gate.pass(shared.store.clock(), bytes, lockout.wait).await;
        passed.map(Some).map_err(|shut| match shut {
            Shut::Gone => Rejection::Leaving,
            Shut::Late => Rejection::Busy,
        })
    }

    /// Whoever is answered by a process that has handed over comes to the other one with the next
    /// request. A connection that becomes something else stays.
    pub(super) fn may_keep<B>(&self, response: &Response<B>) -> bool {
        !self.worker.links.are_retiring()
            || response.status() == http::StatusCode::SWITCHING_PROTOCOLS
    }
}
