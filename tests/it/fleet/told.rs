//! What operators are told of a shared store, and what is not told.

use std::io::Write as _;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::api::asking::operator;
use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::{Guard, RedisServer, Relay, Upstream, wait};

const STORE: &str = "store: { redis: { url: \"redis://127.0.0.1:1\", username: guard, \
                     password: open-sesame-open, on_outage: refuse } }\n";

#[test]
fn operators_see_where_the_counters_are_and_no_password() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{ADMIN}{STORE}"), &upstream);
    guard.wait_for_event("store_unreachable");
    let admin = guard.admin();
    let said = run(&["status", "--json", "--admin", &admin]);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["snapshot"], Value::Null);
    let store = &told["store"];
    assert_eq!(
        [&store["place"], &store["up"], &store["on_outage"]],
        [&json!("127.0.0.1:1"), &json!(false), &json!("refuse")]
    );
    assert!(store["away_since"].is_u64() && store["reason"].is_string(), "{store}");
    let said = run(&["status", "--admin", &admin]);
    assert!(said.out.contains("shared store   127.0.0.1:1"), "{}", said.out);
    assert!(said.out.contains("none: the shared store keeps the counters"), "{}", said.out);
    let config = operator(&guard).get("/v1/config").to_string();
    assert!(config.contains("\"on_outage\"") && !config.contains("open-sesame"), "{config}");
    assert!(!guard.log().contains("open-sesame"), "{}", guard.log());
    assert_eq!(guard.metrics_page("/readyz").status, 200);
    assert_eq!(guard.metric("loginward_store_up", "") as u64, 0);
}

/// The store as a guard shows it.
fn store(guard: &Guard) -> Value {
    let said = run(&["status", "--json", "--admin", &guard.admin()]);
    serde_json::from_str::<Value>(&said.out).unwrap()["store"].clone()
}

/// A guard with the store at that port.
fn before(port: u16) -> Guard {
    let store = format!("store: {{ redis: {{ url: \"redis://127.0.0.1:{port}\" }} }}\n");
    Guard::start(&format!("{ADMIN}{store}"), &Upstream::shop())
}

#[track_caller]
fn wait_for_reason(guard: &Guard, reason: &str) {
    wait::until(reason, || store(guard)["reason"].as_str().is_some_and(|is| is.contains(reason)));
}

#[test]
fn the_latest_reason_is_shown_and_what_is_no_redis_is_said_to_be_that() {
    let Some(locked) = RedisServer::plan().password("open-sesame-open").start() else { return };
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::to(stranger.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for mut client in stranger.incoming().flatten() {
            // whoever asks may be gone
            drop(client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    let guard = before(relay.port());
    wait_for_reason(&guard, "what answers there is no Redis");
    relay.turn_to(locked.port());
    wait_for_reason(&guard, "NOAUTH");
    wait::until("that is told, too", || guard.events("store_unreachable").len() == 2);
}

#[test]
fn a_store_that_is_full_says_so_and_names_no_script() {
    let Some(server) = RedisServer::start() else { return };
    let guard = before(server.port());
    server.set("maxmemory", "1");
    guard.client().log_in("bob", "wrong");
    let told = guard.wait_for_event("store_unreachable");
    let reason = told.get("reason").to_owned();
    assert!(reason.contains("OOM") && !reason.contains("script"), "{reason}");
}

#[test]
fn a_store_that_throws_lockouts_away_is_told_of() {
    let plan = RedisServer::plan().flags(&["--maxmemory-policy", "allkeys-lru"]);
    let Some(evicting) = plan.start() else { return };
    let guard = before(evicting.port());
    assert_eq!(guard.wait_for_event("store_evicts").get("policy"), "allkeys-lru");
    assert_eq!(store(&guard)["evicts"], "allkeys-lru");
    let said = run(&["status", "--admin", &guard.admin()]);
    assert!(said.out.contains("(maxmemory-policy allkeys-lru)"), "{}", said.out);
    let Some(server) = RedisServer::start() else { return };
    assert_eq!(store(&before(server.port()))["evicts"], Value::Null);
}

#[test]
fn a_password_that_cannot_be_read_is_not_said_to_be_short() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loginward.yaml");
    let text = "listen: \"127.0.0.1:0\"\nsites: [{ upstream: \"http://127.0.0.1:1\" }]\n\
                store: { redis: { url: \"redis://127.0.0.1\", password: \"${file:nothere}\" } }\n";
    std::fs::write(&path, text).unwrap();
    let said = run(&["check", "--config", path.to_str().unwrap()]);
    let told = format!("{}{}", said.out, said.err);
    assert!(told.contains("nothere") && !told.contains("no long"), "{told}");
}

#[test]
fn another_store_takes_a_restart() {
    let upstream = Upstream::shop();
    let guard = Guard::start(STORE, &upstream);
    guard.reconfigure(|text| text.replace("on_outage: refuse", "on_outage: allow"));
    guard.reload();
    assert_eq!(guard.wait_for_event("restart_needed").get("key"), "store");
}

#[test]
fn what_is_wrong_with_a_store_is_found_by_check() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loginward.yaml");
    let text = "listen: \"127.0.0.1:0\"\nsites: [{ upstream: \"http://127.0.0.1:1\" }]\n\
                store:\n  redis:\n    url: redis://:hidden@127.0.0.1\n";
    std::fs::write(&path, text).unwrap();
    let said = run(&["check", "--config", path.to_str().unwrap()]);
    let told = format!("{}{}", said.out, said.err);
    assert_eq!(said.status, 2, "{told}");
    assert!(told.contains(":5:10: store.redis.url: has credentials"), "{told}");
    assert!(!told.contains("hidden"), "{told}");
}
