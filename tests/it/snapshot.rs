//! Counters and lockouts that outlive the process, however it ends.

mod damaged;
mod disk;
mod kill;
mod lost;
mod operated;
mod places;
mod secrets;
mod start;
mod time;
mod upgraded;

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use loginward::snapshot::format::{Frame, HEAD, Head};
use tempfile::TempDir;

use crate::support::guard::ADMIN;
use crate::support::{Ask, Client, Guard, Setup, Upstream, wait};

/// Five failures of a username lock it for ten minutes.
const LIMIT: &str = "lockout: { limits: { by: username, failures: 5, cool_off: 10m } }\n";

/// A directory with a file of counters, for one guard after the other.
struct Shelf {
    dir: TempDir,
}

impl Shelf {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// The file.
    fn file(&self) -> PathBuf {
        self.dir.path().join("counters.db")
    }

    /// The setting that names it.
    fn setting(&self) -> String {
        format!("store: {{ snapshot: {{ file: \"{}\" }} }}\n", self.file().display())
    }

    fn setup(&self, text: &str, upstream: &Upstream) -> Setup {
        Setup::new(&format!("{}{text}", self.setting())).upstream(upstream)
    }

    /// Starts a guard that keeps its counters there.
    #[track_caller]
    fn start(&self, text: &str, upstream: &Upstream) -> Guard {
        self.setup(text, upstream).start()
    }

    /// Waits until `what` is in the file.
    #[track_caller]
    fn wait_for(&self, what: &str) {
        wait::until(&format!("{what} is in the file"), || self.has(what));
    }

    /// Whether `what` is in the file.
    fn has(&self, what: &str) -> bool {
        let bytes = std::fs::read(self.file()).unwrap_or_default();
        bytes.windows(what.len()).any(|part| part == what.as_bytes())
    }

    /// The names of all files there.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The head and the frames of a file, all of them intact.
fn read(path: &Path) -> (Head, Vec<Frame>) {
    let mut file = BufReader::new(File::open(path).unwrap());
    let mut bytes = [0; HEAD];
    file.read_exact(&mut bytes).unwrap();
    let head = Head::read(&bytes).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = head.next_frame(&mut file).unwrap() {
        frames.push(frame);
    }
    (head, frames)
}

/// Writes a file anew, with another head or other frames.
fn write(path: &Path, head: &Head, frames: &[Frame]) {
    let frames = frames.iter().flat_map(|frame| head.frame(frame.stamp, &frame.records));
    let bytes: Vec<u8> = head.write().into_iter().chain(frames).collect();
    std::fs::write(path, bytes).unwrap();
}

/// Locks a username out.
#[track_caller]
fn lock_out(guard: &Guard, user: &str) {
    for _ in 0..4 {
        assert_eq!(guard.client().log_in(user, "wrong").status, 200);
    }
    assert_eq!(guard.client().log_in(user, "wrong").verdict(), (403, "locked"));
}

/// The seconds that a lockout of `user` still lasts.
#[track_caller]
fn left(guard: &Guard, user: &str) -> u64 {
    let answer = guard.client().log_in(user, "right");
    assert_eq!(answer.verdict(), (403, "locked"), "{user}");
    answer.get("retry-after").unwrap().parse().unwrap()
}

/// How many wrong guesses of `user` are answered by the application before it is locked out.
#[track_caller]
fn guesses_left(guard: &Guard, user: &str) -> usize {
    let guess = |_: &usize| guard.client().log_in(user, "wrong").status == 200;
    (0..100).take_while(guess).count()
}

#[test]
fn a_guard_that_is_killed_forgets_nothing_that_it_told() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let guard = shelf.start(LIMIT, &upstream);
    lock_out(&guard, "eve");
    drop(guard);
    let guard = shelf.start(LIMIT, &upstream);
    let loaded = guard.wait_for_event("snapshot_loaded");
    assert_eq!((loaded.get("counters"), loaded.get("locked")), ("1", "1"));
    assert!((590..=600).contains(&left(&guard, "eve")), "{}", left(&guard, "eve"));
    assert_eq!(upstream.hits(), 5);
    // counts that nobody waits for are written soon
    for _ in 0..3 {
        assert_eq!(guard.client().log_in("bob", "wrong").status, 200);
    }
    let length = || std::fs::metadata(shelf.file()).unwrap().len();
    let before = length();
    wait::until("the counts are kept", || shelf.has("bob") && length() >= before);
    wait::until("all of them", || guard.metric("loginward_snapshot_behind_seconds", "") < 0.2);
    drop(guard);
    let guard = shelf.start(LIMIT, &upstream);
    let left = guesses_left(&guard, "bob");
    assert!((1..=4).contains(&left), "the fifth locks, and three or so were kept: {left}");
    assert_eq!(guard.client().log_in("ann", "right").status, 302);
}

