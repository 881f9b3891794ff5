//! Files that somebody removes, moves, cuts or replaces while the guard writes them.

use super::*;

/// A guard with a lockout in its file, to which `happens` happens; it notices and says so, and what it
/// remembers is in the file again, for the next guard, without anything that happens meanwhile.
#[track_caller]
fn check(happens: impl FnOnce(&Shelf), said: &str) -> Shelf {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let text = format!("{ADMIN}{LIMIT}");
    let guard = shelf.start(&text, &upstream);
    lock_out(&guard, "eve");
    let locked = ["lock", "--username", "bob", "--admin", &guard.admin()];
    assert_eq!(crate::commands::program::run(&locked).status, 0);
    happens(&shelf);
    let lost = guard.wait_for_event("snapshot_lost");
    assert_eq!((lost.get("level"), lost.get("reason")), ("error", said));
    assert!(guard.metric("loginward_snapshot_errors_total", "") >= 1.0);
    wait::until("all of it is there again", || shelf.has("eve") && shelf.has("bob"));
    lock_out(&guard, "ann");
    drop(guard);
    let guard = shelf.start(&text, &upstream);
    assert!(guard.events("snapshot_put_aside").is_empty(), "{}", guard.log());
    for user in ["eve", "bob", "ann"] {
        assert_eq!(guard.client().log_in(user, "right").verdict(), (403, "locked"), "{user}");
    }
    shelf
}

#[test]
fn a_file_that_is_removed_is_made_anew() {
    check(|shelf| std::fs::remove_file(shelf.file()).unwrap(), "it is gone");
}

#[test]
fn a_file_that_is_moved_away_is_made_anew() {
    let away = |shelf: &Shelf| shelf.dir.path().join("away");
    let shelf = check(|shelf| std::fs::rename(shelf.file(), away(shelf)).unwrap(), "it is gone");
    assert!(away(&shelf).exists());
}

#[test]
fn a_file_that_is_cut_is_made_anew() {
    let cut = |shelf: &Shelf| File::options().write(true).open(shelf.file()).unwrap().set_len(0);
    check(|shelf| cut(shelf).unwrap(), "somebody else has cut it");
}

#[test]
fn another_file_in_its_place_is_put_aside() {
    let replace = |shelf: &Shelf| {
        let other = shelf.dir.path().join("other");
        std::fs::write(&other, "an older copy").unwrap();
        std::fs::rename(other, shelf.file()).unwrap();
    };
    let shelf = check(replace, "another file is in its place");
    let aside = shelf.dir.path().join("counters.db.aside-1");
    assert_eq!(std::fs::read_to_string(aside).unwrap(), "an older copy");
}

#[test]
fn a_file_that_is_removed_last_is_there_after_an_end_in_good_order() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let mut guard = shelf.start(LIMIT, &upstream);
    lock_out(&guard, "eve");
    guard.paused(|| {
        std::fs::remove_file(shelf.file()).unwrap();
        guard.terminate();
    });
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    assert!(shelf.has("eve"));
}
