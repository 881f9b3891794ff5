//! The log: events by name with their fields, whatever clients put into them, and no secrets.

use std::os::unix::net::UnixStream;

use crate::support::{Ask, Client, Guard, Setup, Upstream, wait};

const TWO: &str =
    "lockout: { limits: { by: [username, ip_address], failures: 3, cool_off: 10m } }\n";

#[test]
fn the_story_of_a_lockout_is_told_in_text() {
    let upstream = Upstream::shop();
    let guard = Guard::start(TWO, &upstream);
    for password in ["wrong", "wrong", "wrong", "right"] {
        guard.client().log_in("bob", password);
    }
    let refused = guard.wait_for("refusal", |event| event.is("refused"));
    let story = ["login_failed", "login_failed_again", "locked_out"];
    for (at, name) in story.into_iter().enumerate() {
        let event = guard.wait_for_event(name);
        for (field, value) in [
            ("client", "127.0.0.1"),
            ("site", "shop"),
            ("login", "/login"),
            ("username", "bob"),
            ("limit", "username+ip_address"),
            ("of", "3"),
            ("failures", &(at + 1).to_string()),
        ] {
            assert_eq!(event.get(field), value, "{field} of {name}");
        }
        assert_eq!(event.get("level"), if name == "locked_out" { "warn" } else { "info" });
    }
    let locked = guard.wait_for_event("locked_out");
    assert_eq!(refused.get("ref"), locked.get("ref"));
    assert_eq!(refused.get("until"), locked.get("until"));
    assert_eq!((refused.get("status"), refused.get("reason")), ("403", "locked out"));
    let time = locked.get("until");
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
}

#[test]
fn the_story_of_a_success_is_told_as_json() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{TWO}log: {{ format: json }}"), &upstream);
    for password in ["wrong", "right"] {
        guard.client().log_in("bob", password);
    }
    guard.wait_for_event("counters_cleared");
    let log = guard.log();
    for line in log.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["ts"].is_string() && object["level"].is_string(), "{line}");
    }
    let find = |name: &str| -> serde_json::Value {
        let line = log.lines().find(|line| line.contains(&format!("\"{name}\""))).unwrap();
        serde_json::from_str(line).unwrap()
    };
    assert_eq!(find("login_failed")["failures"], 1);
    assert_eq!(find("login_failed")["of"], 3);
    assert_eq!(find("login_succeeded")["status"], 302);
    assert_eq!(find("login_succeeded")["username"], "bob");
    assert_eq!(find("counters_cleared")["failures"], 1);
}

#[test]
fn what_clients_make_cannot_break_out_of_its_field() {
    let hostile = "bob\" level=error client=6.6.6.6\r\nts=0 event=locked_out\u{1b}[31m\u{202e}\\";
    let encoded: String = hostile.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let upstream = Upstream::shop();
    for format in ["text", "json"] {
        let guard = Guard::start(&format!("{TWO}log: {{ format: {format} }}"), &upstream);
        let ask = Ask::form("/login", &format!("user={encoded}&password=wrong"));
        guard.ask(&ask.with("User-Agent", "x\" event=y").with("Origin", "z\" event=y"));
        let event = guard.wait_for_event("login_failed");
        assert_eq!(event.get("username"), hostile, "{format}");
        assert_eq!(event.get("client"), "127.0.0.1");
        let log = guard.log();
        let line = log.lines().find(|line| line.contains("login_failed")).unwrap();
        let is_plain = |c: char| !c.is_control() && c != '\u{202e}';
        assert!(line.chars().all(is_plain), "{line:?}");
        let (before, _) = line.split_once("bob").unwrap();
        assert!(before.contains("client"), "client= comes before what clients make: {line}");
        assert!(guard.events("locked_out").is_empty());
    }
}

#[test]
fn long_names_are_cut() {
    let upstream = Upstream::shop();
    let guard = Guard::start(TWO, &upstream);
    guard.client().log_in(&"x".repeat(20_000), "wrong");
    guard.wait_for_event("login_failed");
    let longest = guard.log().lines().map(str::len).max().unwrap();
    assert!(longest < 1000, "{longest}");
}

