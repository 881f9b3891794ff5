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

/// Somebody who is locked out, and his reference.
fn locked_out(guard: &Guard) -> String {
    fail(guard, "ada", OFFICE, 5);
    log_in(guard, "ada", OFFICE, "right").1
}

#[test]
fn a_bare_word_that_is_a_reference_locks_and_unlocks_what_refused_it() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let reference = locked_out(&guard);
    assert_eq!(of(&guard, &["reset", &reference]).out, "reset: 1 counter\n");
    assert_eq!(log_in(&guard, "ada", OFFICE, "right").0, 302);
    fail(&guard, "ada", OFFICE, 1);
    let said = of(&guard, &["lock", &reference.to_lowercase(), "--reason", "called"]);
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.out.contains(&format!("  what refused {reference}  called\n")), "{}", said.out);
    let note = "is a reference, and means what refused that; a username that is spelled so is \
                --username ";
    assert!(said.err.contains(note), "{}", said.err);
    assert_eq!(log_in(&guard, "ada", OFFICE, "right").0, 403);
    assert_eq!(log_in(&guard, &reference, OFFICE, "right").0, 302, "nobody of that name is locked");
    let said = of(&guard, &["reset", &reference]);
    assert_eq!((said.status, said.out.as_str()), (0, "reset: 1 counter, 1 lock by hand\n"));
    assert!(said.err.contains(note), "{}", said.err);
    assert_eq!(log_in(&guard, "ada", OFFICE, "right").0, 302);
}

#[test]
fn a_lock_of_a_reference_is_taken_away_by_it_before_it_has_refused_anybody() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    fail(&guard, "ada", OFFICE, 1);
    let list: Value = serde_json::from_str(&of(&guard, &["list", "ada", "--json"]).out).unwrap();
    let reference = list["counters"][0]["ref"].as_str().unwrap();
    assert_eq!(of(&guard, &["lock", "--ref", reference]).status, 0);
    let said = of(&guard, &["list", "--ref", reference]);
    assert!(said.out.contains("\nLocked by hand:\n"), "{}", said.out);
    assert!(said.out.ends_with("unlocks it\n"), "{}", said.out);
    let said = of(&guard, &["reset", "--ref", reference]);
    assert_eq!(said.out, "reset: 1 counter, 1 lock by hand\n");
    assert_eq!(log_in(&guard, "ada", OFFICE, "right").0, 302);
}

#[test]
fn a_username_that_is_spelled_like_a_reference_is_locked_as_a_username() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let reference = locked_out(&guard);
    let elsewhere = "198.51.100.1";
    let said = of(&guard, &["lock", "--username", &reference]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    assert_eq!(log_in(&guard, &reference, elsewhere, "right").0, 403);
    let said = of(&guard, &["list", &reference]);
    assert!(said.out.contains(&format!("reference  {reference}\n")), "{}", said.out);
    assert!(said.out.contains("\nLocked by hand:\n"), "both are listed: {}", said.out);
    let said = of(&guard, &["reset", &reference]);
    assert_eq!((said.status, said.out.as_str()), (0, "reset: 1 counter\n"));
    assert!(said.err.contains(&format!("--username {reference}\n")), "{}", said.err);
    assert_eq!(log_in(&guard, "ada", OFFICE, "right").0, 302);
    assert_eq!(log_in(&guard, &reference, elsewhere, "right").0, 403, "his lock stays");
    let said = of(&guard, &["reset", "--username", &reference]);
    assert_eq!(said.out, "reset: 0 counters, 1 lock by hand\n");
    // what the guard does not know as a reference is a username
    let said = of(&guard, &["lock", "katharin"]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    assert_eq!(log_in(&guard, "Katharin", elsewhere, "right").0, 403);
}

#[test]
fn a_reference_goes_with_no_address_beside_it() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let reference = locked_out(&guard);
    for command in ["lock", "reset", "show"] {
        let said = of(&guard, &[command, &reference, "--ip", OFFICE]);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{command}");
        let wrong = format!("{reference} is a reference, which goes without --ip");
        assert!(said.err.contains(&wrong), "{command}: {}", said.err);
        let said = of(&guard, &[command, "--ref", &reference, "--ip", OFFICE]);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{command}");
    }
    assert_eq!(log_in(&guard, "ada", OFFICE, "right").0, 403);
}

#[test]
fn what_is_known_of_a_reference_is_shown() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let reference = locked_out(&guard);
    fail(&guard, "eve", "198.51.100.1", 1);
    guard.wait_for_event("locked_out");
    let heard = misheard(&reference);
    for words in [&["show", "--ref", &heard][..], &["show", &heard]] {
        let said = of(&guard, words);
        assert_eq!(said.status, 0, "{words:?}: {}", said.err);
        for part in [
            &format!("reference  {reference}\n"),
            "username   ada\n",
            "\nRefused by these counters:\n",
            "\n\nRefused lately:\nREF ",
            "\n\nThe latest events:\n",
            &format!(" ref={reference} "),
        ] {
            assert!(said.out.contains(part), "{part} in {}", said.out);
        }
        assert!(!said.out.contains("username=eve"), "{}", said.out);
        let said = of(&guard, &[words, &["--json"]].concat());
        let shown: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(shown["reference"]["ref"], *reference);
        assert_eq!(shown["counters"][0]["ref"], *reference);
    }
    assert_eq!(of(&guard, &["show", "--ref", "x"]).status, 2);
    let none = of(&guard, &["show", "--ref", "00000000"]);
    assert_eq!((none.status, none.err.as_str()), (1, "nothing was found\n"));
    assert_eq!(of(&guard, &["show", "ada", "--json"]).out.matches("\"reference\":null").count(), 1);
}

#[test]
fn a_word_that_may_be_an_old_reference_is_said_to_be_locked_as_a_username() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let said = of(&guard, &["lock", "4dz1-6vfe"]);
    let note = "note: 4dz1-6vfe is locked as a username: no such reference is known\n";
    assert_eq!((said.status, said.err.as_str()), (0, note));
    assert_eq!(log_in(&guard, "4DZ1-6VFE", OFFICE, "right").0, 403);
}
