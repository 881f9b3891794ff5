//! The file while one guard takes over from another.

use super::*;
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
