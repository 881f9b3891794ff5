//! References as they are read aloud, and the people who were told one.

use serde_json::Value;

use super::program::{Said, run};
use crate::support::guard::ADMIN;
use crate::support::{Ask, Guard, Upstream};

const LIMITS: &str = "
lockout:
  limits:
    - { by: [username, ip_address], failures: 5, cool_off: 10m }
    - { by: [ip_address], failures: 8, cool_off: 1h }
trusted_proxies: [\"127.0.0.0/8\"]
";
const OFFICE: &str = "203.0.113.7";

fn guard(upstream: &Upstream) -> Guard {
    Guard::start(&format!("{ADMIN}{LIMITS}"), upstream)
}

/// A login's status, and the reference where it was refused.
fn log_in(guard: &Guard, user: &str, ip: &str, password: &str) -> (u16, String) {
    let answer = guard.ask(&Ask::login(user, password).with("X-Forwarded-For", ip));
    (answer.status, answer.get("x-loginward-ref").unwrap_or_default().to_owned())
}

fn fail(guard: &Guard, user: &str, ip: &str, times: usize) {
    (0..times).for_each(|_| _ = log_in(guard, user, ip, "wrong"));
}

/// An office in which the boss has failed, then others, and all are locked out.
fn office(guard: &Guard) {
    fail(guard, "boss", OFFICE, 5);
    ["ann", "bob", "cy"].iter().for_each(|user| fail(guard, user, OFFICE, 1));
}

fn of(guard: &Guard, words: &[&str]) -> Said {
    run(&[words, &["--admin", &guard.admin()]].concat())
}

#[test]
fn a_shared_reference_unlocks_whoever_was_told_it_and_says_who_that_was() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    office(&guard);
    fail(&guard, "boss", "203.0.113.99", 5);
    let (_, reference) = log_in(&guard, "boss", OFFICE, "right");
    assert_eq!(log_in(&guard, "zed", OFFICE, "right").1, reference, "it is the address's");
    let said = of(&guard, &["list", "--ref", &reference]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let whose = format!("it is of   the counter of ip_address {OFFICE}: everybody whom that");
    assert!(said.out.contains(&whose), "{}", said.out);
    let (_, told) = said.out.split_once("The latest who were told it:\n").unwrap();
    for user in ["zed", "boss"] {
        let row = format!("{OFFICE}  {user}\n");
        assert!(told.contains(&row), "{}", said.out);
    }
    let said = of(&guard, &["reset", "--ref", &reference]);
    assert!(said.out.starts_with("reset: 2 counters\n\nStill locked, 1 in all:\n"), "{}", said.out);
    assert!(said.out.contains("shop  boss, 203.0.113.99  "), "{}", said.out);
    assert_eq!(log_in(&guard, "boss", OFFICE, "right").0, 302);
    assert_eq!(log_in(&guard, "zed", OFFICE, "right").0, 302);
}

#[test]
fn a_reference_whose_counter_is_gone_says_what_locks_its_people_still() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    fail(&guard, "boss", OFFICE, 5);
    let (_, reference) = log_in(&guard, "boss", OFFICE, "right");
    ["ann", "bob", "cy"].iter().for_each(|user| fail(&guard, user, OFFICE, 1));
    assert_eq!(of(&guard, &["reset", "boss"]).status, 0);
    let said = of(&guard, &["reset", "--ref", &reference]);
    assert_eq!((said.status, said.err.as_str()), (1, "nothing was found\n"));
    assert!(said.out.contains("Still locked, 1 in all:\n"), "{}", said.out);
    assert!(said.out.contains(" 8/8       shop  203.0.113.7  ip_address "), "{}", said.out);
    assert_eq!(of(&guard, &["lock", OFFICE]).status, 0);
    let said = of(&guard, &["reset", "--ref", &reference]);
    assert!(said.out.contains("\nStill locked by hand:\n"), "{}", said.out);
}

/// How somebody may write down what he heard.
fn misheard(reference: &str) -> String {
    let other = |letter| match letter {
        'S' => '5',
        '5' => 'S',
        'B' => '8',
        '8' => 'B',
        '2' => 'z',
        'Z' => '2',
        '0' => 'o',
        '1' => 'l',
        other => other.to_ascii_lowercase(),
    };
    let letters: String = reference.chars().map(other).collect();
    let (first, last) = letters.split_at(4);
    format!("{first}-{last}")
}

#[test]
fn a_reference_is_found_as_it_was_heard_and_as_a_bare_word() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    // until there is one with letters in it that are mistaken for others
    let (user, reference) = (0..)
        .map(|number| {
            let user = format!("user{number}");
            let ip = format!("198.51.100.{number}");
            fail(&guard, &user, &ip, 5);
            let (_, reference) = log_in(&guard, &user, &ip, "right");
            (user, reference)
        })
        .find(|(_, reference)| reference.contains(['S', '5', 'B', '8', 'Z', '2']))
        .unwrap();
    let heard = misheard(&reference);
    for words in [&["list", "--ref", &heard][..], &["list", &heard], &["list", &reference]] {
        let said = of(&guard, words);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{words:?}");
        assert!(said.out.contains(&format!("reference  {reference}\n")), "{}", said.out);
        assert!(said.out.contains(&format!("username   {user}\n")), "{}", said.out);
    }
    let said = of(&guard, &["list", &heard, "--json"]);
    let list: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(list["reference"]["ref"], reference);
    let spaced = heard.replace('-', "  ");
    assert_eq!(of(&guard, &["unlock", &spaced]).out, "reset: 1 counter\n");
    assert_eq!(of(&guard, &["list", "katharin"]).err, "nothing was found\n");
}

#[test]
fn a_counter_that_refused_nobody_is_not_said_to_have() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    fail(&guard, "ada", OFFICE, 2);
    let list: Value = serde_json::from_str(&of(&guard, &["list", "ada", "--json"]).out).unwrap();
    let reference = list["counters"][0]["ref"].as_str().unwrap();
    let said = of(&guard, &["list", "--ref", reference]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let state = "state      it is not locked, and nobody is remembered whom it refused\n";
    assert!(said.out.contains(state), "{}", said.out);
    assert!(said.out.contains("\nThe counter:\n"), "{}", said.out);
    for wrong in ["because", "Refused by", "locks no more"] {
        assert!(!said.out.contains(wrong), "{}", said.out);
    }
    assert!(said.out.ends_with("takes its failures back\n"), "{}", said.out);
}
