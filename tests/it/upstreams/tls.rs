//! TLS with an application, with real handshakes.

use std::fs;

use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};

use crate::support::upstream::{ok, shop};
use crate::support::{Answer, Authority, Conversation, Guard, Setup, Upstream};

/// A shop for `localhost` that `authority` vouches for.
fn secure_shop(config: ServerConfig) -> Upstream {
    Upstream::scripted_tls(config, |talk| {
        while let Some(request) = talk.request() {
            talk.send(shop(&request));
        }
    })
}

/// A guard before `upstream` with these keys of its `tls`; `ca.pem` is `authority`'s.
fn setup(upstream: &Upstream, authority: &Authority, tls: &str) -> Setup {
    let mapping = format!("{{ servers: \"{}\", tls: {{ {tls} }} }}", upstream.url());
    let setup = Setup::new("workers: 1").replace("\"{UPSTREAM}\"", &mapping);
    setup.file("ca.pem", &authority.pem())
}

/// What comes of a request that reaches no application: 502, and in the log why.
#[track_caller]
fn fails(guard: &Guard, why: &[&str]) {
    let mut client = guard.client();
    for answer in [client.get("/"), client.log_in("bob", "right")] {
        assert_eq!(answer.verdict(), (502, "error"));
    }
    let said = guard.wait_for_event("upstream_failed");
    for why in why {
        assert!(said.get("reason").contains(why), "{why}: {said:?}");
    }
    assert!(guard.events("login_failed").is_empty(), "nothing was sent");
}

#[test]
fn a_login_is_guarded_before_an_application_that_speaks_tls() {
    let authority = Authority::new();
    let upstream = secure_shop(authority.server(&["localhost"]));
    let setup = setup(&upstream, &authority, "ca: ca.pem");
    let limit = "lockout: { limits: { by: username, failures: 2, cool_off: 10m } }";
    let text = format!("{}\n{limit}", setup.text);
    let guard = Setup { text, ..setup }.start();
    let mut client = guard.client();
    assert_eq!(client.get("/").text(), "hello");
    assert_eq!(client.log_in("bob", "right").status, 302);
    assert_eq!(client.log_in("bob", "wrong").status, 200);
    assert_eq!(client.log_in("bob", "wrong").verdict(), (403, "locked"));
    assert_eq!(client.log_in("bob", "right").verdict(), (403, "locked"));
    assert_eq!(upstream.hits(), 4);
    assert_eq!(upstream.connections(), 1, "it is kept like any other");
    assert_eq!(upstream.requests()[0].get("host"), Some("shop.test"));
}

#[test]
fn the_systems_roots_vouch_where_nothing_else_is_said() {
    let authority = Authority::new();
    let upstream = secure_shop(authority.server(&["localhost"]));
    let with_roots = |authority: &Authority| {
        with_roots(Setup::new("").upstream(&upstream), &authority.pem()).start()
    };
    assert_eq!(with_roots(&authority).client().get("/").text(), "hello");
    fails(&with_roots(&Authority::new()), &["invalid peer certificate", "tls.ca"]);
}

/// On a system that has these roots and no others.
fn with_roots(setup: Setup, pem: &str) -> Setup {
    let setup = setup.file("roots.pem", pem);
    let none = setup.dir.path().join("none");
    fs::create_dir(&none).unwrap();
    let file = setup.dir.path().join("roots.pem");
    let setup = setup.variable("SSL_CERT_FILE", file.to_str().unwrap());
    setup.variable("SSL_CERT_DIR", none.to_str().unwrap())
}

#[test]
fn a_system_without_roots_is_an_error_that_says_so() {
    let upstream = Upstream::hello();
    let setup = Setup::new("").replace("{UPSTREAM}", &upstream.url().replace("http:", "https:"));
    let mut guard = Guard::spawn(with_roots(setup, ""));
    assert_eq!(guard.wait_for_exit().code(), Some(2));
    let log = guard.log();
    assert!(log.contains("sites[0].upstream: this system has no root certificates"), "{log}");
    assert!(log.contains("tls: { ca: ca.pem }"), "{log}");
}

#[test]
fn who_is_vouched_for_by_nobody_or_called_otherwise_gets_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let upstream = secure_shop(stranger.server(&["localhost"]));
    fails(
        &setup(&upstream, &authority, "ca: ca.pem").start(),
        &["invalid peer certificate", "tls.ca"],
    );
    let upstream = secure_shop(authority.server(&["other.test"]));
    let guard = setup(&upstream, &authority, "ca: ca.pem").start();
    fails(&guard, &["not valid for name", "localhost", "tls.server_name"]);
    assert_eq!(upstream.hits(), 0);
}

#[test]
fn a_server_may_be_called_otherwise_if_that_is_said() {
    let authority = Authority::new();
    let names = Upstream::scripted_tls(authority.server(&["app.internal"]), |talk| {
        while talk.request().is_some() {
            let name = talk.wire.socket.tls().server_name().unwrap_or_default().to_owned();
            talk.send(ok(&name));
        }
    });
    let guard = setup(&names, &authority, "ca: ca.pem, server_name: app.internal").start();
    assert_eq!(guard.client().get("/").text(), "app.internal");
}

#[test]
fn whoever_answers_is_believed_if_that_is_spelled_out() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let upstream = secure_shop(stranger.server(&["other.test"]));
    let guard = setup(&upstream, &authority, "insecure: true").start();
    assert_eq!(guard.client().get("/").text(), "hello");
    let warning = guard.wait_for_event("configuration_warning");
    assert!(warning.get("reason").contains("believes whoever answers"), "{warning:?}");
    drop(guard);
    let guard = setup(&upstream, &authority, "insecure: false").start();
    fails(&guard, &["invalid peer certificate"]);
}

