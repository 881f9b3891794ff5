//! Who is refused, who never is, and what the others see of it.

use std::time::Duration;

use crate::support::{Ask, Client, Guard, Setup, Upstream, wait};

const TWO: &str = "limits: { by: ip_address, failures: 2, cool_off: 10m }";

fn guard(lockout: &str, more: &str, upstream: &Upstream) -> Guard {
    Guard::start(&format!("lockout: {{ {lockout} }}\n{more}"), upstream)
}

fn statuses(guard: &Guard, passwords: &[&str]) -> Vec<u16> {
    passwords.iter().map(|password| guard.client().log_in("bob", password).status).collect()
}

#[test]
fn a_lockout_ends_with_its_cool_off() {
    let upstream = Upstream::shop();
    let limit = "limits: { by: ip_address, failures: 2, cool_off: 2s }";
    let guard = guard(limit, "", &upstream);
    assert_eq!(statuses(&guard, &["wrong", "wrong"]), [200, 403]);
    let begun = wait::now();
    wait::until("it is over", || {
        let answer = guard.client().log_in("bob", "right");
        let left = answer.get("retry-after").map(|left| left.parse::<u64>().unwrap());
        assert!(left.is_none_or(|left| (1..=2).contains(&left)), "{left:?}");
        answer.status == 302
    });
    assert!(begun.elapsed() > Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert_eq!(statuses(&guard, &["wrong"]), [200], "the failures ended with it");
}

#[test]
fn the_failure_that_reaches_the_limit_may_get_the_upstreams_answer() {
    let upstream = Upstream::shop();
    let guard = guard(&format!("{TWO}, at_limit: upstream"), "", &upstream);
    assert_eq!(statuses(&guard, &["wrong", "wrong", "right"]), [200, 200, 403]);
    assert_eq!(upstream.hits(), 2);
    guard.wait_for_event("locked_out");
}

#[test]
fn a_locked_out_client_may_do_everything_else() {
    let upstream = Upstream::shop();
    let guard = guard(TWO, "", &upstream);
    statuses(&guard, &["wrong", "wrong"]);
    let mut client = guard.client();
    assert_eq!(client.log_in("bob", "right").verdict(), (403, "locked"));
    assert_eq!(client.get("/login").text(), "hello");
    assert_eq!(client.ask(&Ask::form("/comment", "password=x")).text(), "hello");
}

#[test]
fn every_spelling_of_the_login_is_the_login() {
    for target in [
        "/login/",
        "//login",
        "/./login",
        "/x/../login",
        "/%6Cogin",
        "/LOGIN",
        "/login;x=y",
        "/login.json",
        "/login/x",
        "/login%2F",
        "/login?x",
        "/login%00",
        "\\login",
        "/login%20",
    ] {
        let upstream = Upstream::hello();
        let guard = guard(TWO, "", &upstream);
        let ask = Ask::form(target, "user=bob&password=wrong");
        let statuses = [(); 3].map(|()| guard.ask(&ask).status);
        assert!(statuses[2] == 403 || statuses == [400; 3], "{target}: {statuses:?}");
        assert!(upstream.hits() <= 2, "{target}");
    }
}

#[test]
fn credentials_in_the_query_are_an_attempt_by_any_method() {
    let upstream = Upstream::hello();
    let guard = guard(TWO, "", &upstream);
    let ask = |method| guard.ask(&Ask::new(method, "/login?user=bob&password=x")).status;
    assert_eq!((ask("GET"), ask("PUT"), ask("GET")), (200, 403, 403));
    assert_eq!(upstream.hits(), 2);
}

#[test]
fn monitor_refuses_and_delays_nothing_and_says_what_it_would_do() {
    let upstream = Upstream::shop();
    let guard = guard(&format!("{TWO}, mode: monitor"), "", &upstream);
    let passwords = ["wrong", "wrong", "wrong", "right", "wrong"];
    assert_eq!(statuses(&guard, &passwords), [200, 200, 200, 302, 200]);
    assert_eq!(upstream.hits(), 5);
    let event = guard.wait_for_event("would_refuse");
    assert_eq!((event.get("mode"), event.get("username")), ("monitor", "bob"));
    assert_eq!(guard.wait_for_event("locked_out").get("mode"), "monitor");
    assert!(guard.events("refused").is_empty());
    assert_eq!(guard.metric("loginward_refusals_total", "") as u32, 0);
}

#[test]
fn monitor_is_no_excuse_from_access() {
    let upstream = Upstream::shop();
    let guard = guard(&format!("{TWO}, mode: monitor"), "access: { deny: 127.0.0.1 }", &upstream);
    assert_eq!(guard.client().log_in("bob", "right").verdict(), (403, "denied"));
    assert_eq!(upstream.hits(), 0);
}

#[test]
fn who_is_denied_is_refused_at_once_and_not_counted() {
    let upstream = Upstream::shop();
    let guard = guard(TWO, "access: { deny: [127.0.0.7, 10.0.0.0/8] }", &upstream);
    let mut denied = Client::from("127.0.0.7", &guard);
    for _ in 0..3 {
        let answer = denied.log_in("bob", "right");
        assert_eq!((answer.verdict(), answer.get("retry-after")), ((403, "denied"), None));
    }
    assert_eq!(denied.get("/").status, 200, "it covers logins");
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
    assert_eq!(guard.metric("loginward_counters", "") as u32, 0);
}

#[test]
fn access_may_cover_everything() {
    let upstream = Upstream::shop();
    let guard = guard(TWO, "access: { deny: 127.0.0.7, covers: everything }", &upstream);
    let mut denied = Client::from("127.0.0.7", &guard);
    assert_eq!(denied.get("/").verdict(), (403, "denied"));
    assert_eq!(denied.log_in("bob", "right").verdict(), (403, "denied"));
    assert_eq!(guard.client().get("/").status, 200);
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn only_those_may_come_who_are_allowed_and_they_are_counted() {
    let upstream = Upstream::shop();
    let text = format!("lockout: {{ {TWO} }}\naccess: {{ only_allow: \"file:friends\" }}");
    let setup = Setup::new(&text).file("friends", "# friends\n127.0.0.1\n127.0.1.0/24\n");
    let guard = setup.upstream(&upstream).start();
    let log_in = |from| Client::from(from, &guard).log_in("bob", "wrong").verdict().0;
    assert_eq!((log_in("127.0.1.9"), log_in("127.0.1.9"), log_in("127.0.1.9")), (200, 403, 403));
    assert_eq!(Client::from("127.0.2.1", &guard).log_in("bob", "right").kind(), "denied");
    assert_eq!(upstream.hits(), 2);
}

#[test]
fn a_site_and_a_login_may_deny_more() {
    let sites = r#"
sites:
  - upstream: "{UPSTREAM}"
    access: { deny: 127.0.0.7 }
    logins:
      - { path: /login, username: { form: user }, outcome: { success: { status: 302 } } }
      - path: /staff
        username: { form: user }
        outcome: { success: { status: 302 } }
        access: { only_allow: 127.0.0.9 }
"#;
    let upstream = Upstream::hello();
    let guard = Guard::start(sites, &upstream);
    let ask = |from, target| {
        Client::from(from, &guard).ask(&Ask::form(target, "user=bob")).kind().to_owned()
    };
    assert_eq!(
        (ask("127.0.0.7", "/login"), ask("127.0.0.7", "/staff")),
        ("denied".into(), "denied".into())
    );
    assert_eq!((ask("127.0.0.9", "/login"), ask("127.0.0.9", "/staff")), ("".into(), "".into()));
    assert_eq!(
        (ask("127.0.0.1", "/login"), ask("127.0.0.1", "/staff")),
        ("".into(), "denied".into())
    );
}

#[test]
fn some_are_never_locked_nor_counted() {
    let upstream = Upstream::shop();
    let never = "never_lock: { networks: 127.0.0.7, usernames: [Root] }";
    let guard = guard(&format!("{TWO}, {never}"), "", &upstream);
    let log_in = |from, user| Client::from(from, &guard).log_in(user, "wrong").status;
    for _ in 0..5 {
        assert_eq!((log_in("127.0.0.7", "bob"), log_in("127.0.0.8", "Root")), (200, 200));
    }
    let event = guard.wait_for_event("never_locked_failed");
    assert_eq!(event.get("client"), "127.0.0.7");
    assert_eq!((log_in("127.0.0.8", "root"), log_in("127.0.0.8", "root")), (200, 403), "another");
    assert_eq!((log_in("127.0.0.8", "Root"), log_in("127.0.0.7", "x")), (200, 200));
    let both = Ask::form("/login", "user=Root&user=bob&password=x");
    assert_eq!(Client::from("127.0.0.8", &guard).ask(&both).status, 403, "not every one is listed");
}

#[test]
fn closed_paths_are_closed_in_every_spelling_to_everybody() {
    let sites = "sites: [{ upstream: \"{UPSTREAM}\", closed: [\"/xmlrpc.php\", \"/old/*\"] }]";
    let upstream = Upstream::hello();
    let guard = Guard::start(sites, &upstream);
    for target in [
        "/xmlrpc.php",
        "//xmlrpc.php",
        "/XMLRPC.php",
        "/%78mlrpc.php",
        "/x/../xmlrpc.php?rsd",
        "/xmlrpc.php/",
        "/xmlrpc.php/x",
        "/old/",
        "/old/a/b",
        "/old/../old/x",
    ] {
        let answer = guard.client().get(target);
        assert_eq!(answer.verdict(), (403, "denied"), "{target}");
    }
    assert_eq!(upstream.hits(), 0);
    for target in ["/xmlrpcx.php", "/xml", "/older"] {
        assert_eq!(guard.client().get(target).status, 200, "{target}");
    }
}

#[test]
fn sites_have_counters_of_their_own_and_logins_of_one_share_them() {
    let sites = r#"
lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }
sites:
  - name: a
    hosts: a.test
    upstream: "{UPSTREAM}"
    logins:
      - { path: /login, username: { form: user }, outcome: { success: { status: 302 } } }
      - { path: /other, username: { form: user }, outcome: { success: { status: 302 } } }
      - path: /own
        username: { form: user }
        outcome: { success: { status: 302 } }
        lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }
  - name: b
    hosts: b.test
    upstream: "{UPSTREAM}"
    logins:
      - { path: /login, username: { form: user }, outcome: { success: { status: 302 } } }
"#;
    let upstream = Upstream::hello();
    let guard = Guard::start(sites, &upstream);
    let fail = |host, path| {
        let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 8";
        let ask = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{form}\r\n\r\nuser=bob");
        guard.client().send(ask).answer().status
    };
    assert_eq!((fail("a.test", "/login"), fail("a.test", "/other")), (200, 403));
    assert_eq!(fail("a.test", "/login"), 403);
    assert_eq!((fail("a.test", "/own"), fail("a.test", "/own")), (200, 403));
    assert_eq!((fail("b.test", "/login"), fail("b.test", "/login")), (200, 403));
}

