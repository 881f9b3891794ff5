//! What is said of all this, and how loudly.

use std::time::Duration;

use super::check;
use crate::driven::play::play;
use crate::driven::{Driven, Login, Setup};
use crate::support::Ask;
use crate::support::event::Event;
use crate::support::socket::Socket;
use crate::support::wait::until;

const LOGIN: Login<'_> =
    Login { user: Some("u1"), password: "wrong", ip: "10.1.1.1", agent: None, method: "POST" };

#[test]
fn failures_say_how_many_of_how_many() {
    let driven = check(
        "limits: { by: ip_address, failures: 3, cool_off: 1h }",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; F(u1,A)→DENY",
    );
    let counts = |name| {
        let of = |event: &Event| {
            ["failures", "of", "limit", "client", "username"]
                .map(|field| event.get(field).to_owned())
        };
        driven.events(name).iter().map(of).collect::<Vec<_>>()
    };
    let expected =
        |failures: &str| [failures, "3", "ip_address", "10.1.1.1", "u1"].map(str::to_owned);
    assert_eq!(counts("login_failed"), [expected("1")]);
    assert_eq!(counts("login_failed_again"), [expected("2"), expected("3")]);
    assert_eq!(counts("locked_out"), [expected("3")]);
    assert_eq!(driven.events("refused").len(), 1);
}

#[test]
fn a_success_and_what_it_cleared_are_told() {
    let limit = "limits: { by: [username, ip_address], failures: 5, cool_off: 1h }";
    let driven = check(limit, "F(u1,A)×3→fail; S(u1,A)→ok; S(u1,A)→ok");
    assert_eq!(driven.events("login_succeeded").len(), 2);
    let cleared = driven.events("counters_cleared");
    assert_eq!(cleared.len(), 1);
    assert_eq!((cleared[0].get("failures"), cleared[0].get("of")), ("3", "5"));
}

#[test]
fn an_attempt_that_no_limit_counts_is_counted_by_address_and_reported() {
    let driven = check(
        "limits: { by: username, failures: 3, cool_off: 1h }",
        "F(∅,A)×2→fail; F(∅,A)→LOCK; S(∅,A)→DENY; [ip=A→3 (ttl 3600)]; F(u1,A)→fail",
    );
    let said = driven.events("rule_suspect");
    assert_eq!(
        said.iter().filter(|event| event.get("reason").contains("no limit counts")).count(),
        4
    );
    // also where what is missing is the user agent
    check(
        "limits: { by: user_agent, failures: 3, cool_off: 1h }",
        "F(u1,A,∅)×2→fail; F(u1,A,∅)→LOCK; F(u1,A,x)→fail; [ip=A→3; ua=x→1]",
    );
}

#[test]
fn a_rule_that_never_sees_a_success_is_reported_after_twenty_attempts_and_then_hourly() {
    let limit = "limits: { by: ip_address, failures: 1000, cool_off: 1h }";
    let reasons = |said: Vec<Event>| -> Vec<String> {
        said.iter().map(|event| event.get("reason").to_owned()).collect()
    };
    let said = |steps: &str| reasons(check(limit, steps).stop("rule_suspect"));
    assert_eq!(said("F(u1,A)×19→fail"), Vec::<String>::new());
    let once = said("F(u1,A)×40→fail");
    assert_eq!(once.len(), 1, "{once:?}");
    assert!(once[0].contains("attempts never a success"), "{once:?}");
    assert!(once[0].contains("status 200"), "what the unmatched answers look like: {once:?}");
    assert_eq!(
        said("F(u1,A)×20→fail"),
        ["in 20 attempts never a success; unmatched answers look \
                like status 200"]
    );
    let driven = check(limit, "F(u1,A)×20→fail");
    until("the first report", || driven.events("rule_suspect").len() == 1);
    driven.wait(Duration::from_hours(1));
    driven.log_in(&LOGIN);
    assert_eq!(driven.stop("rule_suspect").len(), 2);
}

#[test]
fn strangers_that_send_forwarding_headers_are_reported() {
    let driven = Driven::start(&Setup::new(""));
    let from = Some("127.0.0.5".parse().unwrap());
    let socket = Socket::connect(driven.addr(), from);
    let mut client = crate::support::Client { wire: crate::support::wire::Wire::new(socket) };
    client.ask(&LOGIN.ask());
    let said = driven.events("identity_suspect");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].get("client"), "127.0.0.5");
    assert!(said[0].get("reason").contains("untrusted"));
}

#[test]
fn a_trusted_peer_that_names_no_usable_address_is_reported_and_answered_400() {
    let driven =
        check("limits: { by: ip_address, failures: 3, cool_off: 1h }", "S(u1,junk)→!400; [—]");
    let said = driven.events("identity_suspect");
    assert_eq!(said.len(), 1);
    assert!(said[0].get("reason").contains("no usable client address"));
    // what is no attempt is forwarded all the same
    let page = driven.ask(&Ask::get("/login").with("X-Forwarded-For", "junk"));
    assert_eq!((page.hits, page.answer.status), (1, 200));
}

#[test]
fn a_private_address_or_a_trusted_proxys_own_that_is_locked_is_reported() {
    let limit = "lockout: { limits: { by: ip_address, failures: 1, cool_off: 1h } }\n";
    for (trusted, ip, reason) in [
        ("", "192.168.1.1", "a private address is locked out"),
        (", \"203.0.113.9\"", "203.0.113.9", "a trusted proxy's own address is locked out"),
    ] {
        let setup = Setup::new(&format!("trusted_proxies: [\"127.0.0.1\"{trusted}]\n{limit}"));
        let driven = Driven::start(&setup);
        driven.log_in(&Login { ip, ..LOGIN });
        let said = driven.events("identity_suspect");
        assert!(said.iter().any(|event| event.get("reason").contains(reason)), "{said:?}");
    }
    let public = play("a public address", &Setup::new(limit), "F(u1,203.0.113.9)→LOCK");
    assert_eq!(public.events("identity_suspect").len(), 0);
}
