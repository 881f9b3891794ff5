//! What operators see and change, whichever guard of a fleet they ask.

use serde_json::Value;

use crate::commands::program::{Said, run};
use crate::support::guard::ADMIN;
use crate::support::redis::RedisServer;
use crate::support::redis_fleet::RedisCluster;
use crate::support::upstream::ok;
use crate::support::{Ask, Gate, Guard, Upstream, wait};

const LIMITS: &str = "
lockout:
  limits:
    - { by: [username, ip_address], failures: 3, cool_off: 10m }
    - { by: [ip_address], failures: 9, cool_off: 1h }
trusted_proxies: [\"127.0.0.0/8\"]
";

/// Two sites, which lie in slots of their own in a Cluster.
const SITES: &str = "
sites:
  - name: shop
    hosts: [shop.test]
    upstream: \"{UPSTREAM}\"
    logins:
      - path: /login
        username: { form: user }
        password: { form: password }
        outcome: { success: { status: 302 } }
  - name: forum
    hosts: [forum.test]
    upstream: \"{UPSTREAM}\"
    logins:
      - path: /login
        username: { form: user }
        password: { form: password }
        outcome: { success: { status: 302 } }
";

/// The settings of guards that share what is at `place`.
fn sharing(place: &str) -> String {
    // a busy machine is no outage
    let store = format!(
        "store: {{ redis: {{ {place}, key: \"a-key-of-the-fleet\", timeout: 9s, connect_timeout: 9s }} }}\n"
    );
    format!("{ADMIN}{store}{LIMITS}{SITES}")
}

/// Two guards that share what is at `place`.
fn two(place: &str, upstream: &Upstream) -> (Guard, Guard) {
    let settings = sharing(place);
    (Guard::start(&settings, upstream), Guard::start(&settings, upstream))
}

fn at(server: &RedisServer) -> String {
    format!("url: \"{}\"", server.url())
}

fn log_in(guard: &Guard, user: &str, ip: &str, password: &str) -> u16 {
    guard.ask(&Ask::login(user, password).with("X-Forwarded-For", ip)).status
}

fn log_in_at(guard: &Guard, host: &str, user: &str, password: &str) -> u16 {
    let ask = Ask::login(user, password).to(host).with("X-Forwarded-For", "203.0.113.7");
    guard.ask(&ask).status
}

fn guess(guard: &Guard, user: &str, ip: &str, times: usize) {
    (0..times).for_each(|_| _ = log_in(guard, user, ip, "wrong"));
}

/// What a command says of `guard`.
fn of(guard: &Guard, words: &[&str]) -> Said {
    run(&[words, &["--admin", &guard.admin()]].concat())
}

#[track_caller]
fn json(guard: &Guard, words: &[&str]) -> Value {
    let said = of(guard, &[words, &["--json"]].concat());
    serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{words:?}: {}", said.err))
}

/// Everything that the tests below hold, wherever the counters are.
fn operate(place: &str) {
    let upstream = Upstream::shop();
    let (one, other) = two(place, &upstream);
    what_one_saw_the_other_lists_and_resets(&one, &other);
    what_one_locks_the_other_refuses_and_unlocks(&one, &other);
    // all of it, at every site
    guess(&one, "bob", "203.0.113.9", 2);
    assert_eq!(of(&other, &["reset", "--all"]).status, 0);
    assert_eq!(of(&one, &["list"]).status, 1);
    assert_eq!(of(&other, &["list"]).status, 1);
    guess(&one, "bob", "203.0.113.9", 2);
    assert_eq!(log_in(&one, "bob", "203.0.113.9", "right"), 302, "it counts from the beginning");
}

fn what_one_saw_the_other_lists_and_resets(one: &Guard, other: &Guard) {
    guess(one, "ada", "203.0.113.7", 3);
    assert_eq!(log_in_at(one, "forum.test", "eve", "wrong"), 200);
    let list = json(other, &["list"]);
    assert_eq!(list["total"], 4, "{list}");
    let found = json(other, &["list", "ADA", "--locked"]);
    assert_eq!(found["counters"][0]["parameters"]["username"], "ada");
    assert_eq!(found["counters"][0]["failures"], 3);
    let found = json(other, &["list", "--search", "forum"]);
    assert_eq!(found["total"], 2, "{found}");

    // a reference that one guard gave, the other knows by its counter
    let reference = one.wait_for_event("locked_out").get("ref").to_owned();
    let said = of(other, &["list", "--ref", &reference]);
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.out.contains("ada"), "{}", said.out);

    // what one resets is free at the other
    assert_eq!(log_in(other, "ada", "203.0.113.7", "right"), 403);
    let removed = json(other, &["reset", "--ref", &reference]);
    assert_eq!(removed["removed"], 1, "{removed}");
    for guard in [one, other] {
        assert_eq!(log_in(guard, "ada", "203.0.113.7", "right"), 302);
    }
    // and is gone from its list
    assert_eq!(of(one, &["list", "ada"]).status, 1);
}

