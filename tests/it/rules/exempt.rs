//! Who is never locked, and who may not come at all.

use super::check;
use crate::driven::play::play;
use crate::driven::{Driven, Setup};
use crate::support::Ask;

const LIMIT: &str = "limits: { by: ip_address, failures: 3, cool_off: 1h }";

#[test]
fn never_lock_neither_refuses_nor_counts_and_reports_failures() {
    let driven = check(
        &format!("{LIMIT}, never_lock: {{ networks: [10.1.1.1, \"2001:db8::/32\"] }}"),
        "F(u1,A)×9→fail; F(u1,2001:db8::1)×9→fail; S(u1,A)→ok; [—]; F(u1,B)×2→fail; F(u1,B)→LOCK",
    );
    assert_eq!(driven.events("never_locked_failed").len(), 18);
}

#[test]
fn never_lock_compares_usernames_as_they_are_written() {
    check(
        &format!("{LIMIT}, never_lock: {{ usernames: [boss] }}"),
        "F(boss,A)×9→fail; [—]; F(Boss,A)×2→fail; F(\" boss\",A)→LOCK; S(Boss,A)→DENY; S(boss,A)→ok",
    );
}

#[test]
fn never_lock_compares_long_usernames_to_their_end() {
    let (exactly, longer) = ("x".repeat(128), "y".repeat(200));
    check(
        &format!("{LIMIT}, never_lock: {{ usernames: [{exactly}, {longer}] }}"),
        &format!(
            "F({exactly},A)×3→fail; F({longer},A)×3→fail; [—]; F({exactly}z,A)→fail; [ip=A→1]"
        ),
    );
}

#[test]
fn never_lock_is_for_attempts_whose_every_candidate_is_listed() {
    let setup = Setup::lockout(&format!("{LIMIT}, never_lock: {{ usernames: [boss, chief] }}"));
    let driven = Driven::start(&setup);
    let ask = |form: &str| Ask::form("/login", form).with("X-Forwarded-For", "10.1.1.1");
    driven.ask(&ask("username=boss&username=chief&password=wrong"));
    assert_eq!(driven.counters(), Vec::<String>::new());
    driven.ask(&ask("username=boss&username=u1&password=wrong"));
    assert_eq!(driven.counters(), ["ip=10.1.1.1→1"]);
    // nobody is not everybody who is listed
    driven.ask(&ask("password=wrong"));
    assert_eq!(driven.counters(), ["ip=10.1.1.1→2"]);
}

#[test]
fn access_comes_first_then_never_lock_then_the_counters() {
    let text = "access: { deny: 10.1.1.1 }
lockout:
  limits: { by: ip_address, failures: 3, cool_off: 1h }
  never_lock: { networks: [10.1.1.1, 10.2.2.2] }
";
    play(
        "in order",
        &Setup::new(text),
        "S(u1,A)→DENIED; F(u1,B)×5→fail; F(u1,C)×2→fail; F(u1,C)→LOCK; [ip=C→3]",
    );
}

#[test]
fn who_is_denied_is_not_counted_in_monitor_mode_neither() {
    let text = "access: { deny: 10.1.1.1 }
lockout: { mode: monitor, limits: { by: ip_address, failures: 3, cool_off: 1h } }
";
    play("monitor", &Setup::new(text), "S(u1,A)×5→DENIED; [—]; F(u1,B)×5→fail");
}

#[test]
fn access_covers_logins_or_everything() {
    let text =
        |covers: &str| Setup::new(&format!("access: {{ deny: 10.1.0.0/16, covers: {covers} }}\n"));
    play("logins", &text("logins"), "page(A)→200; S(u1,A)→DENIED; S(u1,B)→ok");
    play(
        "everything",
        &text("everything"),
        "page(A)→!403; S(u1,A)→DENIED; page(B)→200; S(u1,B)→ok",
    );
}

#[test]
fn only_allow_admits_and_does_not_exempt() {
    let text = "access: { only_allow: 10.1.0.0/16 }\nlockout: { limits: { by: ip_address, failures: 2, cool_off: 1h } }\n";
    play(
        "only",
        &Setup::new(text),
        "F(u1,B)×5→DENIED; F(u1,A)→fail; F(u1,A)→LOCK; S(u1,A)→DENY; [ip=A→2]",
    );
}

#[test]
fn file_site_and_login_may_each_have_lists() {
    let text = "access: { deny: 10.1.1.1 }
sites:
  - name: {SITE}
    upstream: \"{UPSTREAM}\"
    access: { deny: 10.2.2.2 }
    logins:
      - path: /login
        username: { form: username }
        password: { form: password }
        access: { deny: 10.2.2.3 }
        outcome: { success: { status: 302, set_cookie: session } }
";
    play("lists", &Setup::new(text), "S(u1,A)→DENIED; S(u1,B)→DENIED; S(u1,C)→DENIED; S(u1,D)→ok");
}
