//! What events show of people: everything that leaves the guard is looked through.

use std::collections::BTreeSet;

use super::{members, objects};
use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Request, Setup, Upstream};

/// Names and addresses of people, in words that nothing else has.
const NAMES: [&str; 4] = ["zaphod", "trillian", "marvin", "slartibart"];
const ADDRESSES: [&str; 3] = ["203.0.113.77", "198.51.100.88", "2001:db8:1:2::99"];

const SITES: &str = r#"
sites:
  - name: shop
    hosts: shop.test
    upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: [{ form: user }, { basic: true }]
        password: { form: password }
        outcome: { success: { status: 302 } }
      - path: "/u/{name}/login"
        username: { path: name }
        outcome: { success: { status: 302 } }
  - name: watched
    hosts: watched.test
    upstream: "{UPSTREAM}"
    lockout: { mode: monitor }
    logins:
      - path: /login
        username: { form: user }
        password: { form: password }
        outcome: { success: { status: 302 } }
lockout: { limits: [{ by: username, failures: 2, cool_off: 10m }, { by: ip_address, failures: 50, cool_off: 10m }] }
trusted_proxies: ["127.0.0.1"]
audit: { to: file, file: audit.log }
webhooks: { url: "{HOOK}/", secret: "0123456789abcdef", events: all }
"#;

/// Where the answer led that no rule matched: a place with a name in it, behind a comma.
#[test]
fn what_a_rule_does_not_match_names_nobody() {
    for place in ["/team, zaphod/home", "/a, sets cookie zaphod, fields zaphod/x", "/zaphod,zaphod"]
    {
        let upstream = Upstream::answering(move |_| {
            format!("HTTP/1.1 303 Other\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n")
        });
        let limits = "lockout: { limits: [{ by: username, failures: 1000, cool_off: 10m }] }";
        let guard = Guard::start(&format!("{limits}\nprivacy: {{ usernames: hashed }}"), &upstream);
        for _ in 0..25 {
            guard.client().log_in("zaphod", "wrong");
        }
        let suspect = guard.wait_for_event("rule_suspect");
        assert!(suspect.get("reason").contains("location /#"), "{suspect:?}");
        check_absent(&guard.log());
    }
}

/// Everything that a guard writes about people of whom it hears in every way.
fn story(privacy: &str, format: &str) -> (Guard, String) {
    let upstream = Upstream::answering(|request| {
        let place = request.target.trim_end_matches("/login");
        format!("HTTP/1.1 303 See Other\r\nLocation: {place}/zaphod\r\nContent-Length: 0\r\n\r\n")
    });
    let log = format!("log: {{ format: {format}, level: debug, access: true }}\n");
    let text = format!("{ADMIN}{SITES}{log}privacy: {privacy}\n");
    let hook = Upstream::answering(|_| ok(""));
    let setup = Setup::new(&text).upstream(&upstream).replace("{HOOK}", hook.url());
    let mut guard = setup.start();
    let from = |ask: Ask, address: &str| guard.ask(&ask.with("X-Forwarded-For", address));
    for address in ADDRESSES {
        for name in NAMES {
            from(Ask::login(name, "wrong"), address);
            from(Ask::login(&name.to_uppercase(), "wrong"), address);
            from(Ask::form(&format!("/u/{name}/login"), ""), address);
            from(Ask::get(&format!("/u/{name}/login")), address);
            from(Ask::form("/login", &format!("user={name}&user={name}2&password=x")), address);
            for ask in [
                format!("GET / HTTP/1.1\r\nHost: {name}.example\r\n"),
                format!("GET / HTTP/1.1\r\nHost: {address}:8080\r\n"),
                "POST /login HTTP/1.1\r\nHost: watched.test\r\nContent-Length: 0\r\n".to_owned(),
            ] {
                let ask = format!("{ask}X-Forwarded-For: {address}\r\n\r\n");
                guard.client().send(ask).answer();
            }
        }
    }
    for at in 0..20 {
        from(Ask::login(&format!("zaphod-{at}"), "wrong"), ADDRESSES[0]);
    }
    guard.wait_for_event("rule_suspect");
    guard.wait_for_event("locked_out");
    by_hand(&guard);
    guard
        .client()
        .send("GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 203.0.113.77\r\n\r\n");
    let said = run(&["events", "--admin", &guard.admin()]);
    let json = run(&["events", "--json", "--admin", &guard.admin()]);
    guard.terminate();
    guard.wait_for_exit();
    let audit = std::fs::read_to_string(guard.dir().join("audit.log")).unwrap();
    let posted = hook.requests().iter().map(Request::text).collect::<Vec<_>>().join("\n");
    assert!(posted.contains("locked_out"));
    let all = [guard.log(), said.out, json.out, audit, posted].join("\n");
    (guard, all)
}

/// Locks by hand with reasons that name people in whichever way, and attempts that meet them.
fn by_hand(guard: &Guard) {
    let admin = guard.admin();
    for (whom, reason) in [
        ("slartibart", "slartibart's laptop; from:203.0.113.77, 203.0.113.77/32 (198.51.100.88)"),
        ("198.51.100.88", "ip:198.51.100.88 dead:198.51.100.88 marvin@2001:db8:1:2::99"),
    ] {
        let locked = run(&["lock", whom, "--reason", reason, "--admin", &admin]);
        assert_eq!(locked.status, 0, "{}", locked.err);
    }
    for name in ["SlartiBart", "ford"] {
        let ask = Ask::login(name, "wrong").with("X-Forwarded-For", ADDRESSES[1]);
        assert_eq!(guard.ask(&ask).status, 403);
    }
    let ask = Ask::login("slartibarT", "wrong").with("X-Forwarded-For", ADDRESSES[2]);
    assert_eq!(guard.ask(&ask).status, 403);
    guard.wait_for("a refusal by hand", |event| {
        event.is("refused") && event.get("reason").starts_with("locked by hand")
    });
    for whom in ["slartibart", "198.51.100.88"] {
        assert_eq!(run(&["unlock", whom, "--admin", &admin]).status, 0);
    }
}

