//! I. Whose address an attempt is counted by.
//!
//! The chain is read from the right, hops inside the trusted networks are passed over, and the
//! first one outside is the client: whatever axes' settings for the order and number of hops say.

use crate::driven::{Driven, Setup};
use crate::support::socket::Socket;
use crate::support::wire::Wire;
use crate::support::{Ask, Client};

/// A failure that comes from `peer`, which is trusted if it is 127.0.0.1, with these lines of
/// `X-Forwarded-For`, is counted on `expected`.
#[track_caller]
fn counted(trusted: &str, peer: &str, lines: &[&str], expected: &str) {
    let limit = "lockout: { limits: { by: ip_address, failures: 3, cool_off: 1h } }";
    let text = format!("trusted_proxies: [\"127.0.0.1\"{trusted}]\n{limit}\n");
    let driven = Driven::start(&Setup::new(&text));
    let from = Some(peer.parse().unwrap());
    let mut client = Client { wire: Wire::new(Socket::connect(driven.addr(), from)) };
    let add = |ask: Ask, line: &&str| ask.with("X-Forwarded-For", line);
    let ask = lines.iter().fold(Ask::form("/login", "username=u1&password=wrong"), add);
    let status = client.ask(&ask).status;
    let counters = match driven.rows().as_slice() {
        [] => format!("{status}"),
        [row] => row.parameters[0].1.clone(),
        rows => panic!("{rows:?}"),
    };
    assert_eq!(counters, expected, "{peer} {lines:?}");
}

#[test]
fn i01_an_untrusted_peer_is_the_client_whatever_it_says() {
    counted("", "127.0.0.5", &["8.8.8.8"], "127.0.0.5");
    counted("", "127.0.0.5", &[], "127.0.0.5");
}

/// Without its own parser axes takes every spelling as it comes: three keys for one client.
#[test]
fn i03_i04_i06_every_spelling_of_an_address_is_one_client() {
    for spelled in
        ["203.0.113.5", "203.0.113.5:1234", "::ffff:203.0.113.5", "[::ffff:cb00:7105]:80"]
    {
        counted("", "127.0.0.1", &[spelled], "203.0.113.5");
    }
    for spelled in ["2001:DB8:0:0:0:0:0:1", "2001:db8::1", "[2001:db8::ffff]:443"] {
        counted("", "127.0.0.1", &[spelled], "2001:db8::/64");
    }
}

/// A listener for both families sees IPv4 clients as mapped ones.
#[test]
fn i02_a_mapped_peer_is_an_ipv4_client() {
    let text =
        "listen: \"[::]:0\"\nlockout: { limits: { by: ip_address, failures: 3, cool_off: 1h } }\n";
    let driven = Driven::start(&Setup::new(text));
    let address = (std::net::Ipv4Addr::LOCALHOST, driven.addr().port()).into();
    let mut client = Client { wire: Wire::new(Socket::connect(address, None)) };
    client.ask(&Ask::form("/login", "username=u1&password=wrong"));
    assert_eq!(driven.counters(), ["ip=127.0.0.1→1"]);
}

/// Axes counts all of them together.
#[test]
fn i05_a_peer_without_an_address_is_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("guard.sock");
    let text = format!(
        "listen: [\"127.0.0.1:0\", \"unix:{}\"]\ntrusted_proxies: [unix]\n\
         lockout: {{ limits: {{ by: ip_address, failures: 3, cool_off: 1h }} }}\n",
        socket.display()
    );
    let driven = Driven::start(&Setup::new(&text));
    let login = Ask::form("/login", "username=u1&password=wrong");
    for _ in 0..4 {
        assert_eq!(Client::to_unix(&socket).ask(&login).status, 400);
    }
    assert_eq!((driven.upstream().hits(), driven.counters()), (0, Vec::new()));
    let told = login.with("X-Forwarded-For", "203.0.113.5");
    assert_eq!(Client::to_unix(&socket).ask(&told).status, 200);
    assert_eq!(driven.counters(), ["ip=203.0.113.5→1"]);
}

#[test]
fn i07_i08_i09_i10_i11_i12_what_the_trusted_proxy_wrote_last_is_the_client() {
    counted("", "127.0.0.1", &["9.9.9.9, 8.8.8.8"], "8.8.8.8");
    counted("", "127.0.0.1", &["192.168.1.1, 8.8.8.8"], "8.8.8.8");
    counted("", "127.0.0.1", &["1.1.1.1, 9.9.9.9, 8.8.8.8"], "8.8.8.8");
    counted("", "127.0.0.1", &["1.1.1.1", "9.9.9.9", "8.8.8.8"], "8.8.8.8");
    counted("", "127.0.0.1", &["9.9.9.9"], "9.9.9.9");
}

#[test]
fn i13_i14_without_the_header_a_trusted_peer_is_its_own_client() {
    counted("", "127.0.0.1", &[], "127.0.0.1");
}

#[test]
fn i15_i16_i17_trusted_hops_are_passed_over() {
    let trusted = ", \"8.8.8.8\"";
    counted(trusted, "127.0.0.1", &["1.1.1.1, 8.8.8.8"], "1.1.1.1");
    counted(trusted, "127.0.0.1", &["1.1.1.1, 9.9.9.9"], "9.9.9.9");
    counted(trusted, "127.0.0.1", &["7.7.7.7, 1.1.1.1, 8.8.8.8"], "1.1.1.1");
    counted(trusted, "127.0.0.1", &["8.8.8.8"], "8.8.8.8");
}

/// In axes one bad token discards the whole header, and everybody is the proxy.
#[test]
fn i18_what_is_no_address_is_never_the_proxys_own() {
    counted("", "127.0.0.1", &["not-an-ip"], "400");
    counted("", "127.0.0.1", &["not-an-ip, 8.8.8.8"], "8.8.8.8");
    counted("", "127.0.0.1", &["8.8.8.8,"], "8.8.8.8");
    counted("", "127.0.0.1", &["8.8.8.8, not-an-ip"], "400");
}

/// Axes takes the better ranked of two.
#[test]
fn i19_i20_private_addresses_are_addresses() {
    counted(", \"10.0.0.1\"", "127.0.0.1", &["127.0.0.9, 10.0.0.1"], "127.0.0.9");
    counted("", "127.0.0.1", &["192.168.0.7"], "192.168.0.7");
}
