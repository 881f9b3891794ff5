//! Disks that are full: the guard goes on guarding, and says loudly what it cannot keep.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use super::*;
use crate::support::{not_run, program};

/// A guard whose file is on a small disk of its own, which only it sees; and that disk as we do.
fn on_a_small_disk(prepare: &str, upstream: &Upstream) -> Option<(Guard, PathBuf)> {
    program("unshare")?;
    let may = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !may.is_ok_and(|done| done.status.success()) {
        not_run("it takes root to have a small disk");
        return None;
    }
    let text =
        format!("{LIMIT}sandbox: false\nstore: {{ snapshot: {{ file: disk/counters.db }} }}\n");
    let setup = Setup::new(&text).upstream(upstream);
    let disk = setup.dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=64k none {0} && cd {0} && {{ {prepare}; }} && cd / && exec \"$@\"",
        disk.display()
    );
    let setup = setup.under(&["unshare", "-m", "sh", "-c", &script, "sh"]);
    let guard = setup.start();
    let disk = PathBuf::from(format!("/proc/{}/root{}", guard.pid(), disk.display()));
    Some((guard, disk))
}

/// Leaves no room at all.
fn fill(disk: &Path) {
    let mut filler =
        OpenOptions::new().create(true).append(true).open(disk.join("filler")).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
}

/// For how long something has not been kept, in seconds.
fn behind(guard: &Guard) -> f64 {
    guard.metric("loginward_snapshot_behind_seconds", "")
}

fn has(disk: &Path, what: &str) -> bool {
    let bytes = std::fs::read(disk.join("counters.db")).unwrap_or_default();
    bytes.windows(what.len()).any(|part| part == what.as_bytes())
}

#[test]
fn on_a_full_disk_it_guards_by_what_it_remembers_and_keeps_it_once_there_is_room() {
    let upstream = Upstream::shop();
    let Some((guard, disk)) = on_a_small_disk("true", &upstream) else { return };
    lock_out(&guard, "eve");
    assert!(has(&disk, "eve"));
    fill(&disk);
    let begun = wait::now();
    for at in 0..60 {
        lock_out(&guard, &format!("bob{at}"));
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "nobody waits for it each time");
    let failed = guard.wait_for_event("snapshot_failed");
    assert!(failed.get("error").contains("No space left"), "{failed:?}");
    assert_eq!(failed.get("level"), "error");
    assert!(guard.metric("loginward_snapshot_errors_total", "") >= 1.0);
    assert_eq!(guard.client().log_in("bob7", "right").verdict(), (403, "locked"));
    assert!(has(&disk, "eve"), "what was kept still is");
    wait::until("it is told how long that has lasted", || behind(&guard) > 2.0);
    std::fs::remove_file(disk.join("filler")).unwrap();
    guard.wait_for_event("snapshot_recovered");
    assert!(has(&disk, "bob7") && has(&disk, "bob59") && has(&disk, "eve"));
    assert!(behind(&guard) < 2.0);
}

#[test]
fn a_file_that_may_not_grow_any_more_is_a_disk_that_is_full() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    if program("prlimit").is_none() {
        return;
    }
    let setup = shelf.setup(LIMIT, &upstream).under(&["prlimit", "--fsize=4096:unlimited"]);
    let guard = setup.start();
    for at in 0..30 {
        lock_out(&guard, &format!("eve{at}"));
    }
    let failed = guard.wait_for_event("snapshot_failed");
    assert!(failed.get("error").contains("File too large"), "{failed:?}");
    let pid = guard.pid().to_string();
    let raised =
        Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:unlimited"]).status();
    assert!(raised.unwrap().success());
    guard.wait_for_event("snapshot_recovered");
    drop(guard);
    let guard = shelf.start(LIMIT, &upstream);
    assert_eq!(guard.wait_for_event("snapshot_loaded").get("locked"), "30");
}

#[test]
fn a_full_disk_is_no_reason_not_to_start() {
    let upstream = Upstream::shop();
    let full = "touch counters.db.lock; dd if=/dev/zero of=filler bs=512 2>/dev/null || true";
    let Some((guard, disk)) = on_a_small_disk(full, &upstream) else { return };
    guard.wait_for_event("snapshot_failed");
    lock_out(&guard, "eve");
    assert!(!has(&disk, "eve"));
    // whoever watches it learns of it, though nothing was ever written
    wait::until("it is told how long that has lasted", || behind(&guard) > 2.0);
    std::fs::remove_file(disk.join("filler")).unwrap();
    guard.wait_for_event("snapshot_recovered");
    assert!(has(&disk, "eve"));
    assert!(behind(&guard) < 2.0);
}
