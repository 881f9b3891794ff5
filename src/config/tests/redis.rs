//! The store that several guards share.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::store::redis::settings::{
    Address, Hidden, OnOutage, Place, RedisLogin, RedisSettings, RedisTls,
};

/// A configuration with these settings of the store, which begin at 9:10.
fn with(keys: &str) -> String {
    file(&format!("store: {{ redis: {{ key: 0123456789abcdef, {keys} }} }}"))
}

fn redis(keys: &str) -> Arc<RedisSettings> {
    settings(&with(keys)).store.redis.unwrap()
}

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp(host.into(), port)
}

#[test]
fn a_store_is_one_server_or_what_sentinels_name_or_a_cluster() {
    for (keys, place) in [
        ("url: redis://127.0.0.1", Place::One(tcp("127.0.0.1", 6379))),
        ("url: \"valkey://[::1]:7000/\"", Place::One(tcp("::1", 7000))),
        ("url: rediss://redis.example.com", {
            Place::One(Address::Tls("redis.example.com".into(), 6379))
        }),
        ("url: unix:///run/redis/redis.sock", {
            Place::One(Address::Unix("/run/redis/redis.sock".into()))
        }),
        ("cluster: [redis://10.0.0.1:7000, redis://node]", {
            Place::Cluster(vec![tcp("10.0.0.1", 7000), tcp("node", 6379)])
        }),
        (
            "sentinel: { master: logins, urls: [redis://10.0.0.1, redis://10.0.0.2:1], \
             username: asks, password: me }",
            Place::Sentinel {
                primary: "logins".into(),
                sentinels: vec![tcp("10.0.0.1", 26379), tcp("10.0.0.2", 1)],
                login: RedisLogin {
                    username: Some("asks".into()),
                    password: Some(Hidden("me".into())),
                },
            },
        ),
    ] {
        assert_eq!(redis(keys).place, place, "{keys}");
        check(&with(keys), &[]);
    }
}

#[test]
fn what_is_not_said_of_a_store_is_as_usual() {
    let usual = redis("url: redis://127.0.0.1");
    let RedisSettings { login, database, tls, timeout, connect_timeout, on_outage, .. } = &*usual;
    assert_eq!((login, *database), (&RedisLogin::default(), 0));
    assert_eq!((tls, &*usual.prefix), (&RedisTls::default(), "loginward"));
    let millis = Duration::from_millis;
    assert_eq!((*timeout, *connect_timeout), (millis(50), millis(200)));
    assert_eq!(*on_outage, OnOutage::Local);
    let own = redis(
        "url: redis://127.0.0.1, username: guard, password: open sesame, database: 3, \
         prefix: \"logins:eu\", timeout: 20ms, connect_timeout: 1s, on_outage: refuse",
    );
    let password = Some(Hidden("open sesame".into()));
    assert_eq!(own.login, RedisLogin { username: Some("guard".into()), password });
    assert_eq!((own.database, &*own.prefix, own.on_outage), (3, "logins:eu", OnOutage::Refuse));
    assert_eq!((own.timeout, own.connect_timeout), (millis(20), millis(1000)));
    assert_eq!(redis("url: redis://h, on_outage: allow").on_outage, OnOutage::Allow);
    assert_eq!(settings(FLAWLESS).store.redis, None);
}

/// Asserts that these settings are wrong in this way, whatever their place is.
#[track_caller]
fn wrong(keys: &str, expected: &str) {
    let told = parse(&with(keys)).expect_err(keys).to_string();
    let told: Vec<&str> = told.lines().map(|line| line.split_once(": ").unwrap().1).collect();
    assert_eq!(told.join("\n"), expected, "{keys}");
}

#[test]
fn a_url_that_is_none_is_said() {
    let url = "write such as redis://redis.internal:6379, rediss:// for TLS, or \
               unix:///run/redis/redis.sock";
    for (keys, expected) in [
        ("url: here", format!("store.redis.url: `here` is no URL; {url}")),
        ("url: http://here", format!("store.redis.url: is no URL of a store; {url}")),
        ("url: unix://here", format!("store.redis.url: is no URL of a store; {url}")),
        ("url: redis://here:x", { format!("store.redis.url: has no port from 1 to 65535; {url}") }),
    ] {
        wrong(keys, &expected);
    }
}

#[test]
fn what_is_wrong_besides_a_wrong_place_is_said_as_well() {
    let problems = parse(&with("url: \"http://h\", timeout: 50, on_outage: locl"));
    let said = problems.expect_err("it is wrong").to_string();
    for key in ["redis.url", "redis.timeout", "redis.on_outage"] {
        assert!(said.contains(key), "{said}");
    }
}

#[test]
fn a_place_that_is_none_is_said() {
    for (keys, expected) in [
        (
            "on_outage: local",
            "store.redis: needs `url`, `sentinel` or `cluster`; such as `url: redis://127.0.0.1:6379`",
        ),
        (
            "url: redis://a, cluster: [redis://b]",
            "store.redis: has `url` and `cluster`; say in one way where the store is",
        ),
        (
            "url: \"redis://:hidden@here\"",
            "store.redis.url: has credentials; write `username` and `password: \
             \"${file:redis.password}\"` beside it",
        ),
        (
            "url: \":hidden@here:6379\"",
            "store.redis.url: this is no URL; write such as redis://redis.internal:6379, rediss:// \
             for TLS, or unix:///run/redis/redis.sock",
        ),
        (
            "url: redis://here/2",
            "store.redis.url: says more than where; write `database: N` beside it, if that is meant",
        ),
        ("cluster: []", "store.redis.cluster: is empty; name one server or more"),
        (
            "cluster: [unix:///a]",
            "store.redis.cluster[0]: is a unix socket; name a port, which is where the others are \
             found, too",
        ),
        (
            "cluster: [redis://a, rediss://b]",
            "store.redis.cluster[1]: speaks TLS where others do not, or the other way",
        ),
        (
            "cluster: [redis://a], database: 1",
            "store.redis.database: is not there in a Cluster, which has database 0 alone; remove it",
        ),
    ] {
        wrong(keys, expected);
    }
}

