//! N. Signals, concurrency, cache faults.

use super::check_one;
use crate::driven::{Driven, Login, Setup, app};
use crate::support::event::Event;
use crate::support::gate::Gate;
use crate::support::upstream::ok;
use crate::support::{Upstream, wait};

fn with_username<'a>(events: &'a [Event], name: &str, ip: &str) -> Vec<&'a Event> {
    let of = |event: &&Event| event.get("username") == name && event.get("client") == ip;
    events.iter().filter(of).collect()
}

/// Axes: the same signal for the lockout and for each refusal.
#[test]
fn n01_n02_n03_a_lockout_is_one_event_and_each_refusal_another() {
    for mode in ["True", "False"] {
        let settings = format!("RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT={mode}");
        let steps = "F(u1,A)×2→fail; F(u1,A)→LOCK; F(u1,A)×2→DENY; S(u1,A)→DENY";
        let driven = check_one("N01", &settings, steps);
        let locked = driven.events("locked_out");
        assert_eq!(with_username(&locked, "u1", "10.1.1.1").len(), 1);
        assert_eq!(locked.len(), 1);
        let refused = driven.events("refused");
        assert_eq!(with_username(&refused, "u1", "10.1.1.1").len(), 3);
    }
    let driven = check_one("N03", "", "F(u1,A)×2→fail; F(u1,A)→LOCK");
    assert_eq!(driven.events("locked_out").len(), 1);
}

/// Axes: all 50 reach the password check.
#[test]
fn n04_of_fifty_guesses_at_once_three_are_forwarded() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::scripted(move |talk| {
        while let Some(request) = talk.request() {
            held.pass();
            talk.send(app::answer(&request).unwrap_or_else(|| ok("")));
        }
    });
    let limit = "limits: { by: ip_address, failures: 3, cool_off: 1h }";
    let driven = Driven::before(upstream, &Setup::lockout(limit));
    let address = driven.addr();
    let clients: Vec<_> = (0..50)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = crate::support::Client {
                    wire: crate::support::wire::Wire::new(crate::support::socket::Socket::connect(
                        address, None,
                    )),
                };
                let login = Login {
                    user: Some("u1"),
                    password: "wrong",
                    ip: "10.1.1.1",
                    agent: None,
                    method: "POST",
                };
                client.ask(&login.ask()).status
            })
        })
        .collect();
    wait::until("47 wait", || driven.store().sizes().waiting == 47);
    gate.wait_for_arrivals(3);
    assert_eq!(driven.upstream().hits(), 3);
    gate.open();
    let statuses: Vec<u16> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let count = |status| statuses.iter().filter(|own| **own == status).count();
    assert_eq!((count(200), count(403)), (2, 48), "{statuses:?}");
    assert_eq!(driven.upstream().hits(), 3, "nobody else was ever forwarded");
    assert_eq!(driven.counters(), ["ip=10.1.1.1→3"]);
}

/// Axes: u1's lock is evicted, and the right password accepted.
#[test]
fn n07_invented_names_evict_no_lockout() {
    let text = "store: { memory: { max_counters: 1000 } }
lockout: { limits: { by: username, failures: 3, cool_off: 1h } }
";
    let driven = crate::driven::play::play(
        "N07",
        &Setup::new(text),
        "F(u1,A)×2→fail; F(u1,A)→LOCK; F(n*,A)×3000→fail; S(u1,B)→DENY",
    );
    assert!(driven.rows().len() < 2000, "the table is bounded");
}

/// As in axes, as long as no snapshot is kept.
#[test]
fn n08_a_restart_forgets_everything() {
    let steps = "F(u1,A)×2→fail; F(u1,A)→LOCK; S(u1,A)→DENY";
    drop(check_one("N08", "", steps));
    check_one("N08", "", "S(u1,A)→ok; [—]");
}