#[track_caller]
fn check_absent(all: &str) {
    for line in all.lines() {
        let folded = line.to_lowercase();
        for clear in NAMES.iter().chain(&ADDRESSES) {
            assert!(!folded.contains(clear), "{clear} in {line}");
        }
    }
}

#[test]
fn as_a_rule_people_are_named() {
    let (_guard, all) = story("{ usernames: clear }", "text");
    for clear in NAMES.iter().chain(&ADDRESSES) {
        assert!(all.contains(clear), "{clear}");
    }
}

#[test]
fn what_is_masked_is_nowhere_clear() {
    for format in ["text", "json"] {
        let (guard, all) = story("{ usernames: masked, addresses: masked }", format);
        check_absent(&all);
        let locked = guard.wait_for_event("locked_out");
        assert_eq!(locked.get("username"), "ZA…");
        assert_eq!(locked.get("client"), "203.0.113.0/24");
        let asked =
            guard.wait_for("page", |event| event.get("method") == "GET" && event.is("request"));
        assert_eq!(asked.get("path"), "/…/za…/lo…");
        assert!(all.contains("2001:db8:1::/48"));
        let refused = guard.wait_for("a refusal by hand", |event| {
            event.is("refused") && event.get("reason").starts_with("locked by hand")
        });
        assert_eq!(refused.get("reason"), "locked by hand: …", "there is a reason");
        let locked = guard.wait_for_event("locked_by_hand");
        let (who, why) = locked.get("reason").split_once(": ").unwrap();
        assert!(who.starts_with("admin with uid ") && why == "…", "{locked:?}");
    }
}

#[test]
fn what_is_hashed_is_nowhere_clear_and_can_be_joined() {
    let key = "{ usernames: hashed, addresses: hashed, key: \"${file:privacy.key}\" }";
    let mut hashes = Vec::new();
    for secret in ["0123456789abcdef-one", "0123456789abcdef-one", "0123456789abcdef-two"] {
        let (guard, all) = story(&key.replace("${file:privacy.key}", secret), "json");
        check_absent(&all);
        assert!(!all.contains(secret));
        let told = objects(&guard.log());
        let of = |name: &str| -> BTreeSet<String> {
            let all = told.iter().filter(|event| event["event"] == "login_failed_again");
            let all: Vec<_> = all.cloned().collect();
            members(&all, name).into_iter().map(str::to_owned).collect()
        };
        assert!(of("username").iter().all(|name| name.starts_with('#') && name.len() == 17));
        assert!(of("client").iter().all(|name| name.starts_with('#') && name.len() == 17));
        hashes.push((of("username"), of("client")));
    }
    assert_eq!(hashes[0], hashes[1], "the same under the same key");
    assert!(hashes[0].0.is_disjoint(&hashes[2].0) && hashes[0].1.is_disjoint(&hashes[2].1));
}

#[test]
fn without_a_key_each_process_has_its_own() {
    let hashed = || {
        let upstream = Upstream::shop();
        let guard = Guard::start("privacy: { usernames: hashed }", &upstream);
        guard.client().log_in("zaphod", "wrong");
        guard.client().log_in("ZAPHOD", "wrong");
        let first = guard.wait_for_event("login_failed").get("username").to_owned();
        let second = guard.wait_for_event("login_failed_again").get("username").to_owned();
        assert_eq!(first, second, "spellings of one account are the same");
        assert_eq!(guard.wait_for_event("login_failed").get("client"), "127.0.0.1");
        first
    };
    assert_ne!(hashed(), hashed());
}

#[test]
fn a_reload_changes_what_is_shown_also_of_what_was() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{ADMIN}privacy: {{ usernames: clear }}"), &upstream);
    guard.client().log_in("zaphod", "wrong");
    guard.wait_for("clear", |event| event.get("username") == "zaphod");
    guard.reconfigure(|text| text.replace("usernames: clear", "usernames: masked"));
    guard.reload();
    guard.client().log_in("zaphod", "wrong");
    guard.wait_for("masked", |event| event.get("username") == "za…");
    let said = run(&["events", "--admin", &guard.admin()]);
    assert!(said.out.contains("za…") && !said.out.contains("zaphod"), "{}", said.out);
}

#[test]
fn whoever_has_the_key_finds_the_lines_about_a_name_as_the_readme_says() {
    if crate::support::program("openssl").is_none() {
        return;
    }
    let upstream = Upstream::shop();
    let text = "privacy: { usernames: hashed, addresses: hashed, key: \"${file:privacy.key}\" }\n\
                trusted_proxies: \"127.0.0.1\"\n";
    let setup = Setup::new(text).file("privacy.key", "0123456789abcdef0123\n").upstream(&upstream);
    let guard = setup.start();
    guard.ask(&Ask::login("Alice", "wrong").with("X-Forwarded-For", "203.0.113.7"));
    let failed = guard.wait_for_event("login_failed");
    let readme = include_str!("../../../README.md");
    for (field, start) in [("username", "printf 'username"), ("client", "printf 'address")] {
        let line = readme.lines().find(|line| line.starts_with(start)).unwrap();
        let mut shell = std::process::Command::new("sh");
        let said = shell.args(["-c", line]).current_dir(guard.dir()).output().unwrap();
        let hash = String::from_utf8(said.stdout).unwrap();
        assert_eq!(failed.get(field), format!("#{}", hash.trim()), "{line}");
    }
}
