//! Promises 2 and 3: only a proven success is free, and no guess that was sent is.

use std::net::TcpListener;

use super::check;
use crate::driven::{Driven, Login, Setup, app};
use crate::support::{Ask, Gate, Upstream, wait};

const LIMIT: &str = "limits: { by: ip_address, failures: 20, cool_off: 1h }";

const LOGIN: Login<'_> =
    Login { user: Some("u1"), password: "wrong", ip: "10.1.1.1", agent: None, method: "POST" };

#[test]
fn every_answer_that_no_rule_calls_a_success_is_a_failure_whatever_its_status() {
    let upstream = Upstream::answering(|request| {
        let status = request.text().rsplit('=').next().unwrap().to_owned();
        let body = if status == "304" { "" } else { "Content-Length: 0\r\n" };
        format!("HTTP/1.1 {status} Whatever\r\nLocation: /app\r\n{body}\r\n")
    });
    let driven = Driven::before(upstream, &Setup::lockout(LIMIT));
    let statuses =
        ["200", "204", "206", "301", "302", "304", "400", "401", "403", "404", "500", "503"];
    for (at, status) in statuses.into_iter().enumerate() {
        let seen = driven.log_in(&Login { password: status, ..LOGIN });
        assert_eq!(seen.answer.status.to_string(), status);
        assert_eq!(driven.counters(), [format!("ip=10.1.1.1→{}", at + 1)], "{status}");
    }
    assert_eq!(driven.rows()[0].without_verdict, 2, "500 and 503");
}

#[test]
fn an_ignore_rule_alone_makes_an_answer_neither() {
    check(LIMIT, "F(u1,A)→fail; T(u1,A)×30→429; [ip=A→1]; S(u1,A)→ok");
}

#[test]
fn an_answer_that_breaks_off_is_a_failure_without_a_verdict() {
    let driven = Driven::start(&Setup::lockout(LIMIT));
    let seen = driven.log_in(&Login { password: "cut", ..LOGIN });
    assert_eq!((seen.hits, seen.answer.status), (1, 502));
    let row = &driven.rows()[0];
    assert_eq!((row.failures, row.without_verdict), (1, 1));
    assert_eq!(driven.events("login_failed")[0].get("reason"), "no verdict");
}

#[test]
fn answers_that_no_rule_matched_are_told_apart_in_events() {
    let setup = Setup::lockout(LIMIT);
    let driven = Driven::start(&setup);
    driven.log_in(&LOGIN);
    assert_eq!(driven.events("login_failed")[0].get("reason"), "unmatched");
}

#[test]
fn what_was_never_sent_counts_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let text = format!(
        "sites:
  - name: {{SITE}}
    upstream: \"http://{nobody}\"
    logins:
      - path: /login
        username: {{ form: username }}
        password: {{ form: password }}
        outcome: {{ success: {{ status: 302, set_cookie: session }} }}
lockout: {{ {LIMIT} }}
"
    );
    let driven = Driven::start(&Setup::new(&text));
    for _ in 0..30 {
        assert_eq!(driven.log_in(&LOGIN).answer.status, 502);
    }
    assert_eq!(driven.counters(), Vec::<String>::new());
    assert_eq!(driven.store().sizes().places, 0);
}

#[test]
fn whoever_hangs_up_after_a_guess_was_sent_is_counted_all_the_same() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::scripted(move |talk| {
        while let Some(request) = talk.request() {
            held.pass();
            talk.send(app::answer(&request).unwrap());
        }
    });
    let limit = "limits: { by: ip_address, failures: 3, cool_off: 1h }";
    let driven = Driven::before(upstream, &Setup::lockout(limit));
    for at in 1..=3 {
        let mut client = driven.client();
        client.send(LOGIN.ask().bytes());
        gate.wait_for_arrivals(at);
        client.reset();
    }
    wait::until("all three are without a client", || {
        driven.server().shared().detached.count() == 3
    });
    gate.open();
    wait::until("all three are counted", || driven.counters() == ["ip=10.1.1.1→3"]);
    assert_eq!(driven.log_in(&Login { password: "good", ..LOGIN }).outcome(), "DENY");
}

/// The settlement comes before the first byte of the answer.
#[test]
fn whoever_has_its_answer_has_been_counted() {
    let driven = Driven::start(&Setup::lockout(LIMIT));
    let mut client = driven.client();
    for at in 1..=10 {
        client.send(LOGIN.ask().bytes());
        client.answer_head().expect("an answer");
        assert_eq!(driven.rows()[0].failures, at);
        client.wire.exactly("<form>wrong</form>".len());
    }
    drop(client);
    assert_eq!(driven.ask(&Ask::get("/login")).answer.status, 200);
}
