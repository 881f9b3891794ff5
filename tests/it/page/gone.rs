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
fn an_unlock_that_nobody_answers_is_said_to_have_failed_and_may_be_tried_again() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    shown.fail("alice", 2);
    shown.browser.until_text("#locked-list", "alice from 127.0.0.1");
    shown.browser.click_button("Unlock alice from 127.0.0.1");
    shown.browser.until_text("#unlock", "Unlock alice from 127.0.0.1?");
    shown.guard.terminate();
    shown.guard.wait_for_exit();
    shown.browser.click("document.querySelector('#unlock button[type=submit]')");
    shown.browser.until_text("#unlock .wrong", "cannot be reached");
    let is_on = "!document.querySelector('#unlock button[type=submit]').disabled";
    shown.browser.until("it may be tried again", is_on);
}

#[test]
fn a_page_whose_server_has_ended_says_so() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    assert_eq!(shown.server.program.interrupt(), 0);
    shown.browser.until_text("#notices", "The guard cannot be reached.");
}
