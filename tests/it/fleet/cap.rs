//! However many guards there are: exactly `failures` wrong guesses reach the upstream.

use std::sync::Arc;
use std::time::Duration;

use loginward::clock::Clock;
use loginward::config::Settings;
use loginward::server::Server;
use loginward::server::listen::Bound;
use loginward::store::Store;
use loginward::store::redis::settings::{Address, Place, RedisSettings};

use crate::support::socket::Socket;
use crate::support::upstream::shop;
use crate::support::wire::Wire;
use crate::support::{Ask, Client, Gate, RedisServer, Upstream, wait};

/// Guards in this process before one application, with one memory.
struct Fleet {
    guards: Vec<Server>,
    upstream: Upstream,
    gate: Gate,
}

impl Fleet {
    fn start(server: &RedisServer, limit: &str) -> Self {
        let gate = Gate::closed();
        let held = gate.clone();
        let upstream = Upstream::answering(move |request| {
            if request.target == "/login" {
                held.pass();
            }
            shop(request)
        });
        let text = format!(
            "listen: \"127.0.0.1:0\"
workers: 1
shutdown: {{ deadline: 1s }}
lockout: {{ limits: {{ {limit}, cool_off: 10m }}, wait: 25s }}
sites:
  - name: shop
    upstream: \"{}\"
    logins:
      - path: /login
        username: {{ form: user }}
        password: {{ form: password }}
        outcome:
          - success: {{ status: 302 }}
",
            upstream.url()
        );
        let start = || {
            let parsed = Settings::parse(&text, ".".as_ref(), "fleet.yaml");
            let mut settings = parsed.unwrap_or_else(|wrong| panic!("{wrong}")).0;
            let place = Place::One(Address::Tcp("127.0.0.1".into(), server.port()));
            let mut redis = RedisSettings::at(place);
            // a machine that runs many tests at once may be slow
            redis.timeout = Duration::from_secs(20);
            redis.connect_timeout = Duration::from_secs(20);
            settings.store.redis = Some(Arc::new(redis));
            Server::start(settings, Clock::system()).unwrap()
        };
        let guards = (0..3).map(|_| start()).collect();
        Self { guards, upstream, gate }
    }

    /// A client of one of them.
    fn client(&self, at: usize) -> Client {
        let guard = &self.guards[at % self.guards.len()];
        let [Bound::Tcp(address), ..] = guard.bound() else { panic!("it listens elsewhere") };
        Client { wire: Wire::new(Socket::connect(*address, None)) }
    }

    fn stores(&self) -> impl Iterator<Item = &Store> {
        self.guards.iter().map(|guard| &*guard.shared().store)
    }

    fn waiting(&self) -> usize {
        self.stores().map(|store| store.sizes().waiting).sum()
    }

    /// How many were told to come again.
    fn turned_away(&self) -> usize {
        let of = |guard: &Server| {
            let metrics = guard.shared().metrics_text();
            let lines = metrics.lines().filter(|line| {
                line.starts_with("loginward_refusals_total{") && line.contains("\"busy\"")
            });
            lines
                .map(|line| line.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap())
                .sum::<usize>()
        };
        self.guards.iter().map(of).sum::<usize>()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.gate.open();
        std::mem::take(&mut self.guards).into_iter().for_each(Server::stop);
    }
}

#[test]
fn of_a_thousand_guesses_spread_over_three_guards_five_reach_the_upstream() {
    let Some(server) = RedisServer::start() else { return };
    let fleet = Fleet::start(&server, "by: [username, ip_address], failures: 5");
    let mut clients: Vec<_> = (0..1000).map(|at| fleet.client(at)).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.send(Ask::login("bob", &format!("guess{at}")).bytes());
    }
    fleet.gate.wait_for_arrivals(5);
    wait::until("all others wait or are told to come again", || {
        fleet.waiting() + fleet.turned_away() == 1000 - 5
    });
    assert_eq!(fleet.upstream.hits(), 5);
    fleet.gate.open();
    let mut count = [0; 3];
    for client in &mut clients {
        let kind = match client.answer().verdict() {
            (200, "") => 0,
            (403, "locked") => 1,
            (429, "busy") => 2,
            other => panic!("{other:?}"),
        };
        count[kind] += 1;
    }
    assert_eq!(count, [4, 1 + 3 * 256, 1000 - 5 - 3 * 256], "failed, locked, busy");
    assert_eq!(fleet.upstream.hits(), 5);
    assert!(fleet.stores().all(|store| store.sizes().places == 0));
}

#[test]
fn correct_logins_at_once_all_succeed_below_a_limit_of_five() {
    let Some(server) = RedisServer::start() else { return };
    let fleet = Fleet::start(&server, "by: ip_address, failures: 5");
    let mut clients: Vec<_> = (0..64).map(|at| fleet.client(at)).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.send(Ask::login(&format!("user{at}"), "right").bytes());
    }
    fleet.gate.wait_for_arrivals(5);
    wait::until("the others wait", || fleet.waiting() == 59);
    assert_eq!(fleet.upstream.hits(), 5);
    fleet.gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().verdict(), (302, ""));
    }
    assert_eq!(fleet.client(0).log_in("bob", "wrong").status, 200, "and nobody is locked");
}
