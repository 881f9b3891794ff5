//! What clients may take of the guard all together, who gives way when there is no more, and that all
//! others are served meanwhile.

use crate::support::event::Event;
use crate::support::upstream::ok;
use crate::support::{
    Ask, Authority, Client, Ends, Gate, Guard, Http2, Setup, Upstream, program, wait,
};

/// Connections of `address`, each of which has begun with `bytes`.
fn crowd(guard: &Guard, address: &str, size: usize, bytes: &[u8]) -> Vec<Client> {
    let one = |_| {
        let mut client = Client::from(address, guard);
        client.send(bytes);
        client
    };
    (0..size).map(one).collect()
}

/// Waits until so many places are taken.
#[track_caller]
fn wait_for_places(guard: &Guard, places: u32) {
    let taken = || guard.metric("loginward_connections", "") as u32;
    wait::until("the places are taken", || taken() == places);
}

/// Whether a client that is new at `address` is served.
fn is_served(guard: &Guard, address: &str) -> bool {
    Client::from(address, guard).send(Ask::get("/").bytes()).wire.head().is_some()
}

#[test]
fn the_address_with_most_idle_connections_gives_way_and_its_oldest_first() {
    let upstream = Upstream::hello();
    let guard = Guard::start("workers: 1\nbounds: { connections: 8 }", &upstream);
    let mut early = Client::from("127.0.0.7", &guard);
    assert_eq!(early.get("/").status, 200);
    let mut flood = crowd(&guard, "127.0.0.66", 6, b"");
    for client in &mut flood {
        assert_eq!(client.get("/").status, 200);
    }
    let mut late: Vec<Client> = Vec::new();
    for host in 8..13 {
        let mut client = Client::from(&format!("127.0.0.{host}"), &guard);
        assert_eq!(client.get("/").status, 200);
        late.push(client);
    }
    for client in &mut flood[..4] {
        assert!(client.is_closed());
    }
    for client in flood[4..].iter_mut().chain(&mut late).chain([&mut early]) {
        assert_eq!(client.get("/").status, 200, "these stay");
    }
    let event = guard.wait_for_event("connections_shed");
    assert_eq!(event.get("client"), "127.0.0.66");
    wait::until("it is counted", || {
        guard.metric("loginward_connections_shed_total", "") as u32 == 4
    });
    assert_eq!(guard.metric("loginward_connections_refused_total", "") as u32, 0);
}

#[test]
fn slow_heads_slow_bodies_and_slow_readers_give_way() {
    let head = b"GET / HTTP/1.1\r\nHost: ".as_slice();
    let body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbegun";
    let login = b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\
                  Content-Type: application/x-www-form-urlencoded\r\n\r\nuser=";
    let reader = b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n";
    for bytes in [b"", head, body, login, reader] {
        let upstream = Upstream::answering(|request| match &*request.target {
            "/big" => ok(&"x".repeat(64 << 20)),
            _ => ok("hello"),
        });
        let guard = Guard::start("workers: 1\nbounds: { connections: 4 }", &upstream);
        let crowd = crowd(&guard, "127.0.0.66", 4, bytes);
        wait_for_places(&guard, 4);
        wait::until("there is room", || is_served(&guard, "127.0.0.7"));
        let shed = || guard.metric("loginward_connections_shed_total", "");
        wait::until("it is counted", || shed() >= 1.0);
        drop(crowd);
    }
}

#[test]
fn idle_tunnels_give_way_too() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(request) = talk.request() {
            if request.get("upgrade").is_none() {
                talk.send(ok("hello"));
                continue;
            }
            talk.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            );
            return talk.wait_for_end();
        }
    });
    let guard = Guard::start("workers: 1\nbounds: { connections: 4 }", &upstream);
    let ask = Ask::get("/chat").with("Connection", "Upgrade").with("Upgrade", "websocket");
    let mut tunnels = crowd(&guard, "127.0.0.66", 4, &ask.bytes());
    for tunnel in &mut tunnels {
        assert_eq!(tunnel.answer_head().unwrap().status, 101);
    }
    wait::until("one of them gives way", || is_served(&guard, "127.0.0.7"));
    // who came before they had been idle for a while was refused
    let is_told =
        |event: &Event| event.is("connections_shed") && event.get("client") == "127.0.0.66";
    guard.wait_for("it is told", is_told);
}

#[test]
fn who_is_served_does_not_give_way_and_newcomers_are_turned_away() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_| {
        held.pass();
        ok("hello")
    });
    let guard = Guard::start("workers: 2\nbounds: { connections: 4 }", &upstream);
    let mut busy = crowd(&guard, "127.0.0.66", 4, &Ask::get("/").bytes());
    gate.wait_for_arrivals(4);
    for _ in 0..3 {
        assert!(Client::from("127.0.0.7", &guard).is_closed());
    }
    assert_eq!(guard.metric("loginward_connections_refused_total", "") as u32, 3);
    let event = guard.wait_for_event("connections_shed");
    assert_eq!((event.get("shed"), event.get("client")), ("0", ""));
    gate.open();
    for client in &mut busy {
        assert_eq!(client.answer().status, 200);
    }
    // a worker looks around a few times a second, and only among its own
    wait::until("now that they are idle, one gives way", || is_served(&guard, "127.0.0.7"));
}

