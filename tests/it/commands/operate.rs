//! `loginward list`, `reset` and `lock`, as an operator types them.

use serde_json::Value;

use super::program::{Said, run};
use crate::support::guard::ADMIN;
use crate::support::{Ask, Guard, Upstream};

const LIMITS: &str = "
lockout:
  limits:
    - { by: [username, ip_address], failures: 3, cool_off: 10m }
    - { by: [ip_address], failures: 5, cool_off: 1h }
trusted_proxies: [\"127.0.0.0/8\"]
";

fn guard(upstream: &Upstream) -> Guard {
    Guard::start(&format!("{ADMIN}{LIMITS}"), upstream)
}

fn guess(guard: &Guard, user: &str, ip: &str, times: usize) {
    for _ in 0..times {
        guard.ask(&Ask::login(user, "wrong").with("X-Forwarded-For", ip));
    }
}

/// What a command says of `guard`.
fn of(guard: &Guard, words: &[&str]) -> Said {
    run(&[words, &["--admin", &guard.admin()]].concat())
}

#[test]
fn a_list_is_a_table_for_people_and_json_for_programs() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    guess(&guard, "ada", "203.0.113.7", 3);
    guess(&guard, "bob%1B%5B2J%0A%E2%80%AE", "203.0.113.8", 1);
    let said = of(&guard, &["list"]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 5, "{}", said.out);
    assert!(lines[0].starts_with("LOCKED FOR  FAILURES  SITE  WHO "), "{}", said.out);
    assert!(lines[1].contains("  3/3       shop  ada, 203.0.113.7 "), "{}", said.out);
    assert!(["10m 0s ", "9m 59s "].iter().any(|left| lines[1].starts_with(left)), "{}", lines[1]);
    assert!(said.out.contains("-           1/3       shop  bob\\u001b[2J\\n\\u202e, 203.0.113.8"));
    assert!(!said.out.contains(['\u{1b}', '\u{202e}']));
    let said = of(&guard, &["list", "--json", "ADA"]);
    let list: Value = serde_json::from_str(&said.out).unwrap();
    let row = &list["counters"][0];
    for (name, value) in [
        ("site", "\"shop\""),
        ("limit", "\"username+ip_address\""),
        ("parameters", "{\"ip_address\":\"203.0.113.7\",\"username\":\"ada\"}"),
        ("failures", "3"),
        ("of", "3"),
        ("locked", "true"),
    ] {
        assert_eq!(row[name].to_string(), value);
    }
    assert!(row["id"].is_string() && row["remaining_s"].is_u64(), "{row}");
    let rows = |words: &[&str]| of(&guard, &[&["list"], words].concat()).out.lines().count();
    assert_eq!(rows(&["--locked"]), 2);
    assert_eq!(rows(&["203.0.113.0/24"]), 5);
    assert_eq!(rows(&["--ip", "203.0.113.8", "--username", "ada"]), 0);
    assert_eq!(rows(&["--search", "113.8", "--sort", "failures"]), 3);
    assert_eq!(rows(&["--site", "shop", "--limit", "1"]), 2);
    assert!(of(&guard, &["list", "--limit", "1"]).err.contains("3 more: --all lists them"));
    assert_eq!(rows(&["--all"]), 5);
    let none = of(&guard, &["list", "nobody"]);
    assert_eq!((none.status, none.err.as_str()), (1, "nothing was found\n"));
    let none = of(&guard, &["list", "nobody", "--json"]);
    assert_eq!((none.status, none.out.contains("\"counters\":[]")), (1, true));
}

