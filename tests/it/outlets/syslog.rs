//! The audit log at a syslog server: a real socket that the test has.

use std::io::Read as _;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use serde_json::Value;

use crate::support::wait::PATIENCE;
use crate::support::{Guard, Setup, Upstream};

/// The beginning of a message of RFC 5424, and what it says.
fn parse(message: &str) -> (Vec<&str>, Value) {
    let (head, text) = message.split_once(" - ").unwrap();
    (head.split(' ').collect(), serde_json::from_str(text).unwrap())
}

#[track_caller]
fn check(message: &str, priority: &str, name: &str, guard: &Guard) {
    let (head, event) = parse(message);
    let pid = guard.pid().to_string();
    assert_eq!((head[0], head[3]), (&*format!("<{priority}>1"), "loginward"), "{message}");
    assert_eq!((head[4], head[5], head.len()), (&*pid, name, 6));
    assert_eq!((&event["event"], &event["ts"]), (&name.into(), &head[1].into()));
}

fn start(address: &str, upstream: &Upstream) -> Guard {
    let text = "lockout: { limits: { by: username, failures: 1, cool_off: 10m } }\n\
                audit: { to: syslog, events: [login_failed, locked_out], \
                syslog: { address: \"{ADDRESS}\", facility: auth } }\n";
    Setup::new(&text.replace("{ADDRESS}", address)).upstream(upstream).start()
}

fn receive(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 8192];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

fn bind(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

#[test]
fn messages_arrive_at_a_unix_socket_and_wait_while_it_is_gone() {
    let upstream = Upstream::shop();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let guard = start(&format!("unix:{}", path.display()), &upstream);
    guard.client().log_in("one", "wrong");
    // it comes to be there later than the guard
    let failed = guard.wait_for_event("audit_failed");
    assert!(failed.get("reason").contains("No such file"), "{failed:?}");
    let socket = bind(&path);
    check(&receive(&socket), "38", "login_failed", &guard);
    check(&receive(&socket), "36", "locked_out", &guard);
    guard.wait_for_event("audit_recovered");
    drop(socket);
    std::fs::remove_file(&path).unwrap();
    for name in ["two", "three"] {
        guard.client().log_in(name, "wrong");
    }
    guard.wait_for_events("audit_failed", 2);
    let socket = bind(&path);
    for expected in ["two", "two", "three", "three"] {
        assert_eq!(parse(&receive(&socket)).1["username"], expected, "in order, none is missing");
    }
}

#[test]
fn messages_arrive_by_udp() {
    let upstream = Upstream::shop();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let guard = start(&format!("udp://{}", socket.local_addr().unwrap()), &upstream);
    guard.client().log_in("bob", "wrong");
    let mut bytes = [0; 8192];
    let length = socket.recv(&mut bytes).unwrap();
    check(std::str::from_utf8(&bytes[..length]).unwrap(), "38", "login_failed", &guard);
}

#[test]
fn messages_arrive_by_tcp_each_with_its_length() {
    let upstream = Upstream::shop();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let guard = start(&format!("tcp://{}", listener.local_addr().unwrap()), &upstream);
    guard.client().log_in("bob", "wrong");
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for (priority, name) in [("38", "login_failed"), ("36", "locked_out")] {
        let mut digits = String::new();
        let mut byte = [0];
        loop {
            stream.read_exact(&mut byte).unwrap();
            if byte == *b" " {
                break;
            }
            digits.push(char::from(byte[0]));
        }
        let mut message = vec![0; digits.parse().unwrap()];
        stream.read_exact(&mut message).unwrap();
        check(std::str::from_utf8(&message).unwrap(), priority, name, &guard);
    }
}
