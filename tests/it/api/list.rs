//! Lists of counters: found, sorted, in pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Operator, operator};
use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::upstream::shop;
use crate::support::{Ask, Gate, Guard, Upstream, wait};

const LIMITS: &str = "
lockout:
  limits:
    - { by: [username, ip_address], failures: 3, cool_off: 10m }
    - { by: [ip_address], failures: 50, cool_off: 1h }
    - { by: [ip_network], failures: 60, cool_off: 1h }
    - { by: [username], failures: 4, cool_off: never, forget_after: 1h }
trusted_proxies: [\"127.0.0.0/8\"]
";

/// A guess from `ip`.
fn guess(guard: &Guard, user: &str, ip: &str) {
    guard.ask(&Ask::login(user, "wrong").with("X-Forwarded-For", ip));
}

/// A guard that has seen `guesses`.
fn after(upstream: &Upstream, guesses: &[(&str, &str, usize)]) -> Guard {
    let guard = Guard::start(&format!("{ADMIN}{LIMITS}"), upstream);
    for (user, ip, times) in guesses {
        for _ in 0..*times {
            guess(&guard, user, ip);
        }
    }
    guard
}

/// What each of `rows` counts, shortly.
fn shown(rows: &[Value]) -> BTreeSet<String> {
    let one = |row: &Value| {
        let parameters = row["parameters"].as_object().unwrap();
        let values: Vec<&str> = parameters.values().map(|value| value.as_str().unwrap()).collect();
        format!("{}={}", values.join("+"), row["failures"])
    };
    rows.iter().map(one).collect()
}

#[track_caller]
fn check(asks: &Operator, query: &str, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|row| (*row).to_owned()).collect();
    assert_eq!(shown(&asks.list(query)), expected, "{query}");
}

#[test]
fn a_row_says_all_there_is_to_know() {
    let upstream = Upstream::shop();
    let guard = after(&upstream, &[("Bob", "10.1.1.1", 3), ("bob", "10.1.1.2", 1)]);
    let asks = operator(&guard);
    let list = asks.get("/v1/counters?ip=10.1.1.1&username=bob");
    assert_eq!((&list["total"], &list["next"]), (&json!(1), &Value::Null));
    let row = &list["counters"][0];
    assert_eq!(row["parameters"], json!({ "username": "Bob", "ip_address": "10.1.1.1" }));
    assert_eq!((&row["site"], &row["login"]), (&json!("shop"), &Value::Null));
    assert_eq!(row["limit"], "username+ip_address");
    assert_eq!((&row["failures"], &row["of"]), (&json!(3), &json!(3)));
    assert_eq!((&row["without_verdict"], &row["locked"]), (&json!(0), &json!(true)));
    let left = row["remaining_s"].as_u64().unwrap();
    assert!((590..=600).contains(&left), "{row}");
    let event = guard.wait_for_event("locked_out");
    assert_eq!(
        (row["until"].as_str(), row["ref"].as_str()),
        (Some(event.get("until")), Some(event.get("ref")))
    );
    let id = row["id"].as_str().unwrap();
    assert_eq!(asks.list(&format!("counter={id}")), std::slice::from_ref(row));
    assert_eq!(
        asks.list(&format!("ref={}", event.get("ref").to_lowercase())),
        std::slice::from_ref(row)
    );
    let never = &asks.list("state=locked&username=bob&sort=failures")[0];
    assert_eq!(never["parameters"], json!({ "username": "Bob" }));
    assert_eq!((&never["until"], &never["remaining_s"]), (&json!("never"), &Value::Null));
    let counting = &asks.list("ip=10.1.1.2&username=bob")[0];
    assert_eq!((&counting["until"], &counting["remaining_s"]), (&Value::Null, &Value::Null));
    assert!(counting["latest"].as_str().unwrap().ends_with('Z'), "{counting}");
}

#[test]
fn everything_that_has_to_do_with_somebody_is_found() {
    let upstream = Upstream::shop();
    let seen = [("Bob", "10.1.1.1", 2), ("bob", "10.2.2.2", 1), ("eve", "2001:db8::1", 3)];
    let guard = after(&upstream, &seen);
    let asks = operator(&guard);
    let bobs = ["10.1.1.1+Bob=2", "10.2.2.2+bob=1", "Bob=3"];
    let first = ["10.1.1.1+Bob=2", "10.1.1.1=2", "10.1.1.0/24=2"];
    let eves = ["2001:db8::/64+eve=3", "2001:db8::/64=3", "2001:db8::/48=3"];
    for query in ["username=bob", "username=%20BOB", "username=B%C3%B6b", "what=bob", "what=BoB"] {
        check(&asks, query, &bobs);
    }
    for query in ["ip=10.1.1.1", "what=10.1.1.1", "ip=%3A%3Affff%3A10.1.1.1", "ip=::ffff:10.1.1.1"]
    {
        check(&asks, query, &first);
    }
    for query in
        ["network=10.1.0.0/16", "what=10.1.0.0/16", "ip=10.1.0.0/16", "network=10.1.1.0/24"]
    {
        check(&asks, query, &first);
    }
    // an address of the same /64
    for query in ["ip=2001:db8::ffff", "what=2001:DB8:0:0:1::2", "ip=[2001:db8::2]"] {
        check(&asks, query, &eves);
    }
    check(&asks, "ip=10.1.1.1&username=bob", &["10.1.1.1+Bob=2"]);
    check(&asks, "what=10.1.1.1&username=bob", &["10.1.1.1+Bob=2"]);
    check(&asks, "ip=10.1.1.9", &["10.1.1.0/24=2"]);
    check(&asks, "q=OB", &bobs);
    check(&asks, "q=2.2.2", &["10.2.2.2+bob=1", "10.2.2.2=1"]);
    check(&asks, "q=db8", &eves);
    check(&asks, "site=shop&state=locked", &["2001:db8::/64+eve=3"]);
    check(&asks, "state=counting&username=eve", &["eve=3"]);
    check(&asks, "state=by_hand", &[]);
    for query in ["site=other", "username=nobody", "ip=192.0.2.1", "ref=00000000", "q=nothing"] {
        check(&asks, query, &[]);
    }
    assert_eq!(asks.get("/v1/counters")["total"], 11);
}

