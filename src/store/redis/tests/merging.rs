//! What guards know of one counter is put together as [`History::merged`] does.

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::server::Server;
use crate::clock::Moment;
use crate::policy::lockout::{CoolOff, Failure, Forget, History, Limit, Proof, Spelling};
use crate::store::redis::counter::{Found, Told, limit_text, spelling};
use crate::store::redis::scripts::{CHARGE, MERGE, RESET};

const NOW: Moment = Moment(1_000_000);

/// Failures of a counter: how long ago, how many guesses, of which kind.
type Failures = Vec<(u64, u32, u64)>;

/// Failures that only one guard knows of: with and without a verdict, how long ago.
type Alone = (u32, u32, u64);

/// What a guard tells: what it saw, and what only it knows.
type Telling = (Failures, Alone, u64);

fn limit(leaks: bool, steps: &[u64]) -> Limit {
    let steps = steps.iter().copied().map(Duration::from_millis).collect();
    Limit {
        failures: NonZeroU32::new(4).expect("not zero"),
        cool_off: CoolOff::Steps(steps),
        forget: if leaks { Forget::Leaky } else { Forget::Together },
        forget_after: Duration::from_millis(6_000),
        forget_lockouts_after: Duration::from_millis(9_000),
        ..Limit::usual()
    }
}

fn seen(mut failures: Failures, limit: &Limit) -> History {
    failures.sort_unstable_by_key(|(ago, ..)| std::cmp::Reverse(*ago));
    let mut history = History::default();
    for (ago, guesses, what) in failures {
        let at = Moment(NOW.0 - ago);
        let proof = if what == 0 { Proof::NoVerdict } else { Proof::Verdict };
        history = history.aged(limit, at);
        history.fail(limit, Failure { guesses, proof, spelling: Spelling::One(what) }, at);
        if history.is_locked() && what == 2 {
            history.refuse(limit, 1, at);
        }
    }
    history
}

fn merged(own: History, other: History, alone: Alone, (limit, now): (&Limit, Moment)) -> History {
    let mut history = own.merged(other, limit, now);
    let (with, without, ago) = alone;
    let at = Moment(now.0 - ago).max(history.latest());
    for (guesses, proof) in [(with, Proof::Verdict), (without, Proof::NoVerdict)] {
        if guesses > 0 {
            history = history.aged(limit, at);
            history.fail(limit, Failure { guesses, proof, spelling: Spelling::One(7) }, at);
        }
    }
    history.aged(limit, now)
}

fn told(
    server: &mut Server,
    key: &str,
    limit: &Limit,
    (now, telling): (Moment, &[String]),
) -> Told {
    let first = [now.0.to_string(), limit_text(limit)];
    let arguments: Vec<String> = first.into_iter().chain(telling.iter().cloned()).collect();
    let (_, told) = server.run(&MERGE, &[key.to_owned()], &arguments);
    Told::read(&told[0], now).expect("a counter")
}

fn telling(history: History, alone: Alone, now: Moment) -> [String; 8] {
    telling_of(&history.to_text(now), ("-", &format!("o:{:x}", rand())), alone)
}

/// The same of what was seen `before` this server, and offered under a number.
fn telling_of(seen: &str, (before, id): (&str, &str), (with, without, ago): Alone) -> [String; 8] {
    let words = [seen, before, id].map(str::to_owned);
    let numbers = [with.to_string(), without.to_string(), ago.to_string()];
    let last = [spelling(Spelling::One(7)), "about".to_owned()];
    let all: Vec<String> = words.into_iter().chain(numbers).chain(last).collect();
    all.try_into().expect("eight words")
}

/// No two are the same.
fn rand() -> u128 {
    crate::store::redis::shared::random()
}

fn step() -> impl Strategy<Value = Telling> {
    let failures = prop::collection::vec((0_u64..8_000, 1_u32..3, 0_u64..3), 0..5);
    let alone = prop_oneof![
        2 => Just((0, 0, 0)),
        1 => (0_u32..3, 0_u32..3, 0_u64..5_000),
    ];
    (failures, alone, 0_u64..3_000)
}

