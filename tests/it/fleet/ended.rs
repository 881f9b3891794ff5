//! A guard of a fleet ends while its attempts are at the upstream: killed, told to, or replaced.

use std::time::Duration;

use crate::support::guard::ADMIN;
use crate::support::upstream::shop;
use crate::support::{Ask, Client, Gate, Guard, RedisServer, Setup, Upstream, wait};

/// Guards that share what is at `server`, and hold whoever is called slow at a gate.
struct Fleet {
    server: RedisServer,
    upstream: Upstream,
    gate: Gate,
    more: &'static str,
}

impl Fleet {
    fn start(more: &'static str) -> Option<Self> {
        let server = RedisServer::start()?;
        let gate = Gate::closed();
        let held = gate.clone();
        let upstream = Upstream::answering(move |request| {
            // whom nobody waits for any more is let go with the test
            if request.text().contains("&slow=") && !held.is_open() {
                held.pass();
            }
            shop(request)
        });
        Some(Self { server, upstream, gate, more })
    }

    fn setup(&self, admin: &str) -> Setup {
        let url = self.server.url();
        let store =
            format!("store: {{ redis: {{ url: \"{url}\", timeout: 9s, connect_timeout: 9s }} }}\n");
        let limits = "lockout: { at_limit: upstream, wait: 25s, \
                      limits: { by: username, failures: 3, cool_off: 10m } }\n";
        Setup::new(&format!("{admin}{limits}{store}{}", self.more)).upstream(&self.upstream)
    }

    fn guard(&self) -> Guard {
        self.setup(ADMIN).start()
    }

    /// Attempts of which none is answered before the gate opens, or never.
    fn send(&self, guard: &Guard, user: &str, count: usize) -> Vec<Client> {
        let before = self.upstream.hits();
        let mut clients: Vec<_> = (0..count).map(|_| guard.client()).collect();
        for client in &mut clients {
            let form = format!("user={user}&password=wrong&slow=1");
            client.send(Ask::form("/login", &form).bytes());
        }
        self.upstream.wait_for_hits(before + count);
        clients
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.gate.open();
    }
}

#[test]
fn guesses_of_a_guard_that_is_killed_are_failures_when_their_leases_run_out() {
    // a lease lasts five seconds longer than that
    let Some(fleet) = Fleet::start("timeouts: { exchange: 2s, response_head: 2s, verdict: 1s }\n")
    else {
        return;
    };
    let (killed, other) = (fleet.guard(), fleet.guard());
    let mut clients = fleet.send(&killed, "bob", 3);
    clients.extend(fleet.send(&killed, "eve", 2));
    let begun = wait::now();
    drop(killed); // by a signal that it cannot hear
    let mut waits = other.client();
    waits.send(Ask::login("bob", "right").bytes());
    assert_eq!(other.client().log_in("eve", "right").status, 302, "there is a place left");
    assert_eq!(waits.answer().verdict(), (403, "locked"), "three guesses were made");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(12), "it was held up for {took:?}");
    assert_eq!(other.client().log_in("eve", "wrong").status, 200, "the third, with two before it");
    assert_eq!(other.client().log_in("eve", "right").verdict(), (403, "locked"));
    assert_eq!(fleet.upstream.hits(), 5 + 2, "nobody got a guess for nothing");
}

#[test]
fn a_guard_that_is_told_to_end_tells_how_its_attempts_ended() {
    let Some(fleet) = Fleet::start("shutdown: { deadline: 20s }\n") else { return };
    let (mut ends, other) = (fleet.guard(), fleet.guard());
    let mut clients = fleet.send(&ends, "bob", 2);
    ends.terminate();
    ends.wait_for_event("stopping");
    fleet.gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(ends.wait_for_exit().code(), Some(0));
    // two failures, and no place: the third one is admitted at once, and locks
    assert_eq!(other.client().log_in("bob", "wrong").status, 200);
    assert_eq!(other.client().log_in("bob", "right").verdict(), (403, "locked"));
}

#[test]
fn what_a_guard_cuts_off_when_it_ends_is_a_failure_at_once() {
    let Some(fleet) = Fleet::start("shutdown: { deadline: 1s }\n") else { return };
    let (mut ends, other) = (fleet.guard(), fleet.guard());
    let clients = fleet.send(&ends, "bob", 3);
    ends.terminate();
    assert_eq!(ends.wait_for_exit().code(), Some(0));
    // the leases would run for eighty seconds
    assert_eq!(other.client().log_in("bob", "right").verdict(), (403, "locked"));
    drop(clients);
}

#[test]
fn a_guard_that_is_replaced_settles_what_it_began() {
    let Some(fleet) = Fleet::start("shutdown: { deadline: 20s }\n") else { return };
    let (mut old, other) = (fleet.guard(), fleet.guard());
    let mut clients = fleet.send(&old, "bob", 2);
    let admin = format!("admin: {{ address: \"{}\" }}\n", old.admin());
    let new = Guard::spawn(fleet.setup(&admin).flag("--upgrade"));
    old.wait_for_event("handing_over");
    fleet.gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    new.wait_for_event("taken_over");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    assert_eq!(other.client().log_in("bob", "wrong").status, 200, "the third");
    assert_eq!(other.client().log_in("bob", "right").verdict(), (403, "locked"));
    let address = new.wait_for_event("listening");
    let address = address.get("address").strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(Client::to_addr(address).log_in("bob", "right").verdict(), (403, "locked"));
}
