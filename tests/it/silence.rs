//! Connections on which nothing happens for longer than hyper's state is kept for them: they cost
//! little, and everything else about them is as it was.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::connection_auth::{authenticate, windows};
use crate::support::upstream::ok;
use crate::support::{Ask, Authority, Client, Guard, Request, Upstream, wait};
use crate::tls::{LISTEN, Tls, connect, start};

/// Longer than what the guard waits before it calls a connection quiet.
const SILENCE: Duration = Duration::from_millis(1700);

fn keep_silence() {
    let begun = wait::now();
    wait::until("there was silence", || begun.elapsed() > SILENCE);
}

/// A client that has got an answer and sent nothing since.
fn silent(guard: &Guard) -> Client {
    let mut client = guard.client();
    assert_eq!(client.get("/").status, 200);
    keep_silence();
    client
}

fn echo() -> Upstream {
    Upstream::answering(|request| ok(&format!("{} {}", request.target, request.body.bytes.len())))
}

#[test]
fn many_idle_connections_cost_little_each() {
    const MANY: usize = 2000;
    const MOST: usize = 6 * 1024;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let upstream = Upstream::hello();
    let guard = Guard::start("workers: 1", &upstream);
    assert_eq!(guard.client().get("/").status, 200);
    let before = guard.memory();
    let open = |_| {
        let mut client = guard.client();
        assert_eq!(client.get("/").status, 200);
        client
    };
    let mut clients: Vec<Client> = (0..MANY).map(open).collect();
    let each = || guard.memory().saturating_sub(before) / MANY;
    wait::until("they cost little", || each() < MOST);
    for client in clients.iter_mut().step_by(100) {
        assert_eq!(client.get("/").text(), "hello", "they are all there");
    }
}

#[test]
fn many_idle_connections_over_tls_cost_half_of_what_they_did() {
    const MANY: usize = 600;
    const MOST: usize = 16 * 1024;
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let files = [("cert.pem", &*certificate), ("key.pem", &*key)];
    let guard = start(&format!("{LISTEN}\nworkers: 1"), &files, &upstream);
    let open = |_| {
        let mut stream = connect(&guard, "shop.test", &authority.client()).unwrap();
        ask_hello(&mut stream);
        stream
    };
    let first = open(0);
    let before = guard.memory();
    let mut streams: Vec<Tls> = (0..MANY).map(open).collect();
    let each = || guard.memory().saturating_sub(before) / MANY;
    wait::until("they cost little", || each() < MOST);
    streams.iter_mut().step_by(100).for_each(ask_hello);
    drop(first);
}

#[test]
fn the_next_request_is_served_however_it_is_cut_and_however_long() {
    let upstream = echo();
    let guard = Guard::start("", &upstream);
    let mut client = silent(&guard);
    assert_eq!(client.get("/whole").text(), "/whole 0");
    keep_silence();
    client.send("G");
    let begun = wait::now();
    wait::until("a piece was read on its own", || begun.elapsed() > Duration::from_millis(100));
    client.send("ET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().text(), "/cut 0");
    keep_silence();
    let long = Ask::get("/long").with("X", &"x".repeat(9000));
    assert_eq!(client.ask(&long).text(), "/long 0");
    keep_silence();
    let large = Ask::new("POST", "/large").body("text/plain", vec![b'x'; 300_000]);
    assert_eq!(client.ask(&large).text(), "/large 300000");
    keep_silence();
    client.send([Ask::get("/1").bytes(), Ask::get("/2").bytes(), Ask::get("/3").bytes()].concat());
    for target in ["/1 0", "/2 0", "/3 0"] {
        assert_eq!(client.answer().text(), target);
    }
}

#[test]
fn a_client_that_begins_with_silence_is_served() {
    let upstream = echo();
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    keep_silence();
    assert_eq!(client.get("/late").text(), "/late 0");
}

#[test]
fn what_came_together_with_the_request_before_is_not_lost() {
    let upstream = echo();
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send([&Ask::get("/1").bytes()[..], b"GET /2 HTTP/1.1\r\nHo"].concat());
    assert_eq!(client.answer().text(), "/1 0");
    keep_silence();
    client.send("st: a\r\n\r\n");
    assert_eq!(client.answer().text(), "/2 0");
    assert_eq!(client.get("/3").text(), "/3 0");
}

#[test]
fn the_rest_of_a_body_that_nobody_wanted_is_no_request() {
    let upstream = Upstream::scripted(|talk| {
        while talk.request_head().is_some() {
            talk.send(ok("early"));
        }
    });
    let guard = Guard::start("", &upstream);
    let mut client = guard.client();
    let rest = "GET /rest HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", rest.len()));
    assert_eq!(client.answer().text(), "early");
    keep_silence();
    client.send(rest);
    client.send(Ask::get("/next").bytes());
    assert_eq!(client.answer().text(), "early");
    let as_request = |target: &str| {
        let is_so = |request: &Request| request.get("x-forwarded-for").is_some();
        upstream.requests().iter().any(|request| request.target == target && is_so(request))
    };
    assert!(as_request("/next") && !as_request("/rest"), "{:?}", upstream.requests());
}

