//! Locks by hand, and what takes them away: the same words.

use serde_json::json;

use super::asking::{operator, problem};
use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::{Ask, Guard, Setup, Upstream};

const JSON: &str = "Content-Type: application/json\r\n";
const LIMITS: &str = "
lockout:
  limits:
    - { by: [username, ip_address], failures: 3, cool_off: 10m }
    - { by: [username], failures: 3, cool_off: 1h }
trusted_proxies: [\"127.0.0.0/8\"]
";

fn guard(upstream: &Upstream) -> Guard {
    Guard::start(&format!("{ADMIN}{LIMITS}"), upstream)
}

fn log_in(guard: &Guard, user: &str, ip: &str) -> u16 {
    guard.ask(&Ask::login(&user.replace('+', "%2B"), "right").with("X-Forwarded-For", ip)).status
}

#[test]
fn the_same_words_lock_and_unlock_whatever_is_counted_together() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let asks = operator(&guard);
    for (words, shown, refused) in [
        (json!({ "what": "2001:db8::1" }), json!({ "network": "2001:db8::/64" }), "2001:db8::9"),
        (
            json!({ "ip": "2001:db8:9::/80" }),
            json!({ "network": "2001:db8:9::/64" }),
            "2001:db8:9::f",
        ),
        (
            json!({ "ip": "2001:db8:4::/48" }),
            json!({ "network": "2001:db8:4::/48" }),
            "2001:db8:4:7::1",
        ),
        (
            json!({ "what": "[2001:db8:5::1]" }),
            json!({ "network": "2001:db8:5::/64" }),
            "2001:db8:5::1",
        ),
        (json!({ "ip": "::ffff:10.7.7.7" }), json!({ "ip": "10.7.7.7" }), "10.7.7.7"),
        (
            json!({ "username": "Bob", "ip": "2001:db8:7::1" }),
            json!({ "username": "Bob", "network": "2001:db8:7::/64" }),
            "2001:db8:7::2",
        ),
    ] {
        assert_eq!(asks.post("/v1/lock", &words)["what"], shown, "{words}");
        assert_eq!(log_in(&guard, "bob", refused), 403, "{words}");
        assert_eq!(asks.get("/v1/locks")["locks"][0]["what"], shown);
        let event = guard.events("locked_by_hand").pop();
        let client = shown.get("network").or_else(|| shown.get("ip")).unwrap().as_str().unwrap();
        let event = event.filter(|event| event.get("client") == client);
        let event = event.unwrap_or_else(|| {
            guard.wait_for("it", |e| e.is("locked_by_hand") && e.get("client") == client)
        });
        assert_eq!(event.get("client"), client, "the event names what is locked");
        let taken = asks.post("/v1/unlock", &words);
        assert_eq!(taken["locks_by_hand"], 1, "{words}: {taken}");
        assert_eq!(taken["still_locked_by_hand"], json!([]), "{words}");
        assert_eq!(log_in(&guard, "bob", refused), 302, "{words}");
    }
    let admin = guard.admin();
    let locked = run(&["lock", "2001:db8::1", "--admin", &admin]);
    assert!(locked.out.contains("network 2001:db8::/64"), "{}", locked.out);
    let unlocked = run(&["unlock", "2001:db8::1", "--admin", &admin]);
    assert_eq!(
        (unlocked.status, unlocked.out.as_str()),
        (0, "reset: 0 counters, 1 lock by hand\n")
    );
}

#[test]
fn a_username_is_one_lock_in_all_its_readings() {
    let upstream = Upstream::shop();
    let naming = "username: { form: user }\n        email_aliases: true\n        \
                  username_rewrite: [{ regex: '^(.*)@corp$', to: '$1' }]";
    let setup = Setup::new(&format!("{ADMIN}{LIMITS}")).upstream(&upstream);
    let guard = setup.replace("username: { form: user }", naming).start();
    let asks = operator(&guard);
    for (locks, unlocks) in [
        ("b.ob+x@gmail.com", "bob@googlemail.com"),
        ("bob@gmail.com", "b.o.b+y@gmail.com"),
        ("ada@corp", "ada"),
        ("ada@corp", "Ada@corp"),
    ] {
        asks.post("/v1/lock", &json!({ "username": locks }));
        let listed = asks.get("/v1/locks");
        assert_eq!((&listed["total"], listed["locks"].as_array().unwrap().len()), (&json!(1), 1));
        assert_eq!(log_in(&guard, locks, "10.1.1.1"), 403, "{locks}");
        assert_eq!(log_in(&guard, unlocks, "10.1.1.1"), 403, "{locks}, {unlocks}");
        assert_eq!(asks.post("/v1/unlock", &json!({ "username": unlocks }))["locks_by_hand"], 1);
        assert_eq!(asks.get("/v1/locks")["total"], 0, "{locks}, {unlocks}");
        assert_eq!(log_in(&guard, locks, "10.1.1.1"), 302, "{locks}");
    }
    let long = json!({ "username": "x".repeat(257) }).to_string();
    let (status, detail) = problem(&asks.ask("POST", "/v1/lock", (JSON, &long)));
    assert_eq!((status, detail.as_str()), (400, "`username` has more than 256 characters"));
}

