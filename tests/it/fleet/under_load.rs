//! The server is killed, frozen, slow, full, read-only, failed over or restarted empty while clients
//! go on at three guards: nobody is answered but as was promised, nobody gets more guesses than that,
//! and afterwards all guards know together what each counted alone.

use std::collections::HashMap;
use std::time::Duration;

use super::load::{Application, FAILURES, Load, Promise};
use crate::api::asking::operator;
use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::{Ask, Client, Guard, RedisCluster, RedisServer, Relay, Sentineled, wait};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
const LIMITS: &str = "
lockout:
  at_limit: upstream
  limits:
    - { by: username, failures: 5, cool_off: 10m }
    - { by: ip_address, failures: 100000, cool_off: 10m }
trusted_proxies: 127.0.0.1
";

/// How much of what was counted the store knows afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sum {
    /// Each failure, once.
    Exact,
    /// What was seen by several may have been more than each saw.
    AtMost,
    /// What was let through meanwhile is not counted.
    Less,
}

/// Three guards before one application, with one memory.
struct Fleet {
    guards: Vec<Guard>,
    application: Application,
    promise: Promise,
}

impl Fleet {
    /// Guards that share what is at `place`.
    fn start(place: &str, promise: Promise) -> Self {
        let application = Application::start();
        let seconds = TIMEOUT.as_secs();
        let store = format!(
            "store: {{ redis: {{ {place}, key: \"a-key-of-the-fleet\", timeout: {seconds}s, \
             connect_timeout: {seconds}s, on_outage: {} }} }}\n",
            promise.name()
        );
        let start = |_| Guard::start(&format!("{ADMIN}{LIMITS}{store}"), &application.upstream);
        let guards = (0..3).map(start).collect();
        Self { guards, application, promise }
    }

    fn load(&self) -> Load {
        Load::begin(&self.guards, (self.promise, TIMEOUT))
    }

    /// Goes on while `begin` begins an outage, and `mend` ends it. Meanwhile attempts end that began
    /// before, and an operator lets one in whom all guards know as locked, and locks another.
    fn endure(&self, begin: impl FnOnce(), mend: impl FnOnce()) {
        (0..FAILURES).for_each(|_| _ = self.log_in(0, "eve", "wrong"));
        assert_eq!([0, 1, 2].map(|at| self.log_in(at, "eve", "right")), [403; 3]);
        let load = self.load();
        load.go_on();
        let mut late: Vec<Client> = self.guards.iter().map(guess_late).collect();
        self.application.gate.wait_for_arrivals(late.len());
        begin();
        self.wait_for_events("store_unreachable");
        self.application.gate.open();
        late.iter_mut().for_each(|client| assert_eq!(client.answer().status, 200));
        self.operate(0, &["reset", "eve"]);
        self.operate(1, &["lock", "mallory"]);
        load.go_on();
        mend();
        self.wait_until_back();
        load.go_on();
        load.end();
        self.wait_until_back();
        assert_eq!([2, 1, 0].map(|at| self.log_in(at, "eve", "right")), [302; 3], "reset since");
        assert_eq!([2, 1, 0].map(|at| self.log_in(at, "mallory", "right")), [403; 3]);
    }

    /// An operator's command to one of them.
    fn operate(&self, at: usize, words: &[&str]) {
        let said = run(&[words, &["--admin", &self.guards[at].admin()]].concat());
        assert_eq!(said.status, 0, "{words:?}: {}{}", said.out, said.err);
    }

    fn wait_for_events(&self, event: &str) {
        self.guards.iter().for_each(|guard| _ = guard.wait_for_event(event));
    }

    fn wait_until_back(&self) {
        self.wait_for_events("store_back");
        for guard in &self.guards {
            wait::until("the store is up", || guard.metric("loginward_store_up", "") > 0.5);
        }
    }

    fn log_in(&self, at: usize, user: &str, password: &str) -> u16 {
        let ask = Ask::login(user, password).with("X-Forwarded-For", "203.0.113.200");
        self.guards[at].ask(&ask).status
    }

    /// What the guards know together: failures by name of an account or an address.
    fn known(&self) -> HashMap<String, usize> {
        let operator = operator(&self.guards[0]);
        let (mut known, mut cursor) = (HashMap::new(), String::new());
        loop {
            let page = operator.get(&format!("/v1/counters?limit=1000{cursor}"));
            for counter in page["counters"].as_array().unwrap() {
                let mut names = counter["parameters"].as_object().unwrap().values();
                let name = names.next().unwrap().as_str().unwrap().to_owned();
                known.insert(name, usize::try_from(counter["failures"].as_u64().unwrap()).unwrap());
            }
            match page["next"].as_str() {
                None => return known,
                Some(next) => cursor = format!("&cursor={next}"),
            }
        }
    }

