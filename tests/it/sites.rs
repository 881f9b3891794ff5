//! Many hosts, each with an application, rules and limits of its own.

use std::fmt::Write as _;

use crate::support::upstream::ok;
use crate::support::{Answer, Authority, Guard, Http2, Setup, Upstream};

/// The answer to a GET of `target` at `host`.
#[track_caller]
fn get(guard: &Guard, host: &str, target: &str) -> Answer {
    let get = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    guard.client().send(get).answer()
}

/// The answer to a wrong guess in a form with `field` at `host`.
#[track_caller]
fn guess(guard: &Guard, host: &str, target: &str, field: &str) -> Answer {
    let body = format!("{field}=bob&password=wrong");
    let post = format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    );
    guard.client().send(post).answer()
}

const SITES: &str = r#"
sites:
  - hosts: [a.test, "*.a.test"]
    upstream: "{A}"
    logins:
      - { path: /login, username: { form: user }, outcome: { success: { status: 302 } } }
    lockout: { limits: { by: ip_address, failures: 1, cool_off: 10m } }
  - hosts: "*.deep.a.test"
    upstream: "{B}"
    closed: /login
  - hosts: b.test
    upstream: "{B}"
    logins:
      - { path: /signin, username: { form: name }, outcome: { success: { status: 302 } } }
    lockout: { limits: { by: username, failures: 2, cool_off: 10m } }
"#;

fn two() -> (Upstream, Upstream) {
    (Upstream::answering(|_| ok("a")), Upstream::answering(|_| ok("b")))
}

#[test]
fn a_host_that_may_be_read_in_several_ways_reaches_no_site() {
    let (a, b) = two();
    let rest = format!("{SITES}  - upstream: \"{{B}}\"\n");
    let guard = Setup::new(&rest).replace("{A}", a.url()).replace("{B}", b.url()).start();
    assert_eq!(get(&guard, "other.test", "/").text(), "b", "there is a site for the rest");
    for odd in [
        "a.test..",
        ".a.test",
        "x..a.test",
        "a.test:x",
        "a.test:80.",
        "a.test:80:80",
        "a%2etest",
        "a.test%00",
        "[::1",
        "[a.test]",
        "a.test,b.test",
        "a.test;",
        "(a.test)",
        "a.test:-1",
    ] {
        assert_eq!(get(&guard, odd, "/login").verdict(), (400, "refused"), "{odd}");
    }
    let whole = "GET http://a.test:80:80/login HTTP/1.1\r\nHost: a.test\r\n\r\n";
    assert_eq!(guard.client().send(whole).answer().status, 400);
    for plain in ["a.test.", "A.TEST:80", "a.test:", "a.test.:443"] {
        assert_eq!(get(&guard, plain, "/").text(), "a", "{plain}");
    }
    for plain in
        ["[::1]", "[2001:db8::1]:80", "192.0.2.1:80", "under_score.test", "xn--bcher-kva.test"]
    {
        assert_eq!(get(&guard, plain, "/").text(), "b", "{plain}");
    }
}

#[test]
fn each_site_has_its_own_upstream_rules_and_limits() {
    let (a, b) = two();
    let guard = Setup::new(SITES).replace("{A}", a.url()).replace("{B}", b.url()).start();
    for (host, expected) in [
        ("a.test", "a"),
        ("x.a.test", "a"),
        ("x.y.A.test.:8080", "a"),
        ("x.deep.a.test", "b"),
        ("deep.a.test", "a"),
        ("b.test", "b"),
    ] {
        assert_eq!(get(&guard, host, "/").text(), expected, "{host}");
    }
    assert_eq!(get(&guard, "x.deep.a.test", "/login").verdict(), (403, "denied"));
    assert_eq!(guess(&guard, "a.test", "/login", "user").verdict(), (403, "locked"), "the first");
    assert_eq!(guess(&guard, "b.test", "/login", "user").text(), "b", "no login there");
    assert_eq!(guess(&guard, "b.test", "/signin", "name").text(), "b");
    assert_eq!(guess(&guard, "b.test", "/signin", "name").verdict(), (403, "locked"));
    assert_eq!(guess(&guard, "a.test", "/signin", "name").text(), "a", "no login there");
    assert_eq!(guard.wait_for_event("locked_out").get("site"), "a.test");
}

