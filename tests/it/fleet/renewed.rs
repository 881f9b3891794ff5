//! What a guard proves itself to the store by, and knows the store by, changes while it runs.

use crate::support::guard::ADMIN;
use crate::support::redis::RedisServer;
use crate::support::{Authority, Guard, Setup, Upstream};

const OLD: &str = "the-old-password-of-the-store";
const NEW: &str = "the-new-password-of-the-store";
const KEY: &str = "key: \"a-key-of-the-fleet\"";

/// A guard of the store at `url`, which has these files beside its configuration.
fn guard(url: &str, more: &str, files: &[(&str, &str)], upstream: &Upstream) -> Guard {
    // a busy machine is no outage
    let text = format!(
        "{ADMIN}store: {{ redis: {{ url: \"{url}\", {more}, timeout: 9s, connect_timeout: 9s }} }}\n"
    );
    let setup = Setup::new(&text).upstream(upstream);
    files.iter().fold(setup, |setup, (name, text)| setup.file(name, text)).start()
}

/// These files say something else, and the guard reads them again.
#[track_caller]
fn change(guard: &Guard, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::write(guard.dir().join(name), text).unwrap();
    }
    guard.reload();
}

/// The server ends all connections, and takes no more of the kind; until the guard can make others.
#[track_caller]
fn comes_back(server: &RedisServer, guard: &Guard, files: &[(&str, &str)]) {
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert_eq!(guard.client().log_in("ada", "wrong").status, 200);
    guard.wait_for_event("store_unreachable");
    change(guard, files);
    guard.wait_for_event("store_back");
    assert_eq!(guard.client().log_in("ada", "wrong").status, 200);
    assert_eq!(guard.metric("loginward_store_up", "") as u64, 1);
    assert_eq!(guard.events("restart_needed").len(), 0);
}

fn user(server: &RedisServer, rules: &[&str]) {
    server.ask(&[&["ACL", "SETUSER", "guard"], rules].concat());
}

#[test]
fn another_password_is_that_of_the_next_connection() {
    let Some(server) = RedisServer::start() else { return };
    let password = |word: &str| format!(">{word}");
    user(&server, &["on", "~*", "&*", "+@all", &password(OLD)]);
    let upstream = Upstream::shop();
    let login = format!("username: guard, password: \"${{file:password}}\", {KEY}");
    let guard = guard(&server.url(), &login, &[("password", OLD)], &upstream);
    assert_eq!(guard.client().log_in("ada", "wrong").status, 200);
    user(&server, &[&password(NEW), &format!("<{OLD}")]);
    comes_back(&server, &guard, &[("password", NEW)]);
    assert!(!guard.log().contains(NEW));
}

#[test]
fn a_password_that_names_are_hashed_under_takes_a_restart() {
    let Some(server) = RedisServer::start() else { return };
    user(&server, &["on", "~*", "&*", "+@all", "nopass"]);
    let upstream = Upstream::shop();
    let login = "username: guard, password: \"${file:password}\"";
    let guard = guard(&server.url(), login, &[("password", OLD)], &upstream);
    change(&guard, &[("password", NEW)]);
    assert_eq!(guard.wait_for_event("restart_needed").get("key"), "store");
    // what was there is there again
    change(&guard, &[("password", OLD)]);
    assert_eq!(guard.events("restart_needed").len(), 1);
}

#[test]
fn other_authorities_and_certificates_are_those_of_the_next_connection() {
    let (old, new) = (Authority::new(), Authority::new());
    let Some(server) = RedisServer::plan().tls(&old, "yes").start() else { return };
    let upstream = Upstream::shop();
    let tls = format!("{KEY}, tls: {{ ca: ca.pem, certificate: own.pem, key: own.key }}");
    let (certificate, key) = old.certificate(&["guard"]);
    let files = [("ca.pem", &*old.pem()), ("own.pem", &certificate), ("own.key", &key)];
    let guard = guard(&server.url(), &tls, &files, &upstream);
    assert_eq!(guard.client().log_in("ada", "wrong").status, 200);
    assert_eq!(guard.metric("loginward_store_up", "") as u64, 1);
    server.present(&new);
    let (certificate, key) = new.certificate(&["guard"]);
    let files = [("ca.pem", &*new.pem()), ("own.pem", &certificate), ("own.key", &key)];
    comes_back(&server, &guard, &files);
}