    /// What holds afterwards, whatever has happened.
    #[track_caller]
    fn check(&self, sum: Sum) {
        for guard in &self.guards {
            wait::until("no place is held", || guard.metric("loginward_places", "") < 0.5);
        }
        let mut accounts = self.application.accounts();
        accounts.remove("eve"); // who was let in again
        let mut hits: Vec<_> = accounts.iter().map(|(user, hits)| (&**user, *hits)).collect();
        hits.extend([("honest0", 0), ("honest1", 0)]);
        hits.sort_unstable();
        assert!(hits.iter().filter(|(_, hits)| *hits >= FAILURES).count() > 1, "{hits:?}");
        if self.promise != Promise::Allow {
            let most = self.guards.len() * FAILURES;
            let above: Vec<_> = hits.iter().filter(|(_, hits)| *hits > most).collect();
            assert!(above.is_empty(), "more guesses than were promised: {above:?}");
        }
        let known = self.known();
        let of = |name: &str| known.get(name).copied().unwrap_or_default();
        let sums = |reached: usize, known: usize| match sum {
            Sum::Exact => known == reached,
            Sum::AtMost => known <= reached && (known > 0 || reached == 0),
            Sum::Less => known <= reached,
        };
        for (user, hits) in &hits {
            let known = of(user);
            // a lockout's failures are not told apart any more
            let is_locked = sum != Sum::Less && *hits >= FAILURES;
            let holds = if is_locked { known >= FAILURES } else { sums(*hits, known) };
            assert!(holds, "{user}: {known} of {hits} are known");
        }
        for (address, hits) in self.application.addresses() {
            let known = of(&address);
            assert!(sums(hits, known), "{address}: {known} of {hits} are known");
        }
        self.check_answers(&known, &hits);
    }

    /// What is locked is so everywhere, and everybody else gets in.
    fn check_answers(&self, known: &HashMap<String, usize>, hits: &[(&str, usize)]) {
        for (turn, (user, before)) in hits.iter().enumerate().step_by(3) {
            if known.get(*user).is_some_and(|failures| *failures >= FAILURES) {
                let answers = [0, 1, 2].map(|at| self.log_in(at, user, "wrong"));
                assert_eq!(answers, [403; 3], "{user}");
                assert_eq!(self.application.accounts()[*user], *before, "{user}");
            } else {
                let at = turn % self.guards.len();
                assert_eq!(self.log_in(at, user, "right"), 302, "{user} at {at}");
            }
        }
    }
}

/// A wrong guess that is answered when the application lets it.
fn guess_late(guard: &Guard) -> Client {
    let ask = Ask::form("/login", "user=late&password=wrong&late=1");
    let mut client = guard.client();
    client.send(ask.with("X-Forwarded-For", "203.0.113.201").bytes());
    client
}

fn at(port: u16) -> String {
    format!("url: \"redis://127.0.0.1:{port}\"")
}

#[test]
fn a_server_that_is_killed_and_has_all_on_disk() {
    let plan = RedisServer::plan().flags(&["--appendonly", "yes", "--appendfsync", "always"]);
    let Some(server) = plan.start() else { return };
    let (fleet, server) = (Fleet::start(&at(server.port()), Promise::Local), Cell::new(server));
    fleet.endure(|| server.with(RedisServer::kill), || server.with(RedisServer::start_again));
    fleet.check(Sum::Exact);
}

#[test]
fn a_server_that_is_restarted_empty() {
    let Some(server) = RedisServer::start() else { return };
    let (fleet, server) = (Fleet::start(&at(server.port()), Promise::Local), Cell::new(server));
    fleet.endure(|| server.with(RedisServer::kill), || server.with(RedisServer::start_again));
    fleet.check(Sum::AtMost);
}

#[test]
fn a_server_that_is_frozen() {
    let Some(server) = RedisServer::start() else { return };
    let fleet = Fleet::start(&at(server.port()), Promise::Local);
    fleet.endure(|| server.freeze(), || server.thaw());
    fleet.check(Sum::Exact);
}

