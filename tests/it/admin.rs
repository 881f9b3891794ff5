//! The admin socket, and the commands that ask there.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::commands::program::{Said, run};
use crate::privileges::is_root;
use crate::support::guard::ADMIN;
use crate::support::upstream::ok;
use crate::support::{Guard, Setup, Upstream, not_run};

/// What a command says of the guard, which it finds by its socket.
fn tell(guard: &Guard, command: &str) -> Said {
    run(&[command, "--admin", &guard.admin()])
}

#[test]
fn only_its_owner_may_use_the_socket_and_it_goes_with_the_guard() {
    let upstream = Upstream::hello();
    let mut guard = Guard::start(ADMIN, &upstream);
    let path = guard.dir().join("admin.sock");
    assert_eq!(guard.admin(), format!("unix:{}", path.display()));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    guard.terminate();
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn status_tells_how_it_is() {
    let upstream = Upstream::shop();
    let limit = "lockout: { limits: { by: username, failures: 2, cool_off: 10m } }";
    let guard = Guard::start(&format!("{ADMIN}{limit}"), &upstream);
    guard.client().log_in("bob", "wrong");
    for _ in 0..2 {
        guard.client().log_in("eve", "wrong");
    }
    let said = tell(&guard, "status");
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let line = |name: &str| {
        let line = said.out.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.trim_start_matches(name).trim().to_owned()
    };
    assert!(line("state").starts_with("running, for "), "{}", said.out);
    assert_eq!(line("configuration"), guard.config().to_str().unwrap());
    assert_eq!(line("listening"), format!("http://{}", guard.addr()));
    assert_eq!(line("counters"), "1, and 1 locked");
    let json = run(&["status", "--json", "--config", guard.config().to_str().unwrap()]);
    let status: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&status["state"], &status["sites"]), (&"running".into(), &1.into()));
    assert_eq!((&status["counters"], &status["locked"]), (&1.into(), &1.into()));
    assert_eq!(status["reload"]["successful"], true);
    assert_eq!(status["workers"], 2);
}

#[test]
fn status_tells_what_is_wrong() {
    let upstream = Upstream::shop();
    let limit = "lockout: { limits: { by: ip_address, failures: 20, cool_off: 10m } }\n";
    let dir = tempfile::tempdir().unwrap();
    let audit = format!("audit: {{ to: file, file: {}/audit.log }}\n", dir.path().display());
    let guard = Guard::start(&format!("{ADMIN}{limit}{audit}"), &upstream);
    let before = tell(&guard, "status").out;
    assert!(before.contains("locks by hand  0\n"), "{before}");
    assert!(before.contains("audit log      writing"), "{before}");
    for absent in ["looks wrong", "restart needed"] {
        assert!(!before.contains(absent), "{before}");
    }
    guard.reconfigure(|text| text.replace("workers: 2", "workers: 3"));
    guard.reload();
    // a directory in the place of the file
    std::fs::remove_file(dir.path().join("audit.log")).unwrap();
    std::fs::create_dir(dir.path().join("audit.log")).unwrap();
    for number in 0..20 {
        guard.client().log_in(&format!("user{number}"), "wrong");
    }
    for event in ["rule_suspect", "identity_suspect", "audit_failed"] {
        guard.wait_for_event(event);
    }
    assert_eq!(run(&["lock", "ada", "--admin", &guard.admin()]).status, 0);
    let said = tell(&guard, "status").out;
    for told in [
        "locks by hand  1\n",
        "restart needed  for what has changed of workers\n",
        "looks wrong     shop /login: in 20 attempts never a success",
        "looks wrong     client 127.0.0.1: a private address is locked out: is there a proxy",
        "audit log       cannot be written: ",
    ] {
        let told = told.split_once("  ").unwrap();
        let is_there =
            |line: &str| line.starts_with(told.0) && line.contains(told.1.trim_start().trim_end());
        assert!(said.lines().any(is_there), "{told:?} in {said}");
    }
    let json = run(&["status", "--json", "--admin", &guard.admin()]).out;
    let status: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(status["reload"]["need_restart"][0], "workers");
    assert_eq!(status["audit"]["state"], "failing");
}

#[test]
fn reload_puts_another_configuration_in_force_before_it_returns() {
    let (old, new) = (Upstream::hello(), Upstream::answering(|_| ok("new")));
    let guard = Guard::start(ADMIN, &old);
    guard.reconfigure(|text| {
        let text = text.replace(old.url(), new.url()).replace("workers: 2", "workers: 3");
        format!("{text}\ntrusted_proxies: [\"0.0.0.0/0\"]")
    });
    let said = tell(&guard, "reload");
    assert_eq!((said.status, said.out.as_str()), (0, "reloaded\n"));
    assert!(said.err.contains("warning: trusted_proxies"), "{}", said.err);
    assert!(said.err.contains("warning: workers: what has changed of this takes a restart"));
    for _ in 0..8 {
        assert_eq!(guard.client().get("/").text(), "new", "every worker");
    }
    assert_eq!(guard.wait_for_event("reloaded").get("reason"), "admin");
    let json = run(&["reload", "--json", "--admin", &guard.admin()]);
    let answer: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.status, &answer["need_restart"][0]), (0, &"workers".into()));
}

