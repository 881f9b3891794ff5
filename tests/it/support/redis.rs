//! A `redis-server` of a test's own: on a free port, killed when it goes out of scope.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use redis::Value;
use tempfile::TempDir;

use super::authority::Authority;
use super::others::program;
use super::wait::PATIENCE;

/// A running server. The test reaches it through a unix socket, whatever guards use.
pub struct RedisServer {
    plan: Plan,
    child: Child,
    log: Arc<Log>,
    port: u16,
    bus: u16,
}

/// How a server is started.
pub struct Plan {
    dir: TempDir,
    flags: Vec<String>,
    password: Option<String>,
    is_tls: bool,
    is_sentinel: bool,
    is_in_cluster: bool,
}

/// What it has said, and whether it says more.
#[derive(Default)]
struct Log {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    is_over: bool,
}

impl RedisServer {
    /// An ordinary one, which keeps nothing on disk. `None`: it is not installed here.
    #[track_caller]
    pub fn start() -> Option<Self> {
        Self::plan().start()
    }

    /// One of which there is more to say.
    pub fn plan() -> Plan {
        Plan {
            dir: tempfile::tempdir().unwrap(),
            flags: Vec::new(),
            password: None,
            is_tls: false,
            is_sentinel: false,
            is_in_cluster: false,
        }
    }

    /// The port of 127.0.0.1 where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port on which the nodes of a Cluster speak with each other.
    pub fn bus(&self) -> u16 {
        self.bus
    }

    /// Where guards find it.
    pub fn url(&self) -> String {
        let scheme = if self.plan.is_tls { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Where they find it without TCP.
    pub fn unix_url(&self) -> String {
        format!("unix://{}", self.plan.socket())
    }

    /// Has it carry out a command, as an administrator; what it answers, or what is wrong.
    pub fn try_ask(&self, words: &[&str]) -> Result<Value, redis::RedisError> {
        let url = match &self.plan.password {
            Some(password) => format!("{}?pass={password}", self.unix_url()),
            None => self.unix_url(),
        };
        let mut connection = redis::Client::open(url)?.get_connection_with_timeout(PATIENCE)?;
        let (verb, arguments) = words.split_first().expect("a command has a name");
        redis::cmd(verb).arg(arguments).query(&mut connection)
    }

    /// Has it carry out a command, which it does.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> Value {
        self.try_ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}\n{}", self.log()))
    }

    /// As [`RedisServer::ask`], where the answer is text, a number, or lines of text.
    #[track_caller]
    pub fn text(&self, words: &[&str]) -> String {
        let answer = self.ask(words);
        if let Value::Array(_) = answer {
            return redis::from_redis_value::<Vec<String>>(answer).unwrap().join("\n");
        }
        redis::from_redis_value(answer).unwrap()
    }

    /// `CONFIG SET`.
    #[track_caller]
    pub fn set(&self, setting: &str, value: &str) {
        self.ask(&["CONFIG", "SET", setting, value]);
    }

    /// All its keys.
    #[track_caller]
    pub fn keys(&self) -> Vec<String> {
        redis::from_redis_value(self.ask(&["KEYS", "*"])).unwrap()
    }

