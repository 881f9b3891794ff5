//! The ways round a login guard: what upstreams of every kind would take for a guess never gets
//! past a lockout, in whatever bytes it comes.
//!
//! Each table sends its own bytes over a socket and counts what reaches the application. Races,
//! aborts and floods have files of their own (`cap`, `no_free_guess`,
//! `rules::eviction`).

mod answers;
mod bodies;
mod frameworks;
mod framing;
mod identity;
mod json;
mod methods;
mod multipart;
mod paths;
mod redirects;
mod state;
mod usernames;

use crate::support::{Ask, Client, Guard, Upstream};

/// One failure locks an account, for everybody.
const ONE: &str = r#"
lockout: { limits: { by: username, failures: 1, cool_off: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: username }
        password: { form: password }
        outcome: { success: { status: 302 } }
"#;

/// What belongs in a guess for the account `victim`.
const GUESS: &str = "username=victim&password=x";

/// A guard that `configuration` describes, by which the account `victim` is locked out.
struct Sealed {
    upstream: Upstream,
    guard: Guard,
}

impl Sealed {
    /// The usual one.
    fn new() -> Self {
        Self::with(ONE)
    }

    #[track_caller]
    fn with(configuration: &str) -> Self {
        let upstream = Upstream::shop();
        let guard = Guard::start(configuration, &upstream);
        let locked = guard.ask(&Ask::form("/login", GUESS));
        assert_eq!(locked.verdict(), (403, "locked"));
        assert_eq!(upstream.hits(), 1);
        Self { upstream, guard }
    }

    /// A guess that another client makes in other words does not get through.
    #[track_caller]
    fn stops(&self, guess: impl AsRef<[u8]>) {
        let guess = guess.as_ref();
        let mut client = Client::from("127.0.0.2", &self.guard);
        client.send(guess);
        let status = client.answer_head().map(|answer| answer.status);
        let shown = String::from_utf8_lossy(guess);
        let shown = shown.chars().take(600).collect::<String>();
        assert!(status.is_none_or(|status| status >= 400), "{status:?} to {shown}");
        assert_eq!(self.upstream.hits(), 1, "it got through: {shown}");
    }

    /// The same of a whole table.
    #[track_caller]
    fn stops_all<T: AsRef<[u8]>>(&self, guesses: impl IntoIterator<Item = T>) {
        for guess in guesses {
            self.stops(guess);
        }
    }

    /// What is no guess for `victim` passes, and comes out as the upstream should see it.
    #[track_caller]
    fn passes(&self, ask: &Ask) -> crate::support::Request {
        let before = self.upstream.hits();
        let answer = Client::from("127.0.0.2", &self.guard).ask(ask);
        let shown = String::from_utf8_lossy(&ask.bytes()).into_owned();
        assert_ne!(answer.fields.get("x-loginward"), Some("refused"), "{shown}");
        assert_eq!(self.upstream.hits(), before + 1, "it did not get through: {shown}");
        self.upstream.requests().pop().unwrap()
    }
}

/// A request with a form.
fn post(target: &str, form: impl AsRef<[u8]>) -> Vec<u8> {
    Ask::new("POST", target).body("application/x-www-form-urlencoded", form).bytes()
}