#[test]
fn what_cannot_be_meant_is_said() {
    let upstream = Upstream::shop();
    let guard = Guard::start(ADMIN, &upstream);
    let asks = operator(&guard);
    for (query, said) in [
        ("ip=bob", "is no address and no network"),
        ("ip=10.1.1.1&network=10.0.0.0/8", "not both"),
        ("ip=10.1.1.1&what=10.1.1.2", "says again"),
        ("username=%00", "nothing is left of that username"),
        ("counter=12", "32 hex digits"),
        ("ref=12", "8 letters or digits"),
        ("state=lock", "one of locked, counting, by_hand"),
        ("sort=name", "one of remaining, failures, latest, site"),
        ("order=up", "one of asc, desc"),
        ("limit=0", "a number from 1 to 1000"),
        ("limit=99999999999999999999999", "a number from 1 to 1000"),
        ("limit=-1", "a number from 1 to 1000"),
        ("limit=1e3", "a number from 1 to 1000"),
        ("cursor=nonsense", "`cursor` is none"),
        ("ipp=10.1.1.1", "there is no parameter \"ipp\""),
        ("ip=10.1.1.1&ip=10.1.1.2", "there twice"),
        ("q=%", "hexadecimal"),
        ("q=%ff", "not UTF-8"),
        ("q=%2", "hexadecimal"),
    ] {
        let (status, detail) = asks.problem(&format!("/v1/counters?{query}"));
        assert_eq!(status, 400, "{query}");
        assert!(detail.contains(said), "{query}: {detail}");
    }
    assert!(asks.list("q=&limit=&&").is_empty(), "what is empty is not given");
}

/// The first rows of a list, `most` of them, put together from its pages.
fn pages(asks: &Operator, query: &str, most: usize) -> Vec<Value> {
    let (mut together, mut cursor) = (Vec::new(), String::new());
    while together.len() < most {
        let page = asks.get(&format!("/v1/counters?{query}{cursor}"));
        together.extend(page["counters"].as_array().unwrap().iter().cloned());
        let is_last = page["next"].is_null();
        assert_eq!(is_last, page["total"] == together.len(), "{query}");
        cursor = format!("&cursor={}", page["next"].as_str().unwrap_or_default());
    }
    together
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[test]
fn pages_put_together_are_the_whole_list_in_its_order() {
    let upstream = Upstream::shop();
    let guard = after(&upstream, &[]);
    for number in 0..40 {
        guess(&guard, &format!("user{number}"), &format!("10.9.{}.1", number / 7));
    }
    for number in 0..5 {
        (0..2).for_each(|_| guess(&guard, &format!("user{number}"), "10.9.0.1"));
    }
    let asks = operator(&guard);
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap_or_default();
    for order in [
        "sort=remaining",
        "sort=failures",
        "sort=latest&order=asc",
        "sort=site",
        "sort=site&order=desc",
    ] {
        let whole = asks.list(&format!("{order}&limit=1000"));
        assert!(whole.len() > 80, "{}", whole.len());
        for limit in [1, 7, 50] {
            let most = if limit == 1 { 10 } else { whole.len() };
            let together = pages(&asks, &format!("{order}&limit={limit}"), most);
            assert_eq!(ids(&together), ids(&whole[..most]), "{order}, {limit}");
        }
    }
    let by_failures: Vec<u64> =
        asks.list("sort=failures").iter().map(|row| number(row, "failures")).collect();
    assert!(by_failures.is_sorted_by(|a, b| a >= b), "{by_failures:?}");
    let cursor = asks.get("/v1/counters?sort=failures&limit=1");
    let cursor = cursor["next"].as_str().unwrap();
    let (status, _) = asks.problem(&format!("/v1/counters?sort=latest&cursor={cursor}"));
    assert_eq!(status, 400, "the cursor of another order");
}

#[test]
fn attempts_under_way_are_listed_before_any_has_failed() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        held.pass();
        shop(request)
    });
    let limit = "lockout: { limits: { by: username, failures: 2, cool_off: 10m } }\n";
    let guard = Guard::start(&format!("{ADMIN}{limit}"), &upstream);
    let asks = operator(&guard);
    let mut clients: Vec<_> = (0..3).map(|_| guard.client()).collect();
    for client in &mut clients {
        client.send(Ask::login("slow", "wrong").bytes());
    }
    gate.wait_for_arrivals(2);
    wait::until("the third waits", || asks.get("/v1/status")["waiting"] == 1);
    let rows = asks.list("username=slow");
    assert_eq!(rows.len(), 1);
    let told = ["failures", "places", "waiting"].map(|name| rows[0][name].as_u64().unwrap());
    assert_eq!(told, [0, 2, 1], "{rows:?}");
    assert_eq!(asks.get("/v1/statistics")["tops"]["counters"], 0, "nobody has failed");
    let said = run(&["list", "slow", "--admin", &guard.admin()]);
    assert!(said.out.contains("0/2 (2 under way, 1 waiting)"), "{}", said.out);
    gate.open();
    drop(clients);
}