fn what_one_locks_the_other_refuses_and_unlocks(one: &Guard, other: &Guard) {
    // the other refuses from the next attempt on, at every site
    let said = of(one, &["lock", "--username", "Mallory", "--for", "1h", "--reason", "because"]);
    assert_eq!(said.status, 0, "{}", said.err);
    for host in ["shop.test", "forum.test"] {
        assert_eq!(log_in_at(other, host, "mallory", "right"), 403, "{host}");
        assert_eq!(log_in_at(one, host, "mallory", "right"), 403, "{host}");
    }
    let said = of(other, &["list"]);
    assert!(said.out.contains("59m") || said.out.contains("1h 0m"), "{}", said.out);
    assert!(said.out.contains("because"), "{}", said.out);
    // and what the other unlocks goes on at the first
    assert_eq!(of(other, &["unlock", "mallory"]).status, 0);
    for guard in [one, other] {
        assert_eq!(log_in_at(guard, "shop.test", "mallory", "right"), 302);
    }
    assert_eq!(of(one, &["list", "mallory"]).status, 1);
}

/// An upstream that answers logins when `gate` is open, and finds all of them wrong.
fn slow(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::answering(move |request| {
        if request.target == "/login" {
            gate.pass();
        }
        ok("<p>Wrong.</p>")
    })
}

/// Waits until a guard lists the only counter of ada with so many failures, places, places of its
/// own attempts, and attempts that wait: a machine that is busy looks less often.
#[track_caller]
fn lists(guard: &Guard, expected: [u64; 4]) {
    let names = ["failures", "places", "places_here", "waiting"];
    wait::until(&format!("{names:?} are {expected:?}"), || {
        let list = json(guard, &["list", "ada"]);
        let row = &list["counters"][0];
        list["total"] == 1 && names.map(|name| row[name].as_u64()) == expected.map(Some)
    });
}

#[test]
fn a_lock_without_a_site_is_in_force_at_one_that_the_guard_does_not_have_that_locks() {
    let Some(server) = RedisServer::start() else { return };
    let (upstream, both) = (Upstream::shop(), sharing(&at(&server)));
    let shop = both.split("  - name: forum").next().unwrap();
    let (one, other) = (Guard::start(shop, &upstream), Guard::start(&both, &upstream));
    let log_in = || log_in_at(&other, "forum.test", "mallory", "right");
    assert_eq!(log_in(), 302);
    assert_eq!(of(&one, &["lock", "mallory"]).status, 0);
    wait::until("the other hears of it", || log_in() == 403);
    assert_eq!(of(&one, &["unlock", "mallory"]).status, 0);
    wait::until("the other hears of that, too", || log_in() == 302);
}

#[test]
fn what_is_under_way_at_one_guard_the_other_lists() {
    let Some(server) = RedisServer::start() else { return };
    let gate = Gate::closed();
    let upstream = slow(&gate);
    let (one, other) = two(&at(&server), &upstream);
    std::thread::scope(|scope| {
        let guess = |guard| move || log_in(guard, "ada", "203.0.113.7", "wrong");
        scope.spawn(guess(&one));
        scope.spawn(guess(&one));
        gate.wait_for_arrivals(2);
        // nothing has failed yet: the other knows of it from the store alone
        lists(&one, [0, 2, 2, 0]);
        lists(&other, [0, 2, 0, 0]);
        assert_eq!(json(&other, &["list"])["total"], 2, "the address has a counter, too");
        assert_eq!(of(&other, &["list", "--locked"]).status, 1);
        scope.spawn(guess(&other));
        gate.wait_for_arrivals(3);
        lists(&one, [0, 3, 2, 0]);
        lists(&other, [0, 3, 1, 0]);
        // the fourth of three waits, where it came
        scope.spawn(guess(&other));
        wait::until("one waits", || other.metric("loginward_waiting", "") > 0.0);
        lists(&one, [0, 3, 2, 0]);
        lists(&other, [0, 3, 1, 1]);
        let said = of(&other, &["list", "ada"]).out;
        assert!(said.contains("0/3 (3 under way, 1 here, 1 waiting here)"), "{said}");
        gate.open();
    });
    lists(&other, [3, 0, 0, 0]);
}

#[test]
fn while_the_store_is_away_a_list_tells_of_this_guards_places() {
    let Some(mut server) = RedisServer::start() else { return };
    let gate = Gate::closed();
    let upstream = slow(&gate);
    let (one, other) = two(&at(&server), &upstream);
    std::thread::scope(|scope| {
        for guard in [&one, &other] {
            scope.spawn(move || log_in(guard, "ada", "203.0.113.7", "wrong"));
        }
        gate.wait_for_arrivals(2);
        lists(&one, [0, 2, 1, 0]);
        server.kill();
        lists(&one, [0, 1, 1, 0]);
        gate.open();
    });
}

#[test]
fn whichever_guard_is_asked() {
    let Some(server) = RedisServer::start() else { return };
    operate(&at(&server));
}