#[test]
fn a_host_that_no_site_is_for_is_misdirected_unless_there_is_a_default() {
    let (a, b) = two();
    let setup = || Setup::new(SITES).replace("{A}", a.url()).replace("{B}", b.url());
    let guard = setup().start();
    for host in ["c.test", "test", "xa.test", "127.0.0.1"] {
        assert_eq!(get(&guard, host, "/").verdict(), (421, "refused"), "{host}");
    }
    assert_eq!((a.hits(), b.hits()), (0, 0));
    let setup = setup();
    let text = format!("{}  - upstream: \"{}\"\n", SITES.trim_start(), b.url());
    let text = text.replace("{A}", a.url()).replace("{B}", b.url());
    let text = setup
        .text
        .replace(&SITES.trim_start().replace("{A}", a.url()).replace("{B}", b.url()), &text);
    let guard = Setup { text, ..setup }.start();
    assert_eq!(get(&guard, "c.test", "/").text(), "b");
    assert_eq!(get(&guard, "a.test", "/").text(), "a");
}

/// `count` sites before one upstream, each with a limit of one to five failures.
fn many(count: usize) -> String {
    let mut text = "workers: 1\nsites:\n".to_owned();
    for site in 0..count {
        write!(
            text,
            "  - hosts: [site{site}.test, \"*.site{site}.test\"]\n    upstream: \"{{UPSTREAM}}\"\n    \
             logins: [{{ path: /login, username: {{ form: user }}, \
             outcome: {{ success: {{ status: 302 }} }} }}]\n    \
             lockout: {{ limits: {{ by: ip_address, failures: {}, cool_off: 10m }} }}\n",
            site % 5 + 1
        )
        .unwrap();
    }
    text
}

#[test]
fn a_thousand_sites_are_served_over_few_connections() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&many(1000), &upstream);
    for host in ["site0.test", "site999.test", "a.b.site500.test"] {
        assert_eq!(get(&guard, host, "/").text(), "hello", "{host}");
    }
    assert_eq!(get(&guard, "site1000.test", "/").verdict(), (421, "refused"));
    for site in [0, 7, 503, 999] {
        let host = format!("site{site}.test");
        for _ in 0..site % 5 {
            assert_eq!(guess(&guard, &host, "/login", "user").text(), "wrong password");
        }
        assert_eq!(guess(&guard, &host, "/login", "user").verdict(), (403, "locked"), "{host}");
    }
    for site in 0..200 {
        assert_eq!(get(&guard, &format!("site{site}.test"), "/").status, 200);
    }
    assert!(upstream.connections() < 10, "all sites share them: {}", upstream.connections());
}

#[test]
fn a_thousand_sites_are_reloaded_and_keep_their_counters() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&many(1000), &upstream);
    for site in [1, 996] {
        guess(&guard, &format!("site{site}.test"), "/login", "user");
    }
    guard.reload();
    for site in [1, 996] {
        let again = guess(&guard, &format!("site{site}.test"), "/login", "user");
        assert_eq!(again.verdict(), (403, "locked"), "the second of two");
    }
}

#[test]
fn sites_are_told_apart_over_http_2_too() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let sites = r#"
listen: { address: "127.0.0.1:0", tls: { certificate: cert.pem, key: key.pem } }
sites:
  - { hosts: "*.shop.test", upstream: "{UPSTREAM}", closed: /private }
  - { hosts: shop.test, upstream: "{UPSTREAM}" }
"#;
    let setup = Setup::new(sites).upstream(&upstream);
    let guard = setup.file("cert.pem", &certificate).file("key.pem", &key).start();
    let mut client = Http2::to(&guard, &authority);
    let mut ask = |uri: &str| {
        let mut request = Http2::request("GET", "/");
        *request.uri_mut() = uri.parse().unwrap();
        let reply = client.ask(request, b"");
        (reply.status, reply.get("x-loginward").unwrap_or_default().to_owned())
    };
    assert_eq!(ask("https://shop.test/private"), (200, String::new()));
    assert_eq!(ask("https://a.shop.test/private"), (403, "denied".to_owned()));
    assert_eq!(ask("https://other.test/"), (421, "refused".to_owned()));
    assert_eq!(ask("https://shop.test/"), (200, String::new()), "the connection goes on");
}
