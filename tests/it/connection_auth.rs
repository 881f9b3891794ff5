//! NTLM and Negotiate authenticate a connection: no two clients ever share one.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::support::upstream::ok;
use crate::support::{Ask, Client, Guard, Request, Setup, Upstream};

/// An upstream that knows each connection by whoever authenticated on it.
pub fn windows() -> Upstream {
    let users: Mutex<HashMap<usize, String>> = Mutex::default();
    Upstream::answering(move |request| {
        let mut users = users.lock().unwrap();
        match request.get("authorization").map(|value| value.split_once(' ').unwrap()) {
            Some(("NTLM", "hello")) => unauthorized("NTLM challenge"),
            Some((_, user)) => {
                users.insert(request.connection, user.to_owned());
                ok(user)
            }
            None => match users.get(&request.connection) {
                Some(user) => ok(user),
                None if request.target == "/public" => ok("nobody"),
                None => unauthorized("Negotiate\r\nWWW-Authenticate: NTLM"),
            },
        }
    })
}

fn unauthorized(challenge: &str) -> String {
    format!(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn authorized(target: &str, credentials: &str) -> Ask {
    Ask::get(target).with("Authorization", credentials)
}

/// Goes through the whole handshake.
#[track_caller]
pub fn authenticate(client: &mut Client, user: &str) {
    assert_eq!(client.get("/").status, 401);
    assert_eq!(client.ask(&authorized("/", "NTLM hello")).status, 401);
    assert_eq!(client.ask(&authorized("/", &format!("NTLM {user}"))).text(), user);
}

#[test]
fn two_clients_never_share_an_identity() {
    let upstream = windows();
    let guard = Guard::start("workers: 1", &upstream);
    let (mut alice, mut bob, mut eve) = (guard.client(), guard.client(), guard.client());
    authenticate(&mut alice, "alice");
    assert_eq!(eve.get("/public").text(), "nobody");
    authenticate(&mut bob, "bob");
    for _ in 0..3 {
        assert_eq!(alice.get("/").text(), "alice");
        assert_eq!(eve.get("/public").text(), "nobody");
        assert_eq!(bob.get("/").text(), "bob");
        assert_eq!(guard.client().get("/public").text(), "nobody");
    }
    assert_eq!(eve.get("/").status, 401);
}

#[test]
fn a_client_that_authenticates_unasked_has_its_connection_to_itself() {
    for scheme in ["Negotiate", "NTLM", "negotiate"] {
        let upstream = windows();
        let guard = Guard::start("workers: 1", &upstream);
        let mut eve = guard.client();
        assert_eq!(eve.get("/public").text(), "nobody", "its connection is pooled now");
        let mut alice = guard.client();
        let first = alice.ask(&authorized("/", &format!("{scheme} alice")));
        assert_eq!(first.text(), "alice");
        assert_eq!(eve.get("/public").text(), "nobody");
        assert_eq!(guard.client().get("/public").text(), "nobody");
        assert_eq!(alice.get("/").text(), "alice", "{scheme}");
    }
}

#[test]
fn a_clients_own_upstream_connection_serves_no_other_site() {
    let (intranet, shop) = (windows(), Upstream::hello());
    let sites = r#"
sites:
  - { name: intranet, hosts: intranet.test, upstream: "{UPSTREAM}" }
  - { name: shop, hosts: shop.test, upstream: "{SHOP}" }
"#;
    let guard = Setup::new(sites).replace("{SHOP}", shop.url()).upstream(&intranet).start();
    let mut client = guard.client();
    let to_intranet = "GET / HTTP/1.1\r\nHost: intranet.test\r\nAuthorization: NTLM alice\r\n\r\n";
    assert_eq!(client.send(to_intranet).answer().text(), "alice");
    assert_eq!(client.get("/").text(), "hello");
    let to_intranet = "GET / HTTP/1.1\r\nHost: intranet.test\r\n\r\n";
    assert_eq!(client.send(to_intranet).answer().text(), "alice", "and is kept meanwhile");
}

#[test]
fn a_clients_own_upstream_connection_ends_with_it() {
    let upstream = windows();
    let guard = Guard::start("", &upstream);
    let mut alice = guard.client();
    authenticate(&mut alice, "alice");
    assert_eq!(upstream.connections(), 1);
    drop(alice);
    upstream.wait_for_closed(1);
}

#[test]
fn a_connection_of_which_the_upstream_once_asked_is_never_pooled() {
    let upstream = windows();
    let guard = Guard::start("workers: 1", &upstream);
    let mut eve = guard.client();
    assert_eq!(eve.get("/").status, 401);
    assert_eq!(guard.client().get("/public").text(), "nobody");
    let connections: Vec<_> = upstream.requests().iter().map(|r: &Request| r.connection).collect();
    assert_eq!(connections, [0, 1]);
    assert_eq!(eve.get("/public").text(), "nobody");
    assert_eq!(upstream.requests()[2].connection, 0, "it is still eve's");
}

#[test]
fn an_upstream_that_ends_such_a_connection_ends_the_identity() {
    let upstream = Upstream::scripted(|talk| {
        let mut user = "nobody".to_owned();
        while let Some(request) = talk.request() {
            if let Some(value) = request.get("authorization") {
                user = value.to_owned();
            }
            let closes = request.target == "/last";
            let close = if closes { "Connection: close\r\n" } else { "" };
            let length = user.len();
            talk.send(format!("HTTP/1.1 200 OK\r\n{close}Content-Length: {length}\r\n\r\n{user}"));
            if closes {
                return;
            }
        }
    });
    let guard = Guard::start("workers: 1", &upstream);
    let mut alice = guard.client();
    assert_eq!(alice.ask(&authorized("/", "NTLM alice")).text(), "NTLM alice");
    assert_eq!(alice.get("/last").text(), "NTLM alice");
    assert_eq!(alice.get("/").text(), "nobody");
}

#[test]
fn an_attempt_that_authenticates_its_connection_leaves_it_to_nobody() {
    let upstream = windows();
    let guard = Guard::start("workers: 1", &upstream);
    assert_eq!(guard.client().get("/public").text(), "nobody", "its connection is pooled now");
    let mut alice = guard.client();
    let attempt = Ask::login("alice", "x").with("Authorization", "NTLM alice");
    assert_eq!(alice.ask(&attempt).text(), "alice");
    assert_eq!(guard.client().get("/public").text(), "nobody");
}

#[test]
fn an_attempt_whose_answer_asks_for_such_credentials_leaves_its_connection_to_nobody() {
    let upstream = windows();
    let guard = Guard::start("workers: 1", &upstream);
    assert_eq!(guard.client().log_in("alice", "x").status, 401);
    assert_eq!(guard.client().get("/public").text(), "nobody");
    let connections: Vec<_> = upstream.requests().iter().map(|r: &Request| r.connection).collect();
    assert_eq!(connections, [0, 1]);
}

#[test]
fn an_attempt_goes_by_the_connection_that_its_client_authenticated() {
    let upstream = windows();
    let guard = Guard::start("workers: 1", &upstream);
    let mut alice = guard.client();
    authenticate(&mut alice, "alice");
    assert_eq!(alice.log_in("x", "y").text(), "alice");
    assert_eq!(alice.get("/").text(), "alice");
}