#[test]
fn a_request_that_is_framed_twice_is_found_out_wherever_it_is_cut() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    for padding in [0, 900, 1000, 3000] {
        let mut client = silent(&guard);
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX: {}\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "x".repeat(padding)
        ));
        assert_eq!(client.answer().verdict(), (400, "refused"), "{padding}");
    }
}

#[test]
fn the_idle_timeout_ends_it_when_it_always_did() {
    let upstream = Upstream::hello();
    let guard = Guard::start("timeouts: { idle: 6s, head: 2s }", &upstream);
    let (mut used, mut fresh) = (guard.client(), guard.client());
    let begun = wait::now();
    assert_eq!(used.get("/").status, 200);
    assert!(fresh.is_closed(), "it never began");
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(6), "{took:?}");
    assert!(used.is_closed());
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(6) && took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_head_that_begins_after_a_silence_has_the_time_of_a_head() {
    let upstream = Upstream::hello();
    let guard = Guard::start("timeouts: { idle: 60s, head: 1s }", &upstream);
    let mut client = silent(&guard);
    let begun = wait::now();
    client.send("G");
    assert_eq!(client.answer().status, 408);
    assert!(client.is_closed());
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_guard_that_ends_ends_it_at_once() {
    let upstream = Upstream::hello();
    let mut guard = Guard::start("shutdown: { deadline: 60s }", &upstream);
    let (mut client, mut fresh) = (silent(&guard), guard.client());
    let begun = wait::now();
    guard.terminate();
    assert!(client.is_closed());
    assert!(fresh.is_closed());
    assert!(guard.wait_for_exit().success());
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let (mut half, reset) = (silent(&guard), silent(&guard));
    let connections = || guard.metric("loginward_connections", "") as u32;
    assert_eq!(connections(), 2);
    assert!(half.half_close().is_closed());
    reset.reset();
    wait::until("both are gone", || connections() == 0);
}

#[test]
fn it_gives_way_where_there_is_no_room() {
    let upstream = Upstream::hello();
    let guard = Guard::start("workers: 1\nbounds: { connections: 4 }", &upstream);
    let mut clients: Vec<_> = (0..3).map(|_| guard.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    keep_silence();
    let mut more: Vec<_> = (0..2).map(|_| Client::from("127.0.0.9", &guard)).collect();
    for client in &mut more {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(clients[0].is_closed(), "the oldest");
    assert_eq!(clients[2].get("/").status, 200);
}

#[test]
fn whom_an_upstream_knows_by_the_connection_it_still_knows() {
    let upstream = windows();
    let guard = Guard::start("workers: 1", &upstream);
    let (mut alice, mut eve) = (guard.client(), guard.client());
    authenticate(&mut alice, "alice");
    assert_eq!(eve.get("/public").text(), "nobody");
    for _ in 0..2 {
        keep_silence();
        assert_eq!(alice.get("/").text(), "alice");
        assert_eq!(eve.get("/public").text(), "nobody");
    }
}

#[test]
fn whose_connection_it_is_is_known_for_ever() {
    let listen = "listen: { address: \"127.0.0.1:0\", proxy_protocol: true }\n";
    let upstream = Upstream::hello();
    let guard = Guard::start(&format!("{listen}trusted_proxies: [127.0.0.1]"), &upstream);
    let mut client = guard.client();
    client.send("PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n");
    keep_silence();
    for _ in 0..2 {
        assert_eq!(client.get("/").status, 200);
        keep_silence();
    }
    for request in upstream.requests() {
        assert_eq!(request.get("x-forwarded-for"), Some("203.0.113.7"));
    }
}

#[test]
fn what_was_reloaded_meanwhile_holds_for_the_next_request() {
    let upstream = Upstream::shop();
    let guard = Guard::start("", &upstream);
    let mut client = silent(&guard);
    guard.reconfigure(|text| text.replace("path: /login", "path: /elsewhere"));
    guard.reload();
    assert_eq!(client.log_in("bob", "wrong").status, 200);
    assert!(guard.events("login_failed").is_empty(), "it is no login any more");
    assert_eq!(client.ask(&Ask::form("/elsewhere", "user=bob&password=wrong")).status, 200);
    guard.wait_for_event("login_failed");
}

#[test]
fn it_may_still_become_a_tunnel() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(request) = talk.request().filter(|request| request.target != "/ws") {
            talk.send(ok(&request.target));
        }
        talk.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
             Upgrade: websocket\r\n\r\nhi",
        );
        talk.wait_for_end();
    });
    let guard = Guard::start("", &upstream);
    let mut client = silent(&guard);
    client.send(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    assert_eq!(client.answer_head().unwrap().status, 101);
    assert_eq!(client.wire.exactly(2).unwrap(), b"hi");
    keep_silence();
    let closed = upstream.connections();
    drop(client);
    upstream.wait_for_closed(closed);
}

