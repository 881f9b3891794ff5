//! The example of a fleet: its files, with what is on this machine in the stead of its containers.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::redis::RedisServer;
use crate::support::upstream::ok;
use crate::support::wait;
use crate::support::{Ask, Client, Guard, Setup, Upstream, program};

const GUARD: &str = include_str!("../../../examples/fleet/loginward.yaml");
const PROXY: &str = include_str!("../../../examples/fleet/haproxy.cfg");

/// Killed when it goes out of scope.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended by itself
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A guard with the example's settings.
fn guard(server: &RedisServer, upstream: &Upstream) -> Guard {
    let mut text = GUARD.to_owned();
    for (there, here) in [
        ("listen: \"0.0.0.0:8080\"", "listen: \"127.0.0.1:0\""),
        ("\"172.30.7.0/24\"", "\"127.0.0.0/8\""),
        ("http://app:3000", "{UPSTREAM}"),
        ("redis://store:6379", &server.url()),
        ("${file:/run/secrets/store_password}", "a-password-for-tests"),
        ("on_outage: local", "on_outage: local\n    timeout: 9s"),
        ("\"0.0.0.0:9181\"", "\"127.0.0.1:0\""),
        ("unix:/run/loginward/admin.sock", "unix:admin.sock"),
    ] {
        assert!(text.contains(there), "{there}");
        text = text.replace(there, here);
    }
    Setup::new(&text).upstream(upstream).start()
}

#[test]
fn five_guesses_are_all_that_an_address_has_behind_haproxy() {
    let (Some(mut setpriv), Some(_)) = (program("setpriv"), program("haproxy")) else { return };
    let Some(server) = RedisServer::plan().password("a-password-for-tests").start() else { return };
    let guesses = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&guesses);
    let upstream = Upstream::answering(move |request| {
        counted.fetch_add(usize::from(request.target == "/login"), Ordering::SeqCst);
        ok("<p>Wrong.</p>")
    });
    let guards = [(); 3].map(|()| guard(&server, &upstream));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut config = PROXY.replace("bind :8080", "bind fd@3");
    for (at, guard) in guards.iter().enumerate() {
        let metrics = guard.wait_for_event("metrics_listening").get("address").to_owned();
        let port = metrics.rsplit(':').next().unwrap().to_owned();
        let there = format!("guard{0} guard{0}:8080", at + 1);
        assert!(config.contains(&there), "{there}");
        config = config.replace(&there, &format!("guard{} {} port {port}", at + 1, guard.addr()));
    }
    let file = guards[0].dir().join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    setpriv.args(["--pdeathsig", "KILL", "sh", "-c", "exec haproxy -db -f \"$0\" 3<&0 </dev/null"]);
    setpriv.arg(&file).stdin(Stdio::from(OwnedFd::from(listener)));
    setpriv.stdout(Stdio::null()).stderr(Stdio::null());
    let _proxy = Running(setpriv.spawn().unwrap());
    wait::until("HAProxy answers", || TcpStream::connect(address).is_ok());
    let log_in = |forged: &str| {
        let form = "username=ada&password=wrong";
        let ask = Ask::form("/login", form).with("X-Forwarded-For", forged);
        Client::to_addr(address).ask(&ask).status
    };
    wait::until("a guard is ready", || Client::to_addr(address).get("/").status == 200);
    let statuses: Vec<u16> = (0..8).map(|at| log_in(&format!("203.0.113.{at}"))).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 4, "{statuses:?}");
    assert!(statuses.iter().skip(4).all(|status| *status == 403), "{statuses:?}");
    assert_eq!(guesses.load(Ordering::SeqCst), 5, "no more reach the application");
}