#[test]
fn a_reset_says_how_many_and_what_still_locks() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    guess(&guard, "ada", "203.0.113.7", 3);
    guess(&guard, "eve", "203.0.113.7", 2);
    let reference = guard.wait_for_event("locked_out").get("ref").to_owned();
    let said = of(&guard, &["reset", "ada"]);
    assert_eq!(said.status, 0);
    assert!(said.out.starts_with("reset: 1 counter\n\nStill locked, 1 in all:\n"), "{}", said.out);
    assert!(said.out.contains(" 5/5       shop  203.0.113.7  ip_address "), "{}", said.out);
    let said = of(&guard, &["unlock", "203.0.113.7", "--json"]);
    let removed: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.status, &removed["removed"]), (0, &2.into()));
    let said = of(&guard, &["reset", "--ref", &reference]);
    assert_eq!((said.status, said.err.as_str()), (1, "nothing was found\n"));
    let answer = guard.ask(&Ask::login("ada", "right").with("X-Forwarded-For", "203.0.113.7"));
    assert_eq!(answer.status, 302);
    guess(&guard, "ada", "203.0.113.7", 1);
    assert_eq!(of(&guard, &["reset", "--all", "--without-verdict"]).status, 1);
    assert_eq!(of(&guard, &["reset", "--all"]).out, "reset: 2 counters\n");
}

#[test]
fn a_lock_is_listed_with_its_reason_until_it_is_lifted() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let said = of(&guard, &["lock", "203.0.113.0/24", "--for", "1h", "--reason", "stuffing"]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    assert!(said.out.contains("  network 203.0.113.0/24  stuffing\n"), "{}", said.out);
    let refused = guard.ask(&Ask::login("ada", "right").with("X-Forwarded-For", "203.0.113.9"));
    assert_eq!(refused.verdict(), (403, "locked"));
    assert_eq!(of(&guard, &["lock", "--username", "Eve", "--site", "shop"]).status, 0);
    for (text, whom) in [("113.0", "network 203.0.113.0/24"), ("STUFF", "stuffing"), ("ev", "Eve")]
    {
        let said = of(&guard, &["list", "--search", text]);
        assert_eq!((said.status, said.out.lines().count()), (0, 3), "{text}: {}", said.out);
        assert!(said.out.contains(whom), "{text}: {}", said.out);
    }
    assert_eq!(of(&guard, &["list", "--search", "mallory"]).err, "nothing was found\n");
    let said = of(&guard, &["list"]);
    assert_eq!(said.status, 0);
    assert!(said.out.contains("Locked by hand:\nLOCKED FOR  WHOM "), "{}", said.out);
    assert!(said.out.contains("ever        site shop, Eve"), "{}", said.out);
    assert_eq!(of(&guard, &["reset", "eve"]).out, "reset: 0 counters, 1 lock by hand\n");
    let said = of(&guard, &["reset", "203.0.113.9"]);
    assert_eq!(said.status, 1);
    assert!(said.out.contains("Still locked by hand:\n"), "{}", said.out);
    assert_eq!(of(&guard, &["reset", "203.0.113.0/24"]).status, 0);
    assert_eq!(of(&guard, &["list"]).status, 1);
}

#[test]
fn a_lock_by_hand_is_lifted_alone_where_that_is_said() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    guess(&guard, "ada", "203.0.113.7", 3);
    for whom in ["ada", "203.0.113.0/24"] {
        assert_eq!(of(&guard, &["lock", whom, "--site", "shop"]).status, 0);
    }
    let said = of(&guard, &["unlock", "--site", "shop", "--by-hand"]);
    assert!(
        said.out.starts_with("reset: 2 locks by hand\n\nStill locked, 1 in all:"),
        "{}",
        said.out
    );
    let event = guard.wait_for_event("counters_reset");
    assert!(event.get("reason").contains("only what was locked by hand: 0 counters, 2 locks"));
    assert_eq!(of(&guard, &["unlock", "--site", "shop", "--by-hand"]).status, 1);
    assert_eq!(of(&guard, &["unlock", "--site", "shop"]).out, "reset: 2 counters\n");
    assert_eq!(of(&guard, &["unlock", "--all", "--by-hand", "--without-verdict"]).status, 2);
}

