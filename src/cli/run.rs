//! `loginward run`: the guard, until it is told to end.

use std::path::PathBuf;

use clap::Args;

use super::quick::Quick;
use super::{FAILED, OK, USAGE, complain, say};
use crate::clock::Clock;
use crate::config::Settings;
use crate::config::error::Problem;
use crate::log;
use crate::server::Server;

/// Run the guard, until SIGTERM or SIGINT ends it
///
/// What it guards is said by a configuration file (--config), or, for one application with one
/// login, by --upstream and --login.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "\
loginward run --config <FILE>
       loginward run --upstream <URL> --login <PATH> [OPTIONS]"
)]
#[command(after_help = "\
Examples:
  loginward run --config config.yaml
  loginward run --upstream http://127.0.0.1:3000 --login /login
  loginward run --upstream http://127.0.0.1:8000 --login /admin/login/ \\
      --success 'status=302 set_cookie=sessionid' --print-config > config.yaml

Exit status:
  0  ended as it was told
  1  it could not start, for example because the address is in use
  2  the configuration or the command line is wrong")]
pub struct Run {
    /// The configuration file
    #[arg(long, value_name = "FILE", conflicts_with_all = super::quick::FLAGS)]
    config: Option<PathBuf>,
    #[command(flatten)]
    quick: Quick,
}

/// What there is to do, once the flags are read.
enum Task<'a> {
    Explain,
    File(&'a PathBuf),
    Print(&'a Quick),
    Quick(&'a Quick),
}

impl Run {
    /// Serves until SIGTERM or SIGINT.
    #[must_use]
    pub fn execute(&self) -> u8 {
        let loaded = match self.task() {
            Task::Explain => {
                complain(WHAT);
                return USAGE;
            }
            Task::File(path) => Settings::load(path).map_err(|problems| problems.to_string()),
            Task::Print(quick) => return print(quick),
            Task::Quick(quick) => quick.settings().map_err(|problems| lines(&problems)),
        };
        match loaded {
            Ok((settings, warnings)) => serve(settings, &warnings),
            Err(problems) => {
                complain(&problems);
                USAGE
            }
        }
    }

    const fn task(&self) -> Task<'_> {
        match (&self.config, &self.quick.upstream) {
            (Some(path), _) => Task::File(path),
            (None, Some(_)) if self.quick.print_config => Task::Print(&self.quick),
            (None, Some(_)) => Task::Quick(&self.quick),
            (None, None) => Task::Explain,
        }
    }
}

/// What to say to whoever says nothing.
const WHAT: &str = "\
error: it is not said what to guard. Name a configuration file:
    loginward run --config FILE
or an application and the path of its login:
    loginward run --upstream http://127.0.0.1:3000 --login /login
`loginward run --help` says more, and `loginward demo` shows the guard at work.";

/// Prints the configuration that the flags stand for, if it can be used.
fn print(quick: &Quick) -> u8 {
    match quick.settings() {
        Ok((_, warnings)) => {
            if !warnings.is_empty() {
                complain(&lines(&warnings));
            }
            say(quick.yaml().trim_end());
            OK
        }
        Err(problems) => {
            complain(&lines(&problems));
            USAGE
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// Runs a guard with `settings` until a signal ends it.
fn serve(settings: Settings, warnings: &[Problem]) -> u8 {
    let Ok(_log) = log::install(settings.log, Clock::system()) else {
        complain("error: logging is set up already");
        return FAILED;
    };
    for warning in warnings {
        tracing::warn!(event = "configuration_warning", reason = %warning);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        complain("error: the system gives no runtime");
        return FAILED;
    };
    let server = match Server::start(settings, Clock::system()) {
        Ok(server) => server,
        Err(error) => {
            complain(&format!("error: {error}"));
            return FAILED;
        }
    };
    for bound in server.bound() {
        tracing::info!(event = "listening", address = %bound);
    }
    if let Some(address) = server.metrics_bound() {
        tracing::info!(event = "metrics_listening", address = %address);
    }
    let signal = runtime.block_on(until_told());
    tracing::info!(event = "stopping", reason = signal);
    server.stop();
    tracing::info!(event = "stopped");
    OK
}

/// Waits for SIGTERM or SIGINT; returns which it was. A SIGHUP, by which others are told to reload,
/// must not end a guard and all its lockouts.
pub async fn until_told() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
        return std::future::pending().await;
    };
    let Ok(mut hang_up) = signal(SignalKind::hangup()) else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return "SIGTERM",
            _ = interrupt.recv() => return "SIGINT",
            _ = hang_up.recv() => {
                let message = "SIGHUP: this version does not reload; restart it to change settings";
                tracing::warn!(message);
            }
        }
    }
}
