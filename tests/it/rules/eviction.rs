//! Promise 7, through the guard: floods of invented names.

use crate::driven::play::play;
use crate::driven::{Driven, Login, Setup, app};
use crate::support::{Ask, Gate, Upstream};

const SETTINGS: &str = "store: { memory: { max_counters: 1000, max_lockouts: 1000 } }
lockout: { limits: { by: username, failures: 3, cool_off: 1h } }
metrics: { address: \"127.0.0.1:0\" }
";

#[test]
fn a_flood_changes_nothing_for_who_is_locked_or_nearly_so_or_comes_new() {
    let driven = play(
        "a flood",
        &Setup::new(SETTINGS),
        "F(locked,A)×2→fail; F(locked,A)→LOCK; F(almost,A)×2→fail; F(n*,*)×10000→fail; \
         S(locked,B)→DENY; F(almost,B)→LOCK; F(newcomer,A)→fail; F(n*,*)×100→fail; \
         F(newcomer,B)→fail; F(n*,*)×1000→fail; F(newcomer,C)→LOCK",
    );
    assert!(driven.rows().len() <= 2000, "memory is bounded");
}

#[test]
fn a_counter_that_holds_a_place_is_never_evicted() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::scripted(move |talk| {
        while let Some(request) = talk.request() {
            if request.text().contains("password=held") {
                held.pass();
            }
            talk.send(app::answer(&request).unwrap());
        }
    });
    let driven = Driven::before(upstream, &Setup::new(SETTINGS));
    let login = Login {
        user: Some("busy"),
        password: "wrong",
        ip: "10.1.1.1",
        agent: None,
        method: "POST",
    };
    assert_eq!(driven.log_in(&login).outcome(), "fail");
    let mut client = driven.client();
    client.send(Login { password: "held", ..login }.ask().bytes());
    gate.wait_for_arrivals(1);
    for number in 0..3000 {
        let user = format!("other-{number}");
        driven.log_in(&Login { user: Some(&user), ..login });
    }
    gate.open();
    assert_eq!(client.answer().status, 200);
    assert!(driven.counters().contains(&"user=busy→2".to_owned()), "both failures are there");
}

#[test]
fn evictions_are_reported_and_counted() {
    let driven = play("a flood", &Setup::new(SETTINGS), "F(n*,A)×300→fail");
    let metric = || metric(&driven, "loginward_evictions_total");
    assert_eq!((metric(), driven.events("counter_evicted").len()), (0, 0));
    for number in 0..3000 {
        let user = format!("other-{number}");
        let login = Login {
            user: Some(&user),
            password: "wrong",
            ip: "203.0.113.7",
            agent: None,
            method: "POST",
        };
        assert_eq!(driven.log_in(&login).outcome(), "fail");
    }
    let counted = metric();
    let evicted = driven.events("counter_evicted");
    assert_eq!(evicted.len(), counted);
    // each is here or reported, but for those that the table will let go by and by
    let gone = 3300 - driven.rows().len();
    assert_eq!(evicted.len(), gone);
    assert!(gone > 2000, "{gone}");
    let event = &evicted[0];
    assert_eq!((event.get("client"), event.get("failures")), ("10.1.1.1", "1"));
}

/// The value of a metric without labels.
fn metric(driven: &Driven, name: &str) -> usize {
    let address = driven.server().metrics_bound().unwrap();
    let mut client = crate::support::Client {
        wire: crate::support::wire::Wire::new(crate::support::socket::Socket::connect(
            address, None,
        )),
    };
    let text = client.ask(&Ask::get("/metrics")).text();
    let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()).sum()
}

#[test]
fn when_the_budget_of_lockouts_is_full_the_one_with_least_time_left_yields_loudly() {
    let text = SETTINGS.replace("failures: 3", "failures: 1");
    let driven = play("lockouts", &Setup::new(&text), "F(first,A)→LOCK; wait 1s; F(n*,A)×999→LOCK");
    assert_eq!(metric(&driven, "loginward_evictions_total"), 0);
    let login = Login {
        user: Some("last"),
        password: "wrong",
        ip: "10.1.1.1",
        agent: None,
        method: "POST",
    };
    assert_eq!(driven.log_in(&login).outcome(), "LOCK");
    assert_eq!(metric(&driven, "loginward_evictions_total"), 1);
    assert_eq!(driven.events("counter_evicted").len(), 1);
    let first = Login { user: Some("first"), password: "good", ..login };
    assert_eq!(driven.log_in(&first).outcome(), "ok", "it had least time left");
    assert_eq!(driven.log_in(&Login { user: Some("name2"), ..login }).outcome(), "DENY");
}
