//! What comes late, comes twice, was lost, or is not what it should be: nothing counts twice, nothing
//! counts that was not sent, and no counter takes the server away.

use std::sync::Arc;
use std::time::Duration;

use super::server::Server;
use super::stores::{FAILURE, Guard, TERMS, limit};
use crate::clock::Clock;
use crate::policy::key::Claim;
use crate::policy::lockout::Parameter::{IpAddress, Username};
use crate::policy::lockout::{History, Parts};
use crate::store::Reach;
use crate::store::ledger::{Refusal, Settlement};
use crate::store::operate::Reset;
use crate::store::redis::answer::What;
use crate::store::redis::background::By;
use crate::store::redis::later::Unsettled;
use crate::store::redis::lease::Lease;
use crate::store::redis::merge::{self, Offer};
use crate::store::redis::outage::{Outage, Why};
use crate::store::redis::request::{Due, Owed, Request};
use crate::store::redis::scripts::{ADMIT, SETTLE};
use crate::store::select::Selector;

/// The key of the only counter that there is.
fn only_key(server: &mut Server) -> String {
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("*:c:*").query(&mut server.connection).expect("keys");
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys.into_iter().next().expect("it")
}

/// What `guard` asks for `lease`.
fn asking(guard: &Guard, claim: &Arc<Claim>, lease: &Lease) -> Request {
    let about = guard.store.about(guard.shared(), claim).expect("its own");
    about.admit(lease, (60_000, 0), ("0", TERMS.while_locked))
}

async fn ask(guard: &Guard, request: &Request) -> What {
    guard.store.run(guard.shared(), &ADMIT, request).await.expect("an answer").what
}

/// The server is away until it is said to be back.
fn trip(guard: &Guard) {
    guard.shared().wire.breaker().trip(&Outage::never(Why::Another));
}

#[tokio::test]
async fn a_counter_that_is_not_what_it_should_be_begins_anew() {
    let Some(mut server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    guard.fail("u", 1).await.unwrap();
    let key = only_key(&mut server);
    let spoilt: [&[&str]; 4] = [
        &["HSET", &key, "h", "1 2 three"],
        &["HSET", &key, "h", "", "z", "soon", "x:1", "never", "l:1", "for ever"],
        &["SET", &key, "of somebody else"],
        &["RPUSH", &key, "of", "another"],
    ];
    for words in spoilt {
        if words[0] != "HSET" {
            redis::cmd("DEL").arg(&key).exec(&mut server.connection).unwrap();
        }
        redis::cmd(words[0]).arg(&words[1..]).exec(&mut server.connection).unwrap();
        assert_eq!(guard.store.refresh().await, Reach::Everywhere, "{words:?}");
        assert_eq!(guard.fail("u", 1).await.unwrap()[0].failures, 1, "{words:?}");
        assert!(!guard.shared().is_away(), "{words:?}");
    }
}

#[tokio::test]
async fn whatever_numbers_are_told_a_counter_can_be_read_again() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    let claim = guard.claim("u", 1);
    let now = guard.clock.now();
    let parts = Parts {
        failures: 3,
        attempts: u16::MAX,
        without_verdict: 3,
        refused: u32::MAX,
        latest: now,
        forget_at: now.after(Duration::from_mins(1)),
        leak_every: u64::MAX,
        tally: u16::MAX,
        forget_tally_at: crate::clock::Moment(u64::MAX - 1),
        ..Parts::default()
    };
    let (charge, subject) = (claim.charges[0], Arc::clone(&claim.subject));
    let offer = Offer {
        charge,
        subject,
        seen: Some(History::from(parts)),
        on: merge::Server::Any,
        alone: None,
    };
    guard.store.merge_shared((guard.shared(), By::Attempt), &[offer]).await.unwrap();
    assert_eq!(guard.fail("u", 1).await.unwrap()[0].failures, 4);
    assert!(!guard.shared().is_away());
}

