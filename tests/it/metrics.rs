//! The metrics listener.

use std::time::Duration;

use crate::support::exposition::Exposition;
use crate::support::upstream::{ok, shop};
use crate::support::{Ask, Client, Gate, Guard, Setup, Upstream, wait};

const TWO: &str = "lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }";

#[test]
fn it_says_that_the_guard_is_alive_and_ready() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    for path in ["/livez", "/readyz"] {
        let answer = guard.metrics_page(path);
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"), "{path}");
    }
    assert_eq!(guard.metrics_page("/").status, 404);
    assert_eq!(upstream.hits(), 0);
    assert_eq!(guard.client().get("/metrics").text(), "hello", "that is the application's");
}

#[test]
fn it_counts_attempts_lockouts_and_answers() {
    let upstream = Upstream::shop();
    let guard = Guard::start(TWO, &upstream);
    let client = || Client::from("127.0.0.7", &guard);
    client().log_in("bob", "right");
    for _ in 0..3 {
        client().log_in("bob", "wrong");
    }
    client().send("nonsense\r\n\r\n").answer();
    let metrics = guard.metrics();
    for line in [
        r#"loginward_attempts_total{site="shop",login="/login",outcome="failure",basis="unmatched"} 2"#,
        r#"loginward_attempts_total{site="shop",login="/login",outcome="success",basis="rule"} 1"#,
        r#"loginward_lockouts_total{site="shop",login="/login"} 1"#,
        r#"loginward_refusals_total{site="shop",kind="locked",reason="at_limit"} 1"#,
        r#"loginward_refusals_total{site="shop",kind="locked",reason="locked"} 1"#,
        r#"loginward_refusals_total{site="",kind="refused",reason="unclear"} 1"#,
        "loginward_lockouts_in_force 1",
        "loginward_places 0",
        "loginward_waiting 0",
    ] {
        assert!(metrics.lines().any(|own| own == line), "{line} in\n{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"), "it is OpenMetrics");
    for name in ["bob", "127.0.0.7"] {
        assert!(!metrics.contains(name), "{name} in\n{metrics}");
    }
}

#[test]
fn without_an_address_there_is_none() {
    let upstream = Upstream::hello();
    let guard = Guard::start("metrics: none", &upstream);
    assert_eq!(guard.client().get("/").status, 200);
    assert!(guard.events("metrics_listening").is_empty());
}

/// All that a guard's metrics say; reading them is strict.
#[track_caller]
fn read(guard: &Guard) -> Exposition {
    Exposition::parse(&guard.metrics())
}

/// A guard whose clients can be refused for nearly every reason, and one client of it.
struct Refusing(Guard);

impl Refusing {
    fn start(upstream: &Upstream) -> Self {
        Self(Guard::start(REFUSING, upstream))
    }

    /// What is sent from this address is answered so, and that is counted as this and nothing else.
    #[track_caller]
    fn check(
        &self,
        (site, reason): (&str, &str),
        answer: (u16, &str),
        (from, sent): (&str, &[u8]),
    ) {
        let count = || {
            let all = read(&self.0);
            let own = all.sum("loginward_refusals_total", &[("site", site), ("reason", reason)]);
            (own, all.sum("loginward_refusals_total", &[]))
        };
        let before = count();
        assert_eq!(Client::from(from, &self.0).send(sent).answer().verdict(), answer, "{reason}");
        assert_eq!(count(), (before.0 + 1.0, before.1 + 1.0), "{reason}");
    }
}

const REFUSING: &str = r#"
sites:
  - name: shop
    hosts: [shop.test]
    upstream: "{UPSTREAM}"
    closed: /xmlrpc.php
    access: { deny: 127.0.0.9, covers: everything }
    logins:
      path: /login
      username: { form: user }
      password: { form: password }
      max_body: 1KiB
      outcome: { success: { status: 302 } }
  - name: gone
    hosts: [gone.test]
    upstream: "http://127.0.0.43:9"
trusted_proxies: 127.0.0.8
lockout: { limits: { by: ip_address, failures: 1, cool_off: 10m } }
bounds: { target: 1KiB }
timeouts: { login_body: 200ms }
"#;

