//! The page without a mouse, and for those who listen.

use super::shown::{LIMITS, Shown};
use crate::support::{Browser, Upstream};

const FOCUS: &str = "(document.activeElement.ariaLabel ?? document.activeElement.innerText ?? '')";

/// Presses Tab until what has the focus is called this.
#[track_caller]
fn tab_to(browser: &mut Browser, name: &str) {
    let mut met = Vec::new();
    for _ in 0..80 {
        browser.press("Tab");
        let focused = browser.eval(FOCUS);
        let focused = focused.as_str().unwrap_or_default().to_owned();
        if focused.starts_with(name) {
            let outline = "getComputedStyle(document.activeElement).outlineStyle";
            assert_ne!(browser.eval(outline), "none", "the focus is to be seen: {name}");
            return;
        }
        met.push(focused);
    }
    panic!("{name} is not among {met:?}");
}

#[test]
fn tab_and_enter_are_enough_to_unlock_and_the_focus_is_never_lost() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    shown.fail("alice", 2);
    shown.fail("bob", 2);
    shown.browser.until_text("#locked-count", "2");
    tab_to(&mut shown.browser, "Skip to the content");
    shown.browser.press("Enter");
    shown.browser.until("it is skipped", "document.activeElement.id === 'main'");
    tab_to(&mut shown.browser, "Unlock alice");
    // a change of the list leaves the focus where it is
    shown.fail("carol", 2);
    shown.browser.until_text("#locked-count", "3");
    let focused = shown.browser.eval(FOCUS);
    assert!(focused.as_str().unwrap().starts_with("Unlock alice"), "{focused}");
    shown.browser.press("Enter");
    shown.browser.until_text("#unlock", "Unlock alice");
    let inside = "document.getElementById('unlock').contains(document.activeElement)";
    assert_eq!(shown.browser.eval(inside), true);
    shown.browser.press("Escape");
    shown.browser.until("it is closed", "!document.getElementById('unlock').open");
    let focused = shown.browser.eval(FOCUS);
    assert!(focused.as_str().unwrap().starts_with("Unlock alice"), "it came back: {focused}");
    shown.browser.press("Enter");
    shown.browser.until_text("#unlock", "Unlock alice");
    shown.browser.press("Enter");
    shown.browser.until_text("#unlock", "Removed 1 counter");
    assert_eq!(shown.browser.eval(inside), true);
    shown.browser.press("Enter");
    shown.browser.until("it is closed", "!document.getElementById('unlock').open");
    assert_eq!(shown.guard.client().log_in("alice", "right").status, 302);
    shown.browser.until_text("#locked-count", "2");
    shown.is_clean();
}

#[test]
fn whoever_listens_is_told_of_landmarks_headings_tables_and_pictures() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    shown.fail("alice", 2);
    shown.browser.until_text("#locked-count", "1");
    for width in [1280, 360] {
        shown.browser.looks((width, 900), "light");
        shown.browser.until("it is drawn", "document.querySelector('#chart-attempts svg desc')");
        let spoken = shown.browser.spoken();
        let check = |role: &str, name: &str| {
            let found = spoken.iter().any(|(own, said)| own == role && said.starts_with(name));
            assert!(found, "{role} {name:?} at {width} px in {spoken:#?}");
        };
        check("main", "");
        check("banner", "");
        check("contentinfo", "");
        check("navigation", "Sections of this page");
        check("search", "");
        check("heading", "What happens now");
        check("heading", "Locked out");
        check("region", "What happens now");
        check("status", "");
        check("textbox", "Reference, address, network or username");
        check("radio", "1 h");
        check("button", "Unlock alice from 127.0.0.1 at shop");
        check("button", "Lock by hand");
        check("table", "Locked by failures");
        check("columnheader", "Time left");
        check("rowheader", "alice from 127.0.0.1");
        check("image", "Login attempts");
        check("combobox", "Show");
    }
    // every picture says what it shows, and every field what it is
    let nameless = shown.browser.spoken().into_iter().filter(|(role, name)| {
        ["button", "textbox", "combobox", "image", "link", "table"].contains(&role.as_str())
            && name.is_empty()
    });
    assert_eq!(nameless.collect::<Vec<_>>(), []);
    shown.is_clean();
}
