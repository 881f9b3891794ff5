//! Resets and locks by hand.

use serde_json::{Value, json};

use super::asking::{Operator, operator, problem};
use crate::support::guard::ADMIN;
use crate::support::{Ask, Guard, Upstream};

const JSON: &str = "Content-Type: application/json\r\n";
const LIMITS: &str = "
lockout:
  limits:
    - { by: [username, ip_address], failures: 3, cool_off: 10m }
    - { by: [ip_address], failures: 5, cool_off: 1h }
    - { by: [ip_network], failures: 50, cool_off: 1h }
    - { by: [username], failures: 4, cool_off: 1h }
trusted_proxies: [\"127.0.0.0/8\"]
";

fn guard(upstream: &Upstream) -> Guard {
    Guard::start(&format!("{ADMIN}{LIMITS}"), upstream)
}

fn log_in(guard: &Guard, user: &str, ip: &str, password: &str) -> u16 {
    guard.ask(&Ask::login(user, password).with("X-Forwarded-For", ip)).status
}

fn guess(guard: &Guard, user: &str, ip: &str, times: usize) {
    (0..times).for_each(|_| _ = log_in(guard, user, ip, "wrong"));
}

/// What a reset took away: counters, and locks by hand.
#[track_caller]
fn reset(asks: &Operator, body: &Value) -> (u64, u64) {
    let removed = asks.post("/v1/reset", body);
    (removed["removed"].as_u64().unwrap(), removed["locks_by_hand"].as_u64().unwrap())
}

#[test]
fn a_reset_by_address_finds_every_counter_with_that_address_in_it() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let asks = operator(&guard);
    guess(&guard, "bob", "10.1.1.1", 3);
    guess(&guard, "eve", "10.1.1.2", 1);
    assert_eq!(log_in(&guard, "bob", "10.1.1.1", "right"), 403);
    // the pair, the address, and the network that it is in
    assert_eq!(reset(&asks, &json!({ "ip": "10.1.1.1" })), (3, 0));
    assert_eq!(reset(&asks, &json!({ "ip": "10.1.1.1" })), (0, 0));
    assert_eq!(log_in(&guard, "bob", "10.1.1.1", "right"), 302);
    let event = guard.wait_for_event("counters_reset");
    assert_eq!(event.get("client"), "10.1.1.1");
    assert!(event.get("reason").starts_with("admin with uid "), "{event:?}");
    assert!(event.get("reason").ends_with(": 3 counters, 0 locks by hand; 0 still lock"));
    guess(&guard, "boy", "2001:db8::1", 3);
    assert_eq!(reset(&asks, &json!({ "what": "2001:db8::9" })), (3, 0), "its /64");
    guess(&guard, "boy", "10.2.2.2", 1);
    assert_eq!(reset(&asks, &json!({ "network": "10.2.0.0/16" })), (3, 0));
}

#[test]
fn a_reset_by_username_finds_every_spelling_and_says_what_still_locks() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let asks = operator(&guard);
    guess(&guard, "Bob", "10.1.1.1", 2);
    guess(&guard, "eve", "10.1.1.1", 3);
    assert_eq!(log_in(&guard, "bob", "10.1.1.1", "right"), 403, "the address is locked");
    let removed = asks.post("/v1/reset", &json!({ "username": " BOB " }));
    assert_eq!((&removed["removed"], &removed["still_locked_total"]), (&json!(2), &json!(1)));
    let still = &removed["still_locked"][0];
    assert_eq!(still["parameters"], json!({ "ip_address": "10.1.1.1" }));
    assert_eq!(log_in(&guard, "bob", "10.1.1.1", "right"), 403);
    let id = still["id"].as_str().unwrap();
    assert_eq!(reset(&asks, &json!({ "counter": id })), (1, 0));
    assert_eq!(log_in(&guard, "bob", "10.1.1.1", "right"), 302);
    guess(&guard, "eve", "10.3.3.3", 2);
    assert_eq!(reset(&asks, &json!({ "username": "eve", "ip": "10.3.3.3" })), (1, 0), "both");
    assert_eq!(reset(&asks, &json!({ "username": "eve", "site": "other" })), (0, 0));
    assert!(reset(&asks, &json!({ "all": true })).0 > 3);
    assert_eq!(asks.get("/v1/counters")["total"], 0);
}

