//! Files that cannot be used, or not all of them: never a reason not to start.

use loginward::snapshot::format::MAGIC;

use super::*;

/// A file in which `eve` is locked out, and then `bob`.
fn two_locked(upstream: &Upstream) -> (Shelf, Vec<u8>) {
    let shelf = Shelf::new();
    let guard = shelf.start(LIMIT, upstream);
    lock_out(&guard, "eve");
    shelf.wait_for("eve");
    let eve = std::fs::metadata(shelf.file()).unwrap().len();
    lock_out(&guard, "bob");
    drop(guard);
    let bytes = std::fs::read(shelf.file()).unwrap();
    assert!(bytes.len() as u64 > eve);
    (shelf, bytes)
}

/// Starts a guard on what is in the file, which is put aside because of `reason`.
#[track_caller]
fn start_and_put_aside(shelf: &Shelf, upstream: &Upstream, reason: &str) -> Guard {
    let before = std::fs::read(shelf.file()).unwrap();
    let guard = shelf.start(LIMIT, upstream);
    let event = guard.wait_for_event("snapshot_put_aside");
    assert_eq!(event.get("level"), "error");
    assert!(event.get("reason").contains(reason), "{event:?}");
    let aside = event.get("aside");
    assert!(aside.ends_with("counters.db.aside-1"), "{aside}");
    assert!(std::fs::read(aside).unwrap() == before, "as it was");
    guard
}

#[test]
fn a_torn_end_costs_no_more_than_what_is_torn() {
    let upstream = Upstream::shop();
    let (shelf, bytes) = two_locked(&upstream);
    for cut in [1, 20] {
        std::fs::write(shelf.file(), &bytes[..bytes.len() - cut]).unwrap();
        let guard = start_and_put_aside(&shelf, &upstream, "its end is torn");
        assert_eq!(guard.client().log_in("eve", "right").verdict(), (403, "locked"));
        // what was written of the last one before is there
        assert!(guard.client().log_in("bob", "wrong").status <= 403);
    }
}

#[test]
fn of_a_file_that_was_damaged_what_comes_before_is_used() {
    let upstream = Upstream::shop();
    let (shelf, mut bytes) = two_locked(&upstream);
    // before the sum of the last frame, however short that is: a wrong length would be a torn end
    let last_record = bytes.len() - size_of::<u64>() - 1;
    bytes[last_record] ^= 1;
    std::fs::write(shelf.file(), &bytes).unwrap();
    let guard = start_and_put_aside(&shelf, &upstream, "a frame is damaged");
    assert_eq!(guard.client().log_in("eve", "right").verdict(), (403, "locked"));
    wait::until("it is made anew", || std::fs::read(shelf.file()).unwrap() != bytes);
    drop(guard);
    // and has what could be read
    let guard = shelf.start(LIMIT, &upstream);
    assert!(guard.events("snapshot_put_aside").is_empty());
    assert_eq!(guard.client().log_in("eve", "right").verdict(), (403, "locked"));
}

#[test]
fn files_of_something_else_are_put_aside() {
    let upstream = Upstream::shop();
    let (shelf, bytes) = two_locked(&upstream);
    let mut version = bytes.clone();
    version[MAGIC.len()] = 9;
    let mut key = bytes.clone();
    key[MAGIC.len() + 4 + 16] ^= 1;
    for (content, reason) in [
        (b"SQLite format 3\0".to_vec(), "it is no file of counters"),
        (Vec::new(), "it is no file of counters"),
        (version, "its format is version 9, and this program knows 1"),
        (key, "its beginning is damaged"),
        (bytes[..30].to_vec(), "its beginning is damaged"),
    ] {
        std::fs::write(shelf.file(), &content).unwrap();
        let guard = start_and_put_aside(&shelf, &upstream, reason);
        assert_eq!(guard.client().log_in("eve", "right").status, 302, "{reason}");
        assert_eq!(guard.metric("loginward_snapshot_errors_total", "") as u64, 0);
    }
    let aside = shelf.names().into_iter().filter(|name| name.contains("aside"));
    assert_eq!(aside.count(), 3, "{:?}", shelf.names());
}

/// Frames of another file of the same guard's are none of this one, and records that nobody
/// understands end it.
#[test]
fn frames_that_are_not_its_own_or_not_understood_end_a_file() {
    let upstream = Upstream::shop();
    let (shelf, bytes) = two_locked(&upstream);
    let (other, others) = two_locked(&upstream);
    let mixed: Vec<u8> = bytes.iter().chain(&others[HEAD..]).copied().collect();
    std::fs::write(shelf.file(), mixed).unwrap();
    let guard = start_and_put_aside(&shelf, &upstream, "a frame is damaged");
    assert_eq!(guard.client().log_in("bob", "right").verdict(), (403, "locked"));
    let (head, mut frames) = read(&other.file());
    let last = frames.last().unwrap().stamp;
    frames.push(Frame { stamp: last, records: vec![99; 7] });
    write(&other.file(), &head, &frames);
    let guard = start_and_put_aside(&other, &upstream, "something that is not understood");
    assert_eq!(guard.client().log_in("bob", "right").verdict(), (403, "locked"));
}
