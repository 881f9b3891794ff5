//! The program, started with arguments.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use crate::support::client::Client;
use crate::support::event::Event;
use crate::support::socket::Socket;
use crate::support::wait::{self, PATIENCE};
use crate::support::wire::Wire;

/// What a program that has ended said.
#[derive(Debug)]
pub struct Said {
    /// Its exit status.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs the program until it ends by itself.
#[track_caller]
pub fn run(arguments: &[&str]) -> Said {
    let output = command(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        status: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loginward"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A program that goes on until it is told to end, and is killed when it goes out of scope.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// Standard output.
    pub out: Lines,
    /// Standard error.
    pub err: Lines,
}

/// What a program has written so far.
#[derive(Clone, Debug)]
pub struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Self(Arc::default());
        let written = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                written.0.0.lock().unwrap().push(line);
                written.0.1.notify_all();
            }
        });
        lines
    }

    /// All of it.
    pub fn text(&self) -> String {
        self.0.0.lock().unwrap().join("\n")
    }

    /// Waits for a line of which `wanted` makes something.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let mut found = None;
        let lines = self.0.0.lock().unwrap();
        let absent = |lines: &mut Vec<String>| {
            found = lines.iter().find_map(|line| wanted(line));
            found.is_none()
        };
        drop(self.0.1.wait_timeout_while(lines, PATIENCE, absent).unwrap());
        found.unwrap_or_else(|| panic!("no {what} in:\n{}", self.text()))
    }
}

impl Program {
    /// Starts it.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = Lines::of(child.stdout.take().unwrap());
        let err = Lines::of(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Waits for an event of this name in its log.
    #[track_caller]
    pub fn wait_for_event(&self, name: &str) -> Event {
        self.err.wait_for(name, |line| Some(Event::parse(line)).filter(|event| event.is(name)))
    }

    /// Waits until it says in its log where it listens.
    #[track_caller]
    pub fn listening(&self) -> SocketAddr {
        let event = self.wait_for_event("listening");
        event.get("address").strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// Ends it as Ctrl-C does; its exit status.
    #[track_caller]
    pub fn interrupt(&mut self) -> i32 {
        self.end_by("-INT").code().unwrap()
    }

    /// Ends it by a signal, as `kill` names it.
    #[track_caller]
    pub fn end_by(&mut self, signal: &str) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let mut status = None;
        wait::until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // it may have ended by itself
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A client that is connected to `address`.
pub fn client(address: SocketAddr) -> Client {
    Client { wire: Wire::new(Socket::connect(address, None)) }
}