#[test]
fn a_reset_by_what_a_refused_client_was_told() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let asks = operator(&guard);
    guess(&guard, "bob", "10.1.1.1", 3);
    let reference = guard.wait_for_event("locked_out").get("ref").to_lowercase();
    assert_eq!(reset(&asks, &json!({ "ref": reference, "only": null })), (1, 0));
    assert_eq!(log_in(&guard, "bob", "10.1.1.1", "right"), 302);
}

#[test]
fn only_failures_without_a_verdict_are_taken_back_where_that_is_said() {
    let upstream = Upstream::answering(|_| "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno");
    let guard = guard(&upstream);
    let asks = operator(&guard);
    guess(&guard, "bob", "10.1.1.1", 3);
    assert_eq!(log_in(&guard, "bob", "10.1.1.1", "right"), 403);
    let body = json!({ "username": "bob", "only": "without_verdict" });
    assert_eq!(asks.post("/v1/unlock", &body)["removed"], 2);
    assert_eq!(reset(&asks, &body), (0, 0));
    assert_eq!(log_in(&guard, "bob", "10.1.1.1", "right"), 500);
}

#[test]
fn locks_by_hand_have_a_reason_and_an_end_and_are_listed_and_lifted() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let asks = operator(&guard);
    guess(&guard, "bob", "10.1.1.1", 1);
    let lock = json!({ "username": "Bob", "for_s": 600, "reason": "stolen\u{1b}[2J laptop" });
    let locked = asks.post("/v1/lock", &lock);
    assert_eq!(locked["what"], json!({ "username": "Bob" }));
    assert_eq!(log_in(&guard, "BOB", "10.9.9.9", "right"), 403);
    let event = guard.wait_for_event("locked_by_hand");
    assert_eq!(event.get("username"), "Bob");
    assert!(event.get("reason").contains(": stolen"), "{event:?}");
    assert!(!guard.log().contains('\u{1b}'));
    let network = json!({ "network": "10.5.0.0/16", "site": "shop", "for_s": null });
    assert_eq!(asks.post("/v1/lock", &network)["until"], "never");
    assert_eq!(log_in(&guard, "eve", "10.5.1.1", "right"), 403);
    assert_eq!(log_in(&guard, "eve", "10.6.1.1", "right"), 302);
    let locks = asks.get("/v1/locks");
    assert_eq!(locks["total"], 2);
    assert_eq!(locks["locks"][0]["what"], json!({ "network": "10.5.0.0/16", "site": "shop" }));
    assert_eq!(locks["locks"][1]["reason"], lock["reason"]);
    assert_eq!(asks.get("/v1/locks?ip=10.5.7.7")["total"], 1);
    assert_eq!(asks.get("/v1/locks?what=bOb")["total"], 1);
    let rows = asks.list("state=by_hand");
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(rows[0]["by_hand"]["reason"], lock["reason"]);
    let removed = asks.post("/v1/unlock", &json!({ "ip": "10.5.1.1" }));
    let still = &removed["still_locked_by_hand"][0]["what"];
    assert_eq!(still["network"], "10.5.0.0/16", "one of its addresses does not lift it");
    assert_eq!(reset(&asks, &json!({ "network": "10.0.0.0/8" })).1, 1);
    assert_eq!(reset(&asks, &json!({ "what": "bob" })).1, 1);
    assert_eq!(log_in(&guard, "bob", "10.5.1.1", "right"), 302);
    assert_eq!(asks.get("/v1/locks")["locks"], json!([]));
}

