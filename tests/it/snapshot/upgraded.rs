//! The file while one guard takes over from another.

use std::thread::JoinHandle;

use super::*;
use crate::api::{Operator, operator};
use crate::commands::program::{Said, run};
use crate::support::Gate;
use crate::upgrade_guard::{first, holding, next};

#[test]
fn the_file_goes_to_the_new_guard_with_everything() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let text = format!("{LIMIT}{}", shelf.setting());
    let mut old = first(&text, &upstream);
    lock_out(&old, "eve");
    assert_eq!(old.client().log_in("bob", "wrong").status, 200);
    let new = next(&old, &text, &upstream).start();
    new.wait_for_event("taken_over");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    assert!(new.events("snapshot_loaded").is_empty(), "it came from the old guard");
    lock_out(&new, "ann");
    drop(new);
    let third = first(&text, &upstream);
    for user in ["eve", "ann"] {
        assert_eq!(third.client().log_in(user, "right").verdict(), (403, "locked"), "{user}");
    }
    assert_eq!(guesses_left(&third, "bob"), 3);
    assert!(!shelf.names().iter().any(|name| name.contains("aside")), "{:?}", shelf.names());
}

#[test]
fn a_new_guard_with_another_file_or_none_goes_on_there() {
    let (shelf, other, upstream) = (Shelf::new(), Shelf::new(), Upstream::shop());
    let text = |shelf: &Shelf| format!("{LIMIT}{}", shelf.setting());
    let mut old = first(&text(&shelf), &upstream);
    lock_out(&old, "eve");
    let mut new = next(&old, &text(&other), &upstream).start();
    new.wait_for_event("taken_over");
    assert_eq!(new.client().log_in("eve", "right").verdict(), (403, "locked"));
    assert!(other.has("eve"), "whoever was told of it could rely on that");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    let without = next(&new, LIMIT, &upstream).start();
    without.wait_for_event("taken_over");
    assert_eq!(new.wait_for_exit().code(), Some(0));
    assert_eq!(without.client().log_in("eve", "right").verdict(), (403, "locked"));
    // and the files are free
    for shelf in [&shelf, &other] {
        let guard = shelf.start(LIMIT, &upstream);
        assert_eq!(guard.client().log_in("eve", "right").verdict(), (403, "locked"));
    }
}

#[test]
fn an_upgrade_that_fails_leaves_the_file_to_the_old_guard() {
    let (gate, shelf) = (Gate::closed(), Shelf::new());
    let upstream = holding(&gate, "slow");
    let text = format!("{LIMIT}{}", shelf.setting());
    let old = first(&text, &upstream);
    lock_out(&old, "eve");
    // one that cannot listen
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!("listen: [\"127.0.0.1:0\", \"{}\"]\n{text}", taken.local_addr().unwrap());
    let mut failing = Guard::spawn(next(&old, &more, &upstream));
    assert_eq!(failing.wait_for_exit().code(), Some(1));
    old.wait_for_event("upgrade_failed");
    lock_out(&old, "bob");
    assert!(shelf.has("bob"));
    // one that is killed while it waits for the counters
    let mut slow = old.client();
    slow.send(Ask::login("slow", "wrong").bytes());
    gate.wait_for_arrivals(1);
    let killed = next(&old, &text, &upstream).start();
    old.wait_for_event("handing_over");
    drop(killed);
    old.wait_for_events("upgrade_failed", 2);
    gate.open();
    assert_eq!(slow.answer().status, 200);
    lock_out(&old, "ann");
    assert!(shelf.has("ann"));
    drop(old);
    let guard = shelf.start(LIMIT, &upstream);
    for user in ["eve", "bob", "ann"] {
        assert_eq!(guard.client().log_in(user, "right").verdict(), (403, "locked"), "{user}");
    }
}

#[test]
fn what_a_guard_had_kept_that_was_killed_while_it_handed_over_is_not_lost() {
    let (gate, shelf) = (Gate::closed(), Shelf::new());
    let upstream = holding(&gate, "slow");
    let text = format!("{LIMIT}{}", shelf.setting());
    let old = first(&text, &upstream);
    lock_out(&old, "eve");
    let mut slow = old.client();
    slow.send(Ask::login("slow", "wrong").bytes());
    gate.wait_for_arrivals(1);
    let new = next(&old, &text, &upstream).start();
    old.wait_for_event("handing_over");
    shelf.wait_for("slow");
    drop(old);
    new.wait_for_event("handover_incomplete");
    gate.open();
    assert_eq!(new.client().log_in("eve", "right").verdict(), (403, "locked"));
    assert_eq!(guesses_left(&new, "slow"), 3, "the one that was under way counts");
    lock_out(&new, "bob");
    drop(new);
    let guard = shelf.start(LIMIT, &upstream);
    for user in ["eve", "bob"] {
        assert_eq!(guard.client().log_in(user, "right").verdict(), (403, "locked"), "{user}");
    }
}

