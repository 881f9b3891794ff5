//! An operator who locks and resets accounts at a guard that may be killed at any moment, and what he
//! was told.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::kill::{Answered, Kept, Random, guess};

/// With what their names begin.
const NAME: &str = "operated";
/// How many accounts there are.
const MOST: u64 = 20;

/// What is certain about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// It is locked by hand: that was answered.
    ByHand,
    /// Nothing locks it: a reset was answered.
    Free,
    /// It is locked out: that was answered.
    LockedOut,
    /// Nothing: the guard was killed before it answered.
    Nothing,
}

/// Accounts, and what is certain about each.
pub struct Operated {
    accounts: BTreeMap<String, Told>,
    random: Random,
    guesses: u32,
    answers: u32,
}

impl Operated {
    /// Nothing was done yet.
    pub fn new() -> Self {
        let accounts = (0..MOST).map(|at| (format!("{NAME}{at}"), Told::Nothing)).collect();
        Self { accounts, random: Random::new(), guesses: 0, answers: 0 }
    }

    /// Whether it is one of these accounts.
    pub fn has(user: &str) -> bool {
        user.starts_with(NAME)
    }

    /// Tries a password, from an address that nobody else has.
    fn guess(&mut self, guard: SocketAddr, name: &str, password: &str) -> Option<Answered> {
        self.guesses += 1;
        let from = format!("10.{}.{}.1", self.guesses / 250, self.guesses % 250);
        guess(guard, &[name.to_owned(), from], password)
    }

    /// Locks, resets and guesses until `over`.
    pub fn go_on(mut self, guard: SocketAddr, socket: &Path, over: &AtomicBool) -> Self {
        while !over.load(Ordering::Relaxed) {
            let name = format!("{NAME}{}", self.random.below(MOST));
            let before = self.accounts.insert(name.clone(), Told::Nothing);
            let what = format!("{{\"username\": \"{name}\"}}");
            let told = match self.random.below(3) {
                0 => operate(socket, "/v1/lock", &what).map(|()| Told::ByHand),
                1 => operate(socket, "/v1/reset", &what).map(|()| Told::Free),
                _ if before == Some(Told::ByHand) => before,
                _ => self.lock_out(guard, &name),
            };
            if let Some(told) = told {
                self.accounts.insert(name, told);
                self.answers += 1;
            }
        }
        self
    }

    fn lock_out(&mut self, guard: SocketAddr, name: &str) -> Option<Told> {
        for _ in 0..6 {
            if let Answered::Locked(_) = self.guess(guard, name, "wrong")? {
                return Some(Told::LockedOut);
            }
        }
        None // it was locked by hand before nothing was known of it
    }

    /// Asks a guard that has just begun whether all is as it was told.
    #[track_caller]
    pub fn ask(&mut self, guard: SocketAddr) {
        for (name, told) in self.accounts.clone() {
            let answered = self.guess(guard, &name, "right").expect("an answer");
            match told {
                Told::ByHand => assert_eq!(answered, Answered::Other(403), "{name} by hand"),
                Told::Free => assert_eq!(answered, Answered::Other(302), "{name} was reset"),
                Told::LockedOut => {
                    assert!(matches!(answered, Answered::Locked(_)), "{name}: {answered:?}");
                }
                Told::Nothing => {}
            }
        }
    }

    /// Holds what the file says against what was told.
    #[track_caller]
    pub fn hold_against(&self, kept: &Kept) {
        for (name, told) in &self.accounts {
            let is_locked = kept.counters.get(name).is_some_and(|(_, left)| left.is_some());
            let found = (kept.by_hand.contains(name), is_locked);
            match told {
                Told::ByHand => assert!(found.0, "{name} is not locked by hand any more"),
                Told::Free => assert_eq!(found, (false, false), "{name} was reset"),
                Told::LockedOut => assert!(found.1, "{name} is not locked any more"),
                Told::Nothing => {}
            }
        }
    }

    /// Something was done at all.
    #[track_caller]
    pub fn assert_busy(&self) {
        assert!(self.answers > 10, "only {} were answered", self.answers);
    }
}

/// Asks the guard at `socket` to do something; nothing where it does not say that it is done.
fn operate(socket: &Path, target: &str, body: &str) -> Option<()> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let length = body.len();
    let ask = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(ask.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200 ").then_some(())
}
