//! The server is killed, frozen, full, read-only or restarted empty: what each guard does alone, and
//! what they know together afterwards.

use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::{Guard, RedisServer, Relay, Upstream, wait};

const LIMITS: &str =
    "lockout: { at_limit: upstream, limits: { by: username, failures: 5, cool_off: 10m } }\n";

/// Guards in front of one application, with one memory.
struct Fleet {
    server: RedisServer,
    guards: Vec<Guard>,
    _upstream: Upstream,
}

impl Fleet {
    fn start(count: usize, more: &str) -> Option<Self> {
        let server = RedisServer::start()?;
        let port = server.port();
        Some(Self::reaching(port, server, (count, more)))
    }

    /// Guards that find a server at that port.
    fn reaching(port: u16, server: RedisServer, (count, more): (usize, &str)) -> Self {
        let upstream = Upstream::shop();
        // a machine that runs many tests at once may be slow
        let store = format!(
            "store: {{ redis: {{ url: \"redis://127.0.0.1:{port}\", timeout: 2s, \
             connect_timeout: 2s{more} }} }}\n"
        );
        let guards = (0..count)
            .map(|_| Guard::start(&format!("{ADMIN}{LIMITS}{store}"), &upstream))
            .collect();
        Self { server, guards, _upstream: upstream }
    }

    fn guess(&self, at: usize, user: &str) -> u16 {
        self.guards[at].client().log_in(user, "wrong").status
    }

    /// Wrong guesses of which each is answered by the application.
    #[track_caller]
    fn fail(&self, at: usize, user: &str, times: usize) {
        for _ in 0..times {
            assert_eq!(self.guess(at, user), 200, "{user} at {at}");
        }
    }

    /// Waits until every guard has said so, so often.
    #[track_caller]
    fn wait_for(&self, event: &str, times: usize) {
        for guard in &self.guards {
            wait::until(event, || guard.events(event).len() >= times);
        }
    }

    /// Waits until the guards that may have something to hear have looked whether there is anything.
    #[track_caller]
    fn wait_until_heard(&self) {
        let asked = |guard: &Guard| {
            guard.metric("loginward_store_calls_total", "kind=\"command\",result=\"ok\"") as u64
        };
        // a look that has begun already asks twice at most; so does the next one
        let before: Vec<u64> = self.guards.iter().map(asked).collect();
        for (guard, before) in self.guards.iter().zip(before) {
            wait::until("it has looked", || asked(guard) >= before + 4);
        }
    }

    /// What an operator does at a guard, and it is done.
    #[track_caller]
    fn operate(&self, at: usize, words: &[&str]) {
        let said = run(&[words, &["--admin", &self.guards[at].admin()]].concat());
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    }

    /// How many failures the guard counts, or that it is locked.
    fn counted(&self, at: usize, user: &str) -> String {
        let said = run(&["list", user, "--json", "--admin", &self.guards[at].admin()]);
        let told: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_default();
        let counter = &told["counters"][0];
        format!("{} {}", counter["failures"], counter["locked"])
    }
}

