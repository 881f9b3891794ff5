//! A way to a server on which its answers may take their time.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::wait;

/// Passes on what comes to it, at once, and what is answered, a while later.
pub struct Relay {
    address: SocketAddr,
    delay: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    port: Arc<AtomicU16>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// One to the server at `port` of 127.0.0.1.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (delay, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (port, open) = (Arc::new(AtomicU16::new(port)), Arc::new(Mutex::new(Vec::new())));
        let relay = Self {
            address,
            delay: Arc::clone(&delay),
            ends: Arc::clone(&ends),
            port: Arc::clone(&port),
            open: Arc::clone(&open),
        };
        std::thread::spawn(move || {
            let next = || listener.accept().ok().filter(|_| !ends.load(Ordering::SeqCst));
            while let Some((client, _)) = next() {
                let mut open = open.lock().unwrap();
                open.extend(lead(client, port.load(Ordering::SeqCst), &delay));
            }
        });
        relay
    }

    /// The port where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on it leads to another port; connections that are open end.
    pub fn turn_to(&self, port: u16) {
        let mut open = self.open.lock().unwrap();
        self.port.store(port, Ordering::SeqCst);
        for client in open.drain(..) {
            // it may have ended by itself
            drop(client.shutdown(Shutdown::Both));
        }
    }

    /// So late are answers from now on.
    pub fn delay(&self, by: Duration) {
        self.delay.store(by.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // wakes whoever accepts
        drop(TcpStream::connect(self.address));
    }
}

/// Leads a client to a port, if anybody listens there.
fn lead(client: TcpStream, port: u16, delay: &Arc<AtomicU64>) -> Option<TcpStream> {
    let server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let open = client.try_clone().unwrap();
    pass(client, server, delay);
    Some(open)
}

fn pass(client: TcpStream, server: TcpStream, delay: &Arc<AtomicU64>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (mut asks, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        // either end may be gone
        drop(std::io::copy(&mut asks, &mut asked));
        drop(asked.shutdown(Shutdown::Both));
    });
    let (send, late) = channel();
    std::thread::spawn(move || deliver(&late, client));
    let (delay, mut server) = (Arc::clone(delay), server);
    std::thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(read @ 1..) = server.read(&mut bytes) {
            let by = Duration::from_millis(delay.load(Ordering::SeqCst));
            if send.send((wait::now() + by, bytes[..read].to_vec())).is_err() {
                break;
            }
        }
    });
}

/// Delivers each piece when its time has come; the connection ends with the last one.
fn deliver(late: &Receiver<(Instant, Vec<u8>)>, mut client: TcpStream) {
    for (due, bytes) in late {
        while let Some(left) = due.checked_duration_since(wait::now()) {
            std::thread::park_timeout(left);
        }
        if client.write_all(&bytes).is_err() {
            break;
        }
    }
    drop(client.shutdown(Shutdown::Both));
}
