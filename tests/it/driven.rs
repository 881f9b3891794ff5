//! A guard in this process whose clock the test drives: the real server, over real sockets.

pub mod app;
pub mod play;
pub mod recorder;
pub mod setup;
pub mod step;
pub mod values;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use loginward::clock::Clock;
use loginward::config::Settings;
use loginward::server::listen::Bound;
use loginward::server::{Server, reload};
use loginward::store::Store;
use loginward::store::operate::{Removed, Reset};
use loginward::store::redis::settings::{Address, Place, RedisSettings};
use loginward::store::register::Registered;
use loginward::store::select::{Row, Selector};
use loginward::store::slot::Slot;

use crate::support::event::Event;
use crate::support::socket::Socket;
use crate::support::wire::Wire;
use crate::support::{Answer, Ask, Client, Upstream};
pub use setup::Setup;

/// A guard and the application behind it; ends when it goes out of scope.
#[derive(Debug)]
pub struct Driven {
    server: Option<Server>,
    clock: Clock,
    upstream: Upstream,
    site: String,
    setup: Setup,
    client: RefCell<Option<Client>>,
}

/// One login as a client tries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login<'a> {
    /// The username; `None`: the form has no such field.
    pub user: Option<&'a str>,
    /// The password.
    pub password: &'a str,
    /// What the trusted proxy says the client's address is.
    pub ip: &'a str,
    /// What the client calls itself; `None`: nothing.
    pub agent: Option<&'a str>,
    /// How it is sent: `POST` of a form, or `GET` with a query.
    pub method: &'a str,
}

/// What came of a login, on either side of the guard.
#[derive(Debug)]
pub struct Seen {
    /// Requests that reached the application.
    pub hits: usize,
    /// What the client got.
    pub answer: Answer,
}

impl Driven {
    /// Starts a guard in front of the usual application.
    #[track_caller]
    pub fn start(setup: &Setup) -> Self {
        Self::before(app::usual(), setup)
    }

    /// Starts a guard in front of `upstream`.
    #[track_caller]
    pub fn before(upstream: Upstream, setup: &Setup) -> Self {
        let site = setup::new_site();
        recorder::record(&site);
        let clock = Clock::driven();
        let settings = settings(setup, &upstream, &site);
        let server = Server::start(settings, clock.clone()).unwrap();
        let (server, setup) = (Some(server), setup.clone());
        Self { server, clock, upstream, site, setup, client: RefCell::default() }
    }

    /// The running server.
    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Its counters.
    pub fn store(&self) -> &Store {
        &self.server().shared().store
    }

    /// The application.
    pub const fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The name of its one site, which no other guard's has.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// What it was started with.
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        match self.server().bound() {
            [Bound::Tcp(address), ..] => *address,
            other => panic!("it listens at {other:?}"),
        }
    }

    /// A client on a connection of its own.
    pub fn client(&self) -> Client {
        Client { wire: Wire::new(Socket::connect(self.addr(), None)) }
    }

    /// Time passes.
    pub fn wait(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// The limits of another configuration hold from now on, as after a reload.
    #[track_caller]
    pub fn reload(&mut self, setup: &Setup) {
        let settings = settings(setup, &self.upstream, &self.site);
        drop(reload::apply(self.server().shared(), settings));
        self.setup = setup.clone();
    }

    /// A request and its answer, on a connection that is used again and again.
    #[track_caller]
    pub fn ask(&self, ask: &Ask) -> Seen {
        let before = self.upstream.hits();
        let mut client = self.client.take().unwrap_or_else(|| self.client());
        let answer = client.ask(ask);
        if answer.get("connection") != Some("close") {
            self.client.replace(Some(client));
        }
        Seen { hits: self.upstream.hits() - before, answer }
    }

    /// A login and what came of it.
    #[track_caller]
    pub fn log_in(&self, login: &Login<'_>) -> Seen {
        self.ask(&login.ask())
    }

    /// Takes away what `selector` means, wherever the counters are.
    pub fn reset(&self, selector: &Selector, what: Reset) -> Removed {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (store, mut removed) = (self.store(), Removed::default());
        for part in Store::parts() {
            let is_meant = |slot: &Slot, of: &Registered| selector.fits(slot, of);
            let reset = store.reset_part_everywhere(part, is_meant, what);
            removed.counters += runtime.block_on(reset).0;
        }
        if what == Reset::Everything {
            removed.hand_locks = store.remove_hand_locks(selector);
        }
        removed
    }

    /// The counters that hold something.
    pub fn rows(&self) -> Vec<Row> {
        self.store().list(&Selector::default())
    }

    /// The counters that hold something, such as `user+ip=u1,10.1.1.1→3`.
    pub fn counters(&self) -> Vec<String> {
        let mut counters: Vec<String> = self.rows().iter().map(values::counter).collect();
        counters.sort();
        counters
    }

    /// Stops the guard; the events of this name that it had.
    pub fn stop(mut self, name: &str) -> Vec<Event> {
        self.end();
        self.events(name)
    }

    fn end(&mut self) {
        // an open connection would be waited for
        self.client.take();
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }

    /// The events of this name so far; what the guard reports by and by may be missing.
    pub fn events(&self, name: &str) -> Vec<Event> {
        recorder::events(&self.site, name)
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.end();
    }
}

