//! However many guesses come at once, at most `failures` wrong ones reach the upstream; wherever the
//! counters are.

use std::time::Duration;

use crate::support::upstream::shop;
use crate::support::{Ask, Client, Gate, Guard, RedisServer, Upstream, wait};

/// Checks it with counters in the guard's own memory, and with counters in a shared store.
#[track_caller]
fn everywhere(check: impl Fn(&str)) {
    check("");
    let Some(server) = RedisServer::start() else { return };
    let url = server.url();
    // a machine that runs many tests at once may be slow
    check(&format!("store: {{ redis: {{ url: \"{url}\", timeout: 9s, connect_timeout: 9s }} }}\n"));
}

/// A shop that holds every login at the gate.
fn slow_shop(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::answering(move |request| {
        if request.target == "/login" {
            gate.pass();
        }
        shop(request)
    })
}

fn lockout(limit: &str, more: &str) -> String {
    format!("lockout: {{ limits: {{ {limit}, cool_off: 10m }}, {more} }}\n")
}

/// Whether the clients' connections have served a request before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connections {
    Fresh,
    Warm,
}

/// Sends a thousand wrong guesses for one account at once: exactly five reach the upstream, and
/// everybody is answered.
#[track_caller]
fn check(configuration: &str, connections: Connections, guess: impl Fn(usize) -> Ask) {
    everywhere(|store| check_one(&format!("{configuration}{store}"), connections, &guess));
}

#[track_caller]
fn check_one(configuration: &str, connections: Connections, guess: &impl Fn(usize) -> Ask) {
    let gate = Gate::closed();
    let upstream = slow_shop(&gate);
    let guard = Guard::start(configuration, &upstream);
    let mut clients: Vec<_> = (0..1000).map(|_| guard.client()).collect();
    if connections == Connections::Warm {
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
    }
    let before = upstream.hits();
    for (at, client) in clients.iter_mut().enumerate() {
        client.send(guess(at).bytes());
    }
    gate.wait_for_arrivals(5);
    wait::until("all others wait or are told to come again", || {
        let answered = guard.metric("loginward_refusals_total", "busy");
        guard.metric("loginward_waiting", "") + answered > 994.5
    });
    assert_eq!(upstream.hits() - before, 5);
    gate.open();
    let mut count = [0; 3];
    for client in &mut clients {
        let answer = client.answer();
        let kind = match answer.verdict() {
            (200, "") => 0,
            (403, "locked") => 1,
            (429, "busy") => 2,
            other => panic!("{other:?}"),
        };
        count[kind] += 1;
    }
    assert_eq!(count, [4, 1 + 256, 1000 - 5 - 256], "failed, locked, busy");
    assert_eq!(upstream.hits() - before, 5);
    assert_eq!(guard.metric("loginward_places", "") as u32, 0);
}

const BY_BOTH: &str = "by: [username, ip_address], failures: 5";

#[test]
fn of_a_thousand_guesses_from_one_address_five_reach_the_upstream() {
    check(&lockout(BY_BOTH, "wait: 25s"), Connections::Fresh, |at| {
        Ask::login("bob", &format!("guess{at}"))
    });
}

#[test]
fn of_a_thousand_guesses_over_warm_connections_five_reach_the_upstream() {
    check(&lockout(BY_BOTH, "wait: 25s"), Connections::Warm, |at| {
        Ask::login("bob", &format!("guess{at}"))
    });
}

#[test]
fn of_a_thousand_guesses_from_two_hundred_addresses_five_reach_the_upstream() {
    let configuration = lockout("by: username, failures: 5", "wait: 25s");
    check(&format!("{configuration}trusted_proxies: 127.0.0.1\n"), Connections::Fresh, |at| {
        let address = format!("203.0.113.{}", at % 200);
        Ask::login("bob", &format!("guess{at}")).with("X-Forwarded-For", &address)
    });
}

