//! Certificates as operators have them: of every usual kind, in every order, renewed, and expiring.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, HandshakeKind, RootCertStore};

use crate::support::{Ask, Authority, Client, Guard, Setup, Upstream, program, wait};
use crate::tls::{LISTEN, ask, connect, der, shown, start};

/// Runs openssl in `dir`; `None` where it is not there.
fn openssl(dir: &Path, words: &str) -> Option<()> {
    let output = program("openssl")?.args(words.split_whitespace()).current_dir(dir).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

const SELF: &str =
    "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=ca";
const ASK: &str = "req -new -key key.pem -out csr.pem -subj /CN=shop.test \
                   -addext subjectAltName=DNS:shop.test";
const SIGN: &str = "x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
                    -copy_extensions copy -out cert.pem";

#[test]
fn keys_of_every_kind_that_openssl_writes_are_taken() {
    let upstream = Upstream::hello();
    for (make, begins) in [
        ("genrsa -traditional -out key.pem 2048", "RSA PRIVATE KEY"),
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out key.pem", "PRIVATE KEY"),
        ("ecparam -name prime256v1 -genkey -out key.pem", "EC PARAMETERS"),
        ("ecparam -name secp384r1 -genkey -noout -out key.pem", "EC PRIVATE KEY"),
        ("ecparam -name secp521r1 -genkey -noout -out key.pem", "EC PRIVATE KEY"),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem", "PRIVATE KEY"),
        ("genpkey -algorithm ED25519 -out key.pem", "PRIVATE KEY"),
    ] {
        let setup = Setup::new(LISTEN).upstream(&upstream);
        let dir = setup.dir.path();
        let made = openssl(dir, make).and_then(|()| openssl(dir, SELF));
        let Some(()) = made.and_then(|()| openssl(dir, ASK)).and_then(|()| openssl(dir, SIGN))
        else {
            return;
        };
        let key = std::fs::read_to_string(dir.join("key.pem")).unwrap();
        assert!(key.starts_with(&format!("-----BEGIN {begins}-----")), "{make}: {key}");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(dir.join("ca.pem")).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let guard = setup.start();
        let mut stream =
            connect(&guard, "shop.test", &config).unwrap_or_else(|e| panic!("{make}: {e}"));
        assert!(ask(&mut stream, Ask::get("/")).ends_with("hello"), "{make}");
    }
}

#[test]
fn keys_that_openssl_has_encrypted_are_named_as_such() {
    let upstream = Upstream::hello();
    let (certificate, _) = Authority::new().certificate(&["shop.test"]);
    for make in [
        "genrsa -traditional -aes256 -passout pass:x -out key.pem 2048",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:x -out key.pem",
    ] {
        let setup = Setup::new(LISTEN).upstream(&upstream).file("cert.pem", &certificate);
        let Some(()) = openssl(setup.dir.path(), make) else { return };
        let mut guard = Guard::spawn(setup);
        assert_eq!(guard.wait_for_exit().code(), Some(2));
        assert!(guard.log().contains("key.pem` is encrypted; decrypt it"), "{}", guard.log());
    }
}

#[test]
fn a_chain_begins_with_the_servers_own_certificate() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let right = format!("{certificate}{}", authority.pem());
    let guard = start(LISTEN, &[("cert.pem", &right), ("key.pem", &key)], &upstream);
    let stream = connect(&guard, "shop.test", &authority.client()).unwrap();
    assert_eq!(stream.conn.peer_certificates().unwrap().len(), 2);
    let wrong = format!("{}{certificate}", authority.pem());
    let setup = Setup::new(LISTEN).upstream(&upstream).file("cert.pem", &wrong);
    let mut guard = Guard::spawn(setup.file("key.pem", &key));
    assert_eq!(guard.wait_for_exit().code(), Some(2));
    let expected = "cert.pem` has the server's own certificate behind 1 others; put it first";
    assert!(guard.log().contains(expected), "{}", guard.log());
}

#[test]
fn one_for_just_the_name_goes_before_a_wildcard_and_the_first_is_for_all_others() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let certificates =
        [&["first.test"][..], &["*.b.test"], &["www.b.test"]].map(|n| authority.certificate(n));
    let mut setup = Setup::new(
        "listen: { address: \"127.0.0.1:0\", tls: [{ certificate: c0, key: k0 }, \
         { certificate: c1, key: k1 }, { certificate: c2, key: k2 }] }",
    );
    for (at, (certificate, key)) in certificates.iter().enumerate() {
        setup = setup.file(&format!("c{at}"), certificate).file(&format!("k{at}"), key);
    }
    let guard = setup.upstream(&upstream).start();
    for (name, expected) in
        [("www.b.test", 2), ("WWW.B.test", 2), ("a.b.test", 1), ("first.test", 0)]
    {
        let stream = connect(&guard, name, &authority.client()).unwrap();
        assert_eq!(shown(&stream), der(&certificates[expected].0), "{name}");
    }
    for name in ["b.test", "x.a.b.test", "other.test"] {
        let error = connect(&guard, name, &authority.client()).unwrap_err().to_string();
        assert!(
            error.contains("first.test"),
            "it is shown the first, which is not for it: {error}"
        );
    }
}

