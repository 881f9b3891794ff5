//! The audit log at a syslog server: a real socket that the test has.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
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
    let mut stream = accept(&listener);
    for (priority, name) in [("38", "login_failed"), ("36", "locked_out")] {
        check(&read(&mut stream), priority, name, &guard);
    }
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A message, behind its length.
fn read(stream: &mut TcpStream) -> String {
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
    String::from_utf8(message).unwrap()
}

#[test]
fn a_server_that_was_started_again_misses_nothing() {
    let upstream = Upstream::shop();
    let mut listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let guard = start(&format!("tcp://{address}"), &upstream);
    for name in ["one", "two", "three", "four"] {
        guard.client().log_in(name, "wrong");
        let mut stream = accept(&listener);
        for _ in 0..2 {
            assert_eq!(parse(&read(&mut stream)).1["username"], name, "none is missing");
        }
        drop((stream, listener));
        listener = TcpListener::bind(address).unwrap();
    }
    assert_eq!(guard.events("audit_failed").len(), 0);
}

#[test]
fn where_nobody_takes_datagrams_they_wait() {
    let upstream = Upstream::shop();
    let bind = |address: &str| {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    };
    let receive = |socket: &UdpSocket| {
        let mut bytes = [0; 8192];
        let length = socket.recv(&mut bytes).unwrap();
        let message = String::from_utf8(bytes[..length].to_vec()).unwrap();
        parse(&message).1["username"].as_str().unwrap().to_owned()
    };
    let mut socket = bind("127.0.0.1:0");
    let address = socket.local_addr().unwrap().to_string();
    let guard = start(&format!("udp://{address}"), &upstream);
    for (round, [first, second, third]) in
        [["one", "two", "three"], ["four", "five", "six"]].into_iter().enumerate()
    {
        guard.client().log_in(first, "wrong");
        assert_eq!([receive(&socket), receive(&socket)], [first, first]);
        drop(socket);
        guard.client().log_in(second, "wrong");
        guard.wait_for_events("audit_failed", round + 1);
        guard.client().log_in(third, "wrong");
        socket = bind(&address);
        for expected in [second, second, third, third] {
            assert_eq!(receive(&socket), expected, "in order, none is missing");
        }
        guard.wait_for_events("audit_recovered", round + 1);
        assert_eq!(guard.events("audit_failed").len(), round + 1, "it fails once");
    }
}