#[test]
fn a_server_that_was_killed_and_restarted_empty_is_told_what_each_guard_saw_and_counted_alone() {
    let Some(mut fleet) = Fleet::start(2, "") else { return };
    fleet.fail(0, "bob", 1);
    fleet.fail(1, "eve", 5);
    assert_eq!(fleet.guess(0, "eve"), 403, "a lockout made at one guard is in force at all");
    let said = run(&["lock", "mallory", "--admin", &fleet.guards[0].admin()]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    fleet.server.kill();
    fleet.fail(0, "bob", 2);
    fleet.fail(1, "bob", 1);
    fleet.wait_for("store_unreachable", 1);
    assert_eq!(fleet.guess(1, "eve"), 403, "what was seen holds");
    fleet.server.start_again();
    fleet.wait_for("store_back", 1);
    // one that was seen, two and one that were counted alone
    assert_eq!(fleet.counted(0, "bob"), "4 false");
    for at in [0, 1] {
        assert_eq!(fleet.guess(at, "eve"), 403);
        assert_eq!(fleet.guess(at, "mallory"), 403, "a lock by hand holds, too");
    }
    fleet.fail(1, "bob", 1);
    assert_eq!(fleet.guess(0, "bob"), 403);
    assert_eq!(fleet.guess(1, "bob"), 403);
}

#[test]
fn a_frozen_server_costs_its_timeout_once() {
    let Some(fleet) = Fleet::start(1, "") else { return };
    fleet.fail(0, "bob", 1);
    fleet.server.freeze();
    fleet.fail(0, "bob", 1);
    fleet.wait_for("store_unreachable", 1);
    fleet.fail(0, "bob", 2);
    let calls = |kind: &str| -> u64 {
        let of = |result| {
            let labels = format!("kind=\"{kind}\",result=\"{result}\"");
            fleet.guards[0].metric("loginward_store_calls_total", &labels) as u64
        };
        of("timeout") + of("unreachable")
    };
    assert_eq!(calls("admit"), 1, "the others do not wait for it");
    assert_eq!(calls("settle"), 0);
    fleet.server.thaw();
    fleet.wait_for("store_back", 1);
    assert_eq!(fleet.counted(0, "bob"), "4 false", "each counts once");
    fleet.fail(0, "bob", 1);
    assert_eq!(fleet.guess(0, "bob"), 403);
}

#[test]
fn a_server_that_is_full_or_read_only_is_an_outage() {
    for (setting, value, usual) in [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")] {
        let Some(fleet) = Fleet::start(1, "") else { return };
        fleet.server.set("maxmemory-policy", "noeviction");
        fleet.fail(0, "bob", 1);
        fleet.server.set(setting, value);
        fleet.fail(0, "bob", 3);
        fleet.wait_for("store_unreachable", 1);
        fleet.server.set(setting, usual);
        wait::until("all is told", || fleet.counted(0, "bob") == "4 false");
        fleet.fail(0, "bob", 1);
        assert_eq!(fleet.guess(0, "bob"), 403, "{setting}");
    }
}

#[test]
fn a_reset_during_an_outage_holds_when_the_server_is_back() {
    let Some(fleet) = Fleet::start(2, "") else { return };
    fleet.fail(0, "eve", 5);
    assert_eq!(fleet.guess(1, "eve"), 403);
    fleet.server.freeze();
    assert_eq!(fleet.guess(0, "eve"), 403);
    fleet.guards[0].wait_for_event("store_unreachable");
    let said = run(&["reset", "eve", "--admin", &fleet.guards[0].admin()]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    fleet.fail(0, "eve", 1);
    fleet.server.thaw();
    wait::until("it is back", || !fleet.guards[0].events("store_back").is_empty());
    assert_eq!(fleet.counted(0, "eve"), "1 false");
    fleet.fail(1, "eve", 4);
    assert_eq!(fleet.guess(0, "eve"), 403);
}

#[test]
fn what_was_reset_and_unlocked_stays_so_when_the_server_is_restarted_empty() {
    let Some(mut fleet) = Fleet::start(2, "") else { return };
    for (user, by) in [("eve", 0), ("bob", 1)] {
        fleet.fail(0, user, 5);
        assert_eq!(fleet.guess(1, user), 403, "both have seen it");
        let said = run(&["reset", user, "--admin", &fleet.guards[by].admin()]);
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    }
    // the other one of each was not told; of locks by hand each hears soon, if nobody asks it either
    let said = run(&["lock", "mallory", "--admin", &fleet.guards[0].admin()]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert_eq!(fleet.guess(1, "mallory"), 403);
    let heard = || fleet.guards[1].metric("loginward_store_calls_total", "kind=\"other\"") as u64;
    let before = heard();
    let said = run(&["unlock", "mallory", "--admin", &fleet.guards[0].admin()]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    wait::until("the other has heard of it", || heard() > before);
    fleet.server.kill();
    fleet.fail(0, "ann", 1);
    fleet.fail(1, "ann", 1);
    fleet.wait_for("store_unreachable", 1);
    fleet.server.start_again();
    fleet.wait_for("store_back", 1);
    assert_eq!(fleet.counted(0, "ann"), "2 false");
    [0, 1].iter().for_each(|at| fleet.fail(*at, "mallory", 1));
    for user in ["eve", "bob"] {
        assert_eq!(fleet.counted(0, user), "null null", "{user}");
        fleet.fail(0, user, 4);
        fleet.fail(1, user, 1);
        assert_eq!(fleet.guess(0, user), 403, "{user}");
    }
}

#[test]
fn what_is_reset_at_one_guard_is_forgotten_at_the_others() {
    let Some(mut fleet) = Fleet::start(3, "") else { return };
    for user in ["ann", "eve", "amy"] {
        fleet.fail(1, user, 5);
        [0, 1, 2].iter().for_each(|at| assert_eq!(fleet.guess(*at, user), 403, "all met it"));
    }
    fleet.fail(1, "bob", 1);
    fleet.operate(0, &["reset", "ann"]);
    fleet.operate(0, &["reset", "eve"]);
    fleet.wait_until_heard();
    // nobody tries meanwhile, and then the others come first
    fleet.server.start_again();
    fleet.wait_for("store_back", 1);
    [2, 1, 0].iter().for_each(|at| fleet.fail(*at, "ann", 1));
    assert_eq!(fleet.counted(2, "ann"), "3 false");
    assert_eq!(fleet.counted(2, "bob"), "1 false", "others are offered");
    fleet.operate(2, &["reset", "amy"]);
    fleet.wait_until_heard();
    // somebody tries while it is away, and what was reset is in force nowhere
    fleet.server.kill();
    [0, 1, 2].iter().for_each(|at| fleet.fail(*at, "bob", 1));
    fleet.wait_for("store_unreachable", 2);
    fleet.fail(1, "eve", 1);
    fleet.server.start_again();
    fleet.wait_for("store_back", 2);
    assert_eq!(fleet.counted(0, "bob"), "4 false");
    assert_eq!(fleet.counted(0, "eve"), "1 false");
    for at in [1, 0, 2] {
        assert_eq!(fleet.counted(at, "amy"), "null null");
    }
    fleet.fail(2, "amy", 1);
}

#[test]
fn another_server_that_answers_at_once_is_no_outage_for_whoever_asks_first() {
    let (Some(first), Some(second)) = (RedisServer::start(), RedisServer::start()) else { return };
    let (relay, others) = (Relay::to(first.port()), [second.port(), first.port()]);
    let fleet = Fleet::reaching(relay.port(), first, (2, ", on_outage: refuse"));
    [0, 1].iter().for_each(|at| fleet.fail(*at, "bob", 1));
    relay.turn_to(others[0]);
    // no guard knows of it before it asks
    [0, 1].iter().for_each(|at| fleet.fail(*at, "bob", 1));
    assert_eq!(fleet.counted(0, "bob"), "4 false");
    relay.turn_to(others[1]);
    let said = run(&["list", "bob", "--admin", &fleet.guards[1].admin()]);
    assert!(said.err.is_empty() && said.out.contains("4/5"), "{}{}", said.out, said.err);
}

#[test]
fn attempts_are_refused_or_let_through_where_that_is_the_choice() {
    for (choice, status) in [("refuse", 503), ("allow", 200)] {
        let Some(mut fleet) = Fleet::start(1, &format!(", on_outage: {choice}")) else { return };
        fleet.fail(0, "bob", 1);
        fleet.server.kill();
        for _ in 0..7 {
            assert_eq!(fleet.guess(0, "bob"), status, "{choice}");
        }
        let other = fleet.guards[0].client().get("/");
        assert_eq!(other.status, 200, "ordinary requests never touch the store");
        assert_eq!(fleet.guards[0].metrics_page("/readyz").status, 200);
        assert_eq!(fleet.guards[0].metric("loginward_store_up", "") as u64, 0);
        fleet.server.start_again();
        fleet.wait_for("store_back", 1);
        assert_eq!(fleet.counted(0, "bob"), "1 false", "{choice}");
        fleet.fail(0, "bob", 1);
    }
}

#[test]
fn a_guard_starts_without_the_server_and_says_so() {
    let Some(mut fleet) = Fleet::start(1, "") else { return };
    fleet.server.kill();
    let port = fleet.server.port();
    let upstream = Upstream::shop();
    let store = format!("store: {{ redis: {{ url: \"redis://127.0.0.1:{port}\" }} }}\n");
    let guard = Guard::start(&format!("{LIMITS}{store}"), &upstream);
    guard.wait_for_event("store_unreachable");
    assert_eq!(guard.client().log_in("bob", "wrong").status, 200);
    fleet.server.start_again();
    guard.wait_for_event("store_back");
}
