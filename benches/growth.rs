//! Whether a counted login costs more where there is more: counters in memory, sites, login rules.
//! `cargo bench --bench growth`; it needs valgrind, whose callgrind counts the instructions of the
//! real program, all its threads, and some ten minutes. Where counters are kept in a file, that is
//! written beside, and costs what it costs whatever logins do.
//!
//! Instructions are counted since they are the same on every machine and however busy it is. What
//! they do not show is that a larger table lies less in the processor's caches.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it says what it measured")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "nothing depends on it")]
#![expect(clippy::panic, clippy::cast_precision_loss, reason = "nothing depends on it")]

#[path = "shared/running.rs"]
mod running;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use running::{end, free_address, start};

/// So many logins are counted, of that many at the beginning that are not.
const LOGINS: u32 = 4_000;
const WARM_UP: u32 = 500;
/// Who guesses before anything is measured.
const GUESSERS: u32 = 8;

/// An account has one of its own, and one for each address that it is guessed from.
const COUNTERS_EACH: u32 = 2;

/// What there is much of.
#[derive(Clone, Copy)]
struct Size {
    counters: u32,
    sites: u32,
    rules: u32,
}

const SMALL: Size = Size { counters: 1_000, sites: 1, rules: 1 };

fn main() {
    let upstream = serve_failures();
    let least = measure(SMALL, upstream);
    println!("{least:.0} instructions for a counted login: 1,000 counters, one site, one rule");
    for (what, size) in [
        ("1,000,000 counters", Size { counters: 1_000_000, ..SMALL }),
        ("200 sites", Size { sites: 200, ..SMALL }),
        ("200 login rules", Size { rules: 200, ..SMALL }),
    ] {
        let taken = measure(size, upstream);
        println!("{taken:.0} instructions with {what}: {:+.1} %", (taken / least - 1.0) * 100.0);
    }
}

/// Instructions for each login of a guard of that size.
fn measure(size: Size, upstream: SocketAddr) -> f64 {
    let dir = tempfile::tempdir().expect("a directory");
    let at = free_address();
    let config = dir.path().join("growth.yaml");
    fs::write(&config, configuration(size, (at, upstream))).expect("writes");
    let mut check = Command::new(env!("CARGO_BIN_EXE_loginward"));
    check.args(["check", "--config"]).arg(&config).stdout(Stdio::null());
    assert!(check.status().expect("it runs").success());
    let counted = dir.path().join("instructions");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--instr-atstart=no"]);
    valgrind.arg(format!("--callgrind-out-file={}", counted.display()));
    valgrind.arg(env!("CARGO_BIN_EXE_loginward")).args(["run", "--config"]).arg(&config);
    let guard = start(&mut valgrind, at);
    let accounts = size.counters / COUNTERS_EACH;
    let share = accounts / GUESSERS;
    thread::scope(|scope| {
        for guesser in 0..GUESSERS {
            scope.spawn(move || guess(at, size, guesser * share..(guesser + 1) * share));
        }
    });
    // known to the guard, and all over its tables
    let known = |count: u32| (0..count).map(|number| number * 7919 % accounts);
    guess(at, size, known(WARM_UP));
    control(&guard, "on");
    guess(at, size, known(LOGINS));
    control(&guard, "off");
    end(guard);
    total(&counted) as f64 / f64::from(LOGINS)
}

/// What callgrind counted in all, from the files that it has written.
fn total(counted: &Path) -> u64 {
    let told = fs::read_to_string(counted).expect("callgrind writes it at the end");
    let line = |line: &str| line.strip_prefix("totals: ")?.trim().parse().ok();
    told.lines().find_map(line).expect("totals")
}

fn control(guard: &Child, state: &str) {
    let mut control = Command::new("callgrind_control");
    control.args(["-i", state, &guard.id().to_string()]);
    control.stdout(Stdio::null()).stderr(Stdio::null());
    assert!(control.status().expect("callgrind_control").success());
}

fn configuration(size: Size, (at, upstream): (SocketAddr, SocketAddr)) -> String {
    let mut text = format!(
        "listen: \"{at}\"
workers: 1
admin: none
store: {{ memory: {{ max_counters: 4000000 }} }}
lockout:
  at_limit: upstream
  limits:
    - {{ by: username, failures: 1000000, cool_off: 1h }}
    - {{ by: [username, ip_address], failures: 1000000, cool_off: 1h }}
sites:
"
    );
    for site in 0..size.sites {
        _ = write!(
            text,
            "  - hosts: [\"site-{site}.example\"]\n    upstream: \"http://{upstream}\"\n    logins:\n"
        );
        for rule in 0..size.rules {
            _ = write!(
                text,
                "      - path: /area-{rule}/login
        username: {{ form: username }}
        password: {{ form: password }}
        outcome: {{ success: {{ status: 302 }} }}
"
            );
        }
    }
    text
}

/// Guesses wrongly for accounts of these numbers, one after the other, on one connection.
fn guess(at: SocketAddr, size: Size, numbers: impl Iterator<Item = u32>) {
    let (site, rule) = (size.sites / 2, size.rules / 2);
    let mut connection = TcpStream::connect(at).expect("connects");
    connection.set_nodelay(true).expect("a socket");
    for number in numbers {
        let body = format!("username=user-{number}%40example.com&password=correct-horse");
        let request = format!(
            "POST /area-{rule}/login HTTP/1.1\r\nHost: site-{site}.example\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).expect("writes");
        let answer = read_message(&mut connection).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
}

/// An application at which every login fails.
fn serve_failures() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let connections = listener.incoming().filter_map(Result::ok);
        connections.for_each(|connection| _ = thread::spawn(move || fail_all(connection)));
    });
    address
}

fn fail_all(mut connection: TcpStream) {
    let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\nwrong\n";
    while read_message(&mut connection).is_some() {
        if connection.write_all(answer).is_err() {
            return;
        }
    }
}

/// The next head and its body, of a stream on which nobody sends ahead.
fn read_message(stream: &mut impl Read) -> Option<String> {
    let (mut message, mut part) = (String::new(), [0; 4096]);
    loop {
        if let Some((head, body)) = message.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length.split_once("content-length: ").map_or("0", |(_, rest)| rest);
            let length = length.lines().next().and_then(|length| length.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(message);
            }
        }
        let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
        message.push_str(std::str::from_utf8(&part[..read]).ok()?);
    }
}