#[test]
fn sessions_are_resumed_in_both_versions() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let guard = start(LISTEN, &[("cert.pem", &certificate), ("key.pem", &key)], &upstream);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = ClientConfig::builder_with_protocol_versions(&[version]);
        let config = config.with_root_certificates(authority.roots()).with_no_client_auth();
        let kinds = [(); 4].map(|()| {
            let mut stream = connect(&guard, "shop.test", &config).unwrap();
            assert!(ask(&mut stream, Ask::get("/")).ends_with("hello"));
            stream.conn.handshake_kind().unwrap()
        });
        assert_ne!(kinds[0], HandshakeKind::Resumed);
        // whichever worker has it
        assert_eq!(kinds[1..], [HandshakeKind::Resumed; 3], "{version:?}");
    }
}

#[test]
fn links_that_lead_elsewhere_are_a_renewal_as_kubernetes_does_it() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let [old, new] = [(); 2].map(|()| authority.certificate(&["shop.test"]));
    let setup = Setup::new(LISTEN).upstream(&upstream);
    let dir = setup.dir.path().to_owned();
    for (name, (certificate, key)) in [("..1", &old), ("..2", &new)] {
        std::fs::create_dir(dir.join(name)).unwrap();
        std::fs::write(dir.join(name).join("cert.pem"), certificate).unwrap();
        std::fs::write(dir.join(name).join("key.pem"), key).unwrap();
    }
    symlink("..1", dir.join("..data")).unwrap();
    for name in ["cert.pem", "key.pem"] {
        symlink(format!("..data/{name}"), dir.join(name)).unwrap();
    }
    let guard = setup.start();
    let served = || shown(&connect(&guard, "shop.test", &authority.client()).unwrap());
    assert_eq!(served(), der(&old.0));
    symlink("..2", dir.join("..tmp")).unwrap();
    std::fs::rename(dir.join("..tmp"), dir.join("..data")).unwrap();
    wait::until("the new one is shown", || served() == der(&new.0));
}

/// A certificate that ends in so many days, and a bit.
fn ending_in(authority: &Authority, days: u64) -> (String, String, i64) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
    #[expect(clippy::disallowed_methods, reason = "certificates know the time of day")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let end = now.as_secs() + days * 86_400 + 600;
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(end);
    let end = i64::try_from(end).unwrap();
    (params.signed_by(&key, &authority.0).unwrap().pem(), key.serialize_pem(), end)
}

#[test]
fn fourteen_days_before_its_end_a_certificate_is_warned_of() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key, end) = ending_in(&authority, 13);
    let guard = start(LISTEN, &[("cert.pem", &certificate), ("key.pem", &key)], &upstream);
    let said = guard.wait_for_event("configuration_warning");
    assert!(said.get("reason").contains("cert.pem` expires in 13 days, on "), "{said:?}");
    let metric = "loginward_certificate_expiry_timestamp_seconds";
    assert_eq!(guard.metric(metric, "cert.pem") as i64, end);
    let mut check = Command::new(env!("CARGO_BIN_EXE_loginward"));
    let output =
        check.args(["check", "--strict", "--config"]).arg(guard.config()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("listen.tls: `") && said.contains("expires in 13 days"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    let (certificate, key, end) = ending_in(&authority, 15);
    std::fs::write(guard.dir().join("key.pem"), &key).unwrap();
    std::fs::write(guard.dir().join("cert.pem"), &certificate).unwrap();
    wait::until("the new one is told of", || guard.metric(metric, "cert.pem") as i64 == end);
    let before = guard.events("configuration_warning").len();
    guard.reload();
    assert_eq!(guard.events("configuration_warning").len(), before, "this one has time");
}

#[test]
fn handshakes_that_fail_are_counted_and_said_why_to_who_asks() {
    let (authority, upstream) = (Authority::new(), Upstream::hello());
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let files = [("cert.pem", &*certificate), ("key.pem", &*key)];
    let guard = start(&format!("{LISTEN}\nlog: {{ level: debug }}"), &files, &upstream);
    assert!(connect(&guard, "shop.test", &authority.client()).is_ok());
    let metric = "loginward_tls_handshake_failures_total";
    assert_eq!(guard.metric(metric, "") as u32, 0);
    let mut plain = Client::to_addr(guard.tls_addr());
    plain.send("GET / HTTP/1.1\r\n\r\n").wire.rest();
    let said = guard.wait_for_event("tls_handshake_failed");
    assert_eq!(said.get("client"), "127.0.0.1");
    assert!(!said.get("reason").is_empty());
    wait::until("it is counted", || guard.metric(metric, "") as u32 == 1);
    let strangers = ClientConfig::builder().with_root_certificates(Authority::new().roots());
    assert!(connect(&guard, "shop.test", &strangers.with_no_client_auth()).is_err());
    wait::until("it is counted", || guard.metric(metric, "") as u32 == 2);
    let mut stream = connect(&guard, "shop.test", &authority.client()).unwrap();
    stream.flush().unwrap();
    assert!(ask(&mut stream, Ask::get("/")).ends_with("hello"));
}
