//! Sockets that come with the process, as systemd hands them to services.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};

use crate::support::upstream::ok;
use crate::support::{Ask, Client, Guard, Setup, Upstream, program, wait};

/// A listening socket that is not the guard's.
fn tcp() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn hello() -> Upstream {
    Upstream::answering(|_| ok("hello"))
}

#[test]
fn who_comes_while_no_guard_runs_is_answered_by_the_next() {
    let upstream = hello();
    let (listener, address) = tcp();
    let start = || {
        let text = format!("listen: \"{address}\"\nworkers: 3");
        let setup = Setup::new(&text).upstream(&upstream);
        setup.inherit(listener.try_clone().unwrap()).start()
    };
    let mut first = start();
    assert_eq!(first.addr(), address);
    let inherited = first.wait_for_event("socket_inherited");
    assert_eq!((inherited.get("address"), inherited.get("name")), (&*address.to_string(), "one"));
    assert_eq!(Client::to_addr(address).get("/").text(), "hello");
    first.terminate();
    assert_eq!(first.wait_for_exit().code(), Some(0));
    let mut waiting: Vec<Client> = (0..20).map(|_| Client::to_addr(address)).collect();
    for client in &mut waiting {
        client.send(Ask::get("/").bytes());
    }
    let second = start();
    for client in &mut waiting {
        assert_eq!(client.answer().text(), "hello");
    }
    assert_eq!(second.events("socket_inherited").len(), 1);
}

#[test]
fn a_socket_is_found_by_its_address_also_that_of_the_metrics() {
    let upstream = hello();
    let ((one, metrics), (two, address)) = (tcp(), tcp());
    let text = format!(
        "listen: [\"127.0.0.1:0\", \"{address}\"]\nmetrics: {{ address: \"{metrics}\" }}\n"
    );
    let guard = Setup::new(&text).upstream(&upstream).inherit(one).inherit(two).start();
    assert_eq!(guard.wait_for_event("metrics_listening").get("address"), metrics.to_string());
    assert_eq!(guard.metrics_page("/readyz").status, 200);
    assert_eq!(Client::to_addr(address).get("/").text(), "hello");
    assert_ne!(guard.addr(), address, "the first is one of its own");
    assert_eq!(guard.client().get("/").text(), "hello");
}

#[test]
fn several_sockets_of_one_address_are_all_served() {
    use socket2::{Domain, Socket, Type};
    let bind = |address: std::net::SocketAddr| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(128).unwrap();
        TcpListener::from(socket)
    };
    let upstream = hello();
    let one = bind("127.0.0.1:0".parse().unwrap());
    let address = one.local_addr().unwrap();
    let two = bind(address);
    let text = format!("listen: \"{address}\"\nworkers: 1");
    let guard = Setup::new(&text).upstream(&upstream).inherit(one).inherit(two).start();
    // the system puts each into one of the two
    for _ in 0..40 {
        assert_eq!(guard.client().get("/").text(), "hello");
    }
}

#[test]
fn a_unix_socket_stays_as_it_was_made() {
    let upstream = hello();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("http.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let text = format!("listen: \"unix:{}\"\ntrusted_proxies: unix", path.display());
    let start = || {
        let setup = Setup::new(&text).upstream(&upstream);
        setup.inherit(listener.try_clone().unwrap()).start()
    };
    for _ in 0..2 {
        let mut guard = start();
        assert_eq!(Client::to_unix(&path).get("/").text(), "hello");
        guard.terminate();
        assert_eq!(guard.wait_for_exit().code(), Some(0));
        assert!(path.exists(), "it is not the guard's to remove");
    }
}

#[test]
fn a_socket_that_nothing_names_is_an_error() {
    let upstream = hello();
    let (listener, address) = tcp();
    let mut guard = Guard::spawn(Setup::new("").upstream(&upstream).inherit(listener));
    assert_eq!(guard.wait_for_exit().code(), Some(2));
    let log = guard.log();
    assert!(log.contains(&format!("the inherited socket {address} (one) is listened on")), "{log}");
    assert!(log.contains("let `listen`, `metrics.address` or `admin.address` name this"), "{log}");
}

#[test]
fn a_connection_is_no_socket_to_listen_on() {
    let upstream = hello();
    let (listener, address) = tcp();
    let client = TcpStream::connect(address).unwrap();
    let (connection, _) = listener.accept().unwrap();
    drop(listener);
    let text = format!("listen: \"{address}\"");
    let mut guard = Guard::spawn(Setup::new(&text).upstream(&upstream).inherit(connection));
    assert_eq!(guard.wait_for_exit().code(), Some(2));
    let log = guard.log();
    assert!(log.contains("socket 1 (one) is inherited and does not listen anywhere"), "{log}");
    drop(client);
}

#[test]
fn sockets_that_are_meant_for_another_process_are_left_alone() {
    let upstream = hello();
    let setup = Setup::new("").upstream(&upstream);
    let guard = setup.variable("LISTEN_FDS", "1").variable("LISTEN_PID", "1").start();
    assert_eq!(guard.client().get("/").text(), "hello");
    assert!(guard.events("socket_inherited").is_empty());
}

#[test]
fn systemds_own_program_starts_it_with_its_first_client() {
    if program("systemd-socket-activate").is_none() {
        return;
    }
    let upstream = hello();
    let text = "listen: \"unix:{DIR}/http.sock\"\ntrusted_proxies: unix";
    let setup = Setup::new(text).upstream(&upstream);
    let path = setup.dir.path().join("http.sock");
    let listen = format!("--listen={}", path.display());
    let guard = Guard::spawn(setup.under(&["systemd-socket-activate", &listen, "--fdname=web"]));
    wait::until("systemd listens", || UnixStream::connect(&path).is_ok());
    let mut client = Client::to_unix(&path);
    assert_eq!(client.get("/").text(), "hello");
    assert_eq!(guard.wait_for_event("socket_inherited").get("name"), "web");
}
