//! `loginward demo`: a small application with a login, and a guard in front of it.

pub mod application;
pub mod operators;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use clap::Args;
use tokio::runtime::{Builder, LocalOptions};

use super::life::listen_to_operators;
use super::signals::Signals;
use super::success::quoted;
use super::{FAILED, OK, address, complain, reachable, say};
use crate::clock::Clock;
use crate::config::{LogSettings, Settings};
use crate::log;
use crate::server::listen::Bound;
use crate::server::reload::{Reloader, Source};
use crate::server::{Server, StartError};
use application::{Application, PASSWORD, SESSION, USERNAME};
use operators::Private;

/// Where the guard listens, if it can and nothing else is said.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Run a small application with a login and a guard in front of it, to try
///
/// Both are in this one process, on loopback. It prints the address to open in a browser, the
/// account, what to try, and where operators ask; then the guard's log lines. It needs nothing else,
/// keeps nothing, and ends with Ctrl-C or with its terminal.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Exit status:
  0  ended as it was told
  1  it could not start, for example because the address is in use
  2  the command line is wrong"
)]
pub struct Demo {
    /// Where the guard listens [default: 127.0.0.1:8080, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Option<SocketAddr>,
}

/// Why the demo cannot start.
type Failure = Box<dyn std::error::Error>;

/// Whether the guard is where one would look for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    AsUsual,
    Elsewhere,
}

impl Demo {
    /// Serves until SIGINT, SIGTERM or SIGHUP.
    #[must_use]
    pub fn execute(&self) -> u8 {
        match self.serve() {
            Ok(()) => OK,
            Err(failure) => {
                complain(&format!("error: {failure}"));
                FAILED
            }
        }
    }

    fn serve(&self) -> Result<(), Failure> {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(LocalOptions::default())?;
        let application = Application::bind()?;
        let behind = application.address();
        let log = log::install(log_settings(), Clock::system())?;
        let private = Private::make()?;
        let (mut server, place) = self.guard(behind, &private)?;
        let shared = Arc::clone(server.shared());
        let plan = shared.plans.latest();
        log.hub().configure(&plan.settings);
        let reloader = Rc::new(Reloader::new((shared, log.hub()), Source::Flags, Vec::new()));
        runtime.block_on(async {
            let mut signals = Signals::listen()?;
            let socket = operators::bind(&plan.settings);
            let _asked = listen_to_operators(&mut server, &reloader, (socket.as_ref(), None))?;
            if let Some(Bound::Tcp(address)) = server.bound().first() {
                let more = socket.as_ref().map(|socket| operators::introduction(socket));
                let more = more.unwrap_or_default();
                say(&introduction((reachable(*address), behind), place, &more));
            }
            tokio::select! {
                served = application.serve() => served,
                // it has no file to read again, and a password that everybody knows
                _ = signals.next() => Ok(()),
            }
        })?;
        server.stop();
        Ok(())
    }

    /// The guard; somewhere else where the usual place is taken and nobody asked for it.
    fn guard(&self, behind: SocketAddr, private: &Private) -> Result<(Server, Place), Failure> {
        let start = |listen| -> Result<Result<Server, StartError>, Failure> {
            Ok(Server::start(settings((listen, behind), private)?, Clock::system()))
        };
        match start(self.listen.unwrap_or(USUAL))? {
            Err(error) if self.listen.is_none() && is_taken(&error) => {
                let free = SocketAddr::new(USUAL.ip(), 0);
                Ok((start(free)??, Place::Elsewhere))
            }
            started => Ok((started?, Place::AsUsual)),
        }
    }
}

fn is_taken(error: &StartError) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

const fn log_settings() -> LogSettings {
    LogSettings {
        format: crate::config::LogFormat::Text,
        level: tracing::Level::INFO,
        access: crate::config::AccessLog::Off,
    }
}

fn settings(addresses: (SocketAddr, SocketAddr), private: &Private) -> Result<Settings, Failure> {
    let loaded = Settings::parse(&yaml(addresses, &private.socket()), Path::new("."), "demo");
    Ok(loaded.map(|(settings, _)| settings)?)
}

/// What the guard is told, as a file would tell it.
fn yaml((listen, behind): (SocketAddr, SocketAddr), socket: &Path) -> String {
    format!(
        "\
listen: {}
workers: 2
admin: {{ address: {} }}
store: {{ snapshot: none }}
sites:
  - name: demo
    upstream: \"http://{behind}\"
    logins:
      - path: /login
        username: {{ form: username }}
        password: {{ form: password }}
        session_cookie: {SESSION}
        outcome:
          - success: {{ status: 303, location: /, set_cookie: {SESSION} }}
          - failure: {{ status: 200 }}
    logouts:
      - {{ path: /logout, methods: [POST], session_cookie: {SESSION} }}
lockout:
  limits:
    - {{ by: [username, ip_address], failures: 5, cool_off: 1m }}
    - {{ by: [ip_address], failures: 20, cool_off: 1m }}
  response: {{ contact: Ask whoever started this demo. }}
shutdown: {{ deadline: 1s }}
",
        quoted(&listen.to_string()),
        quoted(&format!("unix:{}", socket.display())),
    )
}

/// What a visitor needs to know.
fn introduction((guard, behind): (SocketAddr, SocketAddr), place: Place, more: &str) -> String {
    let note = match place {
        Place::AsUsual => "",
        Place::Elsewhere => "\nPort 8080 is taken, so this is a free one; --listen names another.",
    };
    format!(
        "\
loginward {version} demo

    Open        http://{guard}/
    Account     {USERNAME}
    Password    {PASSWORD}
{note}
The guard listens there. The application behind it is at http://{behind}, which in
earnest nobody but the guard should reach. It knows nothing of the guard.

To try:
  1. Sign in five times with a wrong password. Four times the application says so; the fifth
     answer is the guard's: 403, and the account is locked for your address for one minute.
  2. Sign in with the right password now. The guard refuses that too, and the application does
     not see it: the number of passwords it has checked, on its page, stays as it is.
  3. Wait for the minute to end and sign in.

The same without a browser:
    for n in 1 2 3 4 5 6; do
      curl -s -o /dev/null -w '%{{http_code}} ' -d username={USERNAME} -d password=wrong$n http://{guard}/login
    done    # 200 200 200 200 403 403
    curl -i -d username={USERNAME} -d password={PASSWORD} http://{guard}/login
            # 403 with Retry-After: the seconds that are left; after them 303
{more}
What the guard was told: a login is a POST to /login with the fields username and password. It
worked if the answer is 303 to / and sets the cookie {SESSION}; anything else is a failure.
Five failures of a name from one address, or twenty from one address, lock for one minute.

Its log follows. It will also remark that a locked address is private, as yours is here.
Ctrl-C ends the demo.
",
        version = env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guard_is_told_is_without_a_flaw() {
        let behind = SocketAddr::new(USUAL.ip(), 3000);
        let loaded =
            Settings::parse(&yaml((USUAL, behind), Path::new("/a.sock")), Path::new("."), "demo");
        let (_, warnings) = loaded.expect("settings");
        assert_eq!(warnings, []);
    }
}