#[test]
fn counters_that_the_new_guard_does_not_know_stay_in_a_file_beside_its_own() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let text = format!("{LIMIT}{}", shelf.setting());
    let mut old = first(&text, &upstream);
    lock_out(&old, "eve");
    let other = format!("{text}sites: {{ name: shopp, upstream: \"{{UPSTREAM}}\" }}\n");
    let new = next(&old, &other, &upstream).start();
    let aside = new.wait_for_event("snapshot_put_aside");
    assert_eq!((aside.get("level"), old.wait_for_exit().code()), ("warn", Some(0)));
    new.wait_for_event("taken_over");
    wait::until("its own file is without it", || !shelf.has("eve"));
    drop(new);
    std::fs::rename(aside.get("aside"), shelf.file()).unwrap();
    let guard = shelf.start(LIMIT, &upstream);
    assert_eq!(guard.client().log_in("eve", "right").verdict(), (403, "locked"));
}

/// Runs a command that asks the guard whose admin address that is; it may take its time.
fn asking(admin: &str, words: &[&'static str]) -> JoinHandle<Said> {
    let (admin, words) = (admin.to_owned(), words.to_vec());
    std::thread::spawn(move || run(&[&words[..], &["--admin", &admin]].concat()))
}

/// A guard in which `eve` and `bob` are locked out, one that takes over from it and cannot before
/// `gate` opens, and whoever asks the latter.
fn held(gate: &Gate, upstream: &Upstream, text: &str) -> (Guard, Guard, Operator) {
    let old = first(text, upstream);
    lock_out(&old, "eve");
    lock_out(&old, "bob");
    old.client().send(Ask::login("slow", "wrong").bytes());
    gate.wait_for_arrivals(1);
    let new = next(&old, text, upstream).start();
    old.wait_for_event("handing_over");
    let asks = operator(&new);
    wait::until("it is the new one that is asked", || asks.get("/v1/status")["pid"] == new.pid());
    (old, new, asks)
}

#[test]
fn what_operators_ask_waits_for_the_counters_and_what_they_do_is_kept() {
    let (gate, shelf) = (Gate::closed(), Shelf::new());
    let upstream = holding(&gate, "slow");
    let text = format!("{LIMIT}{}", shelf.setting());
    let (mut old, new, asks) = held(&gate, &upstream, &text);
    assert_eq!(asks.get("/v1/status")["state"], "taking_over");
    assert!(run(&["status", "--admin", &new.admin()]).out.contains("taking over, for "));
    let told = asking(&new.admin(), &["list", "eve", "--json"]);
    let reset = asking(&new.admin(), &["reset", "bob"]);
    let locked = asking(&new.admin(), &["lock", "mallory"]);
    let sent_away = [
        ("GET", "/v1/counters", ("", "")),
        ("GET", "/v1/locks", ("", "")),
        ("GET", "/v1/statistics", ("", "")),
        ("GET", "/v1/references/QZ52GVYE", ("", "")),
        ("POST", "/v1/reset", ("Content-Type: application/json\r\n", "{\"all\": true}")),
    ];
    let sent_away = sent_away.map(|(method, target, more)| {
        let asks = asks.clone();
        std::thread::spawn(move || asks.ask(method, target, more))
    });
    for answer in sent_away.map(|asked| asked.join().unwrap()) {
        assert_eq!((answer.status, answer.get("retry-after")), (503, Some("1")));
        assert!(answer.text().contains("still with the guard"), "{}", answer.text());
    }
    for waits in [&told, &reset, &locked] {
        assert!(!waits.is_finished(), "it waits, however long that takes");
    }
    gate.open();
    new.wait_for_event("taken_over");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    let [told, reset, locked] = [told, reset, locked].map(|waits| waits.join().unwrap());
    assert_eq!(
        (told.status, reset.status, locked.status),
        (0, 0, 0),
        "{told:?} {reset:?} {locked:?}"
    );
    assert!(told.out.contains("\"username\":\"eve\""), "{}", told.out);
    let tops = asks.get("/v1/statistics");
    assert!(tops["tops"].to_string().contains("eve"), "{tops}");
    assert_eq!(new.client().log_in("bob", "right").status, 302);
    assert!(new.events("snapshot_late").is_empty());
    assert_eq!(new.metric("loginward_snapshot_errors_total", "") as u64, 0);
    assert_eq!(asks.get("/v1/status")["state"], "running");
    drop(new);
    let guard = shelf.start(&format!("{ADMIN}{LIMIT}"), &upstream);
    for (user, status) in [("mallory", 403), ("eve", 403), ("bob", 302)] {
        assert_eq!(guard.client().log_in(user, "right").status, status, "{user}");
    }
}

#[test]
fn what_was_reset_while_a_guard_took_over_does_not_come_back_when_the_other_is_killed() {
    let (gate, shelf) = (Gate::closed(), Shelf::new());
    let upstream = holding(&gate, "slow");
    let text = format!("{LIMIT}{}", shelf.setting());
    let (old, new, _) = held(&gate, &upstream, &text);
    let (reset, locked) =
        (asking(&new.admin(), &["reset", "bob"]), asking(&new.admin(), &["lock", "mallory"]));
    shelf.wait_for("slow");
    drop(old);
    new.wait_for_event("handover_incomplete");
    gate.open();
    assert_eq!((reset.join().unwrap().status, locked.join().unwrap().status), (0, 0));
    for (user, status) in [("mallory", 403), ("eve", 403), ("bob", 302)] {
        assert_eq!(new.client().log_in(user, "right").status, status, "{user}");
    }
    drop(new);
    let guard = shelf.start(LIMIT, &upstream);
    for (user, status) in [("mallory", 403), ("eve", 403), ("bob", 302)] {
        assert_eq!(guard.client().log_in(user, "right").status, status, "{user}");
    }
}
