//! What the page of a guard says that shares its counters with others.

use super::shown::{LIMITS, Shown};
use crate::support::guard::ADMIN;
use crate::support::redis::RedisServer;
use crate::support::upstream::ok;
use crate::support::{Gate, Guard, Upstream, wait};

fn sharing(server: &RedisServer, on_outage: &str) -> String {
    // a busy machine is no outage
    let times = "timeout: 9s, connect_timeout: 9s";
    let url = server.url();
    format!(
        "store: {{ redis: {{ url: \"{url}\", key: \"a-key-of-the-fleet\", {times}, on_outage: {on_outage} }} }}\n\
         {LIMITS}"
    )
}

#[test]
fn a_guard_that_is_on_its_own_says_so_until_the_store_is_back() {
    let Some(mut server) = RedisServer::start() else { return };
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(&sharing(&server, "local"), &upstream) else { return };
    shown.fail("alice", 2);
    shown.browser.until_text("#locked-list", "alice from 127.0.0.1");
    shown.browser.until_text("#about", "those of all guards that share 127.0.0.1:");
    assert_eq!(shown.browser.text("#notices"), "");
    server.kill();
    shown.browser.until_text("#notices", "the shared counters are out of reach.");
    let said = shown.browser.text("#notices");
    assert!(said.starts_with("This guard is on its own since "), "{said}");
    assert!(said.contains("It counts alone, with what it knows."), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{}: ", server.port())), "{said}");
    shown.browser.until_text("#locked-list", "alice from 127.0.0.1");
    server.start_again();
    shown.browser.until("the notice is gone", "!document.querySelector('#notices').innerText");
    shown.browser.until_text("#locked-list", "alice from 127.0.0.1");
    shown.is_clean();
}

#[test]
fn what_becomes_of_logins_meanwhile_is_said() {
    let Some(mut server) = RedisServer::start() else { return };
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(&sharing(&server, "refuse"), &upstream) else { return };
    server.kill();
    shown.browser.until_text("#notices", "It answers every login with 503");
    assert_eq!(shown.guard.client().log_in("alice", "right").status, 503);
}

#[test]
fn it_shows_what_is_under_way_at_the_other_guards_and_who_waits_at_this_one() {
    let Some(server) = RedisServer::start() else { return };
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        if request.target == "/login" {
            held.pass();
        }
        ok("<p>Wrong.</p>")
    });
    let settings = sharing(&server, "local");
    let Some(mut shown) = Shown::of(&settings, &upstream) else { return };
    let other = Guard::start(&format!("{ADMIN}{settings}"), &upstream);
    let [here, there] = [&shown.guard, &other].map(Guard::addr);
    let log_in = |address| {
        std::thread::spawn(move || {
            crate::support::Client::to_addr(address).log_in("bob", "wrong").status
        })
    };
    // two is all that a username has from an address
    let mut all = vec![log_in(there), log_in(there)];
    gate.wait_for_arrivals(2);
    all.push(log_in(here));
    wait::until("one waits", || shown.guard.metric("loginward_waiting", "") > 0.0);
    shown.browser.eval("document.querySelector('#what').value = 'bob'");
    wait::until("it shows them", || {
        // a machine that is busy looks less often: somebody asks again
        shown.browser.eval("document.querySelector('#found').replaceChildren()");
        shown.browser.eval("document.querySelector('#search').requestSubmit()");
        shown.browser.until("it has found", "document.querySelector('#found').innerText");
        let found = shown.browser.text("#found");
        found.contains("0 of 2 2 under way, 0 here 1 waiting here")
    });
    gate.open();
    for one in all {
        one.join().unwrap();
    }
    shown.is_clean();
}
