//! A server of the test's own, on a socket in a directory of its own.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use redis::Connection;

use crate::store::redis::script::Script;

/// A running server, which ends with this.
pub(super) struct Server {
    child: Child,
    /// Where it listens.
    pub socket: PathBuf,
    /// A connection to it.
    pub connection: Connection,
    _dir: tempfile::TempDir,
}

impl Server {
    /// A server without any data; nothing where there is no such program.
    pub(super) fn start() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("redis.sock");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
        let child = command.arg(&socket).current_dir(dir.path()).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = child else {
            assert!(std::env::var_os("LOGINWARD_TEST_ALL").is_none(), "redis-server is not here");
            return None;
        };
        let log = BufReader::new(child.stdout.take().expect("its log"));
        let mut lines = log.lines().map(|line| line.expect("a line"));
        assert!(lines.any(|line| line.contains("eady to accept connections")), "it starts");
        let url = format!("redis+unix://{}", socket.display());
        let client = redis::Client::open(url).expect("an address");
        let connection = client.get_connection().expect("a connection");
        Some(Self { child, socket, connection, _dir: dir })
    }

    /// It has no data any more.
    pub(super) fn forget(&mut self) {
        redis::cmd("FLUSHALL").exec(&mut self.connection).expect("it does");
    }

    /// Runs a script; its answer without what it is called and the server's now.
    pub(super) fn run(
        &mut self,
        script: &Script,
        keys: &[String],
        arguments: &[String],
    ) -> (String, Vec<String>) {
        let bytes = |words: &[String]| words.iter().map(|word| word.clone().into_bytes()).collect();
        let (keys, arguments): (Vec<_>, Vec<_>) = (bytes(keys), bytes(arguments));
        let command = script.teach(&keys, &arguments);
        let answer = command.query::<Vec<String>>(&mut self.connection).expect("an answer");
        let mut words = answer.into_iter();
        let what = words.next().expect("what it is");
        (what, words.skip(1).collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}
