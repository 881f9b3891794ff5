//! The PROXY protocol: whose connection a proxy passes on, from whom it is believed, and what is not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use tempfile::TempDir;

use crate::support::socket::Socket;
use crate::support::upstream::ok;
use crate::support::wire::Wire;
use crate::support::{Ask, Authority, Client, Guard, Setup, Upstream, program, wait};

const LISTEN: &str = "listen: { address: \"127.0.0.1:0\", proxy_protocol: true }\n";
const TRUSTED: &str = "trusted_proxies: [127.0.0.1]\n";
/// Two failures of an address lock it.
const TWO: &str = "lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn start(more: &str, upstream: &Upstream) -> Guard {
    Guard::start(&format!("{LISTEN}{TWO}{more}"), upstream)
}

fn v1(address: &str) -> Vec<u8> {
    let (family, to) = if address.contains(':') { (6, "::1") } else { (4, "10.0.0.1") };
    format!("PROXY TCP{family} {address} {to} 4711 80\r\n").into_bytes()
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

/// A version 2 header for an IPv4 client, and more in it than an address.
fn v2_of(address: [u8; 4]) -> Vec<u8> {
    let addresses = [&address[..], &[10, 0, 0, 1, 0x12, 0x67, 0, 80]].concat();
    v2(0x21, 0x11, &[&addresses[..], b"\x02\x00\x09shop.test\x04\x00\x01x"].concat())
}

/// A failing login on a connection that begins with `header`.
fn failing(guard: &Guard, header: impl AsRef<[u8]>) -> u16 {
    guard
        .client()
        .send([header.as_ref(), &Ask::login("bob", "wrong").bytes()].concat())
        .answer()
        .status
}

/// The connection that begins with `bytes` is closed without a word, which is reported so.
#[track_caller]
fn check_closed(guard: &Guard, bytes: &[u8], reason: &str) {
    let mut client = guard.client();
    assert_eq!(client.send(bytes).wire.rest(), b"", "{}", bytes.escape_ascii());
    let event = guard.wait_for(reason, |event| event.get("reason").contains(reason));
    assert!(event.is("identity_suspect"), "{event:?}");
    assert_eq!(event.get("client"), "127.0.0.1");
}

#[test]
fn the_header_names_the_client_in_both_versions() {
    let upstream = Upstream::shop();
    let guard = start(TRUSTED, &upstream);
    assert_eq!(failing(&guard, v1("203.0.113.5")), 200);
    let request = upstream.only_request();
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.5"),
        ("x-real-ip", "203.0.113.5"),
        ("forwarded", "for=203.0.113.5;proto=http"),
    ] {
        assert_eq!(request.get(name), Some(value), "{name}");
    }
    assert_eq!(failing(&guard, v2_of([203, 0, 113, 6])), 200, "this is somebody else");
    assert_eq!(failing(&guard, v2_of([203, 0, 113, 5])), 403, "the same in the other version");
    assert_eq!(failing(&guard, v1("::ffff:203.0.113.6")), 403, "and in other words");
    assert_eq!(failing(&guard, v1("2001:db8::1")), 200);
    let mut v6 = vec![0; 36];
    v6[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
    v6[15] = 2;
    assert_eq!(failing(&guard, v2(0x21, 0x21, &v6)), 403, "2001:db8::2 is in the same /64");
    assert_eq!(guard.wait_for_event("login_failed").get("client"), "203.0.113.5");
}

#[test]
fn it_does_not_matter_how_a_header_is_cut_and_what_follows_is_http() {
    let upstream = Upstream::shop();
    let guard = start(TRUSTED, &upstream);
    let request = Ask::login("bob", "wrong").bytes();
    for header in [v1("203.0.113.7"), v2_of([203, 0, 113, 8]), v2(0x21, 0x11, &[7; 4000])] {
        let mut client = guard.client();
        let trickled = header.len().min(300);
        for byte in &header[..trickled] {
            client.send([*byte]);
            // whoever asks later is answered later: by then the byte has been read
            if *byte == b'\n' || *byte == 0 {
                guard.client().send(v1("203.0.113.99")).get("/");
            }
        }
        client.send(&header[trickled..]);
        for byte in &request {
            client.send([*byte]);
        }
        assert_eq!(client.answer().status, 200);
        let received = upstream.requests().pop().unwrap();
        assert_eq!((&*received.target, &*received.text()), ("/login", "user=bob&password=wrong"));
        // the header is of the connection, not of the request
        assert_eq!(client.get("/").status, 200);
        let received = upstream.requests().pop().unwrap();
        assert_ne!(received.get("x-forwarded-for"), Some("203.0.113.99"));
    }
    let pipelined = [v1("203.0.113.9"), Ask::get("/1").bytes(), Ask::get("/2").bytes()].concat();
    let mut client = guard.client();
    client.send(pipelined);
    assert_eq!((client.answer().status, client.answer().status), (200, 200));
    assert_eq!(upstream.requests().pop().unwrap().target, "/2");
}

#[test]
fn without_a_header_a_connection_is_closed_and_reported() {
    let upstream = Upstream::shop();
    let guard = start(TRUSTED, &upstream);
    let login = Ask::login("bob", "x").bytes();
    check_closed(&guard, &Ask::get("/").bytes(), "sends no usable PROXY header: what comes is no");
    check_closed(&guard, &login, "what comes is no PROXY header");
    let of_udp = v2(0x21, 0x12, &[1; 12]);
    check_closed(&guard, &[of_udp, login.clone()].concat(), "is about no TCP connection");
    let of_unix = v2(0x21, 0x31, &[1; 216]);
    check_closed(&guard, &[of_unix, login].concat(), "names a unix socket");
    let long = format!("PROXY TCP4 {}", "1".repeat(107));
    check_closed(&guard, long.as_bytes(), "no PROXY header");
    check_closed(&guard, &v2(0x21, 0x11, &[0; 4081]), "larger than 4 KiB");
    let mut early = guard.client();
    early.send("PROXY TCP4 203.0").half_close();
    assert_eq!(early.wire.rest(), b"");
    guard.wait_for("what broke off", |event| event.get("reason").contains("it breaks off"));
    assert_eq!(upstream.hits(), 0);
    assert_eq!(failing(&guard, v1("203.0.113.5")), 200, "others are served");
}

#[test]
fn a_header_counts_only_from_trusted_proxies() {
    let upstream = Upstream::shop();
    let guard = start("trusted_proxies: [127.0.0.9]\n", &upstream);
    let login = Ask::login("bob", "x").bytes();
    let bytes = [v1("203.0.113.5"), login].concat();
    check_closed(&guard, &bytes, "an untrusted peer connects where only trusted proxies may");
    assert_eq!(upstream.hits(), 0);
    assert_eq!(Client::from("127.0.0.9", &guard).send(&bytes).answer().status, 200);
    // where no header is required, it is none
    let plain = Guard::start(TRUSTED, &upstream);
    assert_eq!(plain.client().send(bytes).answer().status, 400);
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn a_health_check_speaks_for_the_proxy_itself() {
    let upstream = Upstream::shop();
    let guard = start(TRUSTED, &upstream);
    let checks = [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 203.0.113.5 10.0.0.1 1 2\r\n".to_vec(),
        v2(0x20, 0, &[]),
        v2(0x20, 0x11, &[203, 0, 113, 5, 10, 0, 0, 1, 1, 2, 3, 4]),
        v2(0x21, 0, &[]),
    ];
    for header in checks {
        assert_eq!(guard.client().send(header).get("/").status, 200);
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.get("x-forwarded-for"), Some("127.0.0.1"));
    }
    // one that looks whether somebody listens is nothing to report
    let mut look = guard.client();
    look.half_close();
    assert_eq!(look.wire.rest(), b"");
    assert_eq!(guard.events("identity_suspect").len(), 0);
}

#[test]
fn where_a_header_names_nobody_nobody_else_does() {
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2(0x20, 0, &[]), v2(0x21, 0, &[])] {
        let upstream = Upstream::answering(|_| ok("wrong"));
        let limit = "lockout: { limits: { by: ip_address, failures: 3, cool_off: 10m }, \
                     at_limit: upstream }\n";
        let guard = Guard::start(&format!("{LISTEN}{TRUSTED}{limit}"), &upstream);
        let statuses: Vec<u16> = (1..=5)
            .map(|at| {
                // a balancer that cannot name its client passes on what that says of itself
                let login =
                    Ask::login("bob", "wrong").with("X-Forwarded-For", &format!("192.0.2.{at}"));
                guard.client().send([&*header, &login.bytes()].concat()).answer().status
            })
            .collect();
        assert_eq!(statuses, [200, 200, 200, 403, 403]);
        assert_eq!(upstream.requests()[0].get("x-forwarded-for"), Some("127.0.0.1"));
    }
}

