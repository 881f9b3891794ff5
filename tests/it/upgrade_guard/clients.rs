//! What clients notice of it: nothing.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::support::upstream::ok;
use crate::support::{Authority, Ends, Http2};

/// How a client goes on after an answer.
type GoOn = Box<dyn Fn(Client, &Answer) -> Client + Send>;

#[test]
fn an_old_client_that_keeps_its_connection_is_told_that_it_ends() {
    let gate = Gate::closed();
    let upstream = holding(&gate, "slow");
    let old = first("", &upstream);
    let mut slow = old.client();
    slow.send(Ask::login("slow", "wrong").bytes());
    gate.wait_for_arrivals(1);
    let ask = "GET / HTTP/1.0\r\nHost: shop.test\r\nConnection: keep-alive\r\n\r\n";
    let mut client = old.client();
    assert_eq!(client.send(ask).answer().get("connection"), Some("keep-alive"));
    let new = next(&old, "", &upstream).start();
    gate.open();
    new.wait_for_event("taken_over");
    old.wait_for_event("stopping");
    wait::until("its connections end with the next answer", || {
        let answer = client.send(ask).answer();
        assert_eq!(answer.text(), "hello");
        answer.get("connection") == Some("close")
    });
    assert!(client.is_closed());
}

#[test]
fn streams_of_http2_end_in_good_order() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        if request.target == "/held" {
            held.pass();
        }
        ok("hello")
    });
    let tls =
        "listen: { address: \"127.0.0.1:0\", tls: { certificate: cert.pem, key: key.pem } }\n";
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let with = |setup: Setup| setup.file("cert.pem", &certificate).file("key.pem", &key).start();
    let text = format!("{ADMIN}{METRICS}{tls}");
    let mut old = with(Setup::new(&text).upstream(&upstream));
    let mut client = Http2::to(&old, &authority);
    let begun = client.begin(Http2::request("GET", "/held"), b"", Ends::Here);
    gate.wait_for_arrivals(1);
    let new = with(next(&old, tls, &upstream));
    new.wait_for_event("taken_over");
    old.wait_for_event("stopping");
    let reply = Http2::to(&new, &authority).ask(Http2::request("GET", "/"), b"");
    assert_eq!(reply.status, 200);
    gate.open();
    assert_eq!(client.finish(begun).unwrap().body, b"hello");
    assert_eq!(client.wait_for_end(), Some(h2::Reason::NO_ERROR));
    assert_eq!(old.wait_for_exit().code(), Some(0));
}

#[test]
fn a_unix_socket_goes_to_the_new_one_which_removes_it() {
    let upstream = Upstream::hello();
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("http.sock"), dir.path().join("other.sock"));
    let unix = |path: &std::path::Path| format!("\"unix:{}\"", path.display());
    let text = |second: &std::path::Path| {
        format!(
            "listen: [\"127.0.0.1:0\", {}, {}]\ntrusted_proxies: unix\n",
            unix(&path),
            unix(second)
        )
    };
    let mut old = first(&text(&other), &upstream);
    let third = dir.path().join("third.sock");
    let mut new = next(&old, &text(&third), &upstream).start();
    new.wait_for_event("taken_over");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    for path in [&path, &third] {
        assert_eq!(Client::to_unix(path).get("/").text(), "hello");
    }
    new.terminate();
    assert_eq!(new.wait_for_exit().code(), Some(0));
    assert!(!path.exists() && !third.exists());
}

#[test]
fn under_load_no_request_is_lost() {
    let upstream = Upstream::shop();
    let mut old = first("workers: 3\n", &upstream);
    let address = old.addr();
    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let fresh = move |_: Client, _: &Answer| Client::to_addr(address);
    let kept = move |client: Client, answer: &Answer| keep(client, answer, address);
    let load = |go_on: GoOn| {
        let (over, served) = (Arc::clone(&over), Arc::clone(&served));
        std::thread::spawn(move || {
            let mut client = Client::to_addr(address);
            while !over.load(Ordering::Relaxed) {
                let answer = client.get("/");
                assert_eq!((answer.status, &*answer.text()), (200, "hello"));
                served.fetch_add(1, Ordering::Relaxed);
                client = go_on(client, &answer);
            }
        })
    };
    let clients: Vec<_> =
        (0..4).flat_map(|_| [load(Box::new(fresh)), load(Box::new(kept))]).collect();
    let more = |from: usize| {
        wait::until("many more are served", || served.load(Ordering::Relaxed) > from + 1500);
    };
    more(0);
    // fewer workers: the sockets of the third are somebody's too
    let new = next(&old, "workers: 2\n", &upstream).start();
    assert_eq!(new.addr(), address);
    new.wait_for_event("taken_over");
    more(served.load(Ordering::Relaxed));
    assert_eq!(old.wait_for_exit().code(), Some(0));
    more(served.load(Ordering::Relaxed));
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    assert!(std::fs::exists(old.dir().join("admin.sock")).unwrap(), "it is the new one's now");
    let mut new = new;
    new.terminate();
    assert_eq!(new.wait_for_exit().code(), Some(0));
    assert!(!std::fs::exists(old.dir().join("admin.sock")).unwrap());
}
