//! Places that several guards share: leases, lines, and what becomes of those that end badly.

use std::sync::Arc;
use std::time::Duration;

use super::server::Server;
use super::stores::{FAILURE, Guard, TERMS, limit};
use crate::policy::lockout::Parameter::{IpAddress, Username};
use crate::policy::lockout::Proof;
use crate::policy::route::ResetOnSuccess;
use crate::store::ledger::{Refusal, Settlement};
use crate::store::redis::background::{Background, By};
use crate::store::redis::later::Unsettled;
use crate::store::redis::request::Owed;

const RIGHT: Settlement = Settlement::Success { reset: ResetOnSuccess::None };

/// Lets what is ready go on.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never was so: {what}");
}

#[tokio::test]
async fn what_fails_at_one_guard_locks_at_all() {
    let Some(server) = Server::start() else { return };
    let guards = [1, 2, 3].map(|_| Guard::before(&server, &[limit(&[Username], 3)]));
    assert_eq!(guards[0].fail("u", 1).await.unwrap()[0].failures, 1);
    assert_eq!(guards[1].fail("u", 2).await.unwrap()[0].failures, 2);
    assert!(guards[2].fail("u", 3).await.unwrap()[0].locked_until.is_some());
    for guard in &guards {
        assert!(matches!(guard.fail("u", 4).await, Err(Refusal::Locked { .. })));
        assert!(guard.fail("v", 4).await.is_ok());
        assert_eq!(guard.store.sizes().places, 0);
    }
}

#[tokio::test]
async fn whoever_waits_gets_the_place_that_its_guard_or_another_gives_back() {
    let Some(server) = Server::start() else { return };
    let guards = [1, 2].map(|_| Arc::new(Guard::before(&server, &[limit(&[Username], 1)])));
    for holder in &guards {
        let held = holder.admit(&holder.claim("u", 1)).await.unwrap();
        let waiter = Arc::clone(&guards[0]);
        let waiting = tokio::spawn(async move { waiter.admit(&waiter.claim("u", 2)).await });
        until("it waits", || guards[0].shared().waiting() == 1).await;
        assert_eq!(held.settle(RIGHT).await.len(), 1);
        let permit = waiting.await.unwrap().unwrap();
        assert_eq!(guards[0].look("u").await, [(0, 1)]);
        drop(permit.settle(RIGHT).await);
        assert_eq!(guards[0].look("u").await, [(0, 0)]);
    }
}

#[tokio::test]
async fn places_come_free_in_order_of_arrival_and_a_lockout_answers_all() {
    let Some(server) = Server::start() else { return };
    let guard = Arc::new(Guard::before(&server, &[limit(&[Username], 1)]));
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut held = Some(guard.admit(&guard.claim("u", 0)).await.unwrap());
    let mut waiting = Vec::new();
    for client in 1..=9 {
        let (guard, order) = (Arc::clone(&guard), Arc::clone(&order));
        let waiter = Arc::clone(&guard);
        waiting.push(tokio::spawn(async move {
            let admitted = waiter.admit(&waiter.claim("u", client)).await;
            order.lock().unwrap().push(client);
            // the fifth of them fails
            match admitted {
                Ok(permit) if client == 5 => Ok(permit.settle(FAILURE).await),
                Ok(permit) => Ok(permit.settle(RIGHT).await),
                Err(refusal) => Err(refusal),
            }
        }));
        until("it waits", || guard.shared().waiting() == client as usize).await;
    }
    drop(held.take().unwrap().settle(RIGHT).await);
    for (client, waiter) in (1..).zip(waiting) {
        let came_of_it = waiter.await.unwrap();
        assert_eq!(came_of_it.is_ok(), client <= 5, "{client}: {came_of_it:?}");
    }
    assert_eq!(order.lock().unwrap()[..5], [1, 2, 3, 4, 5]);
    assert_eq!(guard.shared().waiting(), 0);
    assert_eq!(guard.look("u").await, [(1, 0)]);
}

#[tokio::test]
async fn a_waiter_holds_nothing_and_one_that_leaves_charges_nothing() {
    let Some(server) = Server::start() else { return };
    let limits = [limit(&[Username], 1), limit(&[IpAddress], 9)];
    let guard = Arc::new(Guard::before(&server, &limits));
    let held = guard.admit(&guard.claim("u", 1)).await.unwrap();
    let waiter = Arc::clone(&guard);
    let waiting = tokio::spawn(async move { waiter.admit(&waiter.claim("u", 1)).await });
    until("it waits", || guard.shared().waiting() == 1).await;
    assert_eq!(guard.look("u").await, [(0, 1), (0, 1)]);
    waiting.abort();
    until("it has left", || guard.shared().waiting() == 0).await;
    drop(held.settle(Settlement::GivenBack).await);
    assert_eq!(guard.look("u").await, [(0, 0), (0, 0)]);
}

#[tokio::test]
async fn a_permit_that_is_dropped_is_a_failure_as_soon_as_the_server_is_told() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 3)]);
    drop(guard.admit(&guard.claim("u", 1)).await.unwrap());
    assert_eq!(guard.shared().later.count(), 1);
    guard.store.tell_later(guard.shared(), By::Attempt, 10).await.unwrap();
    assert_eq!(guard.look("u").await, [(1, 0)]);
    assert_eq!(guard.shared().later.count(), 0);
    assert_eq!(lock_count(&guard), 0, "the server's word is in force");
}

