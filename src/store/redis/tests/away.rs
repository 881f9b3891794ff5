//! The server is away: what a guard does alone, and what it keeps to be told afterwards.

use super::server::Server;
use super::stores::{FAILURE, Guard, limit};
use crate::clock::Clock;
use crate::policy::lockout::Parameter::Username;
use crate::store::ledger::Refusal;
use crate::store::memory::lock;
use crate::store::redis::settings::OnOutage;

#[tokio::test]
async fn a_guard_goes_on_with_what_it_saw_and_keeps_what_others_do_not_know() {
    let Some(server) = Server::start() else { return };
    let limits = [limit(&[Username], 4)];
    let (guard, other) = (Guard::before(&server, &limits), Guard::before(&server, &limits));
    other.fail("u", 1).await.unwrap();
    guard.fail("u", 1).await.unwrap();
    let held = guard.admit(&guard.claim("u", 1)).await.unwrap();
    drop(server);
    assert_eq!(held.settle(FAILURE).await[0].failures, 3, "it is settled here");
    assert!(guard.shared().is_away());
    assert!(guard.fail("u", 2).await.unwrap()[0].locked_until.is_some());
    assert!(matches!(guard.fail("u", 2).await, Err(Refusal::Locked { .. })));
    let unheld = guard.store.settle_unheld(&guard.claim("v", 1), FAILURE).await.unwrap();
    assert_eq!(unheld[0].failures, 1);
    assert_eq!(guard.shared().later.count(), 1, "the lease will be settled");
    let mut locals = lock(&guard.shared().locals);
    let offered = locals.offer();
    let noted = offered.iter().map(|offered| {
        let seen = locals.seen(offered.slot.key).unwrap();
        (seen.failures(), offered.alone.unwrap().1.failures)
    });
    let mut noted: Vec<_> = noted.collect();
    noted.sort_unstable();
    assert_eq!(noted, [(0, 1), (2, 1)], "what was seen, and what was counted here besides");
}

/// A guard that does this, and whose server has gone after one failure of `u`.
async fn left_alone(on_outage: OnOutage) -> Option<Guard> {
    let server = Server::start()?;
    let limits = [limit(&[Username], 1)];
    let guard = Guard::with((Some(&server), on_outage), Clock::system(), &limits);
    guard.fail("u", 1).await.unwrap();
    Some(guard)
}

#[tokio::test]
async fn attempts_are_refused_where_that_is_the_choice() {
    let Some(guard) = left_alone(OnOutage::Refuse).await else { return };
    for user in ["u", "v", "v"] {
        assert_eq!(guard.fail(user, 1).await, Err(Refusal::NoStore));
    }
    assert_eq!(guard.store.would_refuse(&guard.claim("v", 1)).await, Some(Refusal::NoStore));
}

#[tokio::test]
async fn attempts_are_let_through_uncounted_where_that_is_the_choice() {
    let Some(guard) = left_alone(OnOutage::Allow).await else { return };
    for user in ["u", "v", "v"] {
        assert_eq!(guard.fail(user, 1).await, Ok(Vec::new()));
    }
    assert_eq!(guard.store.would_refuse(&guard.claim("u", 1)).await, None);
}
