//! Clients that go on while a test does something to the store: wrong guesses at accounts that lock
//! and at some that do not, right logins, and ordinary requests.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::upstream::shop;
use crate::support::{Ask, Client, Gate, Guard, Upstream, wait};

/// Failures that lock an account.
pub const FAILURES: usize = 5;
/// So many guesses are made at an account before the next one is guessed at.
const GUESSES: usize = 30;
/// The addresses that guesses come from.
const ADDRESSES: usize = 5;
/// How long a client thinks.
const THINKS: Duration = Duration::from_millis(10);

/// The wrong guesses that reached an application, by account and by address.
#[derive(Debug, Default)]
struct Reached {
    accounts: HashMap<String, usize>,
    addresses: HashMap<String, usize>,
}

/// A shop that remembers who guessed wrong.
pub struct Application {
    pub upstream: Upstream,
    /// It holds the logins that say that they are late.
    pub gate: Gate,
    reached: Arc<Mutex<Reached>>,
}

impl Application {
    pub fn start() -> Self {
        let reached: Arc<Mutex<Reached>> = Arc::default();
        let (seen, gate) = (Arc::clone(&reached), Gate::closed());
        let held = gate.clone();
        let upstream = Upstream::answering(move |request| {
            let text = request.text();
            if request.target == "/login" && !text.contains("password=right") {
                let user = text.split(['=', '&']).nth(1).unwrap().to_owned();
                let address = request.get("x-forwarded-for").unwrap();
                let address = address.split(',').next().unwrap().trim().to_owned();
                let mut seen = seen.lock().unwrap();
                *seen.accounts.entry(user).or_default() += 1;
                *seen.addresses.entry(address).or_default() += 1;
            }
            if text.contains("&late=") {
                held.pass();
            }
            shop(request)
        });
        Self { upstream, gate, reached }
    }

    /// How many wrong guesses at each account have reached it.
    pub fn accounts(&self) -> HashMap<String, usize> {
        self.reached.lock().unwrap().accounts.clone()
    }

    /// How many from each address.
    pub fn addresses(&self) -> HashMap<String, usize> {
        self.reached.lock().unwrap().addresses.clone()
    }
}

/// What becomes of attempts while the store is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    Allow,
    Local,
    Refuse,
}

impl Promise {
    /// How it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Local => "local",
            Self::Refuse => "refuse",
        }
    }

    /// Whether an attempt may be answered so, whose password is right or not.
    fn allows(self, password: &str, verdict: (u16, &str)) -> bool {
        match verdict {
            (302, "") => password == "right",
            (200, "") | (403, "locked") => password != "right",
            (503, "error") => self == Self::Refuse,
            _ => false,
        }
    }
}

/// What the clients have in common.
#[derive(Debug)]
struct Common {
    ends: AtomicBool,
    /// Guesses that were made, at accounts that lock and at those that do not.
    made: [AtomicUsize; 2],
    /// What was answered, by guard: attempts and ordinary requests.
    answered: Vec<[AtomicUsize; 2]>,
    /// An ordinary request that takes as long has waited for the store.
    patience: Duration,
    promise: Promise,
}

/// Clients at work.
pub struct Load {
    common: Arc<Common>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins: each guard has clients of its own. No ordinary request may take so long.
    pub fn begin(guards: &[Guard], (promise, patience): (Promise, Duration)) -> Self {
        let answered = guards.iter().map(|_| Default::default()).collect();
        let (ends, made) = (AtomicBool::default(), Default::default());
        let common = Arc::new(Common { ends, made, answered, patience, promise });
        let mut clients = Vec::new();
        for (at, guard) in guards.iter().enumerate() {
            let address = guard.addr();
            let metrics = guard.wait_for_event("metrics_listening");
            let metrics: SocketAddr = metrics.get("address").parse().unwrap();
            let (guessing, honest, ordinary) =
                (Arc::clone(&common), Arc::clone(&common), Arc::clone(&common));
            for _ in 0..2 {
                let common = Arc::clone(&guessing);
                clients.push(std::thread::spawn(move || common.guess(at, address)));
            }
            clients.push(std::thread::spawn(move || honest.log_in(at, address)));
            clients.push(std::thread::spawn(move || ordinary.look(at, (address, metrics))));
        }
        Self { common, clients }
    }

    /// Waits until every guard has answered some more attempts and ordinary requests.
    #[track_caller]
    pub fn go_on(&self) {
        let answered = || -> Vec<usize> {
            let counts = self.common.answered.iter().flatten();
            counts.map(|count| count.load(Ordering::SeqCst)).collect()
        };
        let before = answered();
        wait::until("the clients are answered", || {
            assert!(!self.clients.iter().any(JoinHandle::is_finished), "a client gave up");
            answered().iter().zip(&before).all(|(now, before)| now - before >= 40)
        });
    }

    /// Ends, when everybody was answered as he should be.
    #[track_caller]
    pub fn end(self) {
        self.common.ends.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().expect("a client that was answered as it should be");
        }
    }
}

impl Common {
    fn goes_on(&self) -> bool {
        std::thread::park_timeout(THINKS);
        !self.ends.load(Ordering::SeqCst)
    }

    /// One guess in four is made at an account that gets two in all, at whichever guards.
    fn guess(&self, at: usize, guard: SocketAddr) {
        let mut turn = at;
        while self.goes_on() {
            turn += 1;
            let is_rare = turn.is_multiple_of(4);
            let made = self.made[usize::from(is_rare)].fetch_add(1, Ordering::SeqCst);
            let user = if is_rare {
                format!("rare{}", made / 2)
            } else {
                format!("often{}", made / GUESSES)
            };
            self.attempt((at, guard), (&user, "wrong"), turn % ADDRESSES);
        }
    }

    fn log_in(&self, at: usize, guard: SocketAddr) {
        while self.goes_on() {
            self.attempt((at, guard), (&format!("honest{at}"), "right"), 100 + at);
        }
    }

    fn attempt(&self, (at, guard): (usize, SocketAddr), login: (&str, &str), from: usize) {
        let (user, password) = login;
        let address = format!("203.0.113.{from}");
        let ask = Ask::login(user, password).with("X-Forwarded-For", &address);
        let answer = Client::to_addr(guard).ask(&ask);
        let verdict = answer.verdict();
        assert!(self.promise.allows(password, verdict), "guard {at}, {user}: {verdict:?}");
        self.answered[at][0].fetch_add(1, Ordering::SeqCst);
    }

    fn look(&self, at: usize, (guard, metrics): (SocketAddr, SocketAddr)) {
        let mut client = Client::to_addr(guard);
        while self.goes_on() {
            let begun = wait::now();
            assert_eq!(client.get("/").status, 200);
            let took = begun.elapsed();
            assert!(took < self.patience, "an ordinary request took {took:?} at {at}");
            assert_eq!(Client::to_addr(metrics).get("/readyz").status, 200);
            self.answered[at][1].fetch_add(1, Ordering::SeqCst);
        }
    }
}
