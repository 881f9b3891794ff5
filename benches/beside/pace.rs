//! Requests at a steady pace: one after the other at equal distances, whether or not those before
//! have been answered. What is measured is how long each takes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::load::{Done, Options};

/// Makes `rate` requests a second to `address`, on as many connections as the options say.
pub(crate) fn run((address, path): (SocketAddr, &str), rate: u32, options: &Options) -> Done {
    let mut clients: Vec<Client> = (0..options.connections).map(|_| Client::new(address)).collect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: pace\r\n\r\n");
    let (total, apart) = (rate * options.seconds, Duration::from_secs(1) / rate);
    let (begun, mut sent, mut next) = (Instant::now(), 0, 0);
    let (mut taken, mut bad) = (Vec::new(), 0);
    while taken.len() < total as usize {
        while sent < total && begun.elapsed() >= apart * sent {
            // in turns; where all are busy, it has to wait like anybody
            let all = clients.len();
            let Some(idle) = (next..next + all).find(|at| clients[at % all].since.is_none()) else {
                break;
            };
            clients[idle % all].send(request.as_bytes());
            (sent, next) = (sent + 1, (idle + 1) % all);
        }
        for at in readable(&clients, (apart * sent).saturating_sub(begun.elapsed())) {
            if let Some((micros, is_good)) = clients[at].read() {
                taken.push(micros);
                bad += u64::from(!is_good);
            }
        }
    }
    taken.sort_unstable();
    let per_second = taken.len() as f64 / begun.elapsed().as_secs_f64();
    let p50_micros = taken.get(taken.len() / 2).map(|middle| *middle as f64);
    Done { requests: taken.len() as u64, bad, per_second, p50_micros }
}

/// The numbers of those with something to read, by then at the latest.
fn readable(clients: &[Client], patience: Duration) -> Vec<usize> {
    let mut all: Vec<PollFd<'_>> =
        clients.iter().map(|client| PollFd::new(&client.stream, PollFlags::IN)).collect();
    let patience = Timespec::try_from(patience).expect("a short time");
    poll(&mut all, Some(&patience)).expect("poll");
    all.iter().enumerate().filter(|(_, one)| !one.revents().is_empty()).map(|(at, _)| at).collect()
}

struct Client {
    stream: TcpStream,
    /// When its request was sent that is not answered yet.
    since: Option<Instant>,
    answer: Vec<u8>,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connects");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, since: None, answer: Vec::new() }
    }

    fn send(&mut self, request: &[u8]) {
        self.answer.clear();
        self.since = Some(Instant::now());
        self.stream.write_all(request).expect("writes");
    }

    /// Reads on; how many microseconds the whole answer took, once it is here, and whether it is a
    /// success.
    fn read(&mut self) -> Option<(u64, bool)> {
        let mut part = [0; 4096];
        let read = self.stream.read(&mut part).expect("reads");
        assert!(read > 0, "it ended");
        self.answer.extend_from_slice(&part[..read]);
        let end = self.answer.windows(4).position(|end| end == b"\r\n\r\n")?;
        if self.answer.len() < end + 4 + 1024 {
            return None;
        }
        let micros = self.since.take()?.elapsed().as_micros();
        Some((u64::try_from(micros).ok()?, self.answer.starts_with(b"HTTP/1.1 200")))
    }
}
