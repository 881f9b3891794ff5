//! TLS towards clients, with real handshakes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::support::{Ask, Authority, Client, Guard, Setup, Upstream, wait};

pub const LISTEN: &str =
    "listen: { address: \"127.0.0.1:0\", tls: { certificate: cert.pem, key: key.pem } }";

pub fn start(configuration: &str, files: &[(&str, &str)], upstream: &Upstream) -> Guard {
    let setup = Setup::new(configuration).upstream(upstream);
    files.iter().fold(setup, |setup, (name, text)| setup.file(name, text)).start()
}

#[track_caller]
fn address(guard: &Guard) -> SocketAddr {
    let event = guard.wait_for_event("listening");
    event.get("address").strip_prefix("https://").expect("it speaks TLS").parse().unwrap()
}

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands with a guard as if it were called `name`.
pub fn connect(guard: &Guard, name: &str, config: &ClientConfig) -> Result<Tls, std::io::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
    let mut socket = TcpStream::connect(address(guard))?;
    socket.set_read_timeout(Some(wait::PATIENCE))?;
    while client.is_handshaking() {
        client.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(client, socket))
}

/// The answer to a request that is the last of its connection.
pub fn ask(stream: &mut Tls, ask: Ask) -> String {
    stream.write_all(&ask.with("Connection", "close").bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

pub fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

pub fn shown(stream: &Tls) -> CertificateDer<'static> {
    stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}

#[test]
fn a_login_is_guarded_behind_tls_and_the_application_told_of_it() {
    let (authority, upstream) = (Authority::new(), Upstream::shop());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let lockout = "lockout: { limits: { by: username, failures: 2, cool_off: 10m } }";
    let files = [("cert.pem", &*certificate), ("key.pem", &*key)];
    let guard = start(&format!("{LISTEN}\n{lockout}"), &files, &upstream);
    let log_in = || {
        let mut stream = connect(&guard, "shop.test", &authority.client()).unwrap();
        ask(&mut stream, Ask::login("bob", "wrong"))
    };
    assert!(log_in().starts_with("HTTP/1.1 200 OK\r\n"));
    let request = upstream.only_request();
    assert_eq!(request.get("x-forwarded-proto"), Some("https"));
    assert_eq!(request.get("forwarded"), Some("for=127.0.0.1;proto=https"));
    assert!(log_in().starts_with("HTTP/1.1 403 Forbidden\r\n"), "the second failure locks");
    assert!(log_in().starts_with("HTTP/1.1 403 Forbidden\r\n"));
    assert_eq!(upstream.hits(), 2);
}

#[test]
fn both_versions_are_spoken_and_the_newer_one_with_post_quantum_keys() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let guard = start(LISTEN, &[("cert.pem", &certificate), ("key.pem", &key)], &upstream);
    for (version, group) in
        [(&rustls::version::TLS13, "X25519MLKEM768"), (&rustls::version::TLS12, "X25519")]
    {
        let config = ClientConfig::builder_with_protocol_versions(&[version]);
        let mut config = config.with_root_certificates(authority.roots()).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut stream = connect(&guard, "shop.test", &config).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        let used = stream.conn.negotiated_key_exchange_group().unwrap();
        assert_eq!(format!("{:?}", used.name()), group);
        assert!(ask(&mut stream, Ask::get("/")).ends_with("hello"));
    }
}

#[test]
fn the_cipher_is_the_guards_choice_in_both_versions() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let files = [("cert.pem", &*certificate), ("key.pem", &*key)];
    let guard = start(LISTEN, &files, &upstream);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let chosen = |reversed: bool| {
            let mut provider = rustls::crypto::aws_lc_rs::default_provider();
            if reversed {
                provider.cipher_suites.reverse();
            }
            let builder = ClientConfig::builder_with_provider(Arc::new(provider));
            let builder = builder.with_protocol_versions(&[version]).unwrap();
            let config = builder.with_root_certificates(authority.roots()).with_no_client_auth();
            let stream = connect(&guard, "shop.test", &config).unwrap();
            stream.conn.negotiated_cipher_suite().unwrap().suite()
        };
        assert_eq!(chosen(false), chosen(true), "of {version:?}");
    }
}

#[test]
fn a_websocket_speaks_through_tls() {
    let upstream = Upstream::scripted(|talk| {
        let mut socket = tungstenite::accept(&mut talk.wire.socket).unwrap();
        while let Ok(message @ Message::Text(_)) = socket.read() {
            socket.send(message).unwrap();
        }
    });
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let files = [("cert.pem", &*certificate), ("key.pem", &*key)];
    let guard = start(LISTEN, &files, &upstream);
    let mut stream = connect(&guard, "shop.test", &authority.client()).unwrap();
    let (mut socket, answer) = tungstenite::client("ws://shop.test/", &mut stream).unwrap();
    assert_eq!(answer.status(), 101);
    for text in ["short".to_owned(), "long".repeat(50_000)] {
        socket.send(Message::text(&text)).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text(text));
    }
    drop(stream);
    upstream.wait_for_closed(1);
}

