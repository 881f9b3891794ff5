//! Time that passes between one guard and the next, as the file and the clocks tell it.

use loginward::clock::{Clock, Stamp};

use super::*;

const MINUTE: u64 = 60_000;

/// A file in which `eve` is locked out, made by a guard that was killed then.
fn locked(upstream: &Upstream, limit: &str) -> Shelf {
    let shelf = Shelf::new();
    let guard = shelf.start(limit, upstream);
    lock_out(&guard, "eve");
    drop(guard);
    shelf
}

/// Makes the file one that was written at another time, in this boot or another.
fn written_at(shelf: &Shelf, boot: Option<u128>, change: impl Fn(Stamp) -> Stamp) {
    let (head, mut frames) = read(&shelf.file());
    for frame in &mut frames {
        frame.stamp = change(frame.stamp);
    }
    let head = Head { boot: boot.or(head.boot), ..head };
    write(&shelf.file(), &head, &frames);
}

/// Minutes earlier by one of the clocks, a day earlier or later by the other.
#[test]
fn within_one_boot_no_change_of_the_wall_clock_changes_anything() {
    let upstream = Upstream::shop();
    for wall in [-24 * 60, 0, 24 * 60_i64] {
        let shelf = locked(&upstream, LIMIT);
        // a machine that has just begun has no such past
        let passed = (Clock::system().stamp().since_boot / 2).min(3 * MINUTE);
        written_at(&shelf, None, |stamp| Stamp {
            since_boot: stamp.since_boot - passed,
            wall: stamp.wall.saturating_add_signed(wall * MINUTE as i64),
            ..stamp
        });
        let guard = shelf.start(LIMIT, &upstream);
        let (left, expected) = (left(&guard, "eve"), 600 - passed / 1000);
        assert!((expected - 10..=expected).contains(&left), "{left} of {expected}");
    }
}

#[test]
fn across_a_reboot_the_wall_clock_is_believed_and_never_backwards() {
    let upstream = Upstream::shop();
    for (minutes, expected) in [(3, 410..=420), (-600, 590..=600)] {
        let shelf = locked(&upstream, LIMIT);
        written_at(&shelf, Some(1), |stamp| Stamp {
            // how long the other boot had lasted says nothing
            since_boot: stamp.since_boot + 90 * 24 * 60 * MINUTE,
            wall: stamp.wall.saturating_add_signed(-minutes * MINUTE as i64),
            ..stamp
        });
        let guard = shelf.start(LIMIT, &upstream);
        let left = left(&guard, "eve");
        assert!(expected.contains(&left), "{minutes}: {left}");
    }
    let shelf = locked(&upstream, LIMIT);
    written_at(&shelf, Some(1), |stamp| Stamp { wall: stamp.wall - 10 * MINUTE, ..stamp });
    let guard = shelf.start(LIMIT, &upstream);
    assert_eq!(guard.client().log_in("eve", "right").status, 302, "it is over");
}

/// What was written at different times is as far apart as it was, whatever the wall clock did.
#[test]
fn frames_of_another_boot_are_related_by_its_own_clock() {
    let upstream = Upstream::shop();
    let shelf = locked(&upstream, LIMIT);
    let guard = shelf.start(LIMIT, &upstream);
    lock_out(&guard, "bob");
    drop(guard);
    let (head, mut frames) = read(&shelf.file());
    assert!(frames.len() >= 2, "eve's is before bob's");
    let last = frames.len() - 1;
    frames[last].stamp.since_boot += 4 * MINUTE;
    for frame in &mut frames[..last] {
        // four minutes before the last one, while the wall clock was a year off
        frame.stamp.wall = frame.stamp.wall.saturating_sub(365 * 24 * 60 * MINUTE);
    }
    write(&shelf.file(), &Head { boot: Some(1), ..head }, &frames);
    let guard = shelf.start(LIMIT, &upstream);
    let (eve, bob) = (left(&guard, "eve"), left(&guard, "bob"));
    assert!((350..=360).contains(&eve) && (590..=600).contains(&bob), "{eve} {bob}");
}

#[test]
fn how_often_somebody_was_locked_out_is_kept_and_when_failures_are_forgotten() {
    let upstream = Upstream::shop();
    let limit = LIMIT.replace("cool_off: 10m", "cool_off: [10m, 20m]");
    let shelf = locked(&upstream, &limit);
    let mut guard = shelf.start(&limit, &upstream);
    assert_eq!(guard.client().log_in("bob", "wrong").status, 200);
    guard.terminate();
    guard.wait_for_exit();
    written_at(&shelf, Some(1), |stamp| Stamp { wall: stamp.wall - 11 * MINUTE, ..stamp });
    let guard = shelf.start(&limit, &upstream);
    assert_eq!(guesses_left(&guard, "bob"), 4, "his failure is forgotten");
    lock_out(&guard, "eve");
    assert!((1190..=1200).contains(&left(&guard, "eve")));
}