#[test]
fn an_end_in_good_order_and_one_in_haste_lose_nothing() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    for (user, signals) in [("bob", 1), ("ann", 2)] {
        let mut guard = shelf.start(LIMIT, &upstream);
        // one that does not end by itself
        let mut open = guard.client();
        open.send("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
        for _ in 0..3 {
            assert_eq!(guard.client().log_in(user, "wrong").status, 200);
        }
        if signals == 1 {
            drop(open);
        }
        for _ in 0..signals {
            guard.terminate();
            guard.wait_for_event("stopping");
        }
        assert_eq!(guard.wait_for_exit().code(), Some(0));
        let guard = shelf.start(LIMIT, &upstream);
        assert_eq!(guesses_left(&guard, user), 1, "{user}: the next but one locks");
    }
}

#[test]
fn without_a_file_nothing_is_kept_and_none_is_made() {
    let upstream = Upstream::shop();
    let setup = Setup::new(LIMIT).upstream(&upstream);
    let guard = setup.start();
    lock_out(&guard, "eve");
    let names: Vec<_> =
        std::fs::read_dir(guard.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["loginward.yaml"]);
    assert!(!guard.metrics().contains("loginward_snapshot"));
}

#[test]
fn a_place_that_was_held_counts_as_a_failure() {
    let upstream = Upstream::scripted(|talk| {
        // it never answers
        while talk.request().is_some() {}
    });
    let (shelf, shop) = (Shelf::new(), Upstream::shop());
    let guard = shelf.start(LIMIT, &upstream);
    let mut held: Vec<Client> = (0..2).map(|_| guard.client()).collect();
    for client in &mut held {
        client.send(Ask::login("slow", "wrong").bytes());
    }
    upstream.wait_for_hits(2);
    shelf.wait_for("slow");
    wait::until("both are kept", || guard.metric("loginward_snapshot_behind_seconds", "") < 0.2);
    drop(guard);
    let text = format!("{ADMIN}{LIMIT}");
    let guard = shelf.start(&text, &shop);
    assert_eq!(guesses_left(&guard, "slow"), 2, "two are counted, and the fifth locks");
}

#[test]
fn a_success_and_what_is_forgotten_with_it_are_kept_too() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let limit = "lockout: { limits: { by: [username, ip_address], failures: 5, cool_off: 10m } }\n";
    let mut guard = shelf.start(limit, &upstream);
    for _ in 0..4 {
        assert_eq!(guard.client().log_in("bob", "wrong").status, 200);
    }
    shelf.wait_for("bob");
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
    guard.terminate();
    guard.wait_for_exit();
    let guard = shelf.start(limit, &upstream);
    assert_eq!(guard.wait_for_event("snapshot_loaded").get("counters"), "0");
    assert_eq!(guesses_left(&guard, "bob"), 4);
}