#[tokio::test]
async fn an_answer_about_fewer_counters_admits_nobody() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    let told = |counters: &[&str]| {
        let bytes = |text: &str| redis::Value::BulkString(text.as_bytes().to_vec());
        let counters = counters.iter().copied().map(bytes);
        let parts = [bytes("in"), redis::Value::Int(1)].into_iter().chain(counters);
        guard.store.read(guard.shared(), &redis::Value::Array(parts.collect()), 1)
    };
    assert!(told(&["0 0 0 0 0 0 0 0 0 0 -1 5 0 - -"]).is_ok());
    assert!(told(&[]).is_err());
}

#[tokio::test]
async fn what_a_server_has_lost_and_is_told_again_is_listed_everywhere() {
    let Some(mut server) = Server::start() else { return };
    let limits = [limit(&[Username], 1)];
    let (guard, other) = (Guard::before(&server, &limits), Guard::before(&server, &limits));
    let permit = guard.admit(&guard.claim("u", 1)).await.unwrap();
    server.forget();
    assert!(permit.settle(FAILURE).await[0].locked_until.is_some());
    assert_eq!(other.store.refresh().await, Reach::Everywhere);
    assert_eq!(other.store.list(&Selector::default()).len(), 1);
}

#[tokio::test]
async fn a_reset_holds_although_the_server_s_clock_was_set_back() {
    let Some(mut server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 1)]);
    guard.fail("u", 1).await.unwrap();
    let key = only_key(&mut server);
    let history: String =
        redis::cmd("HGET").arg(&key).arg("h").query(&mut server.connection).unwrap();
    let later = |word: &str| match word.parse::<u64>() {
        Ok(time) if word.len() == 13 => (time + 3_600_000).to_string(),
        _ => word.to_owned(),
    };
    let ahead: Vec<String> = history.split(' ').map(later).collect();
    redis::cmd("HSET")
        .arg(&key)
        .arg(&["h", &ahead.join(" ")])
        .exec(&mut server.connection)
        .unwrap();
    assert!(matches!(guard.fail("u", 1).await, Err(Refusal::Locked { .. })));
    let all = |_: &_, _: &_| true;
    let mut removed = 0;
    for part in crate::store::Store::parts() {
        removed += guard.store.reset_part_everywhere(part, all, Reset::Everything).await.0;
    }
    assert_eq!(removed, 1);
    assert!(guard.fail("u", 1).await.is_ok());
}

#[tokio::test]
async fn an_admission_that_comes_twice_takes_its_places_once() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 1), limit(&[IpAddress], 9)]);
    let claim = guard.claim("u", 1);
    let lease = guard.shared().leases.begin(&claim, guard.clock.now());
    let request = asking(&guard, &claim, &lease);
    assert_eq!(ask(&guard, &request).await, What::Done);
    assert_eq!(ask(&guard, &request).await, What::Done, "it has the last place itself");
    assert_eq!(guard.look("u").await, [(0, 1), (0, 1)]);
}

#[tokio::test]
async fn an_admission_that_comes_after_it_was_given_back_takes_nothing() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    let claim = guard.claim("u", 1);
    let lease = Arc::new(guard.shared().leases.begin(&claim, guard.clock.now()));
    let request = asking(&guard, &claim, &lease);
    let (what, owed) = (Settlement::GivenBack, Owed::IfKnown);
    guard.shared().later.add(Unsettled { lease, what, owed, ended: guard.clock.now() });
    guard.store.tell_later(guard.shared(), By::Attempt, 1).await.unwrap();
    assert_eq!(ask(&guard, &request).await, What::Late);
    assert_eq!(guard.look("u").await, [(0, 0)]);
    assert_eq!(guard.fail("u", 1).await.unwrap()[0].failures, 1, "others are not concerned");
}

#[tokio::test]
async fn a_settlement_that_comes_again_after_it_was_told_later_counts_once() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    let claim = guard.claim("u", 1);
    let lease = Arc::new(guard.shared().leases.begin(&claim, guard.clock.now()));
    assert_eq!(ask(&guard, &asking(&guard, &claim, &lease)).await, What::Done);
    let about = guard.store.about(guard.shared(), &claim).unwrap();
    let given_up = about.settle(&lease, (Due::Surely, (Duration::ZERO, 0)), FAILURE);
    let (what, owed) = (FAILURE, Owed::IfKnown);
    guard.shared().later.add(Unsettled { lease, what, owed, ended: guard.clock.now() });
    guard.store.tell_later(guard.shared(), By::Attempt, 1).await.unwrap();
    guard.store.run(guard.shared(), &SETTLE, &given_up).await.unwrap();
    assert_eq!(guard.look("u").await, [(1, 0)]);
}

