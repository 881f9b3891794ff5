//! Whom an attempt is counted for: nobody invents an identity, and nobody shares one by accident.

use crate::support::{Ask, Client, Guard, Setup, Upstream};

/// Two failures of an address lock it.
const TWO: &str = "lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }\n";

fn failing(guard: &Guard, forwarded: &[&str]) -> u16 {
    let mut ask = Ask::login("bob", "wrong");
    for line in forwarded {
        ask = ask.with("X-Forwarded-For", line);
    }
    guard.ask(&ask).status
}

#[test]
fn each_peer_is_a_client() {
    let upstream = Upstream::shop();
    let guard = Guard::start(TWO, &upstream);
    let log_in = |from| Client::from(from, &guard).log_in("bob", "wrong").status;
    assert_eq!((log_in("127.0.0.7"), log_in("127.0.0.7")), (200, 403));
    assert_eq!(log_in("127.0.0.7"), 403);
    assert_eq!(log_in("127.0.0.8"), 200);
}

#[test]
fn a_stranger_stays_who_it_is_whatever_it_says() {
    let upstream = Upstream::shop();
    let guard = Guard::start(TWO, &upstream);
    assert_eq!(failing(&guard, &["1.1.1.1"]), 200);
    assert_eq!(failing(&guard, &["2.2.2.2"]), 403);
    let event = guard.wait_for_event("identity_suspect");
    assert_eq!(event.get("client"), "127.0.0.1");
    assert!(event.get("reason").contains("untrusted peer"), "{event:?}");
}

#[test]
fn behind_a_trusted_proxy_the_client_is_read_from_the_right() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{TWO}trusted_proxies: [127.0.0.1, 10.0.0.0/8]"), &upstream);
    assert_eq!(failing(&guard, &["1.1.1.1"]), 200);
    assert_eq!(failing(&guard, &["2.2.2.2"]), 200);
    assert_eq!(failing(&guard, &["9.9.9.9, 1.1.1.1, 10.0.0.9"]), 403, "1.1.1.1 again");
    assert_eq!(failing(&guard, &["8.8.8.8", "2.2.2.2"]), 403, "2.2.2.2 again");
    assert_eq!(failing(&guard, &["1.1.1.1, 3.3.3.3"]), 200, "what stands left is hearsay");
}

#[test]
fn addresses_that_are_one_client_are_counted_together() {
    for (first, second) in [
        ("2001:db8:1:2::1", "2001:DB8:1:2:ffff::9"),
        ("203.0.113.5", "::ffff:203.0.113.5"),
        ("203.0.113.6", "203.0.113.6:4711"),
        ("[2001:db8:7::1]:80", "2001:db8:7::2"),
    ] {
        let upstream = Upstream::shop();
        let guard = Guard::start(&format!("{TWO}trusted_proxies: 127.0.0.1"), &upstream);
        assert_eq!(failing(&guard, &[first]), 200);
        assert_eq!(failing(&guard, &[second]), 403, "{first} is {second}");
        assert_eq!(failing(&guard, &["2001:db8:1:3::1"]), 200, "this one is not");
    }
}

#[test]
fn a_trusted_proxy_without_the_header_is_a_client_itself() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{TWO}trusted_proxies: 127.0.0.1"), &upstream);
    assert_eq!((failing(&guard, &[]), failing(&guard, &[])), (200, 403));
}

#[test]
fn an_attempt_of_which_a_trusted_proxy_does_not_tell_the_client_is_refused() {
    let upstream = Upstream::shop();
    let guard = Guard::start("trusted_proxies: [127.0.0.1]", &upstream);
    for junk in ["unknown", "junk", ", ,", "10.0.0.1.1", "1.1.1.1, junk"] {
        assert_eq!(failing(&guard, &[junk]), 400, "{junk}");
        let ask = Ask::get("/").with("X-Forwarded-For", junk);
        assert_eq!(guard.ask(&ask).status, 200, "what is no attempt needs no client");
    }
    assert_eq!(upstream.hits(), 5);
    let event = guard.wait_for_event("identity_suspect");
    assert!(event.get("reason").contains("no usable client address"), "{event:?}");
}

#[test]
fn another_header_may_tell_the_client() {
    let upstream = Upstream::shop();
    let more = "trusted_proxies: 127.0.0.1\nclient_address: { header: forwarded }";
    let guard = Guard::start(&format!("{TWO}{more}"), &upstream);
    let forwarded = |value| guard.ask(&Ask::login("bob", "x").with("Forwarded", value)).status;
    assert_eq!(forwarded("for=9.9.9.9, for=\"[2001:db8::1]:80\";proto=https"), 200);
    assert_eq!(
        failing(&guard, &["2001:db8::1"]),
        200,
        "that header is not read, this is the proxy"
    );
    assert_eq!(forwarded("for=\"[2001:db8::7]\""), 403);
}

