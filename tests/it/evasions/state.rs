//! What an attacker might do to the counters.

use crate::support::{Ask, Client, Guard, Upstream};

const LIMITS: &str = r#"
lockout:
  limits:
    - { by: [username, ip_address], failures: 4, cool_off: 10m }
    - { by: ip_address, failures: 6, cool_off: 10m }
    - { by: username, failures: 8, cool_off: 10m }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: username }
        password: { form: password }
        outcome: { success: { status: 302 } }
"#;

fn guess(guard: &Guard, from: &str, user: &str, password: &str) -> u16 {
    let form = format!("username={user}&password={password}");
    Client::from(from, guard).ask(&Ask::form("/login", &form)).status
}

#[test]
fn own_logins_between_guesses_win_nothing() {
    let upstream = Upstream::shop();
    let guard = Guard::start(LIMITS, &upstream);
    let mut through = 0;
    for round in 0..20 {
        if guess(&guard, "127.0.0.2", "victim", &format!("x{round}")) == 200 {
            through += 1;
        }
        guess(&guard, "127.0.0.2", "mallory", "right");
    }
    assert_eq!(through, 3, "the fourth is answered by the guard");
    let upstream = Upstream::shop();
    let guard = Guard::start(LIMITS, &upstream);
    let spray = (0..20).map(|user| {
        guess(&guard, "127.0.0.2", "mallory", "right");
        guess(&guard, "127.0.0.2", &format!("user{user}"), "x")
    });
    assert_eq!(spray.filter(|status| *status == 200).count(), 5, "nor for many accounts");
}

#[test]
fn the_victims_own_login_does_not_clear_the_attackers_failures() {
    let upstream = Upstream::shop();
    let guard = Guard::start(LIMITS, &upstream);
    let mut through = 0;
    for round in 0..20 {
        if guess(&guard, "127.0.0.2", "victim", &format!("x{round}")) == 200 {
            through += 1;
        }
        assert_eq!(guess(&guard, "127.0.0.3", "victim", "right"), 302, "round {round}");
    }
    assert_eq!(through, 3);
}

#[test]
fn nobody_shares_the_account_without_a_name() {
    let upstream = Upstream::shop();
    let guard = Guard::start(LIMITS, &upstream);
    for name in ["", "%20", "%00", "%E2%80%8B", "%0d%0a"] {
        for _ in 0..10 {
            guess(&guard, "127.0.0.2", name, "x");
        }
    }
    assert_eq!(guess(&guard, "127.0.0.2", "", "x"), 403, "the address is locked");
    assert_eq!(guess(&guard, "127.0.0.3", "", "x"), 200);
    assert_eq!(guess(&guard, "127.0.0.3", "alice", "right"), 302);
}

#[test]
fn a_lockout_tells_nothing_about_passwords_or_accounts() {
    let upstream = Upstream::shop();
    let guard = Guard::start(LIMITS, &upstream);
    for _ in 0..6 {
        guess(&guard, "127.0.0.2", "alice", "x");
        guess(&guard, "127.0.0.2", "nobody", "x");
    }
    let page = |user: &str, password: &str| {
        let form = format!("username={user}&password={password}");
        let answer = Client::from("127.0.0.2", &guard).ask(&Ask::form("/login", &form));
        let reference = answer.get("x-loginward-ref").unwrap_or_default().to_owned();
        (answer.status, answer.text().replace(&reference, "REF"))
    };
    let wrong = page("alice", "x");
    assert_eq!(wrong.0, 403);
    assert_eq!(page("alice", "right"), wrong);
    assert_eq!(page("nobody", "x"), wrong);
    assert_eq!(page("somebody-else", "right"), wrong);
}

#[test]
fn an_account_is_counted_over_all_addresses_and_an_address_over_all_accounts() {
    let upstream = Upstream::shop();
    let guard = Guard::start(LIMITS, &upstream);
    let botnet = (2..40).map(|n| guess(&guard, &format!("127.0.0.{n}"), "victim", "x"));
    assert_eq!(botnet.filter(|status| *status == 200).count(), 7);
    let spray = (0..40).map(|n| guess(&guard, "127.0.1.1", &format!("user{n}"), "x"));
    assert_eq!(spray.filter(|status| *status == 200).count(), 5);
}
