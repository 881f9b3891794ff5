//! What a guard may do: as little as it can do with.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::{Guard, Setup, Upstream, not_run};

/// Whether this is root, without whom nobody becomes another user.
pub fn is_root() -> bool {
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        not_run("it takes root to become another user");
    }
    is_root
}

/// What `/proc` says of `field` for every thread of the guard.
fn of_all_threads(guard: &Guard, field: &str) -> BTreeSet<String> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", guard.pid())).unwrap();
    let values = threads.map(|thread| {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    values.collect()
}

fn only(value: &str) -> BTreeSet<String> {
    BTreeSet::from([value.to_owned()])
}

/// A directory that everybody may look into.
fn open_to_all(setup: Setup) -> Setup {
    std::fs::set_permissions(setup.dir.path(), Permissions::from_mode(0o755)).unwrap();
    setup
}

#[test]
fn it_becomes_the_user_in_every_thread_and_goes_on_with_all_it_has_to_do() {
    if !is_root() {
        return;
    }
    let upstream = Upstream::hello();
    let text =
        format!("{ADMIN}user: nobody\naccess: {{ deny: \"file:list\", covers: everything }}");
    let setup = open_to_all(Setup::new(&text).upstream(&upstream)).file("list", "192.0.2.1");
    let guard = setup.start();
    let admin = guard.admin();
    assert_eq!(guard.client().get("/").text(), "hello");
    let nobody = std::fs::metadata(guard.dir().join("admin.sock")).unwrap().uid();
    assert_ne!(nobody, 0);
    assert_eq!(of_all_threads(&guard, "Uid:"), only(&vec![nobody.to_string(); 4].join(" ")));
    let gids = of_all_threads(&guard, "Gid:");
    let groups = of_all_threads(&guard, "Groups:");
    assert!(gids.len() == 1 && !gids.contains("0 0 0 0"), "{gids:?}");
    assert!(groups.iter().all(|groups| !groups.split(' ').any(|group| group == "0")), "{groups:?}");
    assert_eq!(of_all_threads(&guard, "CapEff:"), only("0000000000000000"));
    assert_eq!(of_all_threads(&guard, "NoNewPrivs:"), only("1"));
    assert!(guard.events("running_as_root").is_empty());
    std::fs::write(guard.dir().join("list"), "127.0.0.0/8").unwrap();
    assert_eq!(run(&["reload", "--admin", &admin]).status, 0);
    assert_eq!(guard.client().get("/").verdict(), (403, "denied"));
}

#[test]
fn what_only_root_can_read_is_an_error_at_the_start() {
    if !is_root() {
        return;
    }
    let upstream = Upstream::hello();
    let text = "user: nobody\naccess: { deny: \"file:list\" }";
    let setup = open_to_all(Setup::new(text).upstream(&upstream)).file("list", "192.0.2.1");
    let list = setup.dir.path().join("list");
    std::fs::set_permissions(&list, Permissions::from_mode(0o600)).unwrap();
    let mut guard = Guard::spawn(setup);
    assert_eq!(guard.wait_for_exit().code(), Some(2));
    let wrong = format!("{}: cannot be read by user", list.display());
    assert!(guard.log().contains(&wrong), "{}", guard.log());
    assert!(guard.log().contains("Permission denied"), "{}", guard.log());
}

#[test]
fn a_group_of_its_own_and_numbers_do_too() {
    if !is_root() {
        return;
    }
    let upstream = Upstream::hello();
    let text = format!("{ADMIN}user: 12345\ngroup: 23456");
    let guard = open_to_all(Setup::new(&text).upstream(&upstream)).start();
    assert_eq!(of_all_threads(&guard, "Uid:"), only("12345 12345 12345 12345"));
    assert_eq!(of_all_threads(&guard, "Gid:"), only("23456 23456 23456 23456"));
    assert_eq!(of_all_threads(&guard, "Groups:"), only("23456"));
    let socket = std::fs::metadata(guard.dir().join("admin.sock")).unwrap();
    assert_eq!((socket.uid(), socket.gid()), (12345, 23456));
}

#[test]
fn root_without_a_user_is_warned_and_gains_nothing_more() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    assert_eq!(of_all_threads(&guard, "NoNewPrivs:"), only("1"));
    if is_root() {
        assert_eq!(guard.wait_for_event("running_as_root").get("level"), "warn");
    }
}

#[test]
fn users_and_groups_that_are_not_there_are_errors_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let check = |text: &str, expected: &str| {
        let file = dir.path().join("c.yaml");
        let rest = "listen: \"127.0.0.1:0\"\nsites: { upstream: \"http://[::1]:1\" }\n";
        std::fs::write(&file, format!("{rest}{text}")).unwrap();
        let said = run(&["check", "--config", file.to_str().unwrap()]);
        assert_eq!(said.status, 2, "{text}");
        assert!(said.err.contains(expected), "{text}: {}", said.err);
    };
    check("user: nobody-of-this-name", "3:7: user: there is no user `nobody-of-this-name`; create");
    check("user: nobody\ngroup: no-such-group", "4:8: group: there is no group `no-such-group`");
    check("group: root", "3:8: group: goes with `user`; name the user too");
    check("user: 4294967294", "3:7: user: has no name on this machine; write `group` too");
    check("user: -1", "user: `-1` does not fit here");
}

/// A guard that reads a list in its directory, and its setup's text.
fn with_list(more: &str, upstream: &Upstream) -> Guard {
    let text = format!("{ADMIN}{more}access: {{ deny: \"file:list\", covers: everything }}");
    Setup::new(&text).upstream(upstream).file("list", "192.0.2.1").start()
}

/// Has the guard read a list that is elsewhere; the exit status of `reload`, and what it said.
fn reload_with_list_at(guard: &Guard, path: &Path) -> (i32, String) {
    guard.reconfigure(|text| text.replace("file:list", &format!("file:{}", path.display())));
    let said = run(&["reload", "--admin", &guard.admin()]);
    (said.status, said.err)
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
fn landlock_leaves_it_nothing_to_read_but_where_its_files_are() {
    let upstream = Upstream::hello();
    let guard = with_list("", &upstream);
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = elsewhere.path().join("list");
    std::fs::write(&secret, "127.0.0.1").unwrap();
    chown(&secret, None, None).unwrap();
    if guard.events("sandboxed").is_empty() {
        eprintln!("not run: {:?}", guard.wait_for_event("not_sandboxed"));
        return;
    }
    let (status, said) = reload_with_list_at(&guard, &secret);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("permission denied"), "{said}");
    let beside = guard.dir().join("another");
    std::fs::create_dir(&beside).unwrap();
    std::fs::write(beside.join("list"), "127.0.0.1").unwrap();
    let (status, said) = reload_with_list_at(&guard, &beside.join("list"));
    assert_eq!(status, 0, "{said}");
    assert_eq!(guard.client().get("/").verdict(), (403, "denied"));
}

#[test]
fn it_can_be_told_not_to_be_confined() {
    let upstream = Upstream::hello();
    let guard = with_list("sandbox: false\n", &upstream);
    let elsewhere = tempfile::tempdir().unwrap();
    let list = elsewhere.path().join("list");
    std::fs::write(&list, "127.0.0.1").unwrap();
    assert_eq!(reload_with_list_at(&guard, &list), (0, String::new()));
    assert_eq!(guard.client().get("/").verdict(), (403, "denied"));
    assert!(guard.events("sandboxed").is_empty());
}
