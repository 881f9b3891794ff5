//! Locks by hand: a great many of them, and what comes of those that are over.

use std::time::Duration;

use super::server::Server;
use super::stores::{Guard, TERMS, limit, rules};
use crate::policy::lockout::Parameter::Username;
use crate::store::Reach;
use crate::store::hand::HandLock;
use crate::store::redis::answer::What;
use crate::store::redis::background::Background;
use crate::store::redis::hands::Stands;
use crate::store::redis::scripts::{ADMIT, HANDS};
use crate::store::select::Selector;

/// Locks so many addresses at `guard`.
async fn lock(guard: &Guard, count: u32) {
    for number in 0..count {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + number);
        let network = Some(ipnet::IpNet::from(std::net::IpAddr::from(address)));
        let selector = Selector { network, ..Selector::default() };
        let until = guard.clock.now().after(Duration::from_hours(1));
        let hand = HandLock { until, reason: Some("why".into()), username: None };
        let (_, reach) =
            guard.store.lock_everywhere(selector, hand, (&rules(), Stands::Always)).await.unwrap();
        assert_eq!(reach, Reach::Everywhere);
    }
}

#[tokio::test]
async fn more_than_come_in_one_piece_are_known_to_all() {
    let Some(server) = Server::start() else { return };
    let limits = [limit(&[Username], 5)];
    let (guard, other) = (Guard::before(&server, &limits), Guard::before(&server, &limits));
    lock(&guard, 1_500).await;
    assert_eq!(other.store.refresh_hand_locks().await, Reach::Everywhere);
    assert_eq!(other.store.hand_locks().len(), 1_500);
    let mut known: Vec<_> =
        other.store.hand_locks().into_iter().map(|(what, hand)| (what.network, hand)).collect();
    known.sort_by_key(|(network, _)| *network);
    let left = known[0].1.until.since(other.clock.now());
    assert!(left > Duration::from_mins(59) && left <= Duration::from_hours(1), "{left:?}");
    assert_eq!(known[0].1.reason.as_deref(), Some("why"));
}

#[tokio::test]
async fn one_more_costs_no_more_where_there_are_many() {
    let Some(mut server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    lock(&guard, 700).await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut server.connection).unwrap();
    lock(&guard, 1).await;
    let told: String =
        redis::cmd("INFO").arg("commandstats").query(&mut server.connection).unwrap();
    assert!(!told.contains("cmdstat_hgetall"), "{told}");
}

#[tokio::test]
async fn a_guard_that_starts_knows_them_before_it_is_asked() {
    let Some(server) = Server::start() else { return };
    let limits = [limit(&[Username], 5)];
    let (guard, other) = (Guard::before(&server, &limits), Guard::before(&server, &limits));
    lock(&guard, 1).await;
    let background = Background::begin(&other.store).unwrap();
    for _ in 0..10_000 {
        if !other.store.hand_locks().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(other.store.hand_locks().len(), 1);
    drop(background);
}

#[tokio::test]
async fn whoever_has_read_them_often_enough_is_told_no_more_that_they_have_changed() {
    let Some(server) = Server::start() else { return };
    let guard = Guard::before(&server, &[limit(&[Username], 5)]);
    lock(&guard, 1).await;
    let claim = guard.claim("u", 1);
    let about = guard.store.about(guard.shared(), &claim).unwrap();
    let mut said = Vec::new();
    for round in 1..=3 {
        let lease = guard.shared().leases.begin(&claim, guard.clock.now());
        let known = guard.shared().changes.known_in(round, "s");
        let request = about.admit(&lease, (60_000, 0), (&known, TERMS.while_locked));
        said.push(guard.store.run(guard.shared(), &ADMIT, &request).await.unwrap().what);
    }
    assert!(matches!(said.as_slice(), [What::Hands(_), What::Hands(_), What::Done]), "{said:?}");
}

#[tokio::test]
async fn those_that_are_over_make_room_and_all_end_with_the_last() {
    let Some(mut server) = Server::start() else { return };
    let key = ["p:{hands}".to_owned()];
    let mut run = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        server.run(&HANDS, &key, &words).0
    };
    assert_eq!(run(&["0", "lock", "2", "a", "1", "set", "x"]), "new");
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(run(&["0", "lock", "2", "b", "100000", "set", "x"]), "new");
    assert_eq!(run(&["0", "lock", "2", "c", "n", "set", "x"]), "new");
    assert_eq!(run(&["0", "lock", "2", "d", "5", "set", "x"]), "many");
    assert_eq!(run(&["0", "lock", "2", "b", "5", "longer", "x"]), "known");
    assert_eq!(run(&["0", "lock", "2", "b", "200000", "longer", "x"]), "joined");
    assert_eq!(run(&["0", "unlock", "c", "e"]), "unlocked");
    let left: i64 = redis::cmd("PTTL").arg(&key[0]).query(&mut server.connection).unwrap();
    assert!(left == -1 || left > 100_000, "{left}");
}
