//! The audit log: in a file that is put aside, moved away, full or torn, and on standard output.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::{members, objects};
use crate::support::{Ask, Client, Guard, Setup, Upstream, not_run, program, wait};

const LIMIT: &str = "lockout: { limits: { by: username, failures: 3, cool_off: 10m } }\n";
const AUDIT: &str = "audit: { to: file, file: audit.log }\n";

fn setup(text: &str, upstream: &Upstream) -> Setup {
    Setup::new(&format!("{LIMIT}{text}")).upstream(upstream)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Waits until the file has `wanted` in it.
#[track_caller]
fn wait_for(path: &Path, wanted: &str) {
    wait::until(wanted, || read(path).contains(wanted));
}

#[test]
fn every_event_is_a_line_of_json_in_a_file_that_only_its_owner_reads() {
    let upstream = Upstream::shop();
    let text = format!("{AUDIT}log: {{ access: true, format: json }}");
    let mut guard = setup(&text, &upstream).start();
    for password in ["one", "two", "three", "right"] {
        guard.client().log_in("bob", password);
    }
    guard.client().log_in("eve", "right");
    guard.wait_for_event("login_succeeded");
    guard.terminate();
    guard.wait_for_exit();
    let path = guard.dir().join("audit.log");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let told = objects(&read(&path));
    let names = members(&told, "event");
    let begin = names.iter().position(|name| *name == "login_failed").unwrap();
    let story = [
        "login_failed",
        "login_failed_again",
        "login_failed_again",
        "locked_out",
        "refused",
        "login_succeeded",
    ];
    assert_eq!(&names[begin..begin + story.len()], story);
    assert_eq!(*names.last().unwrap(), "stopped", "nothing is missing in the end");
    // lines of the access log are none
    assert!(!names.contains(&"request") && !guard.events("request").is_empty());
    let of_log = objects(&guard.log());
    let find = |all: &[serde_json::Value]| {
        all.iter().find(|event| event["event"] == "locked_out").cloned().unwrap()
    };
    assert_eq!(find(&told), find(&of_log), "they have the same members");
}

#[test]
fn it_has_the_events_that_are_wanted_whatever_the_log_has() {
    let upstream = Upstream::shop();
    let text = "audit: { to: file, file: audit.log, events: [locked_out, refused] }\n\
                log: { level: warn }\nmetrics: { address: \"127.0.0.1:0\" }";
    let text = format!("{text}\nlisten: \"unix:{{DIR}}/http.sock\"\ntrusted_proxies: unix");
    let guard = Guard::spawn(setup(&text, &upstream));
    let socket = guard.dir().join("http.sock");
    wait::until("it listens", || UnixStream::connect(&socket).is_ok());
    for _ in 0..4 {
        let ask = Ask::login("bob", "wrong").with("X-Forwarded-For", "192.0.2.1");
        Client::to_unix(&socket).ask(&ask);
    }
    let path = guard.dir().join("audit.log");
    wait_for(&path, "refused");
    assert_eq!(members(&objects(&read(&path)), "event"), ["locked_out", "refused"]);
    assert!(guard.events("refused").is_empty());
}

#[test]
fn a_large_file_is_put_aside_and_so_many_are_kept() {
    let upstream = Upstream::shop();
    let text = "audit: { to: file, file: audit.log, events: login_failed, \
                rotate: { size: 4KiB, keep: 2 } }\n";
    let mut guard = setup(text, &upstream).start();
    let mut client = guard.client();
    for at in 0..100 {
        client.log_in(&format!("user{at}"), "wrong");
    }
    guard.wait_for("last", |event| event.get("username") == "user99");
    guard.terminate();
    guard.wait_for_exit();
    let files = ["audit.log.2", "audit.log.1", "audit.log"].map(|name| guard.dir().join(name));
    assert!(!guard.dir().join("audit.log.3").exists());
    for file in &files {
        let data = fs::metadata(file).unwrap();
        assert!(data.len() <= 4096, "{} has {}", file.display(), data.len());
        assert_eq!(data.permissions().mode() & 0o777, 0o600);
    }
    let all: String = files.iter().map(|file| read(file)).collect();
    let all = objects(&all);
    let first = 100 - all.len();
    let expected: Vec<String> = (first..100).map(|at| format!("user{at}")).collect();
    assert!(all.len() > 20, "{}", all.len());
    assert_eq!(members(&all, "username"), expected, "in order, and none is missing in between");
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let upstream = Upstream::shop();
    let guard = setup(AUDIT, &upstream).start();
    let (path, moved) = (guard.dir().join("audit.log"), guard.dir().join("audit.log-20261125"));
    guard.client().log_in("one", "wrong");
    wait_for(&path, "\"one\"");
    fs::rename(&path, &moved).unwrap();
    guard.reload(); // as logrotate does it
    guard.client().log_in("two", "wrong");
    wait_for(&path, "\"two\"");
    assert!(read(&path).contains("\"reloaded\"") && !read(&path).contains("\"one\""));
    assert!(read(&moved).contains("\"one\"") && !read(&moved).contains("\"two\""));
    fs::remove_file(&path).unwrap();
    guard.client().log_in("three", "wrong");
    wait_for(&path, "\"three\"");
}

#[test]
fn a_line_that_was_cut_by_a_kill_ends_before_the_next_begins() {
    let upstream = Upstream::shop();
    let kept = tempfile::tempdir().unwrap();
    let path = kept.path().join("audit.log");
    fs::write(&path, "{\"ts\":\"2026-11-25T03:03").unwrap();
    let text = format!("audit: {{ to: file, file: \"{}\" }}\n", path.display());
    for round in 0..4 {
        let guard = setup(&text, &upstream).start();
        let address = guard.addr();
        let load = std::thread::spawn(move || {
            // until the guard is gone
            let attempt = |at: usize| {
                let mut stream = std::net::TcpStream::connect(address).ok()?;
                let ask = Ask::login(&format!("user{round}-{at}"), "wrong").bytes();
                std::io::Write::write_all(&mut stream, &ask).ok()?;
                std::io::Read::read(&mut stream, &mut [0; 16]).ok().filter(|read| *read > 0)
            };
            (0..).find(|at| attempt(*at).is_none())
        });
        wait_for(&path, &format!("\"user{round}-20\""));
        drop(guard); // kill -9
        load.join().unwrap();
    }
    let text = read(&path);
    let (torn, rest) = text.split_once('\n').unwrap();
    assert_eq!(torn, "{\"ts\":\"2026-11-25T03:03");
    let lines: Vec<&str> = rest.lines().collect();
    let is_torn = |line: &&&str| serde_json::from_str::<serde_json::Value>(line).is_err();
    assert!(lines.iter().filter(is_torn).count() <= 4, "at most the last of each");
    assert!(lines.len() > 80);
}

#[test]
fn a_full_disk_stops_nobody_and_what_is_missing_is_counted() {
    let upstream = Upstream::shop();
    // files may have 4 KiB, and more is an error rather than the end
    let script = "trap '' XFSZ; ulimit -S -f 8; exec \"$@\"";
    let guard = setup(AUDIT, &upstream).under(&["sh", "-c", script, "sh"]).start();
    let path = guard.dir().join("audit.log");
    let mut client = guard.client();
    for at in 0..40 {
        assert_eq!(client.log_in(&format!("user{at}"), "wrong").status, 200);
    }
    let failed = guard.wait_for_event("audit_failed");
    assert!(failed.get("reason").contains("too large"), "{failed:?}");
    assert_eq!(fs::metadata(&path).unwrap().len(), 4096);
    let long = "%02".repeat(250); // each becomes six letters, so that much has to wait
    for at in 40..5500 {
        assert_eq!(client.log_in(&format!("user{at}{long}"), "wrong").status, 200);
    }
    wait::until("some are dropped", || {
        guard.metric("loginward_events_dropped_total", "outlet=\"audit\"") > 0.0
    });
    // there is room again
    let Some(mut prlimit) = program("prlimit") else { return };
    let pid = guard.pid().to_string();
    assert!(prlimit.args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap().success());
    guard.wait_for_event("audit_recovered");
    wait_for(&path, "events_dropped"); // which comes after all that waited
    let told = objects(&read(&path));
    let failed: Vec<_> = told.iter().filter(|event| event["event"] == "login_failed").collect();
    let number = |event: &&serde_json::Value| -> usize {
        let name = event["username"].as_str().unwrap().trim_start_matches("user");
        let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    let numbers: Vec<usize> = failed.iter().map(number).collect();
    assert!(numbers.len() > 1000 && numbers.iter().copied().eq(0..numbers.len()));
    let dropped = guard.metric("loginward_events_dropped_total", "outlet=\"audit\"") as usize;
    // a few of those that are missing are about the failure itself
    let all = numbers.len() + dropped;
    assert!((5500..5510).contains(&all), "{all} are there or counted");
}

#[test]
fn where_nobody_reads_the_log_it_is_written_all_the_same() {
    let upstream = Upstream::shop();
    let text = "listen: \"unix:{DIR}/http.sock\"\ntrusted_proxies: unix\n";
    let setup = setup(&format!("{AUDIT}{text}"), &upstream);
    // a pipe that is open at its other end, too, and full in a moment
    let script = "mkfifo \"$0\" && exec 3<>\"$0\" && exec \"$@\" 2>&3";
    let fifo = setup.dir.path().join("fifo");
    let mut guard = Guard::spawn(setup.under(&["sh", "-c", script, fifo.to_str().unwrap()]));
    let socket = guard.dir().join("http.sock");
    wait::until("it listens", || UnixStream::connect(&socket).is_ok());
    let mut client = Client::to_unix(&socket);
    for at in 0..600 {
        let ask = Ask::login(&format!("user{at}"), "wrong").with("X-Forwarded-For", "192.0.2.1");
        assert_eq!(client.ask(&ask).status, 200);
    }
    let path = guard.dir().join("audit.log");
    wait_for(&path, "\"user599\"");
    guard.terminate();
    assert_eq!(guard.wait_for_exit().code(), Some(0), "nor does it keep the end waiting");
    let told = objects(&read(&path));
    assert_eq!(members(&told, "event").iter().filter(|name| **name == "login_failed").count(), 600);
}

#[test]
fn where_it_cannot_be_written_the_guard_does_not_start() {
    let upstream = Upstream::shop();
    let setup = setup(AUDIT, &upstream);
    let _socket = UnixListener::bind(setup.dir.path().join("audit.log")).unwrap();
    let mut guard = Guard::spawn(setup);
    assert_eq!(guard.wait_for_exit().code(), Some(1));
    assert!(guard.log().contains("error: the audit log cannot be written"), "{}", guard.log());
}

#[test]
fn it_may_be_on_standard_output() {
    let upstream = Upstream::shop();
    let text = "audit: { to: stdout, events: [login_failed] }\n";
    let script = "exec \"$@\" > \"$(dirname \"$4\")/out\"";
    let mut guard = setup(text, &upstream).under(&["sh", "-c", script, "sh"]).start();
    guard.client().log_in("bob", "wrong");
    guard.wait_for_event("login_failed");
    guard.terminate();
    guard.wait_for_exit();
    let told = objects(&read(&guard.dir().join("out")));
    assert_eq!(members(&told, "event"), ["login_failed"]);
}

#[test]
fn the_user_that_the_guard_becomes_writes_it() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        not_run("it takes root to become another user");
        return;
    }
    let upstream = Upstream::shop();
    let text = "user: nobody\naudit: { to: file, file: logs/audit.log, events: login_failed, \
                rotate: { size: 4KiB, keep: 2 } }\n";
    let setup = Setup::new("").upstream(&upstream);
    fs::set_permissions(setup.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let logs = setup.dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let nobody = nobody();
    chown(&logs, Some(nobody), None).unwrap();
    let guard = Setup { text: format!("{LIMIT}{text}{}", setup.text), ..setup }.start();
    let mut client = guard.client();
    for at in 0..40 {
        client.log_in(&format!("user{at}"), "wrong");
    }
    wait_for(&logs.join("audit.log"), "user39");
    for name in ["audit.log", "audit.log.1"] {
        assert_eq!(fs::metadata(logs.join(name)).unwrap().uid(), nobody, "{name}");
    }
}

#[test]
fn where_that_user_cannot_write_it_the_error_says_which_file_and_who() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        not_run("it takes root to become another user");
        return;
    }
    let upstream = Upstream::shop();
    let setup = Setup::new(&format!("user: nobody\n{AUDIT}")).upstream(&upstream);
    fs::set_permissions(setup.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = setup.dir.path().join("audit.log");
    let mut guard = Guard::spawn(setup);
    assert_eq!(guard.wait_for_exit().code(), Some(1));
    let said = format!(
        "error: the audit log cannot be written: {}: Permission denied (os error 13) \
         (user nobody ({}, group ",
        path.display(),
        nobody()
    );
    assert!(guard.log().contains(&said), "{}", guard.log());
    assert!(!guard.log().contains("CAP_NET_BIND_SERVICE"));
}

fn nobody() -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("nobody:")).unwrap();
    line.split(':').nth(2).unwrap().parse().unwrap()
}
