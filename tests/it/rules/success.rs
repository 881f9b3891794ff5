//! What a success forgets, and what it does not prove.

use super::check;
use crate::driven::{Driven, Setup};
use crate::support::Ask;

const LIMITS: &str = "limits: [{ by: [username, ip_address], failures: 9, cool_off: 1h }, \
                      { by: ip_address, failures: 9, cool_off: 1h }, \
                      { by: username, failures: 9, cool_off: 1h }]";

fn ask(form: &str) -> Ask {
    Ask::form("/login", form).with("X-Forwarded-For", "10.1.1.1")
}

/// The counters that are left after a failure of u1 and then `form`, which is a success.
#[track_caller]
fn left_after(setup: &Setup, form: &Ask) -> Vec<String> {
    let driven = Driven::start(setup);
    assert_eq!(driven.ask(&ask("username=u1&password=wrong")).outcome(), "fail");
    assert_eq!(driven.ask(form).outcome(), "ok");
    driven.counters()
}

const KEPT: [&str; 3] = ["ip=10.1.1.1→1", "user+ip=u1,10.1.1.1→1", "user=u1→1"];
const CLEARED: [&str; 2] = ["ip=10.1.1.1→1", "user=u1→1"];

#[test]
fn same_client_is_the_default_and_forgets_what_names_username_and_address() {
    check(
        LIMITS,
        "F(u1,A)×2→fail; F(u2,A)→fail; F(u1,B)→fail; S(u1,A)→ok; \
         [user+ip=u2,A→1; user+ip=u1,B→1; ip=A→3; ip=B→1; user=u1→3; user=u2→1]",
    );
    let more = "limits: { by: [username, ip_address, user_agent], failures: 9, cool_off: 1h }";
    check(more, "F(u1,A,x)→fail; F(u1,A,y)→fail; S(u1,A,x)→ok; [user+ip+ua=u1,A,y→1]");
}

#[test]
fn none_forgets_nothing_and_all_forgets_every_counter_of_the_attempt() {
    let steps = "F(u1,A)→fail; F(u2,B)→fail; S(u1,A)→ok";
    check(
        &format!("{LIMITS}, reset_on_success: none"),
        &format!("{steps}; [user+ip=u1,A→1; ip=A→1; user=u1→1; user+ip=u2,B→1; ip=B→1; user=u2→1]"),
    );
    check(
        &format!("{LIMITS}, reset_on_success: all"),
        &format!("{steps}; [user+ip=u2,B→1; ip=B→1; user=u2→1]"),
    );
}

#[test]
fn a_success_proves_nothing_about_failures_that_were_spelled_otherwise() {
    let setup = Setup::lockout(LIMITS);
    assert_eq!(left_after(&setup, &ask("username=u1&password=good")), CLEARED);
    assert_eq!(left_after(&setup, &ask("username=U1&password=good")), KEPT);
    check(
        "limits: { by: [username, ip_address], failures: 9, cool_off: 1h }",
        "F(u1,A)→fail; F(U1,A)→fail; S(u1,A)→ok; [user+ip=u1,A→2]; \
         F(u1,B)×2→fail; S(u1,B)→ok; [user+ip=u1,A→2]",
    );
}

#[test]
fn a_success_of_several_candidates_proves_nothing() {
    let setup = Setup::lockout(LIMITS);
    let left = left_after(&setup, &ask("username=u1&username=u2&password=good"));
    assert_eq!(left, KEPT);
}

#[test]
fn a_success_of_several_guesses_proves_nothing_and_charges_all_but_one() {
    let setup = Setup::lockout(LIMITS);
    let left = left_after(&setup, &ask("username=u1&password=good&password=other"));
    assert_eq!(left, ["ip=10.1.1.1→2", "user+ip=u1,10.1.1.1→2", "user=u1→2"]);
}

#[test]
fn where_the_rule_names_a_session_cookie_the_answer_has_to_begin_a_session() {
    let named = Setup::lockout(LIMITS).login(&["session_cookie: session"]);
    let again = |cookie: &str| ask("username=u1&password=again").with("Cookie", cookie);
    // the application answers success, without looking, to whoever is logged in
    assert_eq!(left_after(&named, &again("session=0")), KEPT);
    assert_eq!(left_after(&named, &again("session=7")), CLEARED);
    assert_eq!(left_after(&named, &ask("username=u1&password=good")), CLEARED);
    assert_eq!(left_after(&Setup::lockout(LIMITS), &again("session=0")), CLEARED);
}

#[test]
fn all_asks_for_no_proof() {
    let setup = Setup::lockout(&format!("{LIMITS}, reset_on_success: all"))
        .login(&["session_cookie: session"]);
    let form = "username=U1&username=u2&password=again&password=other";
    let left = left_after(&setup, &ask(form).with("Cookie", "session=0"));
    assert_eq!(left, Vec::<String>::new());
}