#[test]
fn monitor_passes_what_it_would_refuse_unread() {
    let upstream = Upstream::shop();
    let guard = guard(&format!("{TWO}, mode: monitor"), "", &upstream);
    let form = "application/x-www-form-urlencoded";
    let large = format!("user=bob&password=x&f={}", "y".repeat(200_000));
    for (kind, body) in [
        (form, "user=a&user=b&user=c&user=d&user=e&password=x"),
        (form, large.as_str()),
        ("application/x-www-form-urlencoded; charset=utf-7", "user=bob&password=x"),
        ("multipart/form-data", "user=bob&password=x"),
        ("application/json", "{\"user\": \"bob\""),
    ] {
        let before = guard.events("would_refuse").len();
        assert_eq!(guard.ask(&Ask::new("POST", "/login").body(kind, body)).status, 200, "{kind}");
        assert_eq!(upstream.requests().pop().unwrap().text(), body);
        wait::until("it is said", || guard.events("would_refuse").len() > before);
    }
    assert!(guard.events("refused").is_empty());
}

#[test]
fn an_attempt_that_reached_the_upstream_is_not_reported_as_refused() {
    let upstream = Upstream::shop();
    let guard = guard(TWO, "", &upstream);
    assert_eq!(statuses(&guard, &["wrong", "wrong"]), [200, 403]);
    guard.wait_for_event("locked_out");
    assert_eq!(statuses(&guard, &["wrong"]), [403]);
    guard.wait_for_event("refused");
    assert_eq!(guard.events("refused").len(), 1);
    let reference = guard.wait_for_event("locked_out").get("ref").to_owned();
    assert_eq!(guard.wait_for_event("refused").get("ref"), reference);
}
