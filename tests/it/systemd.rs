//! What systemd is told, over a socket as it gives one to its services.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use tempfile::TempDir;

use crate::support::wait::PATIENCE;
use crate::support::{Guard, Setup, Upstream, program};

/// Where a service manager listens.
struct Manager {
    socket: UnixDatagram,
    dir: TempDir,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, dir }
    }

    fn start(&self, setup: Setup) -> Guard {
        let path = self.dir.path().join("notify");
        setup.variable("NOTIFY_SOCKET", path.to_str().unwrap()).start()
    }

    /// The lines of what it is told next.
    fn told(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).expect("it is told something in time");
        str::from_utf8(&message[..length]).unwrap().lines().map(str::to_owned).collect()
    }
}

/// What the clock says that never jumps, in microseconds since the machine started.
fn monotonic_usec() -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
    (seconds * 1e6) as u64
}

#[test]
fn it_is_told_of_readiness_of_reloads_and_of_the_end() {
    let (upstream, manager) = (Upstream::hello(), Manager::new());
    let text = "shutdown: { delay: 0s, deadline: 20s }";
    let mut guard = manager.start(Setup::new(text).upstream(&upstream));
    assert_eq!(manager.told(), ["READY=1", "STATUS=serving"]);
    assert_eq!(guard.client().get("/").text(), "hello");

    let before = monotonic_usec() - 10_000; // that clock is told in hundredths
    guard.reload();
    let told = manager.told();
    assert_eq!((told.len(), &*told[0]), (2, "RELOADING=1"));
    let since: u64 = told[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!(before <= since && since <= monotonic_usec() + 10_000, "{since}");
    assert_eq!(manager.told(), ["READY=1", "STATUS=serving, reloaded"]);

    guard.reconfigure(|_| "listen: nowhere".to_owned());
    guard.hang_up();
    assert_eq!(manager.told()[0], "RELOADING=1");
    let told = manager.told();
    assert_eq!(told[0], "READY=1", "it serves as before");
    assert!(told[1].contains("the configuration cannot be used"), "{told:?}");

    guard.terminate();
    let told = manager.told();
    assert_eq!(told[0], "STOPPING=1");
    assert_eq!(told[2], "EXTEND_TIMEOUT_USEC=25000000");
    assert!(guard.wait_for_exit().success());
}

#[test]
fn its_watchdog_is_told_as_long_as_the_workers_go_on() {
    let (upstream, manager) = (Upstream::hello(), Manager::new());
    let setup = Setup::new("").upstream(&upstream).variable("WATCHDOG_USEC", "1000000");
    let guard = manager.start(setup);
    assert_eq!(manager.told()[0], "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.told(), ["WATCHDOG=1"]);
    }
    drop(guard);
}

#[test]
fn somebody_elses_watchdog_is_not_told() {
    let (upstream, manager) = (Upstream::hello(), Manager::new());
    let setup = Setup::new("").upstream(&upstream).variable("WATCHDOG_USEC", "100000");
    let mut guard = manager.start(setup.variable("WATCHDOG_PID", "1"));
    assert_eq!(manager.told()[0], "READY=1");
    guard.reload();
    assert_eq!(manager.told()[0], "RELOADING=1");
    assert_eq!(manager.told()[0], "READY=1");
    guard.terminate();
    assert_eq!(manager.told()[0], "STOPPING=1", "there was nothing in between");
    assert!(guard.wait_for_exit().success());
}

const UNIT: &str = "examples/systemd/loginward.service";

#[test]
fn the_units_commands_are_those_of_the_program() {
    let unit = std::fs::read_to_string(UNIT).unwrap();
    let commands = unit.lines().filter_map(|line| line.strip_prefix("Exec")?.split_once('='));
    let mut count = 0;
    for (_, command) in commands {
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        let mut program = Command::new(env!("CARGO_BIN_EXE_loginward"));
        let help = program.args([words[0], "--help"]).output().unwrap();
        assert!(help.status.success(), "{command}");
        let help = String::from_utf8(help.stdout).unwrap();
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "{command}: {flag}");
        }
        count += 1;
    }
    assert_eq!(count, 3);
    assert!(unit.contains("\nRestartPreventExitStatus=2\n"));
    // where counters are kept, for the guard alone; see `snapshot::start` for what becomes of it
    assert!(unit.contains("\nStateDirectory=loginward\nStateDirectoryMode=0700\n"));
    assert!(!unit.contains("\nProcSubset=pid\n"), "the name of the boot would be hidden");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let Some(mut program) = program("systemd-analyze") else { return };
    let dir = tempfile::tempdir().unwrap();
    program.arg("verify");
    for name in ["loginward.service", "loginward.socket"] {
        let unit = std::fs::read_to_string(format!("examples/systemd/{name}")).unwrap();
        // the programs have to be there
        let unit = unit.replace("/usr/local/bin/loginward", env!("CARGO_BIN_EXE_loginward"));
        let path = dir.path().join(name);
        std::fs::write(&path, unit).unwrap();
        program.arg(path);
    }
    let verified = program.output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    let about_it: Vec<_> = said.lines().filter(|line| line.contains("loginward")).collect();
    assert!(about_it.is_empty(), "{said}");
}
