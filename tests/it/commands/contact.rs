//! How commands find the guard, and what they say where they do not.

use super::program::run;
use crate::support::guard::ADMIN;
use crate::support::{Guard, Upstream};

#[test]
fn an_error_in_the_file_does_not_keep_operators_from_the_guard_that_runs() {
    let upstream = Upstream::shop();
    let guard = Guard::start(ADMIN, &upstream);
    let config = guard.config();
    let config = config.to_str().unwrap();
    let of = |words: &[&str]| run(&[words, &["--config", config]].concat());
    guard.reconfigure(|text| format!("{text}\nworkrs: 3\nlimits: 1\n"));
    let said = of(&["status"]);
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.out.contains("running, for "), "{}", said.out);
    let note = format!(
        "note: {config} has 2 errors (`loginward check` says which); of it, only `admin` is used\n"
    );
    assert_eq!(said.err, note);
    assert_eq!(of(&["lock", "ada"]).status, 0);
    guard.reconfigure(|text| format!("sites: [\n{text}\n\"oh"));
    let said = of(&["list", "ada"]);
    assert_eq!(said.status, 0, "no YAML at all: {}", said.err);
    assert_eq!(said.err.matches("note: ").count(), 1, "once, however often the guard is asked");
    guard.reconfigure(|text| text.replace("unix:admin.sock", "nowhere"));
    let said = of(&["list"]);
    assert_eq!(said.status, 2);
    let hint = "name it, as --admin unix:/run/loginward/admin.sock\n";
    assert!(said.err.contains("`nowhere` is no address"), "{}", said.err);
    assert!(said.err.ends_with(hint), "{}", said.err);
    let said = run(&["list", "--config", "/nowhere.yaml"]);
    assert_eq!((said.status, said.err.lines().count()), (2, 1), "{}", said.err);
}

#[test]
fn where_there_are_two_addresses_both_are_named_that_do_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    std::fs::write(dir.path().join("token"), "abcdefghijklmnopqrstuvwxyz012345").unwrap();
    let file = dir.path().join("c.yaml");
    let text = format!(
        "listen: \"127.0.0.1:0\"\nsites: {{ upstream: \"http://[::1]:1\" }}\n\
         admin: {{ address: [\"unix:a.sock\", \"{address}\"], token_file: token }}"
    );
    std::fs::write(&file, text).unwrap();
    for command in ["status", "events"] {
        let said = run(&[command, "--config", file.to_str().unwrap()]);
        assert_eq!(said.status, 3, "{}", said.err);
        let socket = format!("; unix:{}/a.sock: no guard is there", dir.path().display());
        assert!(
            said.err.starts_with(&format!("not reachable: http://{address}: no guard is there"))
        );
        assert!(said.err.contains(&socket), "{}", said.err);
    }
}

#[test]
fn what_is_no_guard_is_not_reachable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let other = std::thread::spawn(move || drop(listener.accept()));
    let said = run(&["status", "--admin", path.to_str().unwrap()]);
    assert_eq!(said.status, 3, "{}", said.err);
    other.join().unwrap();
}
