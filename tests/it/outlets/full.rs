//! The audit log on a disk that is full: the guard starts, guards and ends, and says what is missing.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{members, objects};
use crate::support::{Guard, Setup, Upstream, not_run, program, wait};

/// Files may have 4 KiB, and more is an error rather than the end.
const SMALL: &str = "trap '' XFSZ; ulimit -S -f 8; exec \"$@\"";
const AUDIT: &str = "audit: { to: file, file: audit.log }\n";

fn start(setup: Setup, script: &str) -> Guard {
    setup.under(&["sh", "-c", script, "sh"]).start()
}

fn setup(upstream: &Upstream) -> Setup {
    Setup::new(AUDIT).upstream(upstream)
}

/// Waits until the file has `wanted` in it.
#[track_caller]
fn wait_for(path: &Path, wanted: &str) {
    wait::until(wanted, || fs::read_to_string(path).unwrap_or_default().contains(wanted));
}

#[test]
fn a_cut_line_for_whose_end_there_is_no_room_is_no_reason_not_to_start() {
    let Some(mut prlimit) = program("prlimit") else { return };
    let upstream = Upstream::shop();
    let cut = "{\"ts\":\"2026-11-25T03:03";
    let whole = format!("{{\"event\":\"{}\"}}\n", "x".repeat(4096 - cut.len() - 13));
    let setup = setup(&upstream).file("audit.log", &format!("{whole}{cut}"));
    let path = setup.dir.path().join("audit.log");
    assert_eq!(fs::metadata(&path).unwrap().len(), 4096);
    let guard = start(setup, SMALL);
    assert!(guard.wait_for_event("audit_failed").get("reason").contains("too large"));
    assert_eq!(guard.client().log_in("bob", "wrong").status, 200);
    // there is room again
    let pid = guard.pid().to_string();
    assert!(prlimit.args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap().success());
    guard.wait_for_event("audit_recovered");
    wait_for(&path, "\"bob\"");
    let text = fs::read_to_string(&path).unwrap();
    let rest = text.strip_prefix(&format!("{whole}{cut}\n")).expect("the line ends first");
    assert!(members(&objects(rest), "event").contains(&"login_failed"));
}

#[test]
fn a_file_for_which_there_is_no_room_is_made_later() {
    let (Some(_), Some(mut nsenter)) = (program("unshare"), program("nsenter")) else { return };
    let may = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !may.is_ok_and(|done| done.status.success()) {
        not_run("it takes root to have a disk on which no file can be made");
        return;
    }
    let upstream = Upstream::shop();
    let text = "sandbox: false\naudit: { to: file, file: disk/audit.log }\n";
    let setup = Setup::new(text).upstream(&upstream);
    let disk = setup.dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let disk = disk.to_str().unwrap().to_owned();
    let script = format!("mount -t tmpfs -o nr_inodes=1 none {disk} && exec \"$@\"");
    let guard = setup.under(&["unshare", "-m", "sh", "-c", &script, "sh"]).start();
    assert!(guard.wait_for_event("audit_failed").get("reason").contains("No space left"));
    assert_eq!(guard.client().log_in("bob", "wrong").status, 200);
    let pid = guard.pid().to_string();
    let remount = ["-t", &pid, "-m", "mount", "-o", "remount,nr_inodes=9", &disk];
    assert!(nsenter.args(remount).status().unwrap().success());
    guard.wait_for_event("audit_recovered");
    wait_for(Path::new(&format!("/proc/{pid}/root{disk}/audit.log")), "\"bob\"");
}

#[test]
fn what_is_lost_when_the_guard_ends_is_said() {
    let upstream = Upstream::shop();
    let text = "audit: { to: file, file: audit.log, events: login_failed }\n";
    let setup = Setup::new(text).upstream(&upstream);
    let path = setup.dir.path().join("audit.log");
    let mut guard = start(setup, SMALL);
    let mut client = guard.client();
    for at in 0..40 {
        client.log_in(&format!("user{at}"), "wrong");
    }
    guard.wait_for_event("audit_failed");
    guard.terminate();
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    let dropped = guard.events("events_dropped");
    let [dropped] = dropped.as_slice() else { panic!("said once: {dropped:?}") };
    assert_eq!((dropped.get("outlet"), dropped.get("level")), ("audit", "warn"));
    let written = fs::read_to_string(path).unwrap().matches('\n').count();
    assert_eq!(dropped.get("count"), (40 - written).to_string());
}