#[test]
fn the_guard_shows_its_own_certificate() {
    let authority = Authority::new();
    let upstream = Upstream::scripted_tls(authority.strict_server(), |talk| {
        while talk.request().is_some() {
            let shown = talk.wire.socket.tls().peer_certificates().map_or(0, <[_]>::len);
            talk.send(ok(&shown.to_string()));
        }
    });
    let (certificate, key) = authority.certificate(&["guard"]);
    let own = "ca: ca.pem, certificate: own.pem, key: own.key";
    let own = setup(&upstream, &authority, own).file("own.pem", &certificate).file("own.key", &key);
    assert_eq!(own.start().client().get("/").text(), "1");
    let guard = setup(&upstream, &authority, "ca: ca.pem").start();
    assert_eq!(guard.client().get("/").verdict(), (502, "error"));
    guard.wait_for("its reason", |event| event.get("reason").contains("CertificateRequired"));
}

/// What an upstream found out about each connection, in order.
fn tell(talk: &mut Conversation, what: impl Fn(&mut Conversation) -> String) {
    if talk.request().is_some() {
        let told = what(talk);
        let close = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{told}",
            told.len()
        );
        talk.send(close);
    }
}

#[test]
fn sessions_are_resumed_also_after_a_reload() {
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let authority = Authority::new();
        let mut config = authority.server_of(versions);
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let upstream = Upstream::scripted_tls(config, |talk| {
            tell(talk, |talk| {
                let tls = talk.wire.socket.tls();
                let newer = tls.protocol_version() == Some(ProtocolVersion::TLSv1_3);
                format!("{newer} {}", tls.handshake_kind() == Some(HandshakeKind::Resumed))
            });
        });
        let guard = setup(&upstream, &authority, "ca: ca.pem").start();
        let newer = versions[0].version == ProtocolVersion::TLSv1_3;
        assert_eq!(guard.client().get("/").text(), format!("{newer} false"));
        assert_eq!(guard.client().get("/").text(), format!("{newer} true"));
        guard.reload();
        assert_eq!(guard.client().get("/").text(), format!("{newer} true"));
    }
}

#[test]
fn http_2_is_not_offered_unasked() {
    let authority = Authority::new();
    let mut config = authority.server(&["localhost"]);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let upstream = Upstream::scripted_tls(config, |talk| {
        tell(talk, |talk| {
            let agreed = talk.wire.socket.tls().alpn_protocol().unwrap_or_default();
            String::from_utf8(agreed.to_vec()).unwrap()
        });
    });
    let guard = setup(&upstream, &authority, "ca: ca.pem").start();
    assert_eq!(guard.client().get("/").text(), "http/1.1");
}

#[test]
fn a_handshake_that_takes_too_long_is_a_gateway_timeout_and_counts_nothing() {
    let upstream = Upstream::scripted(|talk| talk.wait_for_end());
    let url = upstream.url().replace("http:", "https:");
    let file = "timeouts: { connect: 300ms }\n\
                lockout: { limits: { by: username, failures: 1, cool_off: 10m } }";
    let mapping = format!("{{ servers: \"{url}\", tls: {{ insecure: true }} }}");
    let guard = Setup::new(file).replace("\"{UPSTREAM}\"", &mapping).start();
    let mut client = guard.client();
    assert_eq!(client.get("/").verdict(), (504, "error"));
    assert_eq!(client.log_in("bob", "x").verdict(), (504, "error"));
    assert_eq!(client.log_in("bob", "x").verdict(), (504, "error"), "and not 403");
}

#[test]
fn a_server_that_speaks_no_tls_is_said_to() {
    let upstream = Upstream::scripted(|talk| {
        talk.wire.some();
        talk.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        talk.wait_for_end();
    });
    let url = upstream.url().replace("http:", "https:");
    let mapping = format!("{{ servers: \"{url}\", tls: {{ insecure: true }} }}");
    let guard = Setup::new("").replace("\"{UPSTREAM}\"", &mapping).start();
    fails(&guard, &["TLS with the upstream failed", "http://"]);
}

#[test]
fn of_two_servers_the_one_whose_certificate_is_right_is_used() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let wrong = secure_shop(stranger.server(&["localhost"]));
    let right = secure_shop(authority.server(&["localhost"]));
    let mapping = format!(
        "{{ servers: [\"{}\", \"{}\"], balance: round_robin, tls: {{ ca: ca.pem }} }}",
        wrong.url(),
        right.url()
    );
    let setup = Setup::new("workers: 1").replace("\"{UPSTREAM}\"", &mapping);
    let guard = setup.file("ca.pem", &authority.pem()).start();
    let answers: Vec<Answer> = (0..3).map(|_| guard.client().log_in("bob", "wrong")).collect();
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!((wrong.hits(), right.hits()), (0, 3));
    assert_eq!(guard.wait_for_event("upstream_rests").get("server"), wrong.url());
}

#[test]
fn another_ca_is_in_force_after_a_reload() {
    let (old, new) = (Authority::new(), Authority::new());
    let upstream = secure_shop(new.server(&["localhost"]));
    let guard = setup(&upstream, &old, "ca: ca.pem").start();
    assert_eq!(guard.client().get("/").verdict(), (502, "error"));
    fs::write(guard.dir().join("ca.pem"), new.pem()).unwrap();
    guard.reload();
    assert_eq!(guard.client().get("/").text(), "hello");
}