#[test]
fn passwords_are_never_logged() {
    const SECRETS: [&str; 4] = ["s3cret", "czNjcmV0", "c2Vzc2lvbg", "t0ken"];
    let sites = r#"
log: { level: trace, access: true }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: "/*"
        username: [{ form: user }, { basic: true }]
        password: [{ form: password }, { header: x-password }]
        session_cookie: sid
        outcome: { success: { status: 302 } }
"#;
    let upstream = Upstream::shop();
    let guard = Guard::start(sites, &upstream);
    let json = "{\"user\": \"bob\", \"password\": \"s3cret\"}";
    let parts =
        "--e\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\ns3cret\r\n--e--\r\n";
    for ask in [
        Ask::login("bob", "s3cret"),
        Ask::new("POST", "/login").body("application/json", json),
        Ask::new("POST", "/login").body("multipart/form-data; boundary=e", parts),
        Ask::new("POST", "/login").body("application/json", "{\"password\": \"s3cret"),
        Ask::get("/login?user=bob&password=s3cret"),
        Ask::get("/").with("Authorization", "Basic Ym9iOnMzY3JldA=="), // bob:s3cret
        Ask::get("/").with("Authorization", "Basic czNjcmV0"),
        Ask::get("/").with("X-Password", "s3cret"),
        Ask::get("/").with("Cookie", "sid=c2Vzc2lvbg; password=s3cret"),
        Ask::get("/").with("Authorization", "Bearer t0ken"),
        Ask::form("/login", &"password=s3cret&".repeat(20)),
        Ask::form("/login", &format!("password=s3cret{}", "x".repeat(100_000))),
    ] {
        let answer = guard.ask(&ask);
        for secret in SECRETS {
            assert!(answer.kind().is_empty() || !answer.text().contains(secret), "{ask:?}");
        }
    }
    guard.client().send("GET /s3cret-path\0 HTTP/1.1\r\nX-Password: s3cret\r\n\r\n").answer();
    guard.client().get("/the-last-one");
    guard.wait_for("last request", |event| event.get("path") == "/the-last-one");
    for secret in SECRETS {
        assert!(!guard.log().contains(secret), "{secret} is in the log");
    }
    let metrics = guard.metrics();
    // an upstream's address is none of a client's
    let metrics = metrics.replace(upstream.url(), "");
    for secret in [&SECRETS[..], &["bob", "127.0.0.1"]].concat() {
        assert!(!metrics.contains(secret), "{secret} is in the metrics");
    }
}

#[test]
fn every_request_may_have_a_line_of_its_own() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{TWO}log: {{ access: true }}"), &upstream);
    guard.client().get("/page?query=secret");
    guard.client().log_in("bob", "right");
    guard.client().send("GET /path HTTP/1.1\r\n\r\n").answer();
    for (path, method, status, site) in [
        ("/page", "GET", "200", "shop"),
        ("/login", "POST", "302", "shop"),
        ("/path", "GET", "400", ""),
    ] {
        let event = guard.wait_for(path, |e| e.is("request") && e.get("path") == path);
        assert_eq!((event.get("method"), event.get("status")), (method, status), "{path}");
        assert_eq!((event.get("site"), event.get("client")), (site, "127.0.0.1"));
    }
    assert!(!guard.log().contains("secret"));
    let quiet = Guard::start(TWO, &upstream);
    quiet.client().get("/page");
    quiet.client().log_in("bob", "right");
    quiet.wait_for_event("login_succeeded");
    assert!(quiet.events("request").is_empty());
}

#[test]
fn less_important_lines_may_be_left_out() {
    let upstream = Upstream::shop();
    let text = "listen: \"unix:{DIR}/http.sock\"\ntrusted_proxies: unix\nlog: { level: warn }";
    let guard = Guard::spawn(Setup::new(&format!("{TWO}{text}")).upstream(&upstream));
    let path = guard.dir().join("http.sock");
    // it does not say that it listens
    wait::until("it listens", || UnixStream::connect(&path).is_ok());
    let ask = Ask::login("bob", "wrong").with("X-Forwarded-For", "203.0.113.5");
    for _ in 0..4 {
        Client::to_unix(&path).ask(&ask);
    }
    guard.wait_for_event("locked_out");
    assert!(!guard.log().contains("level=info"), "{}", guard.log());
}

#[test]
fn a_flood_of_the_same_is_told_once_and_then_with_a_count() {
    let upstream = Upstream::shop();
    let guard = Guard::start(TWO, &upstream);
    for _ in 0..3 {
        guard.client().log_in("bob", "wrong");
    }
    let mut client = guard.client();
    for _ in 0..500 {
        assert_eq!(client.log_in("bob", "wrong").status, 403);
    }
    let refused = || {
        let events = guard.events("refused");
        (events.len(), events.iter().map(|event| event.times()).sum::<usize>())
    };
    wait::until("all of them are told", || refused().1 == 500);
    assert!(refused().0 < 60, "{} lines", refused().0);
}

#[test]
fn a_rule_that_never_sees_a_success_is_reported() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 303 See Other\r\nLocation: /welcome?token=t0ken\r\nSet-Cookie: sid=s3cret\r\n\
         Set-Cookie: old=; Max-Age=0\r\nX-Auth-Hint: s3cret\r\nContent-Length: 0\r\n\r\n"
    });
    let guard = Guard::start("", &upstream);
    for at in 0..20 {
        guard.client().log_in(&format!("user{at}"), "right");
    }
    let event = guard.wait_for_event("rule_suspect");
    assert_eq!((event.get("site"), event.get("login")), ("shop", "/login"));
    let reason = event.get("reason");
    for part in [
        "never a success",
        "status 303",
        "/welcome",
        "sets cookie sid",
        "deletes cookie old",
        "x-auth-hint",
    ] {
        assert!(reason.contains(part), "{part} in {reason}");
    }
    assert!(!reason.contains("t0ken") && !reason.contains("s3cret"), "{reason}");
}