#[test]
fn a_lock_of_everybody_or_of_the_proxy_is_done_and_warned_of() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    for (whom, warning) in [
        ("127.0.0.1", "warning: 127.0.0.1 is, or has in it, a trusted proxy's own address"),
        ("0.0.0.0/0", "warning: this refuses everybody who comes over IPv4"),
        ("192.168.0.0/16", "warning: 192.168.0.0/16 is private"),
        ("203.0.113.7", ""),
    ] {
        let said = of(&guard, &["lock", whom, "--for", "1h"]);
        assert_eq!(said.status, 0, "{whom}");
        assert!(said.out.starts_with("locked:\n"), "{}", said.out);
        assert_eq!(said.err.is_empty(), warning.is_empty(), "{}", said.err);
        assert!(said.err.starts_with(warning), "{}", said.err);
    }
    let said = of(&guard, &["lock", "--site", "shop", "--json"]);
    let lock: Value = serde_json::from_str(&said.out).unwrap();
    assert!(lock["warnings"][0].as_str().unwrap().contains("nobody can log in there"), "{lock}");
}

#[test]
fn everything_about_somebody_is_shown_at_once() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    guess(&guard, "Ada", "203.0.113.7", 4);
    guess(&guard, "eve", "203.0.113.7", 2);
    guess(&guard, "eve", "198.51.100.1", 1);
    assert_eq!(of(&guard, &["lock", "ada", "--reason", "gone"]).status, 0);
    guard.wait_for_event("locked_by_hand");
    let said = of(&guard, &["show", "ada"]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    for part in [
        "Counters:\nLOCKED FOR ",
        "  3/3       shop  Ada, 203.0.113.7  ",
        "\n\nLocked by hand:\n",
        "gone\n",
        "\n\nRefused lately:\nREF ",
        "  203.0.113.7  Ada       locked out\n",
        "\n\nThe latest events:\n",
        " locked_out client=203.0.113.7 ",
    ] {
        assert!(said.out.contains(part), "{part} in {}", said.out);
    }
    assert!(!said.out.contains("username=eve") && !said.out.contains("  eve"), "{}", said.out);
    let said = of(&guard, &["show", "203.0.113.7", "--json"]);
    let shown: Value = serde_json::from_str(&said.out).unwrap();
    for (list, least) in [("counters", 3), ("refusals", 2), ("events", 6)] {
        assert!(shown[list].as_array().unwrap().len() >= least, "{list} in {shown:#}");
    }
    assert!(!said.out.contains("198.51.100.1"), "{shown:#}");
    let said = of(&guard, &["show", "nobody"]);
    assert_eq!((said.status, said.err.as_str()), (1, "nothing was found\n"));
    assert_eq!(of(&guard, &["show"]).status, 2);
}

#[test]
fn what_is_wrong_with_a_command_line_is_said() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    for (words, said) in [
        (
            &["reset"][..],
            "not said whom to unlock: name an address, a network, a username or a reference,",
        ),
        (
            &["lock"],
            "not said whom to lock: name an address, a network, a username or a reference,",
        ),
        (&["reset"], "or say --site, --counter or --all"),
        (&["lock"], "or say --site, --counter or --all"),
        (&["show"], "or say --site or --counter"),
        (&["lock", "::1", "--for", "1"], "it needs a unit"),
        (&["lock", "::1", "--for", "10ms"], "a second or more"),
        (&["lock", "--site", "other"], "there is no site \"other\""),
        (&["list", "--sort", "name"], "possible values"),
        (&["list", "--ref", "x"], "8 letters or digits"),
        (&["list", "--ip", "bob"], "is no address and no network"),
        (&["list", "203.0.113.300"], "is no address and no network"),
        (&["lock", "203.0.113.0/33"], "is no address and no network"),
        (&["reset", "--all", "bob"], "all, or what is named"),
    ] {
        let answer = of(&guard, words);
        assert_eq!(answer.status, 2, "{words:?}: {}", answer.err);
        assert!(answer.err.contains(said), "{words:?}: {}", answer.err);
    }
    for command in ["list", "reset", "lock"] {
        let said = run(&[command, "bob", "--admin", "unix:/nowhere/admin.sock"]);
        assert_eq!(said.status, 3, "{command}");
        assert!(said.err.starts_with("not reachable: unix:/nowhere/admin.sock: no guard"));
    }
}
