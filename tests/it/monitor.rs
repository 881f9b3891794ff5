//! `mode: monitor` of the file, of a site and of a login: what would have been refused is told in the
//! log and in the metrics, and nothing is refused.

use crate::commands::program::run;
use crate::support::exposition::Exposition;
use crate::support::guard::ADMIN;
use crate::support::{Ask, Guard, Upstream};

/// Two sites with two logins each, and where the mode may stand.
fn settings(file: &str, site: &str, login: &str) -> String {
    let login_of = |name: &str, lockout: &str| {
        format!(
            "      - {{ name: {name}, path: /{name}, username: {{ form: user }}, \
             password: {{ form: password }}, outcome: {{ success: {{ status: 302 }} }}{lockout} }}\n"
        )
    };
    let site_of = |name: &str, lockout: &str, login: &str| {
        let logins = format!("{}{}", login_of("login", login), login_of("other", ""));
        let own = "upstream: \"{UPSTREAM}\"";
        format!(
            "  - name: {name}\n    hosts: {name}.test\n    {own}\n{lockout}    logins:\n{logins}"
        )
    };
    let (shop, plain) = (site_of("shop", site, login), site_of("plain", "", ""));
    let limits = "limits: { by: [ip_address, username], failures: 2, cool_off: 10m }";
    format!("{ADMIN}sites:\n{shop}{plain}lockout: {{ {limits}{file} }}\n")
}

/// Who is refused the third guess, of all logins; each guesses as somebody else.
fn refused(guard: &Guard) -> Vec<String> {
    let mut refused = Vec::new();
    for (site, login) in [("shop", "login"), ("shop", "other"), ("plain", "login")] {
        let guess = || {
            let form = format!("user={site}-{login}&password=wrong");
            let ask = Ask::form(&format!("/{login}"), &form);
            let bytes = String::from_utf8(ask.bytes()).unwrap();
            let bytes = bytes.replace("Host: shop.test", &format!("Host: {site}.test"));
            guard.client().send(bytes).answer().verdict().1 == "locked"
        };
        let verdicts = [guess(), guess(), guess()];
        assert_eq!((verdicts[0], verdicts[1]), (false, verdicts[2]), "{site} {login}");
        refused.extend(verdicts[2].then(|| format!("{site} {login}")));
    }
    refused
}

/// What would have been refused, as the log says and as the metrics do.
#[track_caller]
fn would_refuse(guard: &Guard, expected: &[&str]) {
    let events = guard.wait_for_events("would_refuse", 2 * expected.len());
    // the failure that would be answered with a lockout, and the guess after it
    for reason in ["the failure reached a limit", "locked out"] {
        let told = events.iter().filter(|event| event.get("reason") == reason);
        let told: Vec<String> = told
            .map(|event| {
                assert_eq!(event.get("mode"), "monitor");
                assert!(!event.get("until").is_empty());
                format!("{} {}", event.get("site"), event.get("login"))
            })
            .collect();
        assert_eq!(told, expected, "{reason}");
    }
    let all = Exposition::parse(&guard.metrics());
    for site in ["shop", "plain"] {
        let of_site = expected.iter().filter(|login| login.starts_with(site)).count();
        let count = |name: &str, reason: &str| {
            all.sum(name, &[("site", site), ("reason", reason)]) as usize
        };
        let logins = if site == "shop" { 2 } else { 1 };
        for reason in ["at_limit", "locked"] {
            assert_eq!(count("loginward_would_refuse_total", reason), of_site, "{site}: {reason}");
            assert_eq!(count("loginward_refusals_total", reason), logins - of_site, "{site}");
        }
    }
}

/// What `check` and `status` say of it.
#[track_caller]
fn said(guard: &Guard, expected: &[&str]) {
    let config = guard.config();
    let checked = run(&["check", "--config", config.to_str().unwrap()]);
    let lines = checked.out.lines().filter_map(|line| line.split_once(": monitor mode, "));
    let lines: Vec<String> = lines.map(|(login, _)| login.replace(": ", " ")).collect();
    assert_eq!(lines, expected);
    let status = run(&["status", "--admin", &guard.admin()]).out;
    let line = status.lines().find_map(|line| line.strip_prefix("monitor mode")).unwrap();
    let none = ["no login"];
    let expected = if expected.is_empty() { &none } else { expected };
    assert_eq!(line.trim(), expected.join(", "));
}

#[test]
fn of_the_whole_file() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&settings(", mode: monitor", "", ""), &upstream);
    assert_eq!(refused(&guard), [""; 0]);
    would_refuse(&guard, &["shop login", "shop other", "plain login"]);
    said(&guard, &["shop login", "shop other", "plain login", "plain other"]);
}

#[test]
fn of_a_site() {
    let upstream = Upstream::shop();
    let site = "    lockout: { mode: monitor }\n";
    let guard = Guard::start(&settings("", site, ""), &upstream);
    assert_eq!(refused(&guard), ["plain login"]);
    would_refuse(&guard, &["shop login", "shop other"]);
    said(&guard, &["shop login", "shop other"]);
}

#[test]
fn of_a_login() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&settings("", "", ", lockout: { mode: monitor }"), &upstream);
    assert_eq!(refused(&guard), ["shop other", "plain login"]);
    would_refuse(&guard, &["shop login"]);
    said(&guard, &["shop login"]);
}

#[test]
fn of_none_though_the_file_says_so_where_a_login_enforces() {
    let upstream = Upstream::shop();
    let site = "    lockout: { mode: monitor }\n";
    let login = ", lockout: { mode: enforce }";
    let guard = Guard::start(&settings(", mode: monitor", site, login), &upstream);
    assert_eq!(refused(&guard), ["shop login"]);
    would_refuse(&guard, &["shop other", "plain login"]);
}

#[test]
fn requests_that_cannot_be_judged_are_counted_by_their_reason() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&settings(", mode: monitor", "", ""), &upstream);
    let five = "user=a&user=b&user=c&user=d&user=e&password=x";
    assert_eq!(guard.ask(&Ask::form("/login", five)).status, 200);
    let coded = Ask::login("bob", "wrong").with("Content-Encoding", "zstd");
    assert_eq!(guard.ask(&coded).status, 200);
    let all = Exposition::parse(&guard.metrics());
    for reason in ["too_many_guesses", "unreadable_body"] {
        let labels = [("site", "shop"), ("kind", "refused"), ("reason", reason)];
        assert_eq!(all.sum("loginward_would_refuse_total", &labels) as u32, 1, "{reason}");
    }
    assert_eq!(all.sum("loginward_refusals_total", &[]) as u32, 0);
    said(&guard, &["shop login", "shop other", "plain login", "plain other"]);
}
