//! Where the file may be and where it may not, whose it is, and who may have it.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;
use crate::privileges::is_root;
use crate::support::not_run;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Starts a guard whose file is at `path`, which does not do; what it says.
#[track_caller]
fn complaint(path: &Path, more: &str) -> String {
    let upstream = Upstream::hello();
    let text = format!("store: {{ snapshot: {{ file: \"{}\" }} }}\n{more}", path.display());
    let setup = Setup::new(&text).upstream(&upstream);
    std::fs::set_permissions(setup.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let mut guard = Guard::spawn(setup);
    assert_eq!(guard.wait_for_exit().code(), Some(1), "{}", guard.log());
    guard.log()
}

#[test]
fn it_is_its_owners_alone_whatever_the_umask() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let setup = shelf.setup(LIMIT, &upstream).under(&["sh", "-c", "umask 0; exec \"$@\"", "sh"]);
    let guard = setup.start();
    lock_out(&guard, "eve");
    for name in ["counters.db", "counters.db.lock"] {
        assert_eq!(mode(&shelf.dir.path().join(name)), 0o600, "{name}");
    }
    assert_eq!(shelf.names(), ["counters.db", "counters.db.lock"]);
}

#[test]
fn a_second_guard_does_not_start_on_it() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let first = shelf.start(LIMIT, &upstream);
    lock_out(&first, "eve");
    let said = complaint(&shelf.file(), "");
    assert!(said.contains("another guard has it; give each a file of its own, or none"), "{said}");
    assert_eq!(first.client().log_in("eve", "right").status, 403);
    drop(first);
    drop(shelf.start(LIMIT, &upstream));
}

#[test]
fn what_is_no_file_is_said_clearly_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("directory")).unwrap();
    std::fs::write(at("precious"), "text").unwrap();
    symlink(at("precious"), at("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    std::fs::write(at("plain"), "").unwrap();
    for (path, expected) in [
        (at("directory"), "it is a directory; name a file in it"),
        (at("link"), "it is a symbolic link; name the file that it leads to"),
        (at("socket"), "it is no regular file; name another"),
        (at("no/such/counters.db"), "/no/such: it cannot be made: No such file or directory"),
        (at("plain/counters.db"), "its directory is no directory"),
    ] {
        let said = complaint(&path, "");
        assert!(said.contains(expected), "{}: {said}", path.display());
    }
    assert_eq!(std::fs::read_to_string(at("precious")).unwrap(), "text");
}

#[test]
fn its_directory_is_made_and_given_to_the_user_who_the_guard_becomes() {
    if !is_root() {
        return;
    }
    let (dir, upstream) = (tempfile::tempdir().unwrap(), Upstream::shop());
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let file = dir.path().join("state/counters.db");
    let text = |user: &str| {
        format!("{LIMIT}{user}store: {{ snapshot: {{ file: \"{}\" }} }}\n", file.display())
    };
    let start = |user: &str| {
        let setup = Setup::new(&text(user)).upstream(&upstream);
        std::fs::set_permissions(setup.dir.path(), Permissions::from_mode(0o755)).unwrap();
        setup.start()
    };
    // at first it is root who writes
    let guard = start("");
    lock_out(&guard, "eve");
    drop(guard);
    let state = file.parent().unwrap();
    assert_eq!((mode(state), std::fs::metadata(&file).unwrap().uid()), (0o700, 0));
    std::fs::remove_dir_all(state).unwrap();
    let guard = start("user: 12345\ngroup: 23456\n");
    lock_out(&guard, "eve");
    for path in [state, &file] {
        let data = std::fs::metadata(path).unwrap();
        assert_eq!((data.uid(), data.gid()), (12345, 23456), "{}", path.display());
    }
    drop(guard);
    // a file that another user has written is given to the one who comes
    std::os::unix::fs::chown(&file, Some(0), Some(0)).unwrap();
    std::os::unix::fs::chown(file.with_extension("db.lock"), Some(0), Some(0)).unwrap();
    let guard = start("user: 12345\ngroup: 23456\n");
    assert_eq!(guard.client().log_in("eve", "right").verdict(), (403, "locked"));
    lock_out(&guard, "bob");
    assert_eq!(std::fs::metadata(&file).unwrap().uid(), 12345);
}

#[test]
fn a_directory_that_the_user_may_not_write_in_is_an_error() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let said = complaint(&dir.path().join("counters.db"), "user: 12345\ngroup: 23456\n");
    assert!(said.contains("no file can be made beside it: Permission denied"), "{said}");
    assert!(said.contains("in which user 12345 may write"), "{said}");
    // also where the files are his and cannot be replaced
    for name in ["counters.db", "counters.db.lock"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    let said = complaint(&dir.path().join("counters.db"), "user: 12345\ngroup: 23456\n");
    assert!(said.contains("no file can be made beside it: Permission denied"), "{said}");
}

/// Whoever may write in the directory must not be given files that are root's.
#[test]
fn a_file_that_is_another_one_too_is_given_to_nobody() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let (secret, state) = (dir.path().join("secret"), dir.path().join("state"));
    std::fs::write(&secret, "root's").unwrap();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    std::fs::create_dir(&state).unwrap();
    std::os::unix::fs::chown(&state, Some(12345), Some(23456)).unwrap();
    std::fs::hard_link(&secret, state.join("counters.db")).unwrap();
    let said = complaint(&state.join("counters.db"), "user: 12345\ngroup: 23456\n");
    assert!(said.contains("it cannot be read: Permission denied"), "{said}");
    assert_eq!(std::fs::metadata(&secret).unwrap().uid(), 0);
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "root's");
}

#[test]
fn landlock_lets_it_write_there_and_nowhere_else() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let guard = shelf.start(LIMIT, &upstream);
    if guard.events("sandboxed").is_empty() {
        return not_run("this kernel has no landlock");
    }
    lock_out(&guard, "eve");
    assert!(guard.events("snapshot_failed").is_empty(), "{}", guard.log());
}

#[test]
fn a_relative_file_is_beside_the_configuration() {
    let upstream = Upstream::shop();
    let text = format!("{LIMIT}store: {{ snapshot: {{ file: kept.db }} }}\n");
    let guard = Guard::start(&text, &upstream);
    lock_out(&guard, "eve");
    assert!(guard.dir().join("kept.db").is_file());
}