#[test]
fn of_a_thousand_spellings_of_one_account_five_reach_the_upstream() {
    check(&lockout("by: username, failures: 5", "wait: 25s"), Connections::Fresh, |at| {
        let name: String = "bobby"
            .chars()
            .enumerate()
            .map(|(bit, c)| if at >> bit & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        Ask::login(&name, "guess")
    });
}

#[test]
fn correct_logins_at_once_all_succeed_below_a_limit_of_five() {
    everywhere(|store| {
        let gate = Gate::closed();
        let upstream = slow_shop(&gate);
        let limit = lockout("by: ip_address, failures: 5", "wait: 25s");
        let guard = Guard::start(&format!("{limit}{store}"), &upstream);
        let mut clients: Vec<_> = (0..64).map(|_| guard.client()).collect();
        for (at, client) in clients.iter_mut().enumerate() {
            client.send(Ask::login(&format!("user{at}"), "right").bytes());
        }
        gate.wait_for_arrivals(5);
        wait::until("the others wait", || guard.metric("loginward_waiting", "") > 58.5);
        assert_eq!(upstream.hits(), 5);
        gate.open();
        for client in &mut clients {
            assert_eq!(client.answer().verdict(), (302, ""));
        }
        assert_eq!(guard.client().log_in("bob", "wrong").status, 200, "and nobody is locked");
    });
}

#[test]
fn a_full_counter_delays_nobody_who_does_not_need_it() {
    everywhere(|store| {
        let gate = Gate::closed();
        let held = gate.clone();
        let upstream = Upstream::answering(move |request| {
            if request.text().contains("user=bob") {
                held.pass();
            }
            shop(request)
        });
        let guard = Guard::start(
            &format!("{}{store}", lockout("by: username, failures: 1", "")),
            &upstream,
        );
        let mut first = guard.client();
        first.send(Ask::login("bob", "right").bytes());
        gate.wait_for_arrivals(1);
        let mut second = guard.client();
        second.send(Ask::login("bob", "right").bytes());
        wait::until("the second waits", || guard.metric("loginward_waiting", "") > 0.5);
        assert_eq!(guard.client().log_in("eve", "right").status, 302);
        assert_eq!(guard.client().get("/").status, 200);
        gate.open();
        assert_eq!((first.answer().status, second.answer().status), (302, 302));
    });
}

#[test]
fn who_waits_too_long_is_told_to_come_again() {
    let gate = Gate::closed();
    let upstream = slow_shop(&gate);
    let limit = lockout("by: ip_address, failures: 1", "wait: 700ms");
    let guard = Guard::start(&limit, &upstream);
    let mut first = guard.client();
    first.send(Ask::login("bob", "right").bytes());
    gate.wait_for_arrivals(1);
    let begun = wait::now();
    let busy = guard.client().log_in("bob", "right");
    assert_eq!((busy.verdict(), busy.get("retry-after")), ((429, "busy"), Some("1")));
    assert_eq!(busy.get("cache-control"), Some("no-store"));
    assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
    gate.open();
    assert_eq!(first.answer().status, 302);
    assert_eq!(upstream.hits(), 1);
    assert_eq!(guard.client().log_in("bob", "right").status, 302, "waiting locks nobody");
}

#[test]
fn without_a_wait_a_full_counter_is_busy_at_once() {
    let gate = Gate::closed();
    let upstream = slow_shop(&gate);
    let guard = Guard::start(&lockout("by: ip_address, failures: 1", "wait: 0s"), &upstream);
    guard.client().send(Ask::login("bob", "right").bytes());
    gate.wait_for_arrivals(1);
    assert_eq!(guard.client().log_in("bob", "right").verdict(), (429, "busy"));
    gate.open();
}

#[test]
fn who_waits_is_answered_as_soon_as_the_counter_locks() {
    everywhere(|store| {
        let gate = Gate::closed();
        let upstream = slow_shop(&gate);
        let guard = Guard::start(
            &format!("{}{store}", lockout("by: ip_address, failures: 1", "wait: 10m")),
            &upstream,
        );
        let mut first = guard.client();
        first.send(Ask::login("bob", "wrong").bytes());
        gate.wait_for_arrivals(1);
        let mut second = guard.client();
        second.send(Ask::login("bob", "wrong").bytes());
        wait::until("the second waits", || guard.metric("loginward_waiting", "") > 0.5);
        gate.open();
        assert_eq!(first.answer().verdict(), (403, "locked"));
        assert_eq!(second.answer().verdict(), (403, "locked"));
        assert_eq!(upstream.hits(), 1);
    });
}

#[test]
fn places_come_free_in_the_order_of_arrival() {
    everywhere(|store| {
        let gate = Gate::closed();
        let upstream = slow_shop(&gate);
        let guard = Guard::start(
            &format!("{}{store}", lockout("by: ip_address, failures: 1", "wait: 25s")),
            &upstream,
        );
        let mut clients: Vec<Client> = Vec::new();
        for at in 0..8 {
            let mut client = guard.client();
            client.send(Ask::login(&format!("user{at}"), "right").bytes());
            clients.push(client);
            gate.wait_for_arrivals(1);
            let behind = f64::from(at);
            wait::until("it waits", || guard.metric("loginward_waiting", "") > behind - 0.5);
        }
        gate.open();
        for client in &mut clients {
            assert_eq!(client.answer().status, 302);
        }
        let order: Vec<_> = upstream.requests().iter().map(|request| request.text()).collect();
        let expected: Vec<_> = (0..8).map(|at| format!("user=user{at}&password=right")).collect();
        assert_eq!(order, expected);
    });
}

#[test]
fn who_leaves_the_queue_is_not_forwarded_and_who_half_closes_stays() {
    everywhere(|store| {
        let gate = Gate::closed();
        let upstream = slow_shop(&gate);
        let guard = Guard::start(
            &format!("{}{store}", lockout("by: ip_address, failures: 1", "wait: 25s")),
            &upstream,
        );
        let waiting = || guard.metric("loginward_waiting", "");
        let mut first = guard.client();
        first.send(Ask::login("first", "right").bytes());
        gate.wait_for_arrivals(1);
        let mut leaves = guard.client();
        leaves.send(Ask::login("leaves", "right").bytes());
        wait::until("it waits", || waiting() > 0.5);
        let mut stays = guard.client();
        stays.send(Ask::login("stays", "right").bytes()).half_close();
        wait::until("both wait", || waiting() > 1.5);
        leaves.reset();
        wait::until("one is left", || waiting() < 1.5);
        gate.open();
        assert_eq!((first.answer().status, stays.answer().status), (302, 302));
        assert_eq!(upstream.hits(), 2);
        assert_eq!(guard.metric("loginward_attempts_total", "outcome=\"failure\"") as u32, 0);
    });
}

#[test]
fn a_request_counts_as_many_guesses_as_it_makes() {
    everywhere(|store| {
        let upstream = Upstream::shop();
        let guard = Guard::start(
            &format!("{}{store}", lockout("by: username, failures: 5", "")),
            &upstream,
        );
        let guesses = |count: usize| {
            let passwords = (0..count).map(|at| format!("&password=wrong{at}")).collect::<String>();
            guard.ask(&Ask::form("/login", &format!("user=bob{passwords}")))
        };
        assert_eq!(guesses(6).verdict(), (400, "refused"), "more than there ever are");
        assert_eq!(guesses(3).status, 200);
        assert_eq!(guesses(3).verdict(), (400, "refused"), "more than are left");
        assert_eq!(upstream.hits(), 1);
        assert_eq!(guesses(2).verdict(), (403, "locked"));
        assert_eq!(upstream.hits(), 2);
    });
}

#[test]
fn pipelined_guesses_are_counted_one_by_one() {
    everywhere(|store| {
        let upstream = Upstream::shop();
        let guard = Guard::start(
            &format!("{}{store}", lockout("by: ip_address, failures: 3", "")),
            &upstream,
        );
        let mut client = guard.client();
        client.send(Ask::login("bob", "wrong").bytes().repeat(50)).half_close();
        let statuses: Vec<_> = (0..50).map(|_| client.answer().status).collect();
        assert_eq!(statuses, [&[200; 2][..], &[403; 48]].concat());
        assert_eq!(upstream.hits(), 3);
    });
}

#[test]
fn exchanges_without_a_client_are_not_without_number() {
    let gate = Gate::closed();
    let upstream = slow_shop(&gate);
    let guard = Guard::start(&lockout("by: ip_address, failures: 1000", ""), &upstream);
    for at in 1..=32 {
        let mut client = guard.client();
        client.send(Ask::login("bob", "right").bytes());
        gate.wait_for_arrivals(at);
        client.reset();
        wait::until("it is without its client", || {
            guard.metric("loginward_detached", "") > at as f64 - 0.5
        });
    }
    assert_eq!(guard.client().log_in("bob", "right").verdict(), (503, "error"));
    assert_eq!(guard.client().get("/").status, 200, "what is no attempt goes on");
    assert_eq!(Client::from("127.0.0.9", &guard).get("/").status, 200);
    assert_eq!(upstream.requests().iter().filter(|r| r.target == "/login").count(), 32);
    gate.open();
    wait::until("they are over", || guard.metric("loginward_detached", "") < 0.5);
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
}
