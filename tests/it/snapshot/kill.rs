//! A guard that is killed again and again, at any moment, while many guess.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use loginward::clock::Clock;
use loginward::config::StoreSettings;
use loginward::policy::key::ScopeKind;
use loginward::policy::lockout::{CoolOff, Limit, Parameter};
use loginward::snapshot::Snapshot;
use loginward::store::Store;
use loginward::store::register::LimitName;
use loginward::store::select::Selector;

use super::operated::Operated;
use super::*;

/// So many failures of a username lock, and so many of an address.
const MOST: [u32; 2] = [5, 20];
const CLIENTS: usize = 6;
/// More of both than can be used up.
const USERS: u64 = 2000;
const ADDRESSES: u64 = 400;
/// How many rounds there are, where this does not say otherwise.
const ROUNDS: &str = "LOGINWARD_TEST_KILLS";

/// A wrong guess, and what was answered.
struct Guess {
    /// The username and the address.
    of: [String; 2],
    answered: Option<(Instant, Answered)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It was wrong.
    Failure,
    /// It is locked for so many seconds.
    Locked(u64),
    Other(u16),
}

/// Numbers without any order.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }

    pub fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// Tries a password on a connection of its own; nothing where the guard is killed meanwhile.
pub fn guess(guard: SocketAddr, of: &[String; 2], password: &str) -> Option<Answered> {
    let ask = Ask::login(&of[0], password).with("X-Forwarded-For", &of[1]);
    let mut stream = TcpStream::connect(guard).ok()?;
    stream.write_all(&ask.with("Connection", "close").bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.get(9..12)?.parse().ok()?;
    let (head, _) = answer.split_once("\r\n\r\n")?;
    let retry = head.lines().find_map(|line| line.strip_prefix("retry-after: "));
    Some(match (status, retry) {
        (200, _) => Answered::Failure,
        (403, Some(seconds)) => Answered::Locked(seconds.parse().unwrap()),
        _ => Answered::Other(status),
    })
}

/// Guesses until `over`.
fn guess_on(guard: SocketAddr, over: &AtomicBool, round: usize) -> Vec<Guess> {
    let (mut random, mut guesses) = (Random::new(), Vec::new());
    while !over.load(Ordering::Relaxed) {
        // a part of them is tried in every round, so that all states are met
        let user = match random.below(2) {
            0 => format!("user{}", random.below(USERS / 10)),
            _ => format!("user{}-{round}", random.below(USERS)),
        };
        let number = random.below(ADDRESSES);
        let of = [user, format!("203.0.{}.{}", number / 250, number % 250)];
        let answered = guess(guard, &of, "wrong").map(|answered| (wait::now(), answered));
        guesses.push(Guess { of, answered });
        std::thread::park_timeout(Duration::from_millis(1));
    }
    guesses
}

/// What a file says.
pub struct Kept {
    /// Failures that count, and the seconds that it is locked, by what is counted.
    pub counters: BTreeMap<String, (u32, Option<u64>)>,
    /// Whose usernames are locked by hand.
    pub by_hand: BTreeSet<String>,
}

/// What a file says.
fn kept(shelf: &Shelf) -> Kept {
    let copy = Shelf::new();
    std::fs::copy(shelf.file(), copy.file()).unwrap();
    let snapshot = Snapshot::open(&copy.file()).unwrap();
    let settings =
        StoreSettings { max_counters: 100_000, max_lockouts: 100_000, snapshot: None, redis: None };
    let store = Store::new(&settings, Clock::system(), snapshot.keyer().expect("an intact head"));
    for (parameter, most) in [Parameter::Username, Parameter::IpAddress].into_iter().zip(MOST) {
        let cool_off = Duration::from_mins(10);
        let limit = Limit {
            name: parameter.name().into(),
            by: vec![parameter],
            failures: NonZeroU32::new(most).unwrap(),
            cool_off: CoolOff::Steps(vec![cool_off]),
            forget_after: cool_off,
            ..Limit::usual()
        };
        let (site, limit_name, kind) = ("shop".into(), limit.name.clone(), ScopeKind::Limit);
        let name = LimitName { site, login: None, limit: limit_name, kind };
        drop(store.register(name, Arc::new(limit)));
    }
    let keeping = snapshot.keep(&store).unwrap();
    let now = store.clock().now();
    let (rows, hands) = (store.list(&Selector::default()), store.hand_locks());
    keeping.leave();
    let row = |row: loginward::store::select::Row| {
        let left = row.locked_until.map(|until| until.since(now).as_secs());
        (row.parameters[0].1.clone(), (row.failures, left))
    };
    let counters = rows.into_iter().map(row).collect();
    let by_hand = hands.into_iter().filter_map(|(_, hand)| hand.username);
    Kept { counters, by_hand: by_hand.map(|name| name.to_string()).collect() }
}

/// What was learned in all rounds so far.
#[derive(Default)]
struct Known {
    /// Failures that were answered so long before a kill that they cannot be lost.
    certain: BTreeMap<String, u32>,
    /// Guesses that may have been forgotten.
    doubtful: BTreeMap<String, u32>,
    /// Until when it is locked at least.
    locked: BTreeMap<[String; 2], Instant>,
}

impl Known {
    fn learn(&mut self, guesses: &[Guess], killed: Instant) {
        for Guess { of, answered } in guesses {
            match answered {
                Some((at, Answered::Failure)) if *at + Duration::from_secs(1) < killed => {
                    of.iter().for_each(|of| *self.certain.entry(of.clone()).or_default() += 1);
                }
                Some((at, Answered::Locked(seconds))) => {
                    let until = *at + Duration::from_secs(*seconds);
                    self.locked.insert(of.clone(), until);
                }
                Some((_, Answered::Failure)) | None => {
                    of.iter().for_each(|of| *self.doubtful.entry(of.clone()).or_default() += 1);
                }
                Some((_, Answered::Other(status))) => panic!("answered {status}"),
            }
        }
    }

    /// Holds what the file says against what clients were told.
    fn hold_against(&self, kept: &Kept) {
        let kept = &kept.counters;
        for (of, least) in &self.certain {
            let (failures, _) = kept.get(of).unwrap_or_else(|| panic!("{of} is forgotten"));
            assert!(failures >= least, "{of}: {failures} of at least {least}");
        }
        for (of, until) in &self.locked {
            let left = until.saturating_duration_since(wait::now()).as_secs();
            let found = of.iter().filter_map(|of| kept.get(of)?.1).max();
            let found = found.unwrap_or_else(|| panic!("{of:?} is not locked any more"));
            assert!((left.saturating_sub(2)..=600).contains(&found), "{of:?}: {found} of {left}");
        }
    }
}

#[test]
fn whatever_moment_it_is_killed_at_nothing_is_forgotten_that_somebody_was_told() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let text = "trusted_proxies: 127.0.0.1\nlockout:\n  limits:\n    \
                - { by: username, failures: 5, cool_off: 10m }\n    \
                - { by: ip_address, failures: 20, cool_off: 10m }\n";
    let text = &format!("{ADMIN}{text}");
    let (mut known, mut random) = (Known::default(), Random::new());
    let mut operated = Operated::new();
    for round in 0..rounds {
        let guard = shelf.start(text, &upstream);
        let (address, over) = (guard.addr(), Arc::new(AtomicBool::new(false)));
        let sample: Vec<_> = known.locked.keys().collect();
        for _ in 0..sample.len().min(40) {
            let of = sample[random.below(sample.len() as u64) as usize];
            let answered = guess(address, of, "right");
            assert!(matches!(answered, Some(Answered::Locked(_))), "{of:?} is locked");
        }
        operated.ask(address);
        let operator = {
            let (over, socket) = (Arc::clone(&over), guard.dir().join("admin.sock"));
            std::thread::spawn(move || operated.go_on(address, &socket, &over))
        };
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let over = Arc::clone(&over);
                std::thread::spawn(move || guess_on(address, &over, round))
            })
            .collect();
        // this is how long it lives, and not a wait for anything
        std::thread::park_timeout(Duration::from_millis(100 + random.below(2000)));
        let killed = wait::now();
        drop(guard);
        over.store(true, Ordering::Relaxed);
        let guesses: Vec<Guess> =
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        known.learn(&guesses, killed);
        operated = operator.join().unwrap();
        let kept = kept(&shelf);
        known.hold_against(&kept);
        operated.hold_against(&kept);
    }
    operated.assert_busy();
    assert!(!shelf.names().iter().any(|name| name.ends_with(".new.new")));
    // one that is locked in the end, so that what follows can fail however few guesses there were
    let guard = shelf.start(text, &upstream);
    let of = ["user0".to_owned(), "203.0.0.0".to_owned()];
    while !matches!(guess(guard.addr(), &of, "wrong"), Some(Answered::Locked(_))) {}
    assert_capped(&upstream, &known);
}

/// In all rounds together no more guesses were let through than the limit and those that may have
/// been forgotten.
fn assert_capped(upstream: &Upstream, known: &Known) {
    let mut hits: BTreeMap<String, u32> = BTreeMap::new();
    for request in upstream.requests() {
        let body = request.text();
        let user = body.strip_prefix("user=").and_then(|rest| rest.split('&').next()).unwrap();
        if Operated::has(user) {
            continue; // these may try again whenever they were reset
        }
        *hits.entry(user.to_owned()).or_default() += 1;
        let from = request.get("x-forwarded-for").unwrap().to_owned();
        *hits.entry(from.split(',').next().unwrap().to_owned()).or_default() += 1;
    }
    let mut full = BTreeSet::new();
    for (of, hits) in &hits {
        let most = if of.starts_with("user") { MOST[0] } else { MOST[1] };
        let doubtful = known.doubtful.get(of).copied().unwrap_or_default();
        assert!(*hits <= most + doubtful, "{of}: {hits} of {most}, and {doubtful} forgotten");
        if *hits >= most {
            full.insert(of);
        }
    }
    assert!(!full.is_empty(), "a limit was reached");
}
