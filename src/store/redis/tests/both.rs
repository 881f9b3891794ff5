//! A store over a server does what one in memory does: random sequences on both.

use std::cell::RefCell;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Builder;

use super::server::Server;
use super::stores::{Guard, limit};
use crate::clock::Clock;
use crate::policy::lockout::{Forget, Limit, Parameter, Proof};
use crate::policy::route::{ResetOnSuccess, WhileLocked};
use crate::store::Permit;
use crate::store::ledger::{Refusal, Settled, Settlement, Terms};
use crate::store::operate::Reset;
use crate::store::redis::background::By;
use crate::store::redis::reset::Meant;
use crate::store::select::{Row, Selector};

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit { user: u8, client: u8, guesses: u32, counts: bool },
    Reload { failures: u32 },
    Reset { pardon: bool },
    Settle { which: prop::sample::Index, how: u8 },
    Unheld { user: u8, client: u8, how: u8 },
    Wait { seconds: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    let guesses = prop_oneof![6 => Just(1_u32), 1 => 2..4_u32];
    prop_oneof![
        8 => (0..2_u8, 0..2_u8, guesses, any::<bool>())
            .prop_map(|(user, client, guesses, counts)| Step::Admit { user, client, guesses, counts }),
        1 => (1..5_u32).prop_map(|failures| Step::Reload { failures }),
        1 => any::<bool>().prop_map(|pardon| Step::Reset { pardon }),
        8 => (any::<prop::sample::Index>(), 0..6_u8)
            .prop_map(|(which, how)| Step::Settle { which, how }),
        2 => (0..2_u8, 0..2_u8, 0..6_u8)
            .prop_map(|(user, client, how)| Step::Unheld { user, client, how }),
        2 => (0..700_u16).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

const fn settlement(how: u8) -> Settlement {
    match how {
        0 => Settlement::GivenBack,
        1 => Settlement::Success { reset: ResetOnSuccess::All },
        2 => Settlement::Success { reset: ResetOnSuccess::SameClient },
        3 => Settlement::Failure(Proof::NoVerdict),
        _ => Settlement::Failure(Proof::Verdict),
    }
}

fn limits(failures: u32) -> [Limit; 3] {
    use Parameter::{IpAddress, Username};
    [
        limit(&[Username, IpAddress], failures),
        Limit { forget: Forget::Leaky, ..limit(&[IpAddress], failures + 1) },
        limit(&[Username], failures + 2),
    ]
}

/// A guard and what it has admitted.
struct Side {
    guard: Guard,
    permits: Vec<Permit>,
}

/// What a step comes to.
#[derive(Debug, PartialEq)]
enum Came {
    Admitted,
    Refused(Refusal),
    Removed(usize),
    Settled(Vec<Settled>),
    Unheld(Result<Vec<Settled>, Refusal>),
    Nothing,
}

impl Side {
    fn new(server: Option<&Server>) -> Self {
        let guard = Guard::new(server, Clock::driven(), &limits(3));
        Self { guard, permits: Vec::new() }
    }

    async fn apply(&mut self, step: Step) -> Came {
        match step {
            Step::Admit { user, client, guesses, counts } => {
                let while_locked = if counts { WhileLocked::Count } else { WhileLocked::Ignore };
                let terms = Terms { while_locked, bytes: 1 };
                let claim = self.guard.claim_of(&format!("u{user}"), client.into(), guesses);
                match self.guard.store.admit(claim, terms, Duration::ZERO).await {
                    Ok(permit) => {
                        self.permits.push(permit);
                        Came::Admitted
                    }
                    Err(refusal) => Came::Refused(refusal),
                }
            }
            Step::Reload { failures } => {
                self.guard.reload(&limits(failures));
                if let Some(shared) = self.guard.store.shared() {
                    self.guard.store.reload_shared(shared).await.expect("it is there");
                }
                Came::Nothing
            }
            Step::Reset { pardon } => {
                let what = if pardon { Reset::WithoutVerdict } else { Reset::Everything };
                Came::Removed(self.reset(what).await)
            }
            Step::Settle { which, how } if !self.permits.is_empty() => {
                let permit = self.permits.remove(which.index(self.permits.len()));
                Came::Settled(permit.settle(settlement(how)).await)
            }
            Step::Settle { .. } => Came::Nothing,
            Step::Unheld { user, client, how } => {
                let claim = self.guard.claim(&format!("u{user}"), client.into());
                Came::Unheld(self.guard.store.settle_unheld(&claim, settlement(how)).await)
            }
            Step::Wait { seconds } => {
                self.guard.clock.advance(Duration::from_secs(seconds.into()));
                Came::Nothing
            }
        }
    }

    async fn reset(&self, what: Reset) -> usize {
        let store = &self.guard.store;
        let Some(shared) = store.shared() else {
            return store.reset(&Selector::default(), what).counters;
        };
        let rows = self.guard.store.list(&Selector::default());
        let keys: Vec<_> = rows.iter().map(|row| row.id).collect();
        let meant = Meant { what, ago: Duration::ZERO };
        let slots = store.slots(&keys);
        store.reset_shared((shared, By::Attempt), &slots, meant).await.expect("it is there")
    }

    /// Lockouts and places; when a counter goes of which nothing counts is each store's affair.
    fn sizes(&self) -> (usize, u64) {
        let sizes = self.guard.store.sizes();
        (sizes.locked, sizes.places)
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = self.guard.store.list(&Selector::default());
        rows.sort_by_key(|row| row.id);
        rows
    }
}

#[test]
fn a_shared_store_does_what_one_in_memory_does() {
    let Some(server) = Server::start() else { return };
    let server = RefCell::new(server);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() };
    let cases = prop::collection::vec(step(), 1..60);
    let played = TestRunner::new(config).run(&cases, |steps| {
        server.borrow_mut().forget();
        runtime.block_on(async {
            let (mut own, mut shared) = (Side::new(None), Side::new(Some(&server.borrow())));
            for step in steps {
                assert_eq!(shared.apply(step).await, own.apply(step).await, "{step:?}");
                assert_eq!(shared.rows(), own.rows(), "{step:?}");
                assert_eq!(shared.sizes(), own.sizes(), "{step:?}");
            }
        });
        Ok(())
    });
    played.unwrap_or_else(|wrong| panic!("{wrong}"));
}