#[test]
fn a_header_has_to_be_here_in_time() {
    let upstream = Upstream::hello();
    let timeouts = "timeouts: { proxy_header: 400ms }\n";
    let guard = start(&format!("{TRUSTED}{timeouts}"), &upstream);
    check_closed(&guard, b"", "sends no PROXY header in time");
    assert_eq!(guard.client().send(&v1("203.0.113.5")[..20]).wire.rest(), b"");
    let mut dripping = guard.client();
    dripping.send("PROXY UNKNOWN");
    dripping.wire.socket.set_patience(std::time::Duration::from_millis(100));
    wait::until("it is timed out however it drips", || {
        dripping.send(" ");
        let read = dripping.wire.socket.read(&mut [0]);
        matches!(read, Ok(0))
            || read.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    });
    assert_eq!(upstream.hits(), 0);
    assert_eq!(guard.client().send(v1("203.0.113.5")).get("/").status, 200);
}

#[test]
fn it_stands_before_tls() {
    let (authority, upstream) = (Authority::new(), Upstream::shop());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let listen = "listen: { address: \"127.0.0.1:0\", proxy_protocol: true, \
                  tls: { certificate: cert.pem, key: key.pem } }\n";
    let setup = Setup::new(&format!("{listen}{TRUSTED}")).upstream(&upstream);
    let guard = setup.file("cert.pem", &certificate).file("key.pem", &key).start();
    let log_in = |header: &[u8]| {
        let name = ServerName::try_from("shop.test").unwrap();
        let tls = ClientConnection::new(Arc::new(authority.client()), name).unwrap();
        let mut socket = TcpStream::connect(guard.tls_addr()).unwrap();
        socket.set_read_timeout(Some(wait::PATIENCE)).unwrap();
        socket.write_all(header).unwrap();
        let mut stream = StreamOwned::new(tls, socket);
        stream.write_all(&Ask::login("bob", "x").with("Connection", "close").bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    assert!(log_in(&v2_of([203, 0, 113, 5])).unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    let request = upstream.only_request();
    assert_eq!(request.get("x-forwarded-for"), Some("203.0.113.5"));
    assert_eq!(request.get("x-forwarded-proto"), Some("https"));
    assert!(log_in(b"").is_err(), "TLS is no PROXY header");
    guard.wait_for("what is none", |event| event.get("reason").contains("no PROXY header"));
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn it_may_come_over_a_unix_socket() {
    let upstream = Upstream::shop();
    let listen = "listen: { address: \"unix:{DIR}/http.sock\", proxy_protocol: true }\n";
    let guard = Setup::new(&format!("{TWO}{listen}trusted_proxies: [unix]\n"));
    let guard = guard.upstream(&upstream).start();
    let path = guard.dir().join("http.sock");
    let log_in = |header: Vec<u8>| Client::to_unix(&path).send(header).log_in("bob", "x").status;
    assert_eq!(log_in(v1("203.0.113.5")), 200);
    assert_eq!(log_in(v2_of([203, 0, 113, 6])), 200);
    assert_eq!(log_in(v2_of([203, 0, 113, 5])), 403);
    assert_eq!(log_in(b"PROXY UNKNOWN\r\n".to_vec()), 400, "whose that is, nobody knows");
    assert_eq!(Client::to_unix(&path).send("GET / HTTP/1.1\r\n\r\n").wire.rest(), b"");
}

#[test]
fn behind_a_header_a_forwarding_header_counts_where_that_address_is_trusted() {
    let upstream = Upstream::shop();
    let guard = start("trusted_proxies: [127.0.0.1, 203.0.113.9]\n", &upstream);
    let failing = |header: Vec<u8>, client: &str| {
        let ask = Ask::login("bob", "wrong").with("X-Forwarded-For", client);
        guard.client().send(header).ask(&ask).status
    };
    let (stranger, cdn) = (v1("203.0.113.5"), v2_of([203, 0, 113, 9]));
    assert_eq!(failing(stranger.clone(), "1.1.1.1"), 200);
    let request = upstream.only_request();
    assert_eq!(request.get("x-forwarded-for"), Some("203.0.113.5"));
    assert_eq!(failing(stranger, "2.2.2.2"), 403, "it stays who it is");
    let event = guard.wait_for_event("identity_suspect");
    assert_eq!(event.get("client"), "203.0.113.5");
    assert!(event.get("reason").contains("untrusted peer"), "{event:?}");
    assert_eq!(failing(cdn.clone(), "1.1.1.1"), 200);
    assert_eq!(failing(cdn.clone(), "2.2.2.2"), 200);
    assert_eq!(failing(cdn, "1.1.1.1"), 403);
}

#[test]
fn it_can_be_required_and_no_more_while_the_guard_runs() {
    let upstream = Upstream::shop();
    let guard = start(TRUSTED, &upstream);
    guard.reconfigure(|text| text.replace("proxy_protocol: true", "proxy_protocol: false"));
    guard.reload();
    assert_eq!(guard.client().get("/").status, 200);
    guard.reconfigure(str::to_owned);
    guard.reload();
    assert_eq!(failing(&guard, v1("203.0.113.5")), 200);
    assert_eq!(guard.events("restart_needed").len(), 0);
}

#[test]
fn programs_that_others_wrote_are_understood() {
    let upstream = Upstream::shop();
    let guard = start(TRUSTED, &upstream);
    let url = format!("http://{}/", guard.addr());
    if let Some(mut curl) = program("curl") {
        let output = curl.args(["-sS", "--haproxy-protocol", &url]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "hello", "{output:?}");
    }
    for version in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"] {
        let Some(haproxy) = Haproxy::start(guard.addr(), version) else { return };
        let own = "127.0.0.7".parse().ok();
        let mut client = Client { wire: Wire::new(Socket::connect(haproxy.address, own)) };
        assert_eq!(client.get("/").status, 200, "{version}");
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.get("x-forwarded-for"), Some("127.0.0.7"), "{version}");
    }
}

/// `HAProxy` on a port of this test's.
struct Haproxy {
    child: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Haproxy {
    /// One that passes connections on to `guard`; `None` where the program is not there.
    fn start(guard: SocketAddr, version: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "defaults\n mode tcp\n timeout connect 9s\n timeout client 9s\n timeout server 9s\n\
             listen all\n bind fd@0\n server guard {guard} {version}\n"
        );
        let path = dir.path().join("haproxy.cfg");
        std::fs::write(&path, config).unwrap();
        // it gets the socket in place of its standard input
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut command = program("haproxy")?;
        command.args(["-db", "-f"]).arg(&path).stdin(OwnedFd::from(listener));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Some(Self { child, address, _dir: dir })
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