#[test]
fn one_with_errors_is_told_as_check_tells_it_and_changes_nothing() {
    let upstream = Upstream::hello();
    let guard = Guard::start(ADMIN, &upstream);
    guard.reconfigure(|text| text.replace("username: {", "usrname: {").replace("2", "two"));
    let said = tell(&guard, "reload");
    let checked = run(&["check", "--config", guard.config().to_str().unwrap()]);
    assert_eq!((said.status, checked.status), (2, 2));
    let last = "not reloaded: the configuration cannot be used; everything stays as it was\n";
    assert_eq!(said.err, format!("{}{last}", checked.err));
    assert_eq!(guard.client().get("/").text(), "hello");
    assert_eq!(guard.metric("loginward_config_last_reload_successful", "") as u32, 0);
    let status = tell(&guard, "status");
    assert!(status.out.contains("it cannot be used as it is now"), "{}", status.out);
}

#[test]
fn where_no_guard_answers_the_commands_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("admin.sock");
    for command in ["reload", "status"] {
        let said = run(&[command, "--admin", gone.to_str().unwrap()]);
        assert_eq!(said.status, 3);
        let start = format!("not reachable: unix:{}: no guard is there", gone.display());
        assert!(said.err.starts_with(&start), "{}", said.err);
    }
    let said = run(&["status", "--admin", "nonsense"]);
    assert_eq!(said.status, 2);
    let file = dir.path().join("c.yaml");
    let text = "listen: \"127.0.0.1:0\"\nsites: { upstream: \"http://[::1]:1\" }\nadmin: none";
    std::fs::write(&file, text).unwrap();
    let said = run(&["status", "--config", file.to_str().unwrap()]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("admin: is `none`"), "{}", said.err);
}

#[test]
fn a_second_guard_at_the_same_address_does_not_start() {
    let upstream = Upstream::hello();
    let first = Guard::start(ADMIN, &upstream);
    let address = first.admin();
    let text = format!("admin: {{ address: \"{address}\" }}");
    let mut second = Guard::spawn(Setup::new(&text).upstream(&upstream));
    assert_eq!(second.wait_for_exit().code(), Some(1));
    assert!(second.log().contains("another guard runs there"), "{}", second.log());
    assert_eq!(tell(&first, "status").status, 0, "the first is as it was");
}

#[test]
fn what_a_killed_guard_left_behind_is_replaced() {
    let upstream = Upstream::hello();
    let guard = Guard::start(ADMIN, &upstream);
    let address = guard.admin();
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    assert!(UnixStream::connect(&left).is_err());
    let text = format!("admin: {{ address: \"unix:{}\" }}", left.display());
    let next = Guard::start(&text, &upstream);
    assert_eq!(tell(&next, "status").status, 0);
    assert_ne!(next.admin(), address);
}

#[test]
fn a_configured_address_that_cannot_be_had_is_an_error() {
    let upstream = Upstream::hello();
    let text = "admin: { address: \"unix:{DIR}/no/where/admin.sock\" }";
    let mut guard = Guard::spawn(Setup::new(text).upstream(&upstream));
    assert_eq!(guard.wait_for_exit().code(), Some(1));
    let said = guard.log();
    assert!(said.contains("no/where/admin.sock: No such file"), "{said}");
    assert!(said.contains("; make the directory that it is to lie in, for user "), "{said}");
}

#[test]
fn a_directory_that_is_missing_is_made() {
    let upstream = Upstream::hello();
    let text = "admin: { address: \"unix:{DIR}/run/admin.sock\" }\nuser: ";
    // the user has to be able to remove the socket in the end
    let user = if is_root() { "nobody" } else { return };
    let setup = Setup::new(&format!("{text}{user}")).upstream(&upstream);
    std::fs::set_permissions(setup.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let mut guard = setup.start();
    assert_eq!(tell(&guard, "status").status, 0);
    guard.terminate();
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    let run = guard.dir().join("run");
    assert!(run.exists() && !run.join("admin.sock").exists());
}

#[test]
fn where_the_usual_address_cannot_be_had_the_guard_warns_and_says_what_to_do() {
    if std::path::Path::new("/run/loginward").exists() {
        return not_run("somebody has made /run/loginward");
    }
    let upstream = Upstream::hello();
    let usual = Setup::new("").upstream(&upstream);
    let text = usual.text.replace("admin: none\n", "");
    let guard = Setup { text, ..usual }.start();
    let event = guard.wait_for_event("admin_unavailable");
    assert_eq!(
        (event.get("level"), event.get("address")),
        ("warn", "unix:/run/loginward/admin.sock")
    );
    assert!(event.get("msg").contains("admin: { address: "), "{event:?}");
}
