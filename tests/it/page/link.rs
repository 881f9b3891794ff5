//! The link of `loginward page`: it works once, for whoever opens it first and for no other page.

use super::shown::Server;
use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::{Answer, Ask, Client, Guard, Upstream};

struct Served {
    _guard: Guard,
    server: Server,
}

fn served() -> Served {
    let guard = Guard::start(ADMIN, &Upstream::hello());
    let server = Server::of(&guard.admin());
    Served { _guard: guard, server }
}

impl Served {
    #[track_caller]
    fn ask(&self, ask: Ask) -> Answer {
        let address = self.server.address();
        Client::to_addr(address).ask(&ask.to(&address.to_string()))
    }

    /// The cookie that the link is worth.
    #[track_caller]
    fn open(&self) -> String {
        let opened = self.ask(Ask::get(self.server.target()));
        assert_eq!((opened.status, opened.get("location")), (303, Some(self.server.home())));
        opened.get("set-cookie").unwrap().to_owned()
    }

    #[track_caller]
    fn session(&self) -> String {
        self.open().split(';').next().unwrap().to_owned()
    }

    fn below(&self, path: &str) -> String {
        format!("{}{path}", self.server.home())
    }
}

#[test]
fn it_is_worth_a_session_once() {
    let served = served();
    let cookie = served.open();
    for attribute in ["HttpOnly", "SameSite=Strict", &format!("Path={}", served.server.home())] {
        assert!(cookie.split("; ").any(|own| own == attribute), "{attribute} in {cookie}");
    }
    let again = served.ask(Ask::get(served.server.target()));
    assert_eq!((again.status, again.get("set-cookie")), (403, None));
    assert!(again.text().contains("has been used already"), "{}", again.text());
    let session = cookie.split(';').next().unwrap();
    let mine = served.ask(Ask::get(served.server.target()).with("Cookie", session));
    assert_eq!(mine.status, 303, "whoever has the session may use it as a bookmark");
    let page = served.ask(Ask::get(served.server.home()).with("Cookie", session));
    assert_eq!((page.status, page.get("content-type")), (200, Some("text/html; charset=utf-8")));
    let status = served.ask(Ask::get(&served.below("v1/status")).with("Cookie", session));
    assert_eq!((status.status, status.get("content-type")), (200, Some("application/json")));
}

#[test]
fn a_wrong_key_is_worth_nothing_and_spoils_nothing() {
    let served = served();
    let wrong = served.ask(Ask::get(&format!("{}?key=nonsense", served.server.home())));
    assert_eq!((wrong.status, wrong.get("set-cookie")), (403, None));
    let looked = served.ask(Ask::new("HEAD", served.server.target()));
    assert_eq!(looked.status, 405, "a preview does not use it up");
    served.open();
}

#[test]
fn without_the_session_there_is_nothing() {
    let served = served();
    let session = served.session();
    for path in ["", "page/main.js", "v1/status", "v1/counters"] {
        let stranger = served.ask(Ask::get(&served.below(path)));
        assert_eq!(stranger.status, 403, "{path}");
        let forged = Ask::get(&served.below(path)).with("Cookie", "loginward-page=x");
        assert_eq!(served.ask(forged).status, 403, "{path}");
    }
    for path in ["/", "/v1/status", "/page/main.js", "/x/"] {
        let elsewhere = served.ask(Ask::get(path).with("Cookie", &session));
        assert_eq!(elsewhere.status, 404, "{path}");
    }
    let inside = |path: &str| served.ask(Ask::get(&served.below(path)).with("Cookie", &session));
    for (path, status) in [("x", 404), ("page/", 404), ("v1/nothing", 404), ("v1/../x", 404)] {
        assert_eq!(inside(path).status, status, "{path}");
    }
}

#[test]
fn other_hosts_and_other_pages_are_refused() {
    let served = served();
    let session = served.session();
    let address = served.server.address();
    let port = address.port();
    let ask = |ask: Ask, host: &str| {
        Client::to_addr(address).ask(&ask.with("Cookie", &session).to(host)).status
    };
    let status = || Ask::get(&served.below("v1/status"));
    for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1", "127.0.0.1:1"] {
        assert_eq!(ask(status(), host), 421, "{host}");
    }
    let own = address.to_string();
    assert_eq!(ask(status(), &format!("localhost:{port}")), 200);
    for (name, value, expected) in [
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
        ("Origin", "http://127.0.0.1:1", 403),
        ("Origin", &format!("http://{own}"), 200),
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Sec-Fetch-Site", "same-site", 403),
        ("Sec-Fetch-Site", "same-origin", 200),
        ("Sec-Fetch-Site", "none", 200),
    ] {
        assert_eq!(ask(status().with(name, value), &own), expected, "{name}: {value}");
    }
    let crossed = Ask::get(served.server.target()).with("Sec-Fetch-Site", "cross-site");
    assert_eq!(ask(crossed, &own), 403, "nor may another page follow the link");
}

#[test]
fn what_a_browser_may_do_with_the_page_is_said() {
    let served = served();
    let session = served.session();
    let page = served.ask(Ask::get(served.server.home()).with("Cookie", &session));
    let policy = page.get("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.split("; ").any(|own| own == rule), "{rule} in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(page.get(name), Some(value));
    }
}

#[test]
fn it_ends_with_ctrl_c() {
    let mut served = served();
    assert_eq!(served.server.program.interrupt(), 0);
}

#[test]
fn it_ends_with_its_terminal() {
    let mut served = served();
    assert_eq!(served.server.program.end_by("-HUP").code(), Some(0));
}

#[test]
fn a_port_that_is_taken_and_a_guard_that_is_not_there_are_said() {
    let guard = Guard::start(ADMIN, &Upstream::hello());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = run(&["page", "--admin", &guard.admin(), "--port", &port]);
    assert_eq!((said.status, said.out.as_str()), (1, ""));
    assert!(said.err.contains("in use"), "{}", said.err);
    let said = run(&["page", "--admin", "unix:/nowhere/admin.sock"]);
    assert_eq!(said.status, 3);
    assert!(said.err.contains("not reachable"), "{}", said.err);
}
