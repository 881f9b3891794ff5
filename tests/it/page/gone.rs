//! What the page says where it gets no answer.

use super::shown::{LIMITS, Shown};
use crate::support::Upstream;

#[test]
fn a_guard_that_is_gone_is_said_to_be_and_what_was_known_stays() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    shown.fail("alice", 2);
    shown.browser.until_text("#locked-list", "alice from 127.0.0.1");
    shown.guard.terminate();
    shown.guard.wait_for_exit();
    shown.browser.until_text("#state", "Not reachable");
    shown.browser.until_text("#notices", "The guard cannot be reached");
    shown.browser.until_text("#notices", "What you see is from");
    shown.browser.until_text("#locked-list", "alice from 127.0.0.1");
}

#[test]
fn a_page_whose_server_has_ended_says_so() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    assert_eq!(shown.server.program.interrupt(), 0);
    shown.browser.until_text("#notices", "The guard cannot be reached.");
}