#[test]
fn each_reason_to_refuse_a_request_of_a_site_is_counted_under_a_word_of_its_own() {
    let upstream = Upstream::shop();
    let guard = Refusing::start(&upstream);
    let wrong = Ask::login("bob", "wrong");
    let check = |reason, answer, ask: &Ask| {
        guard.check(("shop", reason), answer, ("127.0.0.1", &ask.bytes()));
    };
    let any = Ask::get("/").bytes();
    guard.check(("shop", "denied"), (403, "denied"), ("127.0.0.9", &any));
    let nameless = wrong.clone().with("X-Forwarded-For", "nobody").bytes();
    guard.check(("shop", "client_unknown"), (400, "refused"), ("127.0.0.8", &nameless));
    check("closed", (403, "denied"), &Ask::get("/xmlrpc.php"));
    check("body_too_large", (413, "refused"), &Ask::login("bob", &"a".repeat(2000)));
    check("unreadable_body", (415, "refused"), &wrong.clone().with("Content-Encoding", "zstd"));
    let five = Ask::form("/login", "user=a&user=b&user=c&user=d&user=e&password=x");
    check("too_many_guesses", (400, "refused"), &five);
    let slow = b"POST /login HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 9\r\n\r\nuser";
    guard.check(("shop", "slow_client"), (408, "refused"), ("127.0.0.1", slow));
    check("at_limit", (403, "locked"), &wrong);
    check("locked", (403, "locked"), &wrong);
    let all = read(&guard.0);
    let refused = all.sum("loginward_responses_total", &[("site", "shop"), ("class", "4xx")]);
    assert_eq!(refused as u32, 9);
}

#[test]
fn so_is_each_reason_to_refuse_what_belongs_to_no_site_and_what_no_upstream_answers() {
    let upstream = Upstream::shop();
    let guard = Refusing::start(&upstream);
    let check = |(site, reason), answer, text: &str| {
        guard.check((site, reason), answer, ("127.0.0.1", text.as_bytes()));
    };
    let get = |host| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    check(("", "no_site"), (421, "refused"), &get("else.test"));
    check(("", "unclear"), (400, "refused"), "GET / HTTP/1.1\r\n\r\n");
    let connect = "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n";
    check(("", "connect_method"), (405, "refused"), connect);
    let long = Ask::get(&format!("/{}", "a".repeat(2000))).bytes();
    guard.check(("", "target_too_long"), (414, "refused"), ("127.0.0.1", &long));
    let large = Ask::get("/").with("X-Large", &"a".repeat(200_000)).bytes();
    guard.check(("", "head_too_large"), (431, "refused"), ("127.0.0.1", &large));
    check(("gone", "upstream_unreachable"), (502, "error"), &get("gone.test"));
    let errors = [("site", "gone"), ("kind", "connect")];
    assert_eq!(read(&guard.0).sum("loginward_upstream_errors_total", &errors) as u32, 1);
}

#[test]
fn what_an_upstream_does_wrong_is_counted_by_kind() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(request) = talk.request() {
            match request.target.as_str() {
                "/cut" => return,
                "/short" => {
                    talk.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
                    return;
                }
                "/late" => return drop(talk.request()),
                _ => drop(talk.send(ok("hello"))),
            }
        }
    });
    let guard = Guard::start("timeouts: { response_head: 300ms }", &upstream);
    let count = |kind: &str| {
        read(&guard).sum("loginward_upstream_errors_total", &[("site", "shop"), ("kind", kind)])
            as u32
    };
    assert_eq!(guard.client().get("/cut").status, 502);
    assert_eq!(count("broken"), 1);
    let mut client = guard.client();
    client.send(Ask::get("/short").bytes());
    assert_eq!(client.answer_head().unwrap().status, 200);
    wait::until("its end is missed", || count("body") == 1);
    assert_eq!(guard.client().get("/late").status, 504);
    assert_eq!(count("timeout"), 1);
    let states = read(&guard);
    let ready = states.sum("loginward_upstream_server_state", &[("state", "ready")]);
    assert_eq!(ready as u32, 1, "it takes connections");
    assert_eq!(states.sum("loginward_upstream_server_state", &[("server", upstream.url())]), 1.0);
}

/// How long the sum of a histogram is.
fn seconds(all: &Exposition, name: &str) -> Duration {
    Duration::from_secs_f64(all.sum(&format!("loginward_{name}_sum"), &[("site", "shop")]))
}

#[test]
fn what_a_request_waits_for_is_not_the_guards_own_time() {
    const LONG: Duration = Duration::from_millis(400);
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        held.pass();
        shop(request)
    });
    let limit = "lockout: { limits: { by: ip_address, failures: 1, cool_off: 10m } }";
    let guard = Guard::start(limit, &upstream);
    // one attempt waits for its upstream, a second for the place, and for the rest of its body
    let (mut first, mut second) = (guard.client(), guard.client());
    first.send(Ask::login("bob", "right").bytes());
    gate.wait_for_arrivals(1);
    let ask = Ask::login("bob", "right").bytes();
    let (begin, rest) = ask.split_at(ask.len() - 3);
    second.send(begin);
    let in_flight = || guard.metric("loginward_requests_in_flight", "") as u32;
    wait::until("both are here", || in_flight() == 2);
    second.send(rest);
    wait::until("it waits", || guard.metric("loginward_waiting", "") > 0.5);
    assert_eq!(guard.metric("loginward_attempts_in_flight", "") as u32, 1);
    let begun = wait::now();
    wait::until("time has passed", || begun.elapsed() > LONG);
    gate.open();
    assert_eq!((first.answer().status, second.answer().status), (302, 302));
    wait::until("both are done", || in_flight() == 0);
    let all = read(&guard);
    assert!(seconds(&all, "request_duration_seconds") > 2 * LONG);
    assert!(seconds(&all, "upstream_response_seconds") > LONG);
    let own = seconds(&all, "guard_duration_seconds");
    assert!(own < LONG / 2, "{own:?}");
    for name in ["request_duration", "guard_duration", "upstream_response"] {
        let count = all.sum(&format!("loginward_{name}_seconds_count"), &[("site", "shop")]);
        assert_eq!(count as u32, 2, "{name}");
    }
    assert_eq!(guard.metric("loginward_attempts_in_flight", "") as u32, 0);
}

