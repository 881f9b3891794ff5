//! Whether nothing at all happens on a connection.

use super::{Link, Phase};

impl Link {
    /// Nothing has happened for a while, and nothing is due but the client's next request.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let is_idle = self.phase.get() == Phase::Idle && self.stall.get().is_none();
        is_idle && self.alarm.is_quiet() && !self.is_half_closed() && !self.is_draining()
    }

    /// Whoever waited for the last request's body does so no more.
    pub fn forget_hungry(&self) {
        self.hungry.take();
    }
}