fn lock_count(guard: &Guard) -> usize {
    crate::store::memory::lock(&guard.shared().locals).count()
}

#[tokio::test]
async fn settling_twice_changes_nothing() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    drop(guard.admit(&guard.claim("u", 1)).await.unwrap());
    let mut twice = guard.shared().later.take(1);
    twice[0].owed = Owed::IfKnown;
    guard.shared().later.put_back([&twice[..], &twice[..]].concat());
    guard.store.tell_later(guard.shared(), By::Attempt, 10).await.unwrap();
    assert_eq!(guard.look("u").await, [(1, 0)]);
}

#[tokio::test]
async fn what_a_server_has_lost_counts_all_the_same() {
    let Some(mut server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    let permit = guard.admit(&guard.claim("u", 1)).await.unwrap();
    server.forget();
    assert_eq!(permit.settle(FAILURE).await[0].failures, 1);
}

#[tokio::test]
async fn the_places_of_a_guard_that_is_killed_are_failures_and_block_nobody_for_long() {
    let Some(server) = Server::start() else { return };
    let limits = [limit(&[Username], 2)];
    let (killed, other) = (Guard::before(&server, &limits), Guard::before(&server, &limits));
    killed.shared().leases.set_ttl(Duration::from_millis(300));
    // nothing of it is ever run again
    std::mem::forget(killed.admit(&killed.claim("u", 1)).await.unwrap());
    std::mem::forget(killed.admit(&killed.claim("v", 1)).await.unwrap());
    std::mem::forget(killed.admit(&killed.claim("v", 2)).await.unwrap());
    // two failures lock, and nobody waits until its time is over
    let refused = other.admit(&other.claim("v", 3)).await;
    assert!(matches!(refused, Err(Refusal::Locked { .. })), "{refused:?}");
    let settled = other.fail("u", 3).await.unwrap();
    assert_eq!((settled[0].failures, settled[0].locked_until.is_some()), (2, true));
}

#[tokio::test]
async fn a_lease_that_is_renewed_does_not_run_out() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 2)]);
    guard.shared().leases.set_ttl(Duration::from_secs(2));
    let permit = guard.admit(&guard.claim("u", 1)).await.unwrap();
    let begun = guard.clock.now();
    while guard.clock.now().since(begun) < Duration::from_secs(3) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        guard.store.renew_leases(guard.shared()).await;
    }
    assert_eq!(guard.look("u").await, [(0, 1)]);
    drop(permit.settle(Settlement::GivenBack).await);
    assert_eq!((guard.look("u").await, guard.shared().leases.count()), (vec![(0, 0)], 0));
}

#[tokio::test]
async fn a_lease_is_renewed_however_much_there_is_to_tell() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 2)]);
    guard.shared().leases.set_ttl(Duration::from_secs(2));
    let background = Background::begin(&guard.store).unwrap();
    let permit = guard.admit(&guard.claim("u", 1)).await.unwrap();
    let (begun, claim) = (guard.clock.now(), guard.claim("v", 1));
    while guard.clock.now().since(begun) < Duration::from_secs(3) {
        let lease = Arc::new(guard.shared().leases.begin(&claim, guard.clock.now()));
        let (what, owed) = (Settlement::GivenBack, Owed::IfKnown);
        guard.shared().later.add(Unsettled { lease, what, owed, ended: guard.clock.now() });
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(guard.look("u").await, [(0, 1)]);
    drop(permit.settle(Settlement::GivenBack).await);
    drop(background);
}

#[tokio::test]
async fn an_attempt_costs_one_question_and_one_more_to_settle() {
    let Some(mut server) = Server::start() else { return };
    let limits =
        [limit(&[Username], 50), limit(&[IpAddress], 50), limit(&[Username, IpAddress], 50)];
    let guard = Guard::before(&server, &limits);
    guard.fail("u", 1).await.unwrap(); // the server learns the scripts
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut server.connection).unwrap();
    for _ in 0..10 {
        guard.fail("u", 1).await.unwrap();
    }
    let told: String =
        redis::cmd("INFO").arg("commandstats").query(&mut server.connection).unwrap();
    let calls = |command: &str| {
        let line = told.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:")));
        line.map(|line| line.split(['=', ',']).nth(1).unwrap().to_owned())
    };
    assert_eq!(calls("evalsha").as_deref(), Some("20"), "{told}");
    assert_eq!((calls("eval"), calls("script|load")), (None, None), "{told}");
}

#[tokio::test]
async fn an_attempt_that_holds_no_places_is_charged_unless_it_would_have_been_refused() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 1)]);
    let claim = guard.claim("u", 1);
    assert_eq!(guard.store.would_refuse(&claim).await, None);
    let held = guard.admit(&claim).await.unwrap();
    let settled = guard.store.settle_unheld(&claim, FAILURE).await.unwrap();
    assert!(settled[0].locked_until.is_some());
    assert!(matches!(guard.store.would_refuse(&claim).await, Some(Refusal::Locked { .. })));
    let refused = guard.store.settle_unheld(&claim, FAILURE).await;
    assert!(matches!(refused, Err(Refusal::Locked { .. })));
    let unproved = Settlement::Failure(Proof::NoVerdict);
    assert_eq!(held.settle(unproved).await[0].failures, 2);
    let refused = guard.store.admit(claim, TERMS, Duration::ZERO).await;
    assert!(matches!(refused, Err(Refusal::Locked { .. })));
}
