//! What a proxy's processes take: CPU time, calls to the kernel, memory.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::proxy::Proxy;

/// What the kernel counts CPU time in, for programs: hundredths of a second, on every Linux.
const TICKS: f64 = 100.0;
/// How many connections are idle.
const IDLE: u32 = 5000;

/// A process and those that it has started.
fn tree(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in all {
        if let Some(parent) = fields(pid).get(1).and_then(|parent| parent.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut tree, mut at) = (vec![pid], 0);
    while let Some(pid) = tree.get(at).copied() {
        tree.extend(children.remove(&pid).unwrap_or_default());
        at += 1;
    }
    tree
}

/// `/proc/PID/stat` from the state on; see proc(5).
fn fields(pid: u32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
    after.split(' ').map(str::to_owned).collect()
}

/// Seconds of CPU time so far: in the program, and in the kernel for it.
pub(crate) fn cpu(pid: u32) -> (f64, f64) {
    let (mut user, mut system) = (0.0, 0.0);
    for pid in tree(pid) {
        let fields = fields(pid);
        let ticks = |at: usize| fields.get(at).and_then(|t| t.parse().ok()).unwrap_or(0.0);
        user += (ticks(11) + ticks(13)) / TICKS;
        system += (ticks(12) + ticks(14)) / TICKS;
    }
    (user, system)
}

/// Bytes of memory that are a process tree's own share.
pub(crate) fn memory(pid: u32) -> u64 {
    let own = |pid: u32| {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    tree(pid).into_iter().filter_map(own).sum::<u64>() * 1024
}

/// Calls to the kernel for each of the requests of `load`: how many, and which.
pub(crate) fn calls(pid: u32, load: impl FnOnce() -> u64) -> (f64, String) {
    let mut strace = Command::new("strace");
    strace.args(["-c", "-f", "-q", "-U", "name,calls"]);
    for pid in tree(pid) {
        strace.args(["-p", &pid.to_string()]);
    }
    let mut strace = strace.stderr(Stdio::piped()).spawn().expect("strace");
    let is_traced = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    };
    wait_until(is_traced);
    let requests = load() as f64;
    // it tells when it is interrupted
    let pid = strace.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().expect("kill");
    let mut told = String::new();
    strace.stderr.take().expect("piped").read_to_string(&mut told).expect("text");
    strace.wait().expect("strace");
    let (mut all, mut which) = (0.0, String::new());
    for line in told.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(Ok(count))) = (words.next(), words.next().map(str::parse::<f64>))
        else {
            continue;
        };
        if name != "total" {
            all += count / requests;
            if count / requests > 0.005 {
                _ = write!(which, "{name} {:.2} ", count / requests);
            }
        }
    }
    (all, which)
}

/// Bytes of memory for each idle connection of many, and how many are held in the end.
pub(crate) fn idle(proxy: &Proxy, tls: bool) -> (f64, usize) {
    let before = memory(proxy.pid());
    let mut held: Vec<Box<dyn Connection>> = Vec::new();
    for _ in 0..IDLE {
        held.push(if tls { over_tls(proxy) } else { plain(proxy.http) });
    }
    // whatever is given back after the last answer is given back by then
    std::thread::sleep(Duration::from_secs(5));
    let after = memory(proxy.pid());
    let alive = held.iter_mut().map(|held| held.is_alive()).filter(|alive| *alive).count();
    (after.saturating_sub(before) as f64 / f64::from(IDLE), alive)
}

/// One that has got an answer and sends nothing more.
trait Connection {
    fn is_alive(&mut self) -> bool;
}

impl Connection for TcpStream {
    fn is_alive(&mut self) -> bool {
        self.set_nonblocking(true).expect("a socket");
        !matches!(self.peek(&mut [0]), Ok(0))
    }
}

struct Tls(rustls::StreamOwned<rustls::ClientConnection, TcpStream>);

impl Connection for Tls {
    fn is_alive(&mut self) -> bool {
        self.0.sock.is_alive()
    }
}

fn plain(address: SocketAddr) -> Box<dyn Connection> {
    let mut stream = TcpStream::connect(address).expect("connects");
    ask(&mut stream);
    Box::new(stream)
}

fn over_tls(proxy: &Proxy) -> Box<dyn Connection> {
    let stream = TcpStream::connect(proxy.https).expect("connects");
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let client = rustls::ClientConnection::new(proxy.client(), name).expect("a client");
    let mut stream = rustls::StreamOwned::new(client, stream);
    ask(&mut stream);
    Box::new(Tls(stream))
}

fn ask(stream: &mut (impl std::io::Read + Write)) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("writes");
    let (mut got, mut part) = (Vec::new(), [0; 4096]);
    while got.len() < 1024 || !got.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut part).expect("reads");
        assert!(read > 0, "it ended");
        got.extend_from_slice(&part[..read]);
    }
}

/// Waits for what happens soon.
pub(crate) fn wait_until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing happens");
        std::thread::sleep(Duration::from_millis(20));
    }
}