#[test]
fn what_two_guards_know_is_put_together_as_the_policy_does() {
    let Some(server) = Server::start() else { return };
    let server = RefCell::new(server);
    let config = ProptestConfig { cases: 600, source_file: Some(file!()), ..Default::default() };
    let steps = prop::collection::vec(1_u64..20_000, 1..4);
    let cases = ("[a-z]{16}", any::<bool>(), steps, prop::collection::vec(step(), 1..5));
    let played = TestRunner::new(config).run(&cases, |(key, leaks, steps, tellings)| {
        let limit = limit(leaks, &steps);
        let (mut own, mut now) = (History::default(), NOW);
        // the same case comes again while it is made smaller
        let forget = redis::cmd("DEL").arg(&key).exec(&mut server.borrow_mut().connection);
        forget.expect("an answer");
        for (failures, alone, wait) in tellings {
            now = now.after(Duration::from_millis(wait));
            let other = seen(failures, &limit);
            let words = telling(other, alone, now);
            let server = &mut server.borrow_mut();
            own = merged(own, other, alone, (&limit, now));
            prop_assert_eq!(told(server, &key, &limit, (now, &words)).history, own);
            // again, without what only that guard knows, changes nothing, unless a lockout was over
            let again = telling(other, (0, 0, 0), now);
            let after = told(server, &key, &limit, (now, &again));
            let before = own.merged(History::default(), &limit, now);
            own = own.merged(other, &limit, now);
            let found = if own.is_like(&before) { Found::No } else { Found::Yes };
            prop_assert_eq!((after.history, after.found), (own, found));
        }
        Ok(())
    });
    played.unwrap_or_else(|wrong| panic!("{wrong}"));
}

#[test]
fn what_is_older_than_a_reset_is_not_believed() {
    let Some(mut server) = Server::start() else { return };
    let limit = limit(false, &[5_000, 10_000]);
    let key = "counter".to_owned();
    let history = seen(vec![(3_000, 2, 1)], &limit);
    let words = |alone| telling(history, alone, NOW);
    assert_eq!(told(&mut server, &key, &limit, (NOW, &words((0, 0, 0)))).history.failures(), 2);
    let reset =
        |ago: &str| [NOW.0.to_string(), ago.to_owned(), "all".to_owned(), limit_text(&limit)];
    server.run(&RESET, std::slice::from_ref(&key), &reset("1000"));
    let after = |server: &mut Server, alone| told(server, &key, &limit, (NOW, &words(alone)));
    assert_eq!(after(&mut server, (1, 1, 2_000)).history.failures(), 0);
    assert_eq!(after(&mut server, (1, 1, 500)).history.failures(), 2);
}

#[test]
fn a_counter_that_comes_so_is_described_and_kept_as_long_as_it_matters() {
    let Some(mut server) = Server::start() else { return };
    let limit = limit(false, &[5_000]);
    let history = seen(vec![(0, 2, 1)], &limit);
    // by the server's own clock
    let words: Vec<String> = telling(history, (0, 0, 0), NOW).into();
    let first = ["0".to_owned(), limit_text(&limit)];
    let arguments: Vec<String> = first.into_iter().chain(words).collect();
    server.run(&MERGE, &["counter".to_owned()], &arguments);
    let about: String =
        redis::cmd("HGET").arg(&["counter", "d"]).query(&mut server.connection).expect("a text");
    assert_eq!(about, "about");
    let left: i64 =
        redis::cmd("PTTL").arg("counter").query(&mut server.connection).expect("a time");
    assert!((5_000..=6_000).contains(&left), "{left}");
}

#[test]
fn what_guards_counted_alone_adds_up_whoever_tells_first_and_how_often() {
    let Some(mut server) = Server::start() else { return };
    let limit = Limit { failures: NonZeroU32::new(9).expect("not zero"), ..limit(false, &[5_000]) };
    let one = seen(vec![(3_000, 1, 1)], &limit).to_text(NOW);
    let two = seen(vec![(3_000, 2, 1)], &limit).to_text(NOW);
    let guards = [
        telling_of(&one, ("r2", "o:1"), (0, 0, 0)),
        telling_of("-", ("r2", "o:2"), (1, 0, 500)),
        telling_of("-", ("r2", "o:3"), (0, 1, 500)),
        telling_of(&two, ("r2", "o:4"), (1, 0, 500)),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
        let key = format!("{order:?}");
        let mut last = 0;
        for at in order.into_iter().chain(order) {
            last = told(&mut server, &key, &limit, (NOW, &guards[at])).history.failures();
        }
        assert_eq!(last, 2 + 3, "{order:?}");
    }
}

#[test]
fn what_is_older_than_a_success_is_not_believed() {
    let Some(mut server) = Server::start() else { return };
    let (limit, key) = (limit(false, &[5_000]), "counter".to_owned());
    let history = seen(vec![(3_000, 2, 1)], &limit);
    let words = telling(history, (0, 0, 0), NOW);
    assert_eq!(told(&mut server, &key, &limit, (NOW, &words)).history.failures(), 2);
    let arguments = [NOW.0.to_string(), "0".to_owned(), "1".to_owned(), "about".to_owned()];
    let last = [limit_text(&limit), "c".to_owned(), "-".to_owned(), "about".to_owned()];
    server.run(&CHARGE, std::slice::from_ref(&key), &[arguments, last].concat());
    assert_eq!(told(&mut server, &key, &limit, (NOW, &words)).history.failures(), 0);
}