/// Asks over TLS and reads the answer, whose body is `hello`.
fn ask_hello(stream: &mut Tls) {
    stream.write_all(&Ask::get("/").bytes()).unwrap();
    read_hello(stream);
}

fn read_hello(stream: &mut Tls) {
    let (mut answer, mut part) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(b"hello") {
        let read = stream.read(&mut part).unwrap();
        assert!(read > 0, "it ended after {}", answer.escape_ascii());
        answer.extend_from_slice(&part[..read]);
    }
}

#[test]
fn all_of_that_is_so_over_tls() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let files = [("cert.pem", &*certificate), ("key.pem", &*key)];
    let guard = start(&format!("{LISTEN}\ntimeouts: {{ idle: 4s }}"), &files, &upstream);
    let mut stream = connect(&guard, "shop.test", &authority.client()).unwrap();
    ask_hello(&mut stream);
    keep_silence();
    ask_hello(&mut stream);
    keep_silence();
    // a record in two pieces, of which the first one is nothing yet
    stream.conn.writer().write_all(&Ask::get("/").with("X", &"x".repeat(5000)).bytes()).unwrap();
    let mut record = Vec::new();
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut record).unwrap();
    }
    let (first, second) = record.split_at(record.len() / 2);
    stream.sock.write_all(first).unwrap();
    keep_silence();
    stream.sock.write_all(second).unwrap();
    read_hello(&mut stream);
    keep_silence();
    stream.conn.send_close_notify();
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "it takes leave, too");
    let mut idle = connect(&guard, "shop.test", &authority.client()).unwrap();
    ask_hello(&mut idle);
    let begun = wait::now();
    let end = idle.read(&mut [0; 16]);
    assert!(!matches!(end, Ok(1..)), "{end:?}");
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(20), "{took:?}");
}