#[test]
fn limits_that_change_hold_for_counters_that_were_kept() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let three = LIMIT.replace("failures: 5", "failures: 3");
    let guard = shelf.start(LIMIT, &upstream);
    lock_out(&guard, "eve");
    drop(guard);
    let two_sites =
        |name: &str| format!("{LIMIT}sites: {{ name: {name}, upstream: \"{{UPSTREAM}}\" }}\n");
    // raised by a reload, it is lifted; lowered, it is back
    let guard = shelf.start(LIMIT, &upstream);
    assert_eq!(guard.client().log_in("eve", "right").status, 403);
    guard.reconfigure(|text| text.replace("failures: 5", "failures: 7"));
    guard.reload();
    assert_eq!(guard.client().log_in("eve", "right").status, 302);
    guard.reconfigure(|text| text.to_owned());
    guard.reload();
    assert_eq!(guard.client().log_in("eve", "right").status, 403);
    drop(guard);
    // and by a restart
    let guard = shelf.start(&LIMIT.replace("failures: 5", "failures: 7"), &upstream);
    assert_eq!(guard.client().log_in("eve", "right").status, 302);
    drop(guard);
    let guard = shelf.start(&three, &upstream);
    assert_eq!(guard.client().log_in("eve", "right").status, 403);
    drop(guard);
    // a site of another name has other counters
    let guard = shelf.start(&two_sites("other"), &upstream);
    let loaded = guard.wait_for_event("snapshot_loaded");
    assert_eq!((loaded.get("counters"), loaded.get("unknown")), ("0", "1"));
    let aside = guard.wait_for_event("snapshot_put_aside");
    assert_eq!(aside.get("level"), "warn");
    assert!(aside.get("reason").starts_with("1 of its counters"), "{aside:?}");
    drop(guard);
    // whoever has mistyped it has lost nothing
    std::fs::rename(aside.get("aside"), shelf.file()).unwrap();
    let guard = shelf.start(&three, &upstream);
    assert_eq!(guard.client().log_in("eve", "right").status, 403);
    assert!(guard.events("snapshot_put_aside").is_empty());
}

#[test]
fn what_an_operator_did_is_kept_before_he_is_told() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let text = format!("{ADMIN}{LIMIT}");
    let guard = shelf.start(&text, &upstream);
    lock_out(&guard, "eve");
    lock_out(&guard, "ann");
    let said = |guard: &Guard, words: &[&str]| {
        let said = crate::commands::program::run(&[words, &["--admin", &guard.admin()]].concat());
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    };
    said(&guard, &["lock", "--username", "bob", "--for", "1h", "--reason", "on leave"]);
    said(&guard, &["lock", "--ip", "203.0.113.9"]);
    drop(guard);
    let guard = shelf.start(&text, &upstream);
    assert_eq!(guard.wait_for_event("snapshot_loaded").get("hand_locks"), "2");
    assert!((3590..=3600).contains(&left(&guard, "bob")));
    said(&guard, &["reset", "--username", "eve"]);
    said(&guard, &["reset", "--username", "bob"]);
    drop(guard);
    let guard = shelf.start(&text, &upstream);
    assert_eq!(guard.wait_for_event("snapshot_loaded").get("hand_locks"), "1");
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
    assert_eq!(guard.client().log_in("eve", "right").status, 302);
    assert_eq!(guard.client().log_in("ann", "right").verdict(), (403, "locked"));
}

#[test]
fn the_status_says_how_it_stands() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let guard = shelf.start(&format!("{ADMIN}{LIMIT}"), &upstream);
    lock_out(&guard, "eve");
    let said = crate::commands::program::run(&["status", "--json", "--admin", &guard.admin()]);
    let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let snapshot = &status["snapshot"];
    assert_eq!(snapshot["state"], "writing", "{snapshot}");
    assert_eq!(snapshot["file"], shelf.file().to_str().unwrap());
    assert!(snapshot["bytes"].as_u64().unwrap() > 100 && snapshot["errors"] == 0);
    let said = crate::commands::program::run(&["status", "--admin", &guard.admin()]).out;
    let line = format!("snapshot       {}, ", shelf.file().display());
    assert!(said.contains(&line) && said.contains(" bytes"), "{said}");
    assert!(guard.metric("loginward_snapshot_bytes", "") > 100.0);
    assert!(guard.metric("loginward_snapshot_latest_write_timestamp_seconds", "") > 1e9);
    assert_eq!(guard.metric("loginward_snapshot_errors_total", "") as u64, 0);
}