#[test]
fn clients_of_a_unix_socket_are_told_apart_by_the_proxy_in_front() {
    let upstream = Upstream::shop();
    let listen = "listen: [\"unix:{DIR}/http.sock\"]\ntrusted_proxies: [unix]\n";
    let guard = Setup::new(&format!("{TWO}{listen}")).upstream(&upstream).start();
    let path = guard.dir().join("http.sock");
    let log_in = |client| {
        let ask = Ask::login("bob", "wrong").with("X-Forwarded-For", client);
        Client::to_unix(&path).ask(&ask).status
    };
    assert_eq!((log_in("1.1.1.1"), log_in("2.2.2.2"), log_in("1.1.1.1")), (200, 200, 403));
    let nobody = Client::to_unix(&path).log_in("bob", "wrong");
    assert_eq!(nobody.verdict(), (400, "refused"));
    let request = &upstream.requests()[0];
    assert_eq!(request.get("x-forwarded-for"), Some("1.1.1.1"));
    assert_eq!(request.get("x-real-ip"), Some("1.1.1.1"));
}

#[test]
fn a_locked_address_that_is_private_or_a_proxys_is_reported() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{TWO}trusted_proxies: 127.0.0.1"), &upstream);
    for client in ["192.168.0.7", "192.168.0.7"] {
        failing(&guard, &[client]);
    }
    let event = guard.wait_for_event("identity_suspect");
    assert_eq!(event.get("client"), "192.168.0.7");
    assert!(event.get("reason").contains("private"), "{event:?}");
}

#[test]
fn what_a_cdn_writes_may_tell_the_client() {
    for header in ["cf-connecting-ip", "true-client-ip", "fastly-client-ip", "x-real-ip"] {
        let upstream = Upstream::shop();
        let more = "trusted_proxies: 127.0.0.9\nclient_address: { header: {HEADER} }";
        let setup = Setup::new(&format!("{TWO}{more}")).replace("{HEADER}", header);
        let guard = setup.upstream(&upstream).start();
        let from = |peer, client| {
            let ask = Ask::login("bob", "wrong").with(header, client);
            // what the client may have written itself, through the CDN
            Client::from(peer, &guard).ask(&ask.with("X-Forwarded-For", "9.9.9.9")).status
        };
        assert_eq!(from("127.0.0.9", "1.1.1.1"), 200, "{header}");
        assert_eq!(from("127.0.0.9", "2001:db8::1"), 200, "{header}");
        assert_eq!(from("127.0.0.9", "1.1.1.1"), 403, "{header}");
        assert_eq!(from("127.0.0.8", "3.3.3.3"), 200, "a stranger");
        assert_eq!(from("127.0.0.8", "4.4.4.4"), 403, "is who it is");
        let event = guard.wait_for_event("identity_suspect");
        assert_eq!(event.get("client"), "127.0.0.8");
    }
}

#[test]
fn a_stranger_that_sends_another_forwarding_header_is_reported_too() {
    for (name, value) in [("Forwarded", "for=1.1.1.1"), ("X-Forwarded-For", "1.1.1.1")] {
        let upstream = Upstream::shop();
        let more = "trusted_proxies: 127.0.0.9\nclient_address: { header: cf-connecting-ip }";
        let guard = Guard::start(more, &upstream);
        guard.ask(&Ask::login("bob", "wrong").with(name, value));
        let event = guard.wait_for_event("identity_suspect");
        assert!(event.get("reason").contains("untrusted peer"), "{event:?}");
    }
}

#[test]
fn proxies_may_be_private_or_listed_in_a_file_that_changes() {
    let upstream = Upstream::shop();
    let private = Guard::start(&format!("{TWO}trusted_proxies: private"), &upstream);
    assert_eq!(failing(&private, &["1.1.1.1"]), 200);
    assert_eq!(failing(&private, &["2.2.2.2"]), 200, "loopback is private");
    let setup = Setup::new(&format!("{TWO}trusted_proxies: \"file:proxies.txt\"\n"));
    let listed =
        setup.upstream(&upstream).file("proxies.txt", "# ours\n10.0.0.0/8\n127.0.0.1 # here\n");
    let guard = listed.start();
    assert_eq!(failing(&guard, &["1.1.1.1"]), 200);
    assert_eq!(failing(&guard, &["2.2.2.2"]), 200);
    assert_eq!(failing(&guard, &["1.1.1.1"]), 403);
    let file = guard.dir().join("proxies.txt");
    std::fs::write(&file, "10.0.0.0/8\n10.0.0.0/33\n").unwrap();
    guard.hang_up();
    let event = guard.wait_for_event("configuration_error");
    assert!(
        event.get("reason").contains("proxies.txt:2:1: `10.0.0.0/33` is no network"),
        "{event:?}"
    );
    assert_eq!(failing(&guard, &["4.4.4.4"]), 200, "everything stays as it was");
    std::fs::write(&file, "10.0.0.0/8\n").unwrap();
    guard.reload();
    assert_eq!(failing(&guard, &["3.3.3.3"]), 200, "now it is a stranger");
    assert_eq!(failing(&guard, &["3.3.3.4"]), 403);
}
