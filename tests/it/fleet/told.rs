//! What operators are told of a shared store, and what is not told.

use serde_json::{Value, json};

use crate::api::asking::operator;
use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::{Guard, Upstream};

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
