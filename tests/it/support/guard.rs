//! A running guard: the real program, as an operator would start it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::ask::Ask;
use super::client::Client;
use super::event::Event;
use super::setup::Setup;
use super::upstream::Upstream;
use super::wait::{self, PATIENCE};

/// A guard that is killed when it goes out of scope.
#[derive(Debug)]
pub struct Guard {
    child: Child,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    addresses: Vec<String>,
    setup: Setup,
}

/// What it has written to standard error so far.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Log {
    /// Its lines, also for a test that failed while it looked at them.
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A setting: an admin socket in its directory.
pub const ADMIN: &str = "admin: { address: \"unix:admin.sock\" }\n";

/// Its configuration's name in its directory.
const CONFIG: &str = "loginward.yaml";

impl Guard {
    /// Starts one in front of `upstream`, which `{UPSTREAM}` stands for; see [`Setup::new`].
    #[track_caller]
    pub fn start(configuration: &str, upstream: &Upstream) -> Self {
        Setup::new(configuration).upstream(upstream).start()
    }

    /// Starts one and waits until it listens.
    #[track_caller]
    pub fn of(setup: Setup) -> Self {
        let mut guard = Self::spawn(setup);
        // it says so of all its addresses before it says anything about metrics
        let metrics = !guard.setup.text.contains("metrics: none");
        let last = if metrics { "metrics_listening" } else { "listening" };
        guard.wait_for_event(last);
        let addresses = guard.events("listening");
        guard.addresses = addresses.iter().map(|event| event.get("address").to_owned()).collect();
        guard
    }

    /// Starts one, whether or not it gets to listen.
    pub fn spawn(mut setup: Setup) -> Self {
        let path = setup.dir.path().join(CONFIG);
        std::fs::write(&path, &setup.text).unwrap();
        let own = [env!("CARGO_BIN_EXE_loginward").to_owned()];
        let mut words = setup.under.iter().chain(&own);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("run").arg("--config").arg(path).args(&setup.flags);
        command.envs(setup.variables.iter().map(|(name, value)| (name, value)));
        let mut inherited = setup.inherited.drain(..).map(Stdio::from);
        command.stdin(inherited.next().unwrap_or_else(Stdio::null));
        command.stdout(inherited.next().unwrap_or_else(Stdio::null)).stderr(Stdio::piped());
        drop(inherited);
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Log::default());
        let written = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                written.lines().push(line);
                written.more.notify_all();
            }
        });
        Self { child, log, reader: Some(reader), addresses: Vec::new(), setup }
    }

    /// Where it listens, if over TCP.
    #[track_caller]
    pub fn addr(&self) -> SocketAddr {
        let mut tcp = self.addresses.iter().filter_map(|address| address.strip_prefix("http://"));
        tcp.next().expect("it listens over TCP").parse().unwrap()
    }

    /// A client that is connected to it.
    pub fn client(&self) -> Client {
        Client::to(self)
    }

    /// Answers one request on a connection of its own.
    #[track_caller]
    pub fn ask(&self, ask: &Ask) -> super::Answer {
        self.client().ask(ask)
    }

    /// Its directory, with its configuration and its sockets.
    pub fn dir(&self) -> &std::path::Path {
        self.setup.dir.path()
    }

    /// What it has written to its log so far.
    pub fn log(&self) -> String {
        self.log.lines().join("\n")
    }

    /// The events of this name so far, in order.
    pub fn events(&self, name: &str) -> Vec<Event> {
        let lines = self.log.lines();
        let events = lines.iter().map(|line| Event::parse(line));
        events.filter(|event| event.is(name)).collect()
    }

    /// Waits for an event of this name.
    #[track_caller]
    pub fn wait_for_event(&self, name: &str) -> Event {
        self.wait_for(name, |event| event.is(name))
    }

    /// Waits for an event about which `holds`.
    #[track_caller]
    pub fn wait_for(&self, what: &str, holds: impl Fn(&Event) -> bool) -> Event {
        let mut found = None;
        let lines = self.log.lines();
        let absent = |lines: &mut Vec<String>| {
            let mut events = lines.iter().map(|line| Event::parse(line));
            found = events.find(|event| holds(event));
            found.is_none()
        };
        drop(self.log.more.wait_timeout_while(lines, PATIENCE, absent).unwrap());
        found.unwrap_or_else(|| panic!("no {what} in the log:\n{}", self.log()))
    }

    /// Asks its metrics listener for `path`.
    #[track_caller]
    pub fn metrics_page(&self, path: &str) -> super::Answer {
        let event = self.wait_for_event("metrics_listening");
        let address = event.get("address").parse().unwrap();
        Client::to_addr(address).get(path)
    }

    /// All its metrics.
    #[track_caller]
    pub fn metrics(&self) -> String {
        self.metrics_page("/metrics").text()
    }

    /// The sum of a metric over all label sets that have `label` in them.
    #[track_caller]
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let metrics = self.metrics();
        let lines = metrics.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let values = lines.filter(|line| line.contains(label));
        values.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    /// Where operators ask it, if it is started with [`ADMIN`].
    pub fn admin(&self) -> String {
        self.wait_for_event("admin_listening").get("address").to_owned()
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to end.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// The file with its configuration.
    pub fn config(&self) -> std::path::PathBuf {
        self.dir().join(CONFIG)
    }

    /// Writes another configuration for it, all at once; it is not told.
    pub fn reconfigure(&self, change: impl FnOnce(&str) -> String) {
        let next = self.dir().join("next.yaml");
        std::fs::write(&next, change(&self.setup.text)).unwrap();
        std::fs::rename(next, self.config()).unwrap();
    }

    /// Waits for so many events of this name in all.
    #[track_caller]
    pub fn wait_for_events(&self, name: &str, count: usize) -> Vec<Event> {
        let lines = self.log.lines();
        let few = |lines: &mut Vec<String>| {
            let events = lines.iter().map(|line| Event::parse(line));
            events.filter(|event| event.is(name)).count() < count
        };
        drop(self.log.more.wait_timeout_while(lines, PATIENCE, few).unwrap());
        let events = self.events(name);
        assert!(events.len() >= count, "no {count} of {name} in the log:\n{}", self.log());
        events
    }

    /// Has it read its configuration again and waits until that is in force.
    #[track_caller]
    pub fn reload(&self) {
        let before = self.events("reloaded").len();
        self.hang_up();
        self.wait_for_events("reloaded", before + 1);
    }

    /// Tells it what others take for an order to reload.
    pub fn hang_up(&self) {
        self.signal("-HUP");
    }

    /// Holds it still while `meanwhile` happens, so that it finds out about all of it at once.
    pub fn paused<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        self.signal("-STOP");
        wait::until("all its threads stand still", || self.stands_still());
        let result = meanwhile();
        self.signal("-CONT");
        result
    }

    fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let mut states = threads.map(|thread| {
            let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        });
        states.all(|stopped| stopped)
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits until it has ended, and its log with it.
    #[track_caller]
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let mut status = None;
        wait::until("the guard ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status.unwrap()
    }

    /// How many files it may have open: now, and at most.
    pub fn open_files(&self) -> (u64, u64) {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    /// How much memory it has in use, in bytes.
    pub fn memory(&self) -> usize {
        self.memory_by("VmRSS:")
    }

    /// The most that it ever had, in bytes.
    pub fn peak_memory(&self) -> usize {
        self.memory_by("VmHWM:")
    }

    fn memory_by(&self, name: &str) -> usize {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }
}

impl Drop for Guard {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what the guard said")]
    fn drop(&mut self) {
        // it may have ended by itself
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("the guard's log:\n{}", self.log());
        }
    }
}