#[test]
fn a_reference_and_a_counter_are_locked_where_there_are_such() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let asks = operator(&guard);
    for (body, said) in [
        (json!({ "counter": "0".repeat(32) }), "there is no such counter"),
        (json!({ "ref": "00000000" }), "no counter refused that"),
    ] {
        let (status, detail) = problem(&asks.ask("POST", "/v1/lock", (JSON, &body.to_string())));
        assert_eq!(status, 404, "{body}");
        assert!(detail.contains(said), "{detail}");
    }
    let none = run(&["lock", "--counter", &"0".repeat(32), "--admin", &guard.admin()]);
    assert_eq!((none.status, none.out.as_str()), (1, ""), "{}", none.err);
    for _ in 0..3 {
        guard.ask(&Ask::login("eve", "wrong").with("X-Forwarded-For", "10.1.1.1"));
    }
    let refused = guard.ask(&Ask::login("eve", "right").with("X-Forwarded-For", "10.1.1.1"));
    let reference = refused.get("x-loginward-ref").unwrap();
    let locked = run(&["lock", "--ref", reference, "--for", "2h", "--admin", &guard.admin()]);
    assert_eq!(locked.status, 0, "{}", locked.err);
    assert!(locked.out.contains(&format!("what refused {reference}")), "{}", locked.out);
    assert_eq!(guard.wait_for_event("locked_by_hand").get("ref"), reference);
    // the pair and the username refused it, and both are locked
    assert_eq!(asks.get("/v1/locks")["total"], 2);
    assert_eq!(asks.list("state=by_hand").len(), 2);
    assert_eq!(log_in(&guard, "eve", "10.2.2.2"), 403);
    assert_eq!(log_in(&guard, "bob", "10.1.1.1"), 302);
    let id = asks.list("state=by_hand")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(asks.post("/v1/unlock", &json!({ "counter": id }))["locks_by_hand"], 1);
    assert_eq!(
        asks.post("/v1/lock", &json!({ "counter": asks.list("")[0]["id"] }))["until"],
        "never"
    );
}

#[test]
fn everybody_is_locked_and_every_unlock_says_so() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let asks = operator(&guard);
    let locked = run(&["lock", "--all", "--reason", "attack", "--admin", &guard.admin()]);
    assert_eq!(locked.status, 0, "{}", locked.err);
    assert!(locked.out.contains("everybody"), "{}", locked.out);
    assert_eq!(asks.get("/v1/locks")["locks"][0]["what"], json!({ "all": true }));
    assert_eq!(log_in(&guard, "bob", "10.1.1.1"), 403);
    assert_eq!(guard.client().get("/").status, 200, "what is no login goes on");
    let taken = asks.post("/v1/unlock", &json!({ "username": "bob" }));
    assert_eq!(taken["locks_by_hand"], 0);
    assert_eq!(taken["still_locked_by_hand"][0]["reason"], "attack");
    assert_eq!(asks.post("/v1/unlock", &json!({ "all": true }))["locks_by_hand"], 1);
    assert_eq!(log_in(&guard, "bob", "10.1.1.1"), 302);
}

#[test]
fn whoever_is_named_by_nothing_is_not_everybody() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let asks = operator(&guard);
    guard.ask(&Ask::login("eve", "wrong"));
    for (command, said) in [
        (&["list", ""][..], "`what` is empty"),
        (&["list", "--username", ""], "`username` is empty"),
        (&["reset", "--ip", ""], "`ip` is empty"),
        (&["list", "--limit", "0"], "not 0"),
        (&["list", "--admin", "http://192.0.2.2:9180"], "in the clear"),
        (&["list", "--admin", "http://[2001:db8::1]:9180"], "in the clear"),
    ] {
        let mut command = command.to_vec();
        let admin = guard.admin();
        if !command.contains(&"--admin") {
            command.extend(["--admin", &admin]);
        }
        let said_of = run(&command);
        assert_eq!((said_of.status, said_of.out.as_str()), (2, ""), "{command:?}");
        assert!(said_of.err.contains(said), "{command:?}: {}", said_of.err);
    }
    assert_eq!(asks.problem("/v1/locks?ip=").0, 400);
    assert_eq!(asks.problem("/v1/counters?site=&sort=site").0, 400);
    assert_eq!(asks.get("/v1/counters?q=&sort=")["total"], 2, "no choice is the usual one");
}
