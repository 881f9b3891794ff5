//! A client that sends what it is told to.

use std::net::{IpAddr, Shutdown, SocketAddr};
use std::path::Path;

use super::answer::Answer;
use super::ask::Ask;
use super::guard::Guard;
use super::socket::Socket;
use super::wire::Wire;

/// A client's connection.
#[derive(Debug)]
pub struct Client {
    /// The connection, for what is no plain question and answer.
    pub wire: Wire,
}

impl Client {
    /// Connects to a guard.
    pub fn to(guard: &Guard) -> Self {
        Self::to_addr(guard.addr())
    }

    /// Connects to an address.
    pub fn to_addr(address: SocketAddr) -> Self {
        Self { wire: Wire::new(Socket::connect(address, None)) }
    }

    /// Connects to a guard from an address such as `127.0.0.7`.
    pub fn from(address: &str, guard: &Guard) -> Self {
        let address: IpAddr = address.parse().unwrap();
        Self { wire: Wire::new(Socket::connect(guard.addr(), Some(address))) }
    }

    /// Connects to a unix socket.
    pub fn to_unix(path: &Path) -> Self {
        Self { wire: Wire::new(Socket::connect_unix(path)) }
    }

    /// Sends bytes, whatever they are; a guard that has closed already is no error.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.wire.send(bytes);
        self
    }

    /// Reads the answer to a request that was no HEAD.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// Reads the answer to a request of `method`.
    #[track_caller]
    pub fn answer_to(&mut self, method: &str) -> Answer {
        let mut answer = self.answer_head().expect("an answer");
        answer.body = self.wire.body(answer.framing(method));
        answer
    }

    /// Reads the head of an answer; `None` where the connection ends without one.
    #[track_caller]
    pub fn answer_head(&mut self) -> Option<Answer> {
        let (line, fields) = self.wire.head()?;
        Some(Answer::new(&line, fields))
    }

    /// Sends a request and reads the answer.
    #[track_caller]
    pub fn ask(&mut self, ask: &Ask) -> Answer {
        self.send(ask.bytes()).answer_to(&ask.method)
    }

    /// Asks for a page.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Answer {
        self.ask(&Ask::get(target))
    }

    /// Sends a login form to `/login`.
    #[track_caller]
    pub fn log_in(&mut self, user: &str, password: &str) -> Answer {
        self.ask(&Ask::login(user, password))
    }

    /// Sends nothing more, but still reads.
    pub fn half_close(&mut self) -> &mut Self {
        self.wire.socket.shutdown(Shutdown::Write);
        self
    }

    /// Ends the connection in the way that tells the other end at once.
    pub fn reset(self) {
        self.wire.socket.reset();
    }

    /// Whether the guard has ended the connection.
    #[track_caller]
    pub fn is_closed(&mut self) -> bool {
        self.wire.is_at_end()
    }
}