#[test]
fn what_is_not_understood_changes_nothing() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let asks = operator(&guard);
    guess(&guard, "bob", "10.1.1.1", 1);
    for (target, body, said) in [
        ("/v1/reset", "", "no JSON object"),
        ("/v1/reset", "null", "no JSON object"),
        ("/v1/reset", "[{}]", "no JSON object"),
        ("/v1/reset", "{\"all\": true", "no JSON object"),
        ("/v1/reset", "{}", "not said what to reset"),
        ("/v1/reset", "{\"all\": false}", "not said what to reset"),
        ("/v1/reset", "{\"all\": \"yes\"}", "true or false"),
        ("/v1/reset", "{\"all\": true, \"ip\": \"10.1.1.1\"}", "all, or what is named"),
        ("/v1/reset", "{\"all\": true, \"only\": \"verdict\"}", "without_verdict"),
        ("/v1/reset", "{\"ip\": \"\"}", "is empty"),
        ("/v1/reset", "{\"ip\": null}", "not said what to reset"),
        ("/v1/reset", "{\"ip\": 10}", "no text"),
        ("/v1/reset", "{\"ip\": [\"10.1.1.1\"]}", "no text"),
        ("/v1/reset", "{\"ip\": \"10.1.1.1\", \"ip\": \"::\"}", "there twice"),
        ("/v1/reset", "{\"ip\": \"10.1.1.1\", \"al\": true}", "no member \"al\""),
        ("/v1/reset", "{\"username\": \"\\u0000\"}", "nothing is left"),
        ("/v1/lock", "{\"reason\": \"x\"}", "whom to lock"),
        ("/v1/lock", "{\"all\": false}", "whom to lock"),
        ("/v1/lock", "{\"all\": 1}", "true or false"),
        ("/v1/lock", "{\"all\": true, \"ip\": \"::1\"}", "all, or what is named"),
        ("/v1/lock", "{\"ref\": \"x\"}", "is no reference"),
        ("/v1/lock", "{\"site\": \"other\"}", "there is no site"),
        ("/v1/lock", "{\"ip\": \"::1\", \"for_s\": 0}", "`for_s` is a number"),
        ("/v1/lock", "{\"ip\": \"::1\", \"for_s\": -5}", "`for_s` is a number"),
        ("/v1/lock", "{\"ip\": \"::1\", \"for_s\": 1.5}", "`for_s` is a number"),
        ("/v1/lock", "{\"ip\": \"::1\", \"for_s\": 1e300}", "`for_s` is a number"),
        (
            "/v1/lock",
            "{\"ip\": \"::1\", \"for_s\": 99999999999999999999999}",
            "`for_s` is a number",
        ),
    ] {
        let answer = asks.ask("POST", target, (JSON, body));
        let (status, detail) = problem(&answer);
        assert_eq!(status, 400, "{body}");
        assert!(detail.contains(said), "{body}: {detail}");
    }
    assert_eq!(asks.get("/v1/counters")["total"], 4);
    assert_eq!(asks.get("/v1/locks")["total"], 0);
}

#[test]
fn bodies_are_json_and_bounded_in_size_and_time() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let asks = operator(&guard);
    guess(&guard, "bob", "10.1.1.1", 1);
    let reason = format!("{{\"ip\": \"::1\", \"reason\": \"{}\"}}", "x".repeat(300));
    assert_eq!(asks.ask("POST", "/v1/lock", (JSON, &reason)).status, 400);
    for (fields, status) in [
        ("", 415),
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
        ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", 415),
        ("Content-Type: application/json\r\nOrigin: http://evil.example\r\n", 403),
    ] {
        let answer = asks.ask("POST", "/v1/reset", (fields, "{\"all\": true}"));
        assert_eq!(problem(&answer).0, status, "{fields}");
    }
    let long = format!("{{\"all\": true, \"x\": \"{}\"}}", "x".repeat(70_000));
    assert_eq!(asks.ask("POST", "/v1/reset", (JSON, &long)).status, 413);
    let mut client = asks.connect();
    let head = "POST /v1/reset HTTP/1.1\r\nHost: localhost\r\n";
    client.send(format!("{head}{JSON}Transfer-Encoding: chunked\r\n\r\n10000\r\n"));
    client.send("x".repeat(65536)).send("\r\n10000\r\nx");
    assert_eq!(client.answer().status, 413, "without a length, too");
    let mut slow = asks.connect();
    slow.send(format!("{head}{JSON}Content-Length: 20\r\n\r\n{{"));
    assert_eq!(slow.answer().status, 408, "a body that does not come is not waited for");
    assert_eq!(asks.get("/v1/counters")["total"], 4);
    assert_eq!(asks.get("/v1/locks")["total"], 0);
}