#[tokio::test]
async fn a_settlement_that_the_client_of_a_cluster_says_twice_counts_once() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    let claim = guard.claim("u", 1);
    let about = guard.store.about(guard.shared(), &claim).unwrap();
    for is_lost in [false, true] {
        let lease = guard.shared().leases.begin(&claim, guard.clock.now());
        if !is_lost {
            assert_eq!(ask(&guard, &asking(&guard, &claim, &lease)).await, What::Done);
        }
        let said = about.settle(&lease, (Due::Surely, (Duration::ZERO, 60_000)), FAILURE);
        for _ in 0..2 {
            guard.store.run(guard.shared(), &SETTLE, &said).await.unwrap();
        }
    }
    assert_eq!(guard.look("u").await, [(2, 0)]);
}

#[tokio::test]
async fn a_lease_that_ran_out_and_was_charged_is_not_charged_again_by_its_guard() {
    let Some(server) = Server::start() else { return };
    let (clock, limits) = (Clock::driven(), [limit(&[Username], 9)]);
    let guard = Guard::new(Some(&server), clock.clone(), &limits);
    let other = Guard::new(Some(&server), clock.clone(), &limits);
    let claim = guard.claim("u", 1);
    let lease = guard.shared().leases.begin(&claim, guard.clock.now());
    assert_eq!(ask(&guard, &asking(&guard, &claim, &lease)).await, What::Done);
    // the guard is cut off, and what it said never came
    let about = guard.store.about(guard.shared(), &claim).unwrap();
    let late = about.settle(&lease, (Due::Surely, (Duration::ZERO, 0)), FAILURE);
    clock.advance(Duration::from_secs(61));
    other.fail("u", 2).await.unwrap();
    assert_eq!(other.look("u").await, [(2, 0)], "the one that ran out, and its own");
    guard.store.run(guard.shared(), &SETTLE, &late).await.unwrap();
    assert_eq!(other.look("u").await, [(2, 0)]);
}

#[tokio::test]
async fn what_only_a_server_that_is_gone_may_have_heard_counts_where_nobody_saw_it() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    let claim = guard.claim("u", 1);
    let about = guard.store.about(guard.shared(), &claim).unwrap();
    let tell = async |seen: &[Option<u32>]| {
        let lease = guard.shared().leases.begin(&claim, guard.clock.now());
        let said = about.settle(&lease, (Due::IfUnseen(seen), (Duration::ZERO, 0)), FAILURE);
        guard.store.run(guard.shared(), &SETTLE, &said).await.unwrap();
    };
    tell(&[None]).await;
    assert_eq!(guard.look("u").await, [(0, 0)], "nobody knows what was seen");
    tell(&[Some(0)]).await;
    assert_eq!(guard.look("u").await, [(1, 0)]);
    tell(&[Some(0)]).await;
    assert_eq!(guard.look("u").await, [(1, 0)], "that is perhaps this one");
    tell(&[Some(1)]).await;
    assert_eq!(guard.look("u").await, [(2, 0)]);
}

#[tokio::test]
async fn what_was_admitted_alone_counts_whatever_others_have_locked_meanwhile() {
    let Some(server) = Server::start() else { return };
    let limits = [limit(&[Username], 1), limit(&[IpAddress], 9)];
    let (guard, other) = (Guard::before(&server, &limits), Guard::before(&server, &limits));
    trip(&guard);
    let permit = guard.admit(&guard.claim("u", 1)).await.unwrap();
    other.fail("u", 2).await.unwrap();
    guard.shared().wire.breaker().close();
    let settled = permit.settle(FAILURE).await;
    assert_eq!(settled.iter().map(|one| one.failures).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(other.look("u").await, [(2, 0), (1, 0)]);
}
