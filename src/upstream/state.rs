//! What is known of a server's health; all workers share it, and it outlives reloads.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::config::{HealthCheck, UpstreamServer};
use crate::policy::balance::{Standing, Tie};

/// For how long a server rests that could not be connected to. Then one request tries it, and the
/// others when that has reached it.
pub const REST: Duration = Duration::from_secs(10);

/// So many checks in a row have to go wrong before a server is out; one that goes well takes it in.
pub const FALL: u32 = 2;

/// A server's health.
#[derive(Debug)]
pub struct ServerState {
    /// Which server.
    pub server: UpstreamServer,
    /// What stands for its name.
    pub name: Tie,
    /// How it is asked, if it is.
    pub check: Option<HealthCheck>,
    /// When it is asked next.
    due: AtomicU64,
    /// Checks that went wrong since one went well.
    wrong: AtomicU32,
    out: AtomicBool,
    /// When its rest is over; 0 where it does not rest.
    rests_until: AtomicU64,
}

/// Whether something is so from now on, or was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was before.
    Known,
    /// It is from now on.
    New,
}

impl ServerState {
    /// Nothing is known yet, which is well.
    #[must_use]
    pub fn new(server: UpstreamServer, check: Option<HealthCheck>) -> Self {
        let name = Tie::of(server.to_string().as_bytes());
        Self {
            server,
            name,
            check,
            due: AtomicU64::new(0),
            wrong: AtomicU32::new(0),
            out: AtomicBool::new(false),
            rests_until: AtomicU64::new(0),
        }
    }

    /// Whether it takes requests at `now`.
    #[must_use]
    pub fn standing(&self, now: Moment) -> Standing {
        if self.is_out() {
            return Standing::Out;
        }
        match self.rests_until.load(Ordering::Relaxed) {
            0 => Standing::Ready,
            until if now.0 < until => Standing::Resting,
            _ => Standing::Ready,
        }
    }

    /// Whether its checks say that it takes no requests.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.check.is_some() && self.out.load(Ordering::Relaxed)
    }

    /// Whether it has to be asked at `now`, which is then the caller's task.
    #[must_use]
    pub fn take_turn(&self, now: Moment, check: &HealthCheck) -> bool {
        let due = self.due.load(Ordering::Relaxed);
        let (next, order) = (now.after(check.interval).0, Ordering::Relaxed);
        now.0 >= due && self.due.compare_exchange(due, next, order, order).is_ok()
    }

    /// A check went well, or not; returns whether that changes anything.
    pub fn checked(&self, well: bool) -> Change {
        if well {
            self.wrong.store(0, Ordering::Relaxed);
            self.reached();
        } else if self.wrong.fetch_add(1, Ordering::Relaxed).saturating_add(1) < FALL {
            return Change::Known;
        }
        match self.out.swap(!well, Ordering::Relaxed) == well {
            true => Change::New,
            false => Change::Known,
        }
    }

    /// A request is about to connect to it; where its rest is over, others wait for what comes of
    /// that.
    pub fn try_out(&self, now: Moment) {
        let until = self.rests_until.load(Ordering::Relaxed);
        if until != 0 && now.0 >= until {
            let next = now.after(REST).0;
            let order = Ordering::Relaxed;
            match self.rests_until.compare_exchange(until, next, order, order) {
                Ok(_) | Err(_) => {} // whoever came first goes on, and others find it resting
            }
        }
    }

    /// It could not be connected to: it rests.
    pub fn rest(&self, now: Moment) -> Change {
        match self.rests_until.swap(now.after(REST).0.max(1), Ordering::Relaxed) {
            0 => Change::New,
            _ => Change::Known,
        }
    }

    /// It was connected to.
    pub fn reached(&self) -> Change {
        if self.rests_until.load(Ordering::Relaxed) == 0 {
            return Change::Known;
        }
        match self.rests_until.swap(0, Ordering::Relaxed) {
            0 => Change::Known,
            _ => Change::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UpstreamAddr;
    use crate::tls::trust::Offer;

    #[test]
    fn two_checks_that_go_wrong_take_a_server_out_and_one_that_goes_well_takes_it_in() {
        let address = UpstreamAddr::Tcp { host: "a".into(), port: 80 };
        let check = HealthCheck {
            path: "/".into(),
            interval: Duration::from_secs(10),
            status: vec![200..=399],
            host: "a".into(),
        };
        let state = ServerState::new(
            UpstreamServer { address, tls: None, offer: Offer::Http1 },
            Some(check.clone()),
        );
        let at = |seconds| Moment(1000).after(Duration::from_secs(seconds));
        assert!(state.take_turn(at(0), &check));
        assert!(!state.take_turn(at(0), &check) && !state.take_turn(at(9), &check));
        assert!(state.take_turn(at(10), &check));
        assert_eq!(state.checked(true), Change::Known, "that was taken for granted");
        assert_eq!(state.checked(false), Change::Known);
        assert_eq!(state.standing(at(0)), Standing::Ready);
        assert_eq!(state.checked(false), Change::New);
        assert_eq!(state.standing(at(0)), Standing::Out);
        assert_eq!(state.checked(false), Change::Known, "it is told once");
        state.rest(at(0));
        assert_eq!(state.checked(true), Change::New);
        assert_eq!(state.standing(at(0)), Standing::Ready, "and it rests no longer");
        assert_eq!(state.checked(false), Change::Known, "the count begins anew");
    }

    #[test]
    fn a_server_rests_and_is_tried_by_one_request_first() {
        let address = UpstreamAddr::Tcp { host: "a".into(), port: 80 };
        let state =
            ServerState::new(UpstreamServer { address, tls: None, offer: Offer::Http1 }, None);
        let at = |seconds| Moment(1000).after(Duration::from_secs(seconds));
        assert_eq!(state.standing(at(0)), Standing::Ready);
        assert_eq!(state.rest(at(0)), Change::New);
        assert_eq!(state.rest(at(0)), Change::Known, "it is told once");
        state.try_out(at(9));
        assert_eq!(state.standing(at(9)), Standing::Resting);
        assert_eq!(state.standing(at(10)), Standing::Ready);
        state.try_out(at(10));
        assert_eq!(state.standing(at(10)), Standing::Resting, "one is on its way there");
        assert_eq!(state.standing(at(20)), Standing::Ready, "and nobody knows what became of it");
        assert_eq!(state.reached(), Change::New);
        assert_eq!(state.reached(), Change::Known);
        assert_eq!(state.standing(at(20)), Standing::Ready);
    }
}