#[test]
fn whichever_guard_is_asked_in_a_cluster() {
    let Some(cluster) = RedisCluster::start() else { return };
    let urls = cluster.urls().iter().map(|url| format!("\"{url}\"")).collect::<Vec<_>>().join(", ");
    operate(&format!("cluster: [{urls}]"));
}

#[test]
fn a_great_many_counters_of_others_are_listed() {
    let Some(server) = RedisServer::start() else { return };
    let upstream = Upstream::shop();
    let (one, other) = two(&at(&server), &upstream);
    let mut text = String::from(
        "{\"loginward_export\":{\"version\":1,\"program\":\"0\",\"at\":\"\",\"at_ms\":1}}\n",
    );
    const MANY: u32 = 5_000;
    for number in 0..MANY {
        let ip = std::net::Ipv4Addr::from(0x0a00_0000 + number);
        text.push_str(&format!(
            "{{\"counter\":{{\"who\":{{\"site\":\"shop\",\"limit\":\"ip_address\",\
             \"parameters\":{{\"ip_address\":\"{ip}\"}}}},\"failures\":2,\"attempts\":2,\
             \"latest_ms\":-5,\"forget_ms\":2000000000000}}}}\n"
        ));
    }
    text.push_str(&format!("{{\"end\":{{\"counters\":{MANY},\"locks\":0}}}}\n"));
    let file = one.dir().join("many.jsonl");
    std::fs::write(&file, text).unwrap();
    let report = json(&one, &["import", file.to_str().unwrap()]);
    assert_eq!((&report["counters"]["new"], &report["shared"]), (&MANY.into(), &true.into()));
    assert_eq!(json(&other, &["list", "--limit", "1"])["total"], MANY);
    let again = json(&other, &["import", file.to_str().unwrap()]);
    assert_eq!(again["counters"]["known"], MANY, "{again}");
    assert_eq!(json(&other, &["reset", "10.0.0.0/8"])["removed"], MANY);
    assert_eq!(json(&one, &["list", "--limit", "1"])["total"], 0);
}

#[test]
fn counters_move_from_one_guards_memory_into_the_shared_store() {
    let Some(server) = RedisServer::start() else { return };
    let upstream = Upstream::shop();
    let before = Guard::start(&format!("{ADMIN}{LIMITS}{SITES}"), &upstream);
    guess(&before, "ada", "203.0.113.7", 3);
    guess(&before, "bob", "203.0.113.8", 2);
    assert_eq!(of(&before, &["lock", "198.51.100.0/24", "--for", "1h"]).status, 0);
    let text = of(&before, &["export"]).out;
    let (one, other) = two(&at(&server), &upstream);
    guess(&other, "bob", "203.0.113.8", 1);
    let file = one.dir().join("export.jsonl");
    std::fs::write(&file, &text).unwrap();
    let report = json(&one, &["import", file.to_str().unwrap()]);
    assert_eq!(report["locks_by_hand"]["new"], 1, "{report}");
    assert_eq!((&report["counters"]["new"], &report["counters"]["joined"]), (&2.into(), &2.into()));
    assert_eq!(log_in(&other, "ada", "203.0.113.7", "right"), 403);
    assert_eq!(log_in(&other, "eve", "198.51.100.7", "right"), 403);
    assert_eq!(log_in(&other, "bob", "203.0.113.8", "wrong"), 403, "the third of three");
    let again = json(&other, &["import", file.to_str().unwrap()]);
    assert_eq!(
        (&again["counters"]["new"], &again["locks_by_hand"]["known"]),
        (&0.into(), &1.into())
    );
    // and out of it again
    let third = Guard::start(&format!("{ADMIN}{LIMITS}{SITES}"), &upstream);
    let file = third.dir().join("export.jsonl");
    std::fs::write(&file, of(&other, &["export"]).out).unwrap();
    assert_eq!(json(&third, &["import", file.to_str().unwrap()])["shared"], Value::Null);
    assert_eq!(log_in(&third, "bob", "203.0.113.8", "right"), 403);
}

#[test]
fn while_the_store_is_away_a_guard_says_that_it_speaks_for_itself() {
    let Some(mut server) = RedisServer::start() else { return };
    let upstream = Upstream::shop();
    let (one, other) = two(&at(&server), &upstream);
    guess(&one, "ada", "203.0.113.7", 3);
    assert_eq!(json(&other, &["list"])["shared"], true);
    server.kill();
    let list = json(&other, &["list", "ada"]);
    assert_eq!((&list["shared"], &list["total"]), (&false.into(), &1.into()), "{list}");
    assert!(of(&other, &["list"]).err.contains("the shared store is out of reach"));
    let removed = json(&other, &["reset", "ada"]);
    assert_eq!((&removed["shared"], &removed["removed"]), (&false.into(), &1.into()));
    assert_eq!(log_in(&other, "ada", "203.0.113.7", "right"), 302);
    let locked = json(&other, &["lock", "--username", "mallory"]);
    assert_eq!(locked["shared"], false);
    assert_eq!(log_in(&other, "mallory", "203.0.113.7", "right"), 403);
}
