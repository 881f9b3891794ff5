//! Applications with several servers.

mod failover;
mod health;
mod http2;
mod tls;

use crate::support::upstream::ok;
use crate::support::{Ask, Client, Guard, Setup, Upstream};

/// Upstreams that say their number and end each connection.
pub fn numbered(servers: usize) -> Vec<Upstream> {
    (0..servers).map(|number| Upstream::answering(move |_| ok(&number.to_string()))).collect()
}

/// A guard before `servers`, with these keys of `upstream` and of the file besides.
#[track_caller]
pub fn guard(servers: &[&str], keys: &str, file: &str) -> Guard {
    let servers: Vec<String> = servers.iter().map(|url| format!("\"{url}\"")).collect();
    let upstream = format!("{{ servers: [{}], {keys} }}", servers.join(", "));
    Setup::new(file).replace("\"{UPSTREAM}\"", &upstream).start()
}

#[track_caller]
fn before(upstreams: &[Upstream], keys: &str) -> Guard {
    let urls: Vec<&str> = upstreams.iter().map(Upstream::url).collect();
    guard(&urls, keys, "workers: 2")
}

#[test]
fn a_client_keeps_its_server_and_clients_are_spread() {
    let upstreams = numbered(3);
    let guard = before(&upstreams, "");
    let of = |client: u8| Client::from(&format!("127.0.0.{client}"), &guard).get("/").text();
    let servers: Vec<String> = (1..=30).map(of).collect();
    for number in ["0", "1", "2"] {
        assert!(servers.iter().any(|server| server == number), "{servers:?}");
    }
    for (client, server) in (1..=30).zip(&servers) {
        assert_eq!(of(client), *server, "{client}, on whatever worker");
    }
}

#[test]
fn a_list_of_servers_is_balanced_by_client_too() {
    let upstreams = numbered(2);
    let list = format!("[\"{}\", \"{}\"]", upstreams[0].url(), upstreams[1].url());
    let guard = Setup::new("").replace("\"{UPSTREAM}\"", &list).start();
    let of = |client: u8| Client::from(&format!("127.0.0.{client}"), &guard).get("/").text();
    let servers: Vec<String> = (1..=20).map(of).collect();
    assert!(servers.contains(&"0".to_owned()) && servers.contains(&"1".to_owned()));
    assert_eq!((1..=20).map(of).collect::<Vec<_>>(), servers);
}

#[test]
fn a_trusted_proxys_clients_are_told_apart() {
    let upstreams = numbered(2);
    let urls: Vec<&str> = upstreams.iter().map(Upstream::url).collect();
    let guard = guard(&urls, "", "trusted_proxies: 127.0.0.1");
    let of = |client: &str| guard.ask(&Ask::get("/").with("X-Forwarded-For", client)).text();
    let servers: Vec<String> = (0..20).map(|n| of(&format!("192.0.2.{n}"))).collect();
    assert!(servers.contains(&"0".to_owned()) && servers.contains(&"1".to_owned()));
    assert_eq!((0..20).map(|n| of(&format!("192.0.2.{n}"))).collect::<Vec<_>>(), servers);
    let within: Vec<String> = (0..10).map(|n| of(&format!("2001:db8::{n}"))).collect();
    assert!(within.iter().all(|server| *server == within[0]), "one /64: {within:?}");
}

#[test]
fn a_cookie_leads_to_its_server_whoever_sends_it() {
    let upstreams = numbered(3);
    let guard = before(&upstreams, "balance: { cookie: sid }");
    let of = |client: u8, cookies: &str| {
        let mut client = Client::from(&format!("127.0.0.{client}"), &guard);
        client.ask(&Ask::get("/").with("Cookie", cookies)).text()
    };
    let servers: Vec<String> = (1..=30).map(|n| of(1, &format!("a=b; sid={n}"))).collect();
    for number in ["0", "1", "2"] {
        assert!(servers.iter().any(|server| server == number), "{servers:?}");
    }
    for (n, server) in (1..=30).zip(&servers) {
        assert_eq!(of(n, &format!("sid={n}; c=d")), *server);
    }
    let without: Vec<String> = (0..10).map(|n| of(9, &format!("sid2={n}; sid="))).collect();
    assert!(without.iter().all(|server| *server == without[0]), "by client: {without:?}");
}

#[test]
fn servers_take_turns() {
    let upstreams = numbered(3);
    let urls: Vec<&str> = upstreams.iter().map(Upstream::url).collect();
    let guard = guard(&urls, "balance: round_robin", "workers: 1");
    let mut client = guard.client();
    let servers: String = (0..7).map(|_| client.get("/").text()).collect();
    assert_eq!(servers, "0120120");
    assert_eq!(upstreams[0].connections(), 1, "each keeps its connection meanwhile");
}

#[test]
fn a_host_of_its_own_is_told_to_the_upstream_and_the_clients_beside_it() {
    let upstream = Upstream::shop();
    let guard = guard(&[upstream.url()], "host: app.internal:81", "");
    assert_eq!(guard.client().get("/").status, 200);
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
    for request in upstream.requests() {
        assert_eq!(request.get("host"), Some("app.internal:81"));
        assert_eq!(request.get("x-forwarded-host"), Some("shop.test"));
    }
}

#[test]
fn sites_with_the_same_server_share_its_connections() {
    let upstream = Upstream::hello();
    let sites = r#"
workers: 1
sites:
  - { hosts: a.test, upstream: "{UPSTREAM}" }
  - { hosts: b.test, upstream: { servers: ["{UPSTREAM}"], host: c.test } }
"#;
    let guard = Guard::start(sites, &upstream);
    for host in ["a.test", "b.test", "a.test"] {
        let get = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(guard.client().send(get).answer().status, 200);
    }
    assert_eq!(upstream.connections(), 1);
    let hosts: Vec<_> =
        upstream.requests().iter().map(|r| r.get("host").unwrap().to_owned()).collect();
    assert_eq!(hosts, ["a.test", "c.test", "a.test"]);
}
