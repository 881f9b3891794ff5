//! The guard as a process: how it begins, and how it ends.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use crate::support::upstream::{ok, shop};
use crate::support::{Ask, Client, Gate, Guard, Setup, Upstream, wait};

/// An upstream that begins its answers at once and ends them when the gate opens.
fn slow(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::scripted(move |talk| {
        while talk.request().is_some() {
            talk.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun");
            gate.pass();
            talk.send("ended");
        }
    })
}

#[test]
fn what_is_under_way_is_finished_before_it_ends() {
    let gate = Gate::closed();
    let upstream = slow(&gate);
    let mut guard = Guard::start("", &upstream);
    let (mut idle, mut busy) = (guard.client(), guard.client());
    busy.send(Ask::get("/").bytes());
    let mut answer = busy.answer_head().unwrap();
    guard.terminate();
    guard.wait_for_event("stopping");
    assert!(idle.is_closed(), "an idle connection ends at once");
    wait::until("nobody new is let in", || TcpStream::connect(guard.addr()).is_err());
    gate.open();
    answer.body = busy.wire.body(answer.framing("GET"));
    assert_eq!((answer.text().as_str(), answer.body.cut), ("begunended", false));
    assert!(busy.is_closed());
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    assert_eq!(guard.events("stopped").len(), 1);
}

#[test]
fn a_request_that_waits_for_its_answer_gets_it_with_the_end_announced() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_| {
        held.pass();
        ok("at last")
    });
    let mut guard = Guard::start("", &upstream);
    let (mut page, mut login) = (guard.client(), guard.client());
    page.send(Ask::get("/").bytes());
    login.send(Ask::login("bob", "x").bytes());
    gate.wait_for_arrivals(2);
    guard.terminate();
    guard.wait_for_event("stopping");
    gate.open();
    for client in [&mut page, &mut login] {
        let answer = client.answer();
        assert_eq!((answer.text().as_str(), answer.get("connection")), ("at last", Some("close")));
    }
    assert_eq!(guard.wait_for_exit().code(), Some(0));
}

#[test]
fn a_login_without_its_client_is_settled_before_it_ends() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_| {
        held.pass();
        ok("wrong password")
    });
    let mut guard = Guard::start("", &upstream);
    let mut client = guard.client();
    client.send(Ask::login("bob", "wrong").bytes());
    gate.wait_for_arrivals(1);
    client.reset();
    wait::until("it is without its client", || guard.metric("loginward_detached", "") > 0.5);
    guard.terminate();
    guard.wait_for_event("stopping");
    gate.open();
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    assert_eq!(guard.events("login_failed").len(), 1);
}

#[test]
fn who_waits_for_a_place_gets_it_or_an_answer_before_it_ends() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        held.pass();
        shop(request)
    });
    let limit = "lockout: { limits: { by: ip_address, failures: 1, cool_off: 10m }, wait: 25s }";
    let mut guard = Guard::start(limit, &upstream);
    let (mut first, mut second) = (guard.client(), guard.client());
    first.send(Ask::login("bob", "right").bytes());
    gate.wait_for_arrivals(1);
    second.send(Ask::login("bob", "right").bytes());
    wait::until("it waits", || guard.metric("loginward_waiting", "") > 0.5);
    guard.terminate();
    guard.wait_for_event("stopping");
    gate.open();
    assert_eq!((first.answer().status, second.answer().status), (302, 302));
    assert_eq!(guard.wait_for_exit().code(), Some(0));
}

#[test]
fn it_does_not_wait_for_ever() {
    let gate = Gate::closed();
    let upstream = slow(&gate);
    let mut guard = Guard::start("shutdown: { deadline: 500ms }", &upstream);
    let mut client = guard.client();
    client.send(Ask::get("/").bytes());
    client.answer_head().unwrap();
    let begun = wait::now();
    guard.terminate();
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    gate.open();
}

/// Starts a guard that cannot run; returns its exit status and what it says.
#[track_caller]
fn fail(configuration: &str) -> (i32, String) {
    let setup = Setup::new(configuration).replace("{UPSTREAM}", "http://127.0.0.1:9");
    let mut guard = Guard::spawn(setup);
    let status = guard.wait_for_exit().code().unwrap();
    (status, guard.log())
}

#[test]
fn a_port_in_use_is_an_error_that_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for key in ["listen", "metrics"] {
        let (status, said) = match key {
            "listen" => fail(&format!("listen: \"{address}\"")),
            _ => fail(&format!("metrics: {{ address: \"{address}\" }}")),
        };
        assert_eq!(status, 1, "{said}");
        assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
        assert!(said.contains("is another guard, or the application itself, there?"), "{said}");
    }
}

#[test]
fn two_guards_do_not_share_a_port() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let (status, said) = fail(&format!("listen: \"{}\"", guard.addr()));
    assert_eq!(status, 1, "{said}");
}

#[test]
fn a_wrong_configuration_is_an_error_with_every_problem() {
    let wrong = "lockout: { limits: { by: ip_address, failures: 0, cool_off: 0s } }\nwrokers: 2";
    let (status, said) = fail(wrong);
    assert_eq!(status, 2, "{said}");
    for part in ["loginward.yaml:1:", "failures", "cool_off", "loginward.yaml:2:", "workers"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("listening"));
}

#[test]
fn a_socket_that_an_earlier_guard_left_is_taken_over_and_removed_in_the_end() {
    let upstream = Upstream::hello();
    let text = "listen: \"unix:{DIR}/http.sock\"\ntrusted_proxies: unix";
    let setup = Setup::new(text).upstream(&upstream);
    let path = setup.dir.path().join("http.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "it is left behind");
    let mut guard = setup.start();
    assert_eq!(Client::to_unix(&path).get("/").text(), "hello");
    guard.terminate();
    assert_eq!(guard.wait_for_exit().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_socket_that_somebody_listens_on_and_a_file_that_is_none_are_left_alone() {
    let text = "listen: \"unix:{DIR}/http.sock\"\ntrusted_proxies: unix";
    let setup = || Setup::new(text).replace("{UPSTREAM}", "http://127.0.0.1:9");
    let (used, file) = (setup(), setup());
    let _listener = UnixListener::bind(used.dir.path().join("http.sock")).unwrap();
    let file = file.file("http.sock", "precious");
    let precious = file.dir.path().join("http.sock");
    for setup in [used, file] {
        let mut guard = Guard::spawn(setup);
        assert_eq!(guard.wait_for_exit().code(), Some(1), "{}", guard.log());
        let kept = guard.dir().join("http.sock");
        assert!(kept.exists());
        if kept == precious {
            assert_eq!(std::fs::read_to_string(kept).unwrap(), "precious");
        }
    }
}

#[test]
fn it_may_listen_in_several_places() {
    let upstream = Upstream::hello();
    let text = "listen: [\"127.0.0.1:0\", \"127.0.0.1:0\", \"unix:{DIR}/http.sock\"]\n\
                trusted_proxies: unix";
    let text = text.replacen("127.0.0.1:0", "127.0.0.2:0", 1);
    let guard = Guard::start(&text, &upstream);
    let addresses: Vec<_> =
        guard.events("listening").iter().map(|event| event.get("address").to_owned()).collect();
    assert_eq!(addresses.len(), 3, "{addresses:?}");
    for address in &addresses {
        let mut client = match address.strip_prefix("unix:") {
            Some(path) => Client::to_unix(path.as_ref()),
            None => Client::to_addr(address.strip_prefix("http://").unwrap().parse().unwrap()),
        };
        assert_eq!(client.get("/").text(), "hello", "{address}");
    }
}