#[test]
fn a_request_is_in_flight_until_its_client_has_its_answer_or_has_gone() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::scripted(move |talk| {
        drop(talk.request());
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
        held.pass();
        talk.send("cd");
    });
    let guard = Guard::start("", &upstream);
    let in_flight = || guard.metric("loginward_requests_in_flight", "") as u32;
    let (mut one, mut other) = (guard.client(), guard.client());
    for client in [&mut one, &mut other] {
        client.send(Ask::get("/").bytes());
        assert_eq!(client.answer_head().unwrap().status, 200);
    }
    assert_eq!(in_flight(), 2);
    other.reset();
    wait::until("one has gone", || in_flight() == 1);
    gate.open();
    wait::until("the other is done", || in_flight() == 0);
    assert_eq!(guard.metric("loginward_connections_accepted_total", "") as u32, 2);
}

#[test]
fn sites_that_are_gone_are_not_counted_any_more_and_the_others_go_on() {
    let upstream = Upstream::hello();
    let two = r#"
sites:
  - { name: shop, hosts: shop.test, upstream: "{UPSTREAM}" }
  - { name: other, hosts: other.test, upstream: "{UPSTREAM}" }
"#;
    let guard = Setup::new(two).upstream(&upstream).start();
    let requests = |site: &str| {
        let all = read(&guard);
        let name = "loginward_request_duration_seconds_count";
        let own = |sample: &&crate::support::exposition::Sample| {
            sample.name == name && sample.labels.get("site").is_some_and(|own| own == site)
        };
        all.samples().find(own).map(|sample| sample.value as u32)
    };
    assert_eq!(guard.client().get("/").status, 200);
    assert_eq!((requests("shop"), requests("other")), (Some(1), Some(0)));
    guard.reconfigure(|text| text.replace("name: other", "name: another"));
    guard.reload();
    guard.wait_for_event("reloaded");
    assert_eq!(guard.client().get("/").status, 200);
    assert_eq!((requests("shop"), requests("other")), (Some(2), None));
    assert_eq!(requests("another"), Some(0));
}

#[test]
fn it_says_what_it_is_since_when_and_how_much_room_there_is() {
    let upstream = Upstream::hello();
    let text = "store: { memory: { max_counters: 5000, max_lockouts: 3000 } }";
    let all = read(&Guard::start(text, &upstream));
    let build = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(all.sum("loginward_build_info", &build) as u32, 1);
    assert_eq!(all.sum("loginward_counters_limit", &[]) as u32, 5000);
    assert_eq!(all.sum("loginward_lockouts_limit", &[]) as u32, 3000);
    let now = loginward::clock::Clock::system().wall_now();
    let age = now.as_secs_f64() - all.sum("process_start_time_seconds", &[]);
    assert!((0.0..60.0).contains(&age), "{age}");
    assert!((0.0..60.0).contains(&all.sum("loginward_uptime_seconds", &[])));
    let memory = all.sum("process_resident_memory_bytes", &[]);
    assert!((1e6..1e9).contains(&memory), "{memory}");
    assert!(all.sum("process_resident_memory_max_bytes", &[]) >= memory);
}

#[test]
fn names_are_as_prometheus_wants_them() {
    let upstream = Upstream::hello();
    let all = read(&Guard::start("", &upstream));
    for (name, family) in &all.families {
        assert!(name.starts_with("loginward_") || name.starts_with("process_"), "{name}");
        assert!(!name.ends_with("_total"), "the suffix is the format's: {name}");
        for unit in ["millis", "micros", "nanos", "_ms", "_kb", "minutes"] {
            assert!(!name.contains(unit), "base units alone: {name}");
        }
        if family.kind == "histogram" {
            assert!(name.ends_with("_seconds"), "{name}");
        }
        assert!(family.help.ends_with('.'), "{name}: {}", family.help);
        for label in family.samples.iter().flat_map(|sample| sample.labels.keys()) {
            let known = [
                "site",
                "login",
                "outcome",
                "basis",
                "kind",
                "reason",
                "class",
                "server",
                "state",
                "what",
                "version",
                "certificate",
                "outlet",
                "result",
                "le",
            ];
            assert!(known.contains(&label.as_str()), "{name}: {label}");
        }
    }
}
