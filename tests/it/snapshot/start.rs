//! Where systemd says that the file may be.

use super::*;

fn start(text: &str, state: &str, upstream: &Upstream) -> Guard {
    Setup::new(&format!("{LIMIT}{text}"))
        .upstream(upstream)
        .variable("STATE_DIRECTORY", state)
        .start()
}

#[test]
fn the_state_directory_is_the_usual_place() {
    let (dir, other, upstream) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Upstream::shop());
    let state = dir.path().to_str().unwrap();
    let guard = start("", &format!("{state}:/nowhere"), &upstream);
    lock_out(&guard, "eve");
    assert!(dir.path().join("counters.db").is_file());
    drop(guard);
    let guard = start("", state, &upstream);
    assert_eq!(guard.client().log_in("eve", "right").verdict(), (403, "locked"));
    drop(guard);
    // said otherwise, it is elsewhere or nowhere
    let guard = start("store: { snapshot: none }\n", state, &upstream);
    assert_eq!(guard.client().log_in("eve", "right").status, 302);
    assert!(guard.events("snapshot_loaded").is_empty());
    drop(guard);
    let elsewhere = other.path().join("kept");
    let text = format!("store: {{ snapshot: {{ file: \"{}\" }} }}\n", elsewhere.display());
    let guard = start(&text, state, &upstream);
    guard.wait_for_event("snapshot_new");
    lock_out(&guard, "bob");
    assert!(elsewhere.is_file());
}

/// Nobody can connect and be refused, or be served, before everything is known again.
#[test]
fn it_is_read_before_anybody_is_served() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let guard = shelf.start(LIMIT, &upstream);
    lock_out(&guard, "eve");
    drop(guard);
    let guard = shelf.start(LIMIT, &upstream);
    let log = guard.log();
    let at = |event: &str| log.find(&format!("event={event} ")).unwrap_or_else(|| panic!("{log}"));
    assert!(at("snapshot_loaded") < at("listening"), "{log}");
}
