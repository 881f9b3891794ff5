//! The page on an admin address that wants a token.

use super::shown::Server;
use crate::support::event::Event;
use crate::support::{Browser, Guard, Setup, Upstream};

/// Where it is asked over TCP.
fn address(guard: &Guard) -> String {
    let is_tcp =
        |event: &Event| event.is("admin_listening") && event.get("address").starts_with("http");
    guard.wait_for("address of TCP", is_tcp).get("address").to_owned()
}

#[test]
fn the_page_asks_for_the_token_and_keeps_it_for_its_tab_alone() {
    let Some(mut browser) = Browser::start() else { return };
    let upstream = Upstream::shop();
    // its port is another one than that of `listen`, by its address
    let admin = "admin: { address: \"127.0.0.3:0\", token_file: admin.token }\n";
    let guard = Setup::new(admin).upstream(&upstream).start();
    let url = address(&guard);
    let token = std::fs::read_to_string(guard.dir().join("admin.token")).unwrap();
    browser.open(&url);
    browser.until("it asks", "document.activeElement.id === 'token'");
    assert_eq!(browser.eval("document.getElementById('content').hidden"), true);
    browser.write("wrong-0123456789abcdef");
    browser.press("Enter");
    browser.until_text("#token-wrong", "The guard refuses this token.");
    browser.write(token.trim());
    browser.press("Enter");
    browser.until("it is live", "document.body.dataset.state === 'live'");
    browser.until_text("#events-state", "live");
    assert_eq!(browser.eval("document.getElementById('signin').hidden"), true);
    assert_eq!(browser.eval("localStorage.length + document.cookie.length"), 0);
    assert_eq!(browser.eval("sessionStorage.length"), 1);
    browser.open(&url);
    browser.until("it is remembered", "document.body.dataset.state === 'live'");
    // a 401 is an error to the browser; nothing else is
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|one| one.contains("401")), "{complaints:#?}");
}

#[test]
fn a_page_of_one_s_own_has_the_token_and_asks_for_none() {
    let Some(mut browser) = Browser::start() else { return };
    let upstream = Upstream::shop();
    let admin = "admin: { address: \"127.0.0.3:0\", token_file: admin.token }\n";
    let guard = Setup::new(admin).upstream(&upstream).start();
    let address = address(&guard);
    let token = guard.dir().join("admin.token");
    let server = Server::with(&["--admin", &address, "--token-file", token.to_str().unwrap()]);
    browser.open(&server.link);
    browser.until("it is live", "document.body.dataset.state === 'live'");
    browser.until_text("#events-state", "live");
    assert_eq!(browser.eval("sessionStorage.length"), 0);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
