//! What operators do with the mouse: look, search, unlock, lock.

use super::shown::{LIMITS, Shown};
use crate::commands::program::run;
use crate::support::Upstream;

#[test]
fn a_lockout_appears_by_itself_and_a_click_and_a_confirmation_end_it() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    shown.browser.until_text("#locked-list", "Nobody is locked out.");
    shown.fail("alice", 2);
    assert_eq!(shown.guard.client().log_in("alice", "right").status, 403);
    shown.browser.until_text("#locked-list", "alice from 127.0.0.1");
    shown.browser.until_text("#said", "locked out");
    shown.browser.until_text("#event-list", "Locked out");
    // 10 min counts down
    shown.browser.until(
        "the time goes on",
        "/9 min \\d\\d s/.test(document.querySelector('#locked-list').innerText)",
    );
    shown.browser.click_button("Unlock alice from 127.0.0.1");
    shown.browser.until_text("#unlock", "Unlock alice from 127.0.0.1?");
    let asked = shown.browser.text("#unlock");
    assert!(asked.contains("2 of 2"), "what will be removed: {asked}");
    assert_eq!(shown.guard.client().log_in("alice", "right").status, 403, "not yet");
    shown.browser.click("document.querySelector('#unlock button[type=submit]')");
    shown.browser.until_text("#unlock", "Removed 1 counter");
    assert_eq!(shown.guard.client().log_in("alice", "right").status, 302);
    shown.browser.click("document.querySelector('#unlock button')");
    shown.browser.until_text("#locked-list", "Nobody is locked out.");
    shown.is_clean();
}

#[test]
fn it_is_said_what_locks_still() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    // the second failure locks the one counter; by the third, from elsewhere, the other one is locked
    shown.fail("alice", 2);
    let mut elsewhere = crate::support::Client::from("127.0.0.2", &shown.guard);
    elsewhere.log_in("alice", "wrong");
    shown.browser.until_text("#locked-count", "2");
    shown.browser.click_button("Unlock alice from 127.0.0.1");
    shown.browser.click("document.querySelector('#unlock button[type=submit]')");
    shown.browser.until_text("#unlock", "Still locked");
    assert_eq!(shown.guard.client().log_in("alice", "right").status, 403);
    shown.browser.click_button("Unlock it too");
    shown.browser.until_text("#unlock", "Unlock alice?");
    shown.browser.click("document.querySelector('#unlock button[type=submit]')");
    shown.browser.until_text("#unlock", "Nothing else of it is locked.");
    assert_eq!(shown.guard.client().log_in("alice", "right").status, 302);
    shown.is_clean();
}

#[test]
fn search_finds_addresses_networks_and_usernames() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    shown.fail("alice", 1);
    shown.fail("bob", 1);
    for (text, expected) in
        [("127.0.0.1", "bob from 127.0.0.1"), ("127.0.0.0/24", "alice from"), ("ALICE", "alice")]
    {
        shown.browser.eval("document.getElementById('what').value = ''");
        shown.browser.click("document.getElementById('what')");
        shown.browser.write(text);
        shown.browser.click_button("Search");
        shown.browser.until_text("#found caption", &format!("of {text}"));
        shown.browser.until_text("#found", expected);
    }
    shown.browser.eval("document.getElementById('what').value = ''");
    shown.browser.click("document.getElementById('what')");
    shown.browser.write("nobody");
    shown.browser.click_button("Search");
    shown.browser.until_text("#found", "Nothing is counted or locked for nobody.");
    shown.is_clean();
}

#[test]
fn somebody_is_locked_by_hand_with_a_reason_and_released() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    shown.browser.click_button("Lock by hand");
    shown.browser.until("the field has the focus", "document.activeElement.id === 'lock-value'");
    shown.browser.write("mallory");
    shown.browser.click("document.getElementById('lock-reason')");
    shown.browser.write("left the company");
    shown.browser.click("document.querySelector('#lock button[type=submit]')");
    shown.browser.until_text("#locked-list", "left the company");
    let listed = shown.browser.text("#locked-list");
    let left = listed.contains("1 h 00 min") || listed.contains("59 min");
    assert!(listed.contains("mallory") && left, "{listed}");
    assert_eq!(shown.guard.client().log_in("mallory", "right").status, 403);
    shown.browser.click_button("Unlock mallory");
    shown.browser.until_text("#unlock", "left the company");
    shown.browser.click("document.querySelector('#unlock button[type=submit]')");
    shown.browser.until_text("#unlock", "1 lock by hand");
    assert_eq!(shown.guard.client().log_in("mallory", "right").status, 302);
    shown.is_clean();
}