#[track_caller]
fn settings(setup: &Setup, upstream: &Upstream, site: &str) -> Settings {
    let text = setup.text(upstream.url(), site);
    let parsed = Settings::parse(&text, setup.dir(), "test.yaml");
    let mut settings = parsed.unwrap_or_else(|problems| panic!("{text}\n{problems}")).0;
    settings.store.redis = shared(site);
    settings
}

/// The number of the port where a server has the counters, where all guards of this process share
/// theirs.
pub const SHARED: &str = "LOGINWARD_TEST_REDIS_PORT";

/// Where a guard's counters are, where they are not its own.
fn shared(site: &str) -> Option<Arc<RedisSettings>> {
    let port = std::env::var(SHARED).ok()?.parse().unwrap();
    let mut settings = RedisSettings::at(Place::One(Address::Tcp("127.0.0.1".into(), port)));
    // of the site alone there may have been another: ports, and so names of sites, come again
    static GUARDS: AtomicU64 = AtomicU64::new(0);
    settings.prefix = format!("{}:{site}", GUARDS.fetch_add(1, Ordering::Relaxed)).into();
    // a machine that runs many tests at once may be slow
    settings.timeout = Duration::from_secs(20);
    settings.connect_timeout = Duration::from_secs(20);
    Some(Arc::new(settings))
}

impl Login<'_> {
    /// The request.
    pub fn ask(&self) -> Ask {
        let mut fields = Vec::new();
        if let Some(user) = self.user {
            fields.push(format!("username={}", values::encoded(user)));
        }
        fields.push(format!("password={}", values::encoded(self.password)));
        let form = fields.join("&");
        let ask = match self.method {
            "POST" => Ask::form("/login", &form),
            method => Ask::new(method, &format!("/login?{form}")),
        };
        let ask = ask.with("X-Forwarded-For", self.ip);
        match self.agent {
            Some(agent) => ask.with("User-Agent", agent),
            None => ask,
        }
    }
}

impl Seen {
    /// The outcome in the notation of the vectors, with what they do not know added: `DENIED` is
    /// an answer of the access lists, and other answers are their status, after a `!` where the
    /// application saw nothing.
    pub fn outcome(&self) -> String {
        let kind = self.answer.get("x-loginward").unwrap_or_default();
        match (self.hits, self.answer.status, kind) {
            (1, 302, "") => "ok".to_owned(),
            (1, 200, "") => "fail".to_owned(),
            (1, 403, "locked") => "LOCK".to_owned(),
            (0, 403, "locked") => "DENY".to_owned(),
            (0, 403, "denied") => "DENIED".to_owned(),
            (0, status, _) => format!("!{status}"),
            (1, status, _) => format!("{status}"),
            (hits, status, _) => format!("{hits}×{status}"),
        }
    }
}