    /// Has it speak TLS with a certificate of `authority` from now on, and believe its clients.
    #[track_caller]
    pub fn present(&self, authority: &Authority) {
        let (certificate, key) = authority.certificate(&["127.0.0.1", "localhost"]);
        let dir = self.plan.dir.path();
        let mut words = vec!["CONFIG".to_owned(), "SET".to_owned()];
        for (setting, name, text) in [
            ("tls-cert-file", "next.pem", certificate),
            ("tls-key-file", "next.key", key),
            ("tls-ca-cert-file", "next-ca.pem", authority.pem()),
        ] {
            std::fs::write(dir.join(name), text).unwrap();
            words.extend([setting.to_owned(), dir.join(name).display().to_string()]);
        }
        self.ask(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Holds it still (SIGSTOP): it takes connections, and answers nothing.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Kills it. Nothing listens on its port until it is started again.
    pub fn kill(&mut self) {
        // it may have ended by itself
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Starts it again on its port, with what it had on disk: nothing, unless it was told to save.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.kill();
        super::wait::until("the server has its port again", || {
            let (child, log) = self.plan.spawn(self.port, self.bus).unwrap();
            (self.child, self.log) = (child, log);
            self.log.is_ready()
        });
    }

    /// What it has said.
    pub fn log(&self) -> String {
        self.log.lines().lines.join("\n")
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Plan {
    /// Settings as its command line takes them, such as `--maxmemory`, `1mb`.
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// A password for the user that is meant where none is named.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.flags(&["--requirepass", password])
    }

    /// TLS with a certificate for 127.0.0.1 and `localhost`, and no plain text over TCP. With
    /// `yes` in `clients`, clients need a certificate of the same authority.
    pub fn tls(mut self, authority: &Authority, clients: &str) -> Self {
        self.is_tls = true;
        let (certificate, key) = authority.certificate(&["127.0.0.1", "localhost"]);
        let mut write = |flag: &str, name: &str, text: &str| {
            let path = self.dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            self.flags.extend([flag.to_owned(), path.display().to_string()]);
        };
        write("--tls-cert-file", "server.pem", &certificate);
        write("--tls-key-file", "server.key", &key);
        write("--tls-ca-cert-file", "ca.pem", &authority.pem());
        self.flags(&["--tls-auth-clients", clients])
    }

    /// A node of a Cluster.
    pub fn cluster(mut self) -> Self {
        self.is_in_cluster = true;
        self.flags(&["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"])
    }

    /// A Sentinel, with `lines` in its configuration.
    pub fn sentinel(mut self, lines: &str) -> Self {
        self.is_sentinel = true;
        std::fs::write(self.dir.path().join("sentinel.conf"), lines).unwrap();
        self
    }

    /// Starts it and waits until it answers. `None`: it is not installed here.
    #[track_caller]
    pub fn start(self) -> Option<RedisServer> {
        program("redis-server")?;
        // somebody else may take a port that was free
        for _ in 0..100 {
            let (port, bus) = (free_port(), free_port());
            let (mut child, log) = self.spawn(port, bus)?;
            if log.is_ready() {
                return Some(RedisServer { plan: self, child, log, port, bus });
            }
            child.wait().unwrap();
            let said = log.lines().lines.join("\n");
            assert!(said.contains("Address already in use"), "it does not start:\n{said}");
        }
        panic!("no port is free");
    }

    fn socket(&self) -> String {
        self.dir.path().join("redis.sock").display().to_string()
    }

    fn spawn(&self, port: u16, bus: u16) -> Option<(Child, Arc<Log>)> {
        // a test that is killed takes its servers with it
        let mut command = program("setpriv")?;
        command.args(["--pdeathsig", "KILL", "redis-server"]);
        if self.is_sentinel {
            command.arg(self.dir.path().join("sentinel.conf")).arg("--sentinel");
        } else {
            command.args(["--save", "", "--appendonly", "no"]);
        }
        let [port, bus] = [port, bus].map(|port| port.to_string());
        let [plain, tls] = if self.is_tls { ["0", &*port] } else { [&*port, "0"] };
        command.args(["--bind", "127.0.0.1", "--port", plain, "--tls-port", tls]);
        command.args(["--unixsocket", &self.socket()]).arg("--dir").arg(self.dir.path());
        command.args(["--daemonize", "no", "--protected-mode", "no"]);
        if self.is_in_cluster {
            command.args(["--cluster-port", &bus]);
        }
        command.args(&self.flags).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let log = Arc::new(Log::default());
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                written.lines().lines.push(line);
                written.more.notify_all();
            }
            written.lines().is_over = true;
            written.more.notify_all();
        });
        Some((child, log))
    }
}

impl Log {
    fn lines(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it takes connections, or has ended.
    fn is_ready(&self) -> bool {
        let is_ready = |said: &Said| {
            let mut lines = said.lines.iter();
            lines.any(|line| {
                line.contains("Ready to accept connections") || line.contains("Sentinel ID is")
            })
        };
        let waits = |said: &mut Said| !said.is_over && !is_ready(said);
        let (said, _) = self.more.wait_timeout_while(self.lines(), PATIENCE, waits).unwrap();
        is_ready(&said)
    }
}

/// A port on which nobody listens now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Drop for RedisServer {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what the server said")]
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the log of redis-server:\n{}", self.log());
        }
    }
}