#[test]
fn search_finds_locks_by_hand_too() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    let admin = shown.guard.admin();
    for whom in ["mallory", "198.51.100.0/24"] {
        let said = run(&["lock", whom, "--for", "1h", "--reason", "stuffing", "--admin", &admin]);
        assert_eq!(said.status, 0, "{}", said.err);
    }
    shown.browser.until_text("#locked-count", "2 by hand");
    for (text, expected) in [
        ("Mallory", "mallory"),
        ("198.51.100.7", "198.51.100.0/24"),
        ("198.51.100.0/24", "198.51.100.0/24"),
    ] {
        shown.browser.eval("document.getElementById('what').value = ''");
        shown.browser.click("document.getElementById('what')");
        shown.browser.write(text);
        shown.browser.click_button("Search");
        shown.browser.until_text("#found caption", "Locked by hand");
        shown.browser.until_text("#found th[scope=row]", expected);
    }
    assert!(!shown.browser.text("#found").contains("Nothing is counted"));
    shown.browser.click("document.querySelector('#found td button')");
    shown.browser.until_text("#unlock", "Locked by hand, because: stuffing");
    shown
        .browser
        .until_text("#unlock", "The lock, and the failures and lockouts of 198.51.100.0/24");
    shown.browser.press("Escape");
    shown.is_clean();
}

#[test]
fn every_event_says_something_and_times_have_a_zone() {
    let upstream = Upstream::shop();
    let settings = format!("{LIMITS}store: {{ snapshot: {{ file: counters.db }} }}\n");
    let Some(mut shown) = Shown::of(&settings, &upstream) else { return };
    shown.browser.until_text("tr[data-name=snapshot_new] td.what", "file: ");
    let zone = shown.browser.eval("Intl.DateTimeFormat().resolvedOptions().timeZone");
    shown.browser.until_text("#about", &format!("({}, GMT", zone.as_str().unwrap()));
}

#[test]
fn what_cannot_be_locked_is_said_in_the_dialog() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    shown.browser.click_button("Lock by hand");
    shown.browser.eval("document.getElementById('lock-kind').value = 'ip'");
    shown.browser.click("document.getElementById('lock-value')");
    shown.browser.write("nonsense");
    shown.browser.click("document.querySelector('#lock button[type=submit]')");
    shown.browser.until("it is said", "document.querySelector('#lock .wrong').innerText !== ''");
    shown.browser.press("Escape");
    shown.browser.until("it is closed", "!document.getElementById('lock').open");
}

#[test]
fn names_that_clients_send_are_text_and_run_nothing() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    let evil = ["<img src=x onerror=alert(1)>", "\"><script>alert(2)</script>", "'-alert(3)-'"];
    for name in evil {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        shown.fail(&encoded, 2);
    }
    shown.browser.until_text("#locked-count", "3");
    for name in evil {
        shown.browser.until_text("#locked-list", name);
        shown.browser.until_text("#event-list", name);
    }
    shown.browser.until_text("#top-usernames", evil[0]);
    shown.browser.click_button(&format!("Unlock {}", evil[0]));
    shown.browser.until_text("#unlock h2", evil[0]);
    shown.browser.press("Escape");
    let strange =
        "document.querySelectorAll('main img, main script, dialog img, dialog script').length";
    assert_eq!(shown.browser.eval(strange), 0);
    shown.is_clean();
}