#[test]
fn a_server_that_answers_too_late() {
    let Some(server) = RedisServer::start() else { return };
    let relay = Relay::to(server.port());
    let fleet = Fleet::start(&at(relay.port()), Promise::Local);
    fleet.endure(|| relay.delay(TIMEOUT * 2), || relay.delay(Duration::ZERO));
    fleet.check(Sum::Exact);
}

#[test]
fn a_server_that_answers_slowly_but_in_time() {
    let Some(server) = RedisServer::start() else { return };
    let relay = Relay::to(server.port());
    let fleet = Fleet::start(&at(relay.port()), Promise::Local);
    let load = fleet.load();
    load.go_on();
    relay.delay(TIMEOUT / 8);
    load.go_on();
    relay.delay(Duration::ZERO);
    load.end();
    let lost = fleet.guards.iter().flat_map(|guard| guard.events("store_unreachable")).count();
    assert_eq!(lost, 0, "it was there all the time");
    assert!(fleet.application.accounts().values().all(|hits| *hits <= FAILURES));
    fleet.check(Sum::Exact);
}

#[test]
fn a_server_that_is_full() {
    let Some(server) = RedisServer::start() else { return };
    server.set("maxmemory-policy", "noeviction");
    let fleet = Fleet::start(&at(server.port()), Promise::Local);
    fleet.endure(|| server.set("maxmemory", "1"), || server.set("maxmemory", "0"));
    fleet.check(Sum::Exact);
}

#[test]
fn a_server_that_is_read_only() {
    let Some(server) = RedisServer::start() else { return };
    let fleet = Fleet::start(&at(server.port()), Promise::Local);
    let set = |replicas| server.set("min-replicas-to-write", replicas);
    fleet.endure(|| set("1"), || set("0"));
    fleet.check(Sum::Exact);
}

#[test]
fn a_primary_that_is_killed_and_another_takes_over() {
    let Some(Sentineled { servers: [primary, replica], sentinel }) = Sentineled::start() else {
        return;
    };
    let place = format!("sentinel: {{ master: logins, urls: [\"{}\"] }}", sentinel.url());
    let (fleet, primary) = (Fleet::start(&place, Promise::Local), Cell::new(primary));
    fleet.endure(
        || primary.with(RedisServer::kill),
        || {
            wait::until("the replica is the primary", || {
                replica.text(&["INFO", "replication"]).contains("role:master")
            });
        },
    );
    fleet.check(Sum::AtMost);
}

#[test]
fn a_node_of_a_cluster_that_is_killed_and_its_replica_takes_over() {
    let Some(cluster) = RedisCluster::start() else { return };
    let Some(replicas) = cluster.replicas() else { return };
    let urls = cluster.urls().into_iter().map(|url| format!("\"{url}\"")).collect::<Vec<_>>();
    let place = format!("cluster: [{}]", urls.join(", "));
    let (fleet, cluster) = (Fleet::start(&place, Promise::Local), Cell::new(cluster));
    let mut killed = 0;
    fleet.endure(
        || {
            cluster.with(|RedisCluster(nodes)| {
                let counts = |node: &RedisServer| node.keys().iter().any(|key| key.contains(":c:"));
                killed = nodes.iter().position(counts).unwrap();
                nodes[killed].kill();
            });
        },
        || {},
    );
    let role = replicas[killed].text(&["INFO", "replication"]);
    assert!(role.contains("role:master"), "{role}");
    fleet.check(Sum::AtMost);
}

#[test]
fn attempts_are_refused_meanwhile_and_nothing_is_charged() {
    let Some(server) = RedisServer::start() else { return };
    let fleet = Fleet::start(&at(server.port()), Promise::Refuse);
    fleet.endure(|| server.freeze(), || server.thaw());
    assert!(fleet.application.accounts().values().all(|hits| *hits <= FAILURES));
    fleet.check(Sum::Exact);
}

#[test]
fn attempts_are_let_through_meanwhile_and_are_not_counted() {
    let Some(server) = RedisServer::start() else { return };
    let fleet = Fleet::start(&at(server.port()), Promise::Allow);
    fleet.endure(|| server.freeze(), || server.thaw());
    let accounts = fleet.application.accounts();
    assert!(accounts.values().any(|hits| *hits > 3 * FAILURES), "{accounts:?}");
    fleet.check(Sum::Less);
}

/// What one step of a test changes and another one changes back.
struct Cell<T>(std::cell::RefCell<T>);

impl<T> Cell<T> {
    const fn new(value: T) -> Self {
        Self(std::cell::RefCell::new(value))
    }

    fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0.borrow_mut())
    }
}
