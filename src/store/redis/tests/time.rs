//! The server's own clock: counters go when nothing of them counts any more.

use std::num::NonZeroU32;
use std::time::Duration;

use super::server::Server;
use crate::clock::Moment;
use crate::policy::lockout::{CoolOff, Limit, Proof};
use crate::store::redis::counter::{Action, Began, Found, Told, limit_text};
use crate::store::redis::scripts::{ADMIT, CHARGE, SETTLE};

const NOW: Moment = Moment(5_000_000_000);

fn limit(cool_off: CoolOff) -> Limit {
    let forget_after = Duration::from_mins(5);
    Limit { failures: NonZeroU32::MIN.saturating_add(1), cool_off, forget_after, ..Limit::usual() }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn keys<const N: usize>(at: [&str; N]) -> Vec<String> {
    at.map(|key| format!("{{s}}:{key}")).to_vec()
}

fn seconds_left(server: &mut Server, key: &str) -> i64 {
    redis::cmd("TTL").arg(format!("{{s}}:{key}")).query(&mut server.connection).expect("a number")
}

fn fail(server: &mut Server, key: &str, limit: &Limit) -> Told {
    let action = Action::Fail(1, Proof::Verdict).text();
    let arguments = words(["0", "0", "1", "about", &limit_text(limit), &action, "-", "name"]);
    let (what, told) = server.run(&CHARGE, &keys([key]), &arguments);
    assert_eq!(what, "in");
    Told::read(&told[0], NOW).expect("a counter")
}

#[test]
fn a_counter_is_kept_for_as_long_as_it_counts() {
    let Some(mut server) = Server::start() else { return };
    let steps = |steps: &[u64]| {
        CoolOff::Steps(steps.iter().map(|minutes| Duration::from_mins(*minutes)).collect())
    };
    for (name, limit, once, locked) in [
        ("plain", limit(steps(&[10])), 300, 600),
        ("grows", limit(steps(&[10, 20])), 300, 24 * 3600 + 600),
        ("never", limit(CoolOff::Never), 300, -1),
    ] {
        let told = fail(&mut server, name, &limit);
        assert_eq!((told.history.failures(), told.history.latest()), (1, NOW));
        let left = seconds_left(&mut server, name);
        assert!((once - 5..=once).contains(&left), "{name} is kept for {left} s");
        let told = fail(&mut server, name, &limit);
        assert_eq!(told.began, Began::Lockout);
        let left = seconds_left(&mut server, name);
        assert!((locked - 5..=locked).contains(&left), "{name} is locked for {left} s");
    }
}

#[test]
fn a_lease_keeps_its_counter_for_as_long_as_its_failure_would_count() {
    let Some(mut server) = Server::start() else { return };
    let limit = limit(CoolOff::Steps(vec![Duration::from_mins(10)]));
    let text = limit_text(&limit);
    let admit = words(["0", "0", "0", "1", "l:1", "60000", "-", "about", &text, "name"]);
    let (what, _) = server.run(&ADMIT, &keys(["v", "c"]), &admit);
    assert_eq!(what, "in");
    let left = seconds_left(&mut server, "c");
    assert!((355..=360).contains(&left), "{left} s");
    let give_back = words(["0", "l:1", "-", "0", "0", &text, "-", "-"]);
    let (_, told) = server.run(&SETTLE, &keys(["c"]), &give_back);
    let told = Told::read(&told[0], NOW).expect("a counter");
    assert_eq!((told.places, told.found), (0, Found::Yes));
    assert_eq!(seconds_left(&mut server, "c"), -2, "it is gone");
}

#[test]
fn a_script_that_runs_too_late_takes_nothing() {
    let Some(mut server) = Server::start() else { return };
    let text = limit_text(&limit(CoolOff::Never));
    let admit = words(["0", "1000", "0", "1", "l:1", "60000", "-", "about", &text, "name"]);
    let (what, told) = server.run(&ADMIT, &keys(["v", "c"]), &admit);
    assert_eq!((&*what, told.len()), ("late", 0));
    let charge = words(["0", "1000", "1", "about", &text, "f1", "-", "name"]);
    assert_eq!(server.run(&CHARGE, &keys(["c"]), &charge).0, "late");
    assert_eq!(seconds_left(&mut server, "c"), -2);
}

#[test]
fn locks_by_hand_that_are_not_known_are_looked_at_first() {
    let Some(mut server) = Server::start() else { return };
    let text = limit_text(&limit(CoolOff::Never));
    let set = redis::cmd("SET").arg("{s}:v").arg(7).exec(&mut server.connection);
    set.expect("it is set");
    let admit = |known| words(["0", "0", known, "1", "l:1", "60000", "-", "about", &text, "name"]);
    assert_eq!(
        server.run(&ADMIT, &keys(["v", "c"]), &admit("0")),
        ("hands".to_owned(), vec!["7".to_owned()])
    );
    assert_eq!(server.run(&ADMIT, &keys(["v", "c"]), &admit("7")).0, "in");
}