#[test]
fn a_script_that_somebody_brings_in_does_not_run_and_what_is_forbidden_is_complained_about() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    shown.is_clean();
    for (element, property, value) in [
        ("script", "textContent", "window.evil = 1"),
        ("script", "src", "data:text/javascript,window.evil = 1"),
        ("script", "src", "http://127.0.0.1:1/evil.js"),
        ("img", "src", "http://127.0.0.1:1/evil.png"),
    ] {
        let (element, value) = (serde_json::json!(element), serde_json::json!(value));
        shown.browser.eval(&format!(
            "(() => {{ const it = document.createElement({element}); it.{property} = {value}; \
             document.body.append(it); }})()"
        ));
    }
    let is_said = |said: &[String]| {
        said.iter().filter(|one| one.contains("Content Security Policy")).count() >= 4
    };
    crate::support::wait::until("it is complained about", || is_said(&shown.browser.complaints()));
    assert_eq!(shown.browser.eval("typeof window.evil"), "undefined");
}

#[test]
fn the_charts_show_what_has_happened_and_tell_it_as_a_table_too() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    shown.guard.client().log_in("alice", "right");
    shown.fail("alice", 1);
    shown.fail("bob", 3);
    shown.browser.until_text("#chart-attempts .legend", "succeeded 1");
    // the rule names no failure: its answers are matched by nothing
    shown.browser.until_text("#chart-attempts .legend", "failed 3 of them unmatched 3");
    shown.browser.until_text("#chart-refusals .legend", "locked out 2");
    shown.browser.until_text("#chart-lockouts .total", "1 in force now");
    let told = shown.browser.eval("document.querySelector('#chart-attempts desc').textContent");
    assert!(told.as_str().unwrap().contains("1 succeeded"), "{told}");
    shown.browser.click("document.querySelector('#chart-attempts summary')");
    shown.browser.until("the table is there", "document.querySelector('#chart-attempts tbody th')");
    shown.browser.click("document.querySelector('#spans input[value=\"900\"]')");
    shown.browser.until_text("#chart-attempts .total", "in the last 15 minutes");
    shown.browser.until_text("#chart-attempts .legend", "unmatched 3");
    shown.browser.until_text("#top-usernames", "bob");
    shown.browser.click_button("bob: find its counters");
    shown.browser.until_text("#found caption", "of bob");
    shown.is_clean();
}

#[test]
fn a_reference_tells_what_refused_it() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    shown.fail("alice", 2);
    let refused = shown.guard.client().log_in("alice", "right");
    let reference = refused.get("x-loginward-ref").unwrap();
    shown.browser.until_text("#event-list", "Refused");
    shown.browser.click("document.getElementById('what')");
    let (first, last) = reference.split_at(4);
    shown.browser.write(&format!("{first} - {last}").to_lowercase());
    shown.browser.press("Enter");
    shown.browser.until_text("#found", &format!("Reference {reference}"));
    let told = shown.browser.text("#found");
    for part in ["127.0.0.1", "alice", "2 failures", "username+ip_address", "shop"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    shown.browser.click("[...document.querySelectorAll('#found button')][0]");
    shown.browser.until_text("#unlock", "Unlock alice from 127.0.0.1?");
    shown.browser.click("document.querySelector('#unlock button[type=submit]')");
    shown.browser.until_text("#unlock", "Removed 1 counter");
    assert_eq!(shown.guard.client().log_in("alice", "right").status, 302);
    shown.is_clean();
}

#[test]
fn monitor_mode_and_a_configuration_that_cannot_be_used_are_said_first() {
    let upstream = Upstream::shop();
    let monitor = "lockout: { mode: monitor, limits: { by: username, failures: 1, cool_off: 1h } }";
    let Some(mut shown) = Shown::of(monitor, &upstream) else { return };
    shown.browser.until_text("#notices", "Monitor mode: nobody is locked out");
    shown.browser.until_text("#rule-list", "monitor: refuses nothing");
    shown.fail("alice", 2);
    shown.browser.until_text("#chart-refusals .legend", "would be refused 2");
    shown.browser.until_text("#event-list", "Would be refused");
    shown.guard.reconfigure(|text| text.replace("failures: 1", "failures: none"));
    shown.guard.hang_up();
    shown.browser.until_text("#notices", "The configuration cannot be used as it is now.");
    shown.browser.until_text("#notices", "failures");
    shown.is_clean();
}
