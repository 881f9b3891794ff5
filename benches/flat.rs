//! Whether memory stays what it is, however long the guard works: ten million requests on
//! connections that are kept, and one million attempts that nobody makes twice, each from an address
//! of its own for a name of its own. `cargo bench --bench flat`, some minutes; with a number behind
//! it (`cargo bench --bench flat -- 100000`), so many attempts and ten times as many requests.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it says what it measured")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "nothing depends on it")]
#![expect(clippy::panic, reason = "nothing depends on it")]

#[path = "shared/running.rs"]
mod running;

use std::fs;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use running::{end, free_address, start};

const ATTEMPTS: u32 = 1_000_000;
/// Requests for each attempt.
const REQUESTS_EACH: u32 = 10;
const THREADS: u32 = 4;
const CONNECTIONS_EACH: u32 = 16;
/// A connection ends after so many rounds of requests and an attempt, and another takes its place.
const ROUNDS: u32 = 500;
/// Memory is looked at so often.
const LOOKS: u32 = 10;
/// By then everything that fills has filled: the counters, above all.
const FILLED: usize = 2;

/// How much may be added after that and still be none: what the allocator keeps is not the same at
/// every moment.
const MOST_GROWTH: f64 = 0.05;

fn main() {
    let attempts = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(ATTEMPTS);
    let dir = tempfile::tempdir().expect("a directory");
    let (upstream, at) = (serve(), free_address());
    let config = dir.path().join("flat.yaml");
    fs::write(&config, configuration(at, upstream)).expect("writes");
    let mut guard = Command::new(env!("CARGO_BIN_EXE_loginward"));
    let guard = start(guard.args(["run", "--config"]).arg(&config), at);
    let (done, begun, mut seen) = (AtomicU32::new(0), Instant::now(), Vec::new());
    println!("| requests | attempts | MiB of memory | after |\n|--:|--:|--:|--:|");
    println!("| 0 | 0 | {:.1} | |", mebibytes(guard.id()));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let done = &done;
            scope.spawn(move || work(at, done, (thread, attempts / THREADS)));
        }
        for look in 1..=LOOKS {
            let until = attempts / THREADS * THREADS / LOOKS * look;
            while done.load(Ordering::Relaxed) < until {
                thread::sleep(Duration::from_millis(10));
            }
            let (mebibytes, after) = (mebibytes(guard.id()), begun.elapsed().as_secs());
            println!("| {} | {until} | {mebibytes:.1} | {after} s |", until * REQUESTS_EACH);
            seen.push(mebibytes);
        }
    });
    let (before, last) = (seen[FILLED - 1], seen[seen.len() - 1]);
    let growth = last / before - 1.0;
    let verdict = if growth < MOST_GROWTH { "it is flat" } else { "IT GROWS" };
    println!("\nfrom {FILLED}0 % on: {:+.1} %, {verdict}", growth * 100.0);
    end(guard);
}

/// Everything that is not about the bench itself is as it is by default.
fn configuration(at: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "listen: \"{at}\"
admin: none
trusted_proxies: [\"127.0.0.0/8\"]
sites:
  - upstream: \"http://{upstream}\"
    logins:
      - path: /login
        username: {{ form: username }}
        password: {{ form: password }}
        outcome: {{ success: {{ status: 302 }} }}
"
    )
}

/// A process's own share of memory.
fn mebibytes(pid: u32) -> f64 {
    let told = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("Linux");
    let line = told.lines().find_map(|line| line.strip_prefix("Pss:")).expect("a line");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number");
    kilobytes / 1024.0
}

/// Makes so many attempts, each after its requests, on several connections at once.
fn work(at: SocketAddr, done: &AtomicU32, (thread, attempts): (u32, u32)) {
    let connect = |_| {
        let connection = TcpStream::connect(at).expect("connects");
        connection.set_nodelay(true).expect("a socket");
        connection
    };
    let get = "GET /page HTTP/1.1\r\nHost: a.test\r\nUser-Agent: flat\r\nAccept: */*\r\n\r\n";
    let post = "POST /thing HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1024\r\n\r\n";
    let post = post.to_owned() + &"x".repeat(1024);
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS_EACH).map(connect).collect();
    let (mut made, mut round) = (0, 0);
    while made < attempts {
        for turn in 0..REQUESTS_EACH {
            let request = if turn % 4 == 3 { &post } else { get };
            connections
                .iter_mut()
                .for_each(|one| one.write_all(request.as_bytes()).expect("writes"));
            connections.iter_mut().for_each(|one| read_answer(one, b"HTTP/1.1 200 "));
        }
        for (number, connection) in (thread * attempts + made..).zip(&mut connections) {
            let [_, a, b, c] = number.to_be_bytes();
            let body = format!("username=user-{number}%40example.com&password=correct-horse");
            let head = format!(
                "POST /login HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 10.{a}.{b}.{c}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            connection.write_all((head + &body).as_bytes()).expect("writes");
        }
        connections.iter_mut().for_each(|one| read_answer(one, b"HTTP/1.1 401 "));
        made += CONNECTIONS_EACH;
        done.fetch_add(CONNECTIONS_EACH, Ordering::Relaxed);
        round += 1;
        // one after the other, not all at once
        if round % (ROUNDS / CONNECTIONS_EACH) == 0 {
            connections.remove(0);
            connections.push(connect(0));
        }
    }
}

fn read_answer(connection: &mut TcpStream, status: &[u8]) {
    let message = Message::read(connection).expect("an answer");
    let begin = String::from_utf8_lossy(&message.0[..message.0.len().min(64)]);
    assert!(message.0.starts_with(status), "{begin}");
}

/// An application with pages of 1 KiB, at which every login fails.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let connections = listener.incoming().filter_map(Result::ok);
        connections.for_each(|connection| _ = thread::spawn(move || serve_one(connection)));
    });
    address
}

fn serve_one(mut connection: TcpStream) {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n".to_owned() + &"x".repeat(1024);
    let wrong = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\nwrong\n";
    while let Some(message) = Message::read(&mut connection) {
        let answer = if message.0.starts_with(b"POST /login ") { wrong } else { &page };
        if connection.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A head and its body.
struct Message(Vec<u8>);

impl Message {
    /// The next one of a stream on which nobody sends ahead.
    fn read(stream: &mut TcpStream) -> Option<Self> {
        let (mut message, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
            message.extend_from_slice(&part[..read]);
            let Some(end) = message.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&message[..end]).to_ascii_lowercase();
            let length = head.split_once("\r\ncontent-length: ").map_or("0", |(_, rest)| rest);
            let length = length.lines().next().and_then(|length| length.parse::<usize>().ok());
            if message.len() >= end + 4 + length.unwrap_or_default() {
                return Some(Self(message));
            }
        }
    }
}