#[test]
fn a_certificate_is_chosen_by_name() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let certificates = [&["a.test"][..], &["*.b.test", "b.test"], &["c.test"]]
        .map(|names| authority.certificate(names));
    let names: Vec<_> = (0..3).map(|n| (format!("cert{n}.pem"), format!("key{n}.pem"))).collect();
    let mut files = Vec::new();
    for ((certificate, key), (certificate_name, key_name)) in certificates.iter().zip(&names) {
        files.push((certificate_name.as_str(), certificate.as_str()));
        files.push((key_name.as_str(), key.as_str()));
    }
    let listen = "listen: { address: \"127.0.0.1:0\", tls: [{ certificate: cert0.pem, key: key0.pem }, \
                  { certificate: cert1.pem, key: key1.pem }, { certificate: cert2.pem, key: key2.pem }] }";
    let guard = start(listen, &files, &upstream);
    for (name, expected) in
        [("a.test", 0), ("www.b.test", 1), ("b.test", 1), ("c.test", 2), ("C.test", 2)]
    {
        let stream = connect(&guard, name, &authority.client()).unwrap();
        assert_eq!(shown(&stream), der(&certificates[expected].0), "{name}");
    }
    assert!(connect(&guard, "other.test", &authority.client()).is_err(), "the first is for a.test");
}

#[test]
fn changed_certificates_are_loaded_without_dropping_a_connection() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let guard = start(LISTEN, &[("cert.pem", &certificate), ("key.pem", &key)], &upstream);
    let mut open = connect(&guard, "shop.test", &authority.client()).unwrap();
    assert_eq!(shown(&open), der(&certificate));
    let write =
        |name: &str, text: &str| std::fs::write(Path::new(guard.dir()).join(name), text).unwrap();
    write("cert.pem", "no certificate");
    guard.wait_for("complaint", |event| event.get("msg").contains("stay as they were"));
    let stream = connect(&guard, "shop.test", &authority.client()).unwrap();
    assert_eq!(shown(&stream), der(&certificate), "the old one is kept");
    let (renewed, key) = authority.certificate(&["shop.test"]);
    write("key.pem", &key);
    write("cert.pem", &renewed);
    wait::until("the new one is shown", || {
        shown(&connect(&guard, "shop.test", &authority.client()).unwrap()) == der(&renewed)
    });
    assert!(ask(&mut open, Ask::get("/")).ends_with("hello"));
}

#[test]
fn where_a_client_ca_is_named_clients_need_its_certificate() {
    let (authority, clients, upstream) = (Authority::new(), Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let listen = LISTEN.replace("key: key.pem", "key: key.pem, client_ca: ca.pem");
    let files = [("cert.pem", &*certificate), ("key.pem", &*key), ("ca.pem", &*clients.0.pem())];
    let guard = start(&listen, &files, &upstream);
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let with = |by: &Authority| {
        let (certificate, key) = by.certificate(&["a client"]);
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots.clone());
        config.with_client_auth_cert(vec![der(&certificate)], key).unwrap()
    };
    let mut stream = connect(&guard, "shop.test", &with(&clients)).unwrap();
    assert!(ask(&mut stream, Ask::get("/")).ends_with("hello"));
    for config in [authority.client(), with(&authority)] {
        // in TLS 1.3 the client hears of it after the handshake
        let refused = connect(&guard, "shop.test", &config).and_then(|mut stream| {
            stream.write_all(&Ask::get("/").bytes())?;
            stream.read(&mut [0])
        });
        assert!(refused.is_err());
    }
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn who_does_not_shake_hands_is_let_go() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let configuration = format!("{LISTEN}\ntimeouts: {{ handshake: 500ms }}");
    let guard = start(&configuration, &[("cert.pem", &certificate), ("key.pem", &key)], &upstream);
    let mut silent = Client::to_addr(address(&guard));
    silent.wire.rest();
    let mut plain = Client::to_addr(address(&guard));
    plain.send(Ask::login("bob", "x").bytes());
    plain.wire.rest();
    assert_eq!(upstream.hits(), 0);
}

#[test]
fn files_that_cannot_be_used_are_errors_of_the_configuration() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let (_, other) = authority.certificate(&["shop.test"]);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (certificate, key, expected) in [
        (&*certificate, &*other, "key.pem` is not the key of"),
        (&*certificate, encrypted, "key.pem` is encrypted; decrypt it"),
        (&*certificate, "nothing", "key.pem` has nothing of the kind; name a private key in PEM"),
        (&*certificate, &*certificate, "key.pem` has nothing of the kind; name a private key"),
        ("nothing", &*key, "cert.pem` has no certificate; name a file of certificates in PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            &*key,
            "cert.pem` begins with no certificate of a server",
        ),
    ] {
        let setup = Setup::new(LISTEN)
            .upstream(&upstream)
            .file("cert.pem", certificate)
            .file("key.pem", key);
        let mut guard = Guard::spawn(setup);
        assert_eq!(guard.wait_for_exit().code(), Some(2));
        assert!(guard.log().contains("listen.tls"), "{}", guard.log());
        assert!(guard.log().contains(expected), "{expected} in {}", guard.log());
    }
    let mut guard = Guard::spawn(Setup::new(LISTEN).upstream(&upstream));
    assert_eq!(guard.wait_for_exit().code(), Some(2));
    assert!(guard.log().contains("cert.pem` cannot be read: No such file"), "{}", guard.log());
}

#[test]
fn an_inherited_socket_speaks_tls_where_its_entry_says_so() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let setup = Setup::new(&LISTEN.replace("127.0.0.1:0", &address)).upstream(&upstream);
    let setup = setup.file("cert.pem", &certificate).file("key.pem", &key);
    let guard = setup.inherit(listener).start();
    let mut stream = connect(&guard, "shop.test", &authority.client()).unwrap();
    assert!(ask(&mut stream, Ask::get("/")).starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(guard.events("socket_inherited").len(), 1);
}
