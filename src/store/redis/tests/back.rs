//! The server is back: what was held and counted here alone is held and counted there.

use std::time::Duration;

use super::server::Server;
use super::stores::{FAILURE, Guard, limit};
use crate::policy::lockout::Parameter::Username;
use crate::policy::route::ResetOnSuccess;
use crate::store::ledger::Settlement;
use crate::store::memory::lock;
use crate::store::redis::outage::{Outage, Why};
use crate::store::redis::recover::Debt;

const SUCCESS: Settlement = Settlement::Success { reset: ResetOnSuccess::All };

/// From now on it is out of reach, as far as this guard knows.
fn lose(guard: &Guard) {
    assert!(guard.shared().wire.breaker().trip(&Outage::never(Why::Another)));
}

#[tokio::test]
async fn places_that_a_guard_gave_out_alone_are_held_by_all() {
    let Some(server) = Server::start() else { return };
    let limits = [limit(&[Username], 3)];
    let (guard, other) = (Guard::before(&server, &limits), Guard::before(&server, &limits));
    guard.fail("u", 1).await.unwrap();
    lose(&guard);
    let [first, second] = [
        guard.admit(&guard.claim("u", 1)).await.unwrap(),
        guard.admit(&guard.claim("u", 1)).await.unwrap(),
    ];
    other.fail("u", 1).await.unwrap();
    assert_eq!(other.look("u").await, [(2, 0)]);
    guard.store.recover(guard.shared()).await;
    assert_eq!(other.look("u").await, [(2, 2)], "whether or not there is room");
    assert_eq!(first.settle(FAILURE).await[0].failures, 3);
    drop(second.settle(Settlement::GivenBack).await);
    guard.store.recover(guard.shared()).await;
    assert_eq!((other.look("u").await, guard.shared().leases.count()), (vec![(3, 0)], 0));
}

#[tokio::test]
async fn an_attempt_that_began_alone_and_ends_when_the_server_is_back_counts_once() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    lose(&guard);
    let [early, late] = [
        guard.admit(&guard.claim("u", 1)).await.unwrap(),
        guard.admit(&guard.claim("u", 1)).await.unwrap(),
    ];
    assert_eq!(early.settle(FAILURE).await[0].failures, 1);
    // before anybody could tell the server of it
    guard.shared().wire.breaker().close();
    assert_eq!(late.settle(FAILURE).await[0].failures, 1, "as the server knows it");
    guard.store.recover(guard.shared()).await;
    guard.store.recover(guard.shared()).await;
    assert_eq!(guard.look("u").await, [(2, 0)]);
}

#[tokio::test]
async fn places_that_a_server_has_lost_are_held_again() {
    let Some(mut server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    guard.fail("u", 1).await.unwrap();
    let permit = guard.admit(&guard.claim("u", 1)).await.unwrap();
    server.forget();
    lose(&guard);
    *lock(&guard.shared().debt) = Debt::OfAny;
    guard.shared().leases.lose_all();
    guard.store.recover(guard.shared()).await;
    assert_eq!(guard.look("u").await, [(1, 1)]);
    assert_eq!(permit.settle(FAILURE).await[0].failures, 2);
    assert_eq!(guard.look("u").await, [(2, 0)]);
}

#[tokio::test]
async fn what_the_server_tells_takes_nothing_back_that_it_does_not_know() {
    let Some(server) = Server::start() else { return };
    let limits = [limit(&[Username], 3)];
    let (guard, other) = (Guard::before(&server, &limits), Guard::before(&server, &limits));
    guard.fail("u", 1).await.unwrap();
    lose(&guard);
    guard.fail("u", 1).await.unwrap();
    other.fail("u", 1).await.unwrap();
    // an answer that was on its way
    let claim = guard.claim("u", 1);
    let about = guard.store.about(guard.shared(), &claim).unwrap();
    let asked = (&*crate::store::redis::scripts::PEEK, &about.peek("0"));
    let by = crate::store::redis::background::By::Recovery;
    let answer = guard.store.run_by(guard.shared(), by, asked).await.unwrap();
    assert_eq!(answer.told[0].history.failures(), 2);
    guard.store.adopt(&about, &answer);
    assert!(guard.fail("u", 1).await.is_err(), "two there, and one here");
    guard.store.recover(guard.shared()).await;
    assert!(other.fail("u", 1).await.is_err(), "and so it is everywhere");
}

#[tokio::test]
async fn what_was_offered_and_perhaps_not_taken_is_offered_again_under_its_number() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 9)]);
    let offered = || {
        let offered = lock(&guard.shared().locals).offer();
        let told = offered.into_iter().map(|offered| offered.alone.unwrap());
        told.map(|(id, alone)| (id, alone.failures)).collect::<Vec<_>>()
    };
    lose(&guard);
    guard.fail("u", 1).await.unwrap();
    guard.fail("u", 1).await.unwrap();
    let first = offered();
    assert_eq!((first.len(), first[0].1), (1, 2));
    guard.fail("u", 1).await.unwrap();
    let both = offered();
    assert_eq!((both.len(), both[0], both[1].1), (2, first[0], 1));
    guard.store.recover(guard.shared()).await;
    assert_eq!(guard.look("u").await, [(3, 0)]);
    assert_eq!(lock(&guard.shared().locals).count(), 0);
}

#[tokio::test]
async fn a_success_clears_what_failed_alone_before_it() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    lose(&guard);
    guard.fail("u", 1).await.unwrap();
    let permit = guard.admit(&guard.claim("u", 1)).await.unwrap();
    assert_eq!(permit.settle(SUCCESS).await[0].cleared, 1);
    guard.fail("u", 1).await.unwrap();
    guard.store.recover(guard.shared()).await;
    assert_eq!(guard.look("u").await, [(1, 0)]);
}

#[tokio::test]
async fn what_others_cleared_meanwhile_does_not_come_back() {
    let Some(server) = Server::start() else { return };
    for debt in [Debt::None, Debt::OfAny, Debt::OfAnother] {
        let limits = [limit(&[Username], 5)];
        let (guard, other) = (Guard::before(&server, &limits), Guard::before(&server, &limits));
        guard.fail("u", 1).await.unwrap();
        lose(&guard);
        // how long ago something was is told no more exactly than an answer takes
        tokio::time::sleep(Duration::from_millis(500)).await;
        let permit = other.admit(&other.claim("u", 1)).await.unwrap();
        assert_eq!(permit.settle(SUCCESS).await[0].cleared, 1);
        *lock(&guard.shared().debt) = debt;
        guard.store.recover(guard.shared()).await;
        assert_eq!(other.look("u").await, [(0, 0)], "{debt:?}");
    }
}