#[test]
fn trusted_proxies_never_give_way() {
    let upstream = Upstream::hello();
    let configuration = "bounds: { connections: 4 }\ntrusted_proxies: 127.0.0.66\n";
    let guard = Guard::start(configuration, &upstream);
    let mut proxy = crowd(&guard, "127.0.0.66", 4, b"");
    for client in &mut proxy {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(Client::from("127.0.0.7", &guard).is_closed());
    for client in &mut proxy {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(guard.metric("loginward_connections_shed_total", "") as u32, 0);
}

#[test]
fn a_flood_costs_bounded_memory_and_others_are_served_all_along() {
    let upstream = Upstream::hello();
    let guard = Guard::start("bounds: { connections: 100 }", &upstream);
    let mut early = Client::from("127.0.0.7", &guard);
    assert_eq!(early.get("/").status, 200);
    let half = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", "x".repeat(30_000).as_bytes()].concat();
    let mut flood = crowd(&guard, "127.0.0.66", 100, &half);
    let before = guard.memory();
    for round in 0..16 {
        flood.extend(crowd(&guard, "127.0.0.66", 60, &half));
        assert!(is_served(&guard, &format!("127.0.0.{}", 70 + round)), "in round {round}");
        assert_eq!(early.get("/").status, 200, "in round {round}");
    }
    let grown = guard.memory().saturating_sub(before);
    assert!(grown < 40 << 20, "{grown} bytes for connections that are gone");
    assert!(guard.metric("loginward_connections", "") <= 100.0);
}

/// A guard that speaks TLS, and beside it HTTP in the clear.
fn start_both(configuration: &str, upstream: &Upstream) -> (Guard, Authority) {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let listen = "listen: [{ address: \"127.0.0.1:0\", tls: { certificate: cert.pem, key: key.pem } }, \
                  \"127.0.0.2:0\"]\n";
    let setup = Setup::new(&format!("{listen}{configuration}")).upstream(upstream);
    (setup.file("cert.pem", &certificate).file("key.pem", &key).start(), authority)
}

#[test]
fn streams_beyond_the_first_take_places_and_are_answered_503_where_there_are_none() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_| {
        held.pass();
        ok("hello")
    });
    let (guard, authority) = start_both("workers: 1\nbounds: { connections: 10 }", &upstream);
    let mut client = Http2::to(&guard, &authority);
    let mut begin = || client.begin(Http2::request("GET", "/"), b"", Ends::Here);
    let first: Vec<_> = (0..10).map(|_| begin()).collect();
    gate.wait_for_arrivals(10);
    let more: Vec<_> = (0..5).map(|_| begin()).collect();
    for begun in more {
        assert_eq!(client.finish(begun).unwrap().verdict(), (503, "error"));
    }
    assert!(guard.client().is_closed(), "nor is there one for a connection");
    gate.open();
    for begun in first {
        assert_eq!(client.finish(begun).unwrap().status, 200);
    }
    wait_for_places(&guard, 1);
    assert_eq!(client.ask(Http2::request("GET", "/"), b"").status, 200);
    assert!(is_served(&guard, "127.0.0.7"));
}

#[test]
fn a_connection_all_of_whose_streams_wait_for_the_client_gives_way_with_all_of_them() {
    let upstream = Upstream::hello();
    let (guard, authority) = start_both("workers: 1\nbounds: { connections: 8 }", &upstream);
    let mut slow = Http2::to(&guard, &authority);
    let _uploads: Vec<_> =
        (0..8).map(|_| slow.begin(Http2::request("POST", "/"), b"begun", Ends::Later)).collect();
    wait_for_places(&guard, 8);
    wait::until("it is slow", || is_served(&guard, "127.0.0.7"));
    slow.wait_for_end();
    wait_for_places(&guard, 0);
    let shed = || guard.metric("loginward_connections_shed_total", "") as u32;
    wait::until("one has gone, and its streams with it", || shed() == 1);
}

#[test]
fn the_guard_takes_as_many_files_as_it_may_and_knows_when_they_are_too_few() {
    let upstream = Upstream::hello();
    if program("prlimit").is_none() {
        return;
    }
    let setup = Setup::new("workers: 1").upstream(&upstream);
    let guard = setup.under(&["prlimit", "--nofile=64:120"]).start();
    assert_eq!(guard.open_files(), (120, 120));
    let said = guard.wait_for_event("configuration_warning");
    let expected = "10000 connections may need 20000 open files, and 120 are allowed: there will \
                    be 60 connections";
    assert!(said.get("reason").starts_with(expected), "{said:?}");
    let flood = crowd(&guard, "127.0.0.66", 200, b"");
    assert!(is_served(&guard, "127.0.0.7"), "others are served");
    assert!(guard.metric("loginward_connections", "") <= 60.0);
    drop(flood);
    let fewer = Setup::new("bounds: { connections: 10 }").upstream(&upstream);
    let guard = fewer.under(&["prlimit", "--nofile=64:120"]).start();
    assert_eq!(guard.client().get("/").status, 200);
    assert_eq!(guard.events("configuration_warning").len(), 0);
}

#[test]
fn whoever_connects_to_the_metrics_listener_takes_no_files_from_logins() {
    let upstream = Upstream::shop();
    let guard = Guard::start("", &upstream);
    let files = || std::fs::read_dir(format!("/proc/{}/fd", guard.pid())).unwrap().count();
    let metrics = guard.wait_for_event("metrics_listening");
    let metrics = metrics.get("address").parse().unwrap();
    let before = files();
    let mut idle: Vec<Client> = (0..300).map(|_| Client::to_addr(metrics)).collect();
    let begun = wait::now();
    assert!(idle[0].is_closed(), "whoever has been there longest makes room");
    assert!(begun.elapsed().as_secs() < 8, "at once");
    assert_eq!(guard.metrics_page("/readyz").status, 200, "others are answered all the same");
    assert!(idle[235].is_closed());
    let open = files();
    assert!(open <= before + 70, "{open} files are open, and {before} were");
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
}