#[test]
fn what_goes_with_no_store_is_said() {
    for (keys, expected) in [
        (
            "sentinel: { master: logins }",
            "store.redis.sentinel: needs `urls`; say where the Sentinels are, such as `urls: \
             [\"redis://10.0.0.1:26379\"]`",
        ),
        (
            "sentinel: { urls: [redis://a] }",
            "store.redis.sentinel: needs `master`; write the name that the Sentinels know it by, such \
             as `master: logins`",
        ),
        (
            "url: redis://a, username: guard",
            "store.redis.username: has no password; add `password: \"${file:redis.password}\"`",
        ),
        (
            "url: redis://a, prefix: \"{a}\"",
            "store.redis.prefix: `{a}` is no prefix; write at most 64 letters, digits, and - _ . : /",
        ),
        (
            "url: redis://a, timeout: 1m",
            "store.redis.timeout: is longer than anybody waits who logs in; write at most 10s",
        ),
        (
            "url: redis://a, on_outage: ignore",
            "store.redis.on_outage: `ignore` is unknown; write `local`, `refuse` or `allow`",
        ),
        (
            "url: redis://a, tls: { ca: ca.pem }",
            "store.redis.tls: goes with `rediss://`; write that, or remove it",
        ),
        (
            "url: rediss://a, tls: { insecure: true }",
            "store.redis.tls.insecure: unknown key; it belongs to an upstream's tls",
        ),
    ] {
        wrong(keys, expected);
    }
    check(
        &file("store: { redis: { url: redis://a, key: short } }"),
        &["9:40: store.redis.key: is too short for a secret; write at least 16 bytes that nobody \
           guesses, such as `openssl rand -base64 32` prints"],
    );
}

#[test]
fn a_file_and_a_store_are_two_memories() {
    let both =
        "store: { snapshot: { file: a.db }, redis: { url: redis://a, key: 0123456789abcdef } }";
    check(
        &file(both),
        &[
            "9:20: store.snapshot: does not go with `redis`: there the counters outlive the guard, and \
           a file would know less; remove one of the two",
        ],
    );
    let none = "store: { snapshot: none, redis: { url: redis://a, key: 0123456789abcdef } }";
    check(&file(none), &[]);
}

#[test]
fn what_others_may_read_is_doubtful() {
    let doubt = "9:17: warning: store.redis: ";
    let short = "has no `key` and no long `password`: whoever reads the store can try out whose hashes \
                 are in it; add `key: \"${file:store.key}\"`, with the same 16 bytes or more for all \
                 guards";
    for keys in ["url: redis://a", "url: redis://a, password: short"] {
        let text = file(&format!("store: {{ redis: {{ {keys} }} }}"));
        check(&text, &[&format!("{doubt}{short}")]);
    }
    let long = file("store: { redis: { url: redis://a, password: 0123456789abcdef } }");
    check(&long, &[]);
    for (host, is_near) in [
        ("127.0.0.1", true),
        ("[::1]", true),
        ("10.1.2.3", true),
        ("192.168.0.1", true),
        ("[fd00::1]", true),
        ("localhost", true),
        ("redis", true),
        ("redis.eu.internal", true),
        ("redis.default.svc", true),
        ("192.0.2.1", false),
        ("[2001:db8::1]", false),
        ("redis.example.com", false),
    ] {
        let warning = format!(
            "{doubt}whoever is on the way to `{host}:6379` reads and changes the counters; write \
             `rediss://`, if the server speaks TLS"
        );
        let expected: &[&str] = if is_near { &[] } else { &[&warning] };
        check(&with(&format!("url: \"redis://{host}\"")), expected);
    }
}

#[test]
fn files_of_tls_are_read_with_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("ca.pem", &certificate.pem());
    write("own.pem", &certificate.pem());
    write("own.key", &key.serialize_pem());
    let text = with("url: rediss://a, tls: { ca: ca.pem, certificate: own.pem, key: own.key }");
    let read = |text: &str| Settings::parse(text, dir.path(), "config.yaml");
    let tls = read(&text).unwrap().0.store.redis.unwrap().tls.clone();
    assert_eq!(&*tls.roots, certificate.pem().as_bytes());
    assert_eq!(&*tls.own.unwrap().key, key.serialize_pem().as_bytes());
    write("own.key", &KeyPair::generate().unwrap().serialize_pem());
    assert!(
        read(&text).unwrap_err().to_string().contains("own.key"),
        "it is of another certificate"
    );
    let none = with("url: rediss://a, tls: { ca: none.pem }");
    let told = read(&none).unwrap_err().to_string();
    assert!(
        told.contains("store.redis.tls: `") && told.contains("none.pem` cannot be read"),
        "{told}"
    );
    let half = with("url: rediss://a, tls: { ca: ca.pem, certificate: own.pem }");
    let told = read(&half).unwrap_err().to_string();
    assert!(told.contains("has a `certificate` and no `key`"), "{told}");
}
