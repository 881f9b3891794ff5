//! `loginward run`: the guard, until it is told to end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::runtime::{Builder, LocalOptions};

use super::confine::{Unfit, confine};
use super::life::{Life, Watch, live};
use super::quick::Quick;
use super::signals::Signals;
use super::upgrade::{self, Legacy, Predecessor};
use super::{FAILED, OK, USAGE, complain, say};
use crate::admin::socket::{self, AdminSocket};
use crate::admin::token;
use crate::clock::Clock;
use crate::config::error::Problem;
use crate::config::{Loaded, Settings};
use crate::files;
use crate::log::{self, LogGuard};
use crate::memory;
use crate::privileges;
use crate::server::inherited::Inherited;
use crate::server::reload::{Reloader, Source};
use crate::server::{Server, StartError};

/// Run the guard, until SIGTERM or SIGINT ends it
///
/// What it guards is said by a configuration file (--config), or, for one application with one
/// login, by --upstream and --login. Sockets of these addresses that systemd hands over are taken
/// rather than bound. SIGHUP has it read its configuration again; one that cannot be used changes
/// nothing. With --upgrade it takes over from the guard that runs at the same `admin` address: its
/// sockets, its counters; attempts wait meanwhile, and no request is lost.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "\
loginward run --config <FILE> [--watch] [--upgrade]
       loginward run --upstream <URL> --login <PATH> [OPTIONS]"
)]
#[command(after_help = "\
Examples:
  loginward run --config config.yaml
  loginward run --config config.yaml --upgrade
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
    /// Reload when the file, or one that it names, has other content
    #[arg(long, requires = "config")]
    watch: bool,
    /// Take over from the guard that runs: its sockets, its counters; no request is lost
    #[arg(long, requires = "config")]
    upgrade: bool,
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
            Task::File(path) => from_file(path),
            Task::Print(quick) => return print(quick),
            Task::Quick(quick) => from_flags(quick),
        };
        match loaded {
            Ok(begin) => serve(begin, self.manner()),
            Err(problems) => {
                complain(&problems);
                USAGE
            }
        }
    }

    const fn manner(&self) -> Manner {
        Manner {
            watch: if self.watch { Watch::Files } else { Watch::Nothing },
            first: if self.upgrade { First::TakeOver } else { First::Bind },
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

fn from_file(path: &Path) -> Result<Begin, String> {
    let Loaded { result, files } = Loaded::from(path);
    let (settings, warnings) = result.map_err(|problems| problems.to_string())?;
    Ok(Begin { settings, warnings, source: Source::File(path.to_owned()), files })
}

fn from_flags(quick: &Quick) -> Result<Begin, String> {
    let (settings, warnings) = quick.settings().map_err(|problems| lines(&problems))?;
    Ok(Begin { settings, warnings, source: Source::Flags, files: Vec::new() })
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
            say(quick.file().trim_end());
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

/// What a guard is started with.
struct Begin {
    settings: Settings,
    warnings: Vec<Problem>,
    source: Source,
    /// The files that the settings came from.
    files: Vec<PathBuf>,
}

/// How a guard is started.
#[derive(Clone, Copy)]
struct Manner {
    watch: Watch,
    first: First,
}

/// What a guard does first.
#[derive(Clone, Copy)]
enum First {
    Bind,
    TakeOver,
}

/// Runs a guard until a signal ends it.
fn serve(begin: Begin, manner: Manner) -> u8 {
    // before there is any other thread, or anything open
    let inherited = Inherited::from_environment();
    if let Err(error) = privileges::gain_no_more() {
        complain(&format!("error: privileges cannot be given up: {error}"));
        return FAILED;
    }
    let Ok(log) = log::install(begin.settings.log, Clock::system()) else {
        complain("error: logging is set up already");
        return FAILED;
    };
    log.hub().configure(&begin.settings);
    for warning in &begin.warnings {
        tracing::warn!(event = "configuration_warning", reason = %warning);
    }
    if let Some((wrong, right)) = files::doubt(&begin.settings.bounds, files::raise()) {
        tracing::warn!(event = "configuration_warning", reason = %format!("{wrong}; {right}"));
    }
    let mut builder = Builder::new_current_thread();
    let Ok(runtime) = builder.enable_all().build_local(LocalOptions::default()) else {
        complain("error: the system gives no runtime");
        return FAILED;
    };
    match runtime.block_on(start(begin, inherited, manner, &log)) {
        Ok(()) => OK,
        Err(unfit) => {
            complain(&format!("error: {unfit}"));
            unfit.status()
        }
    }
}

/// Starts a guard and lives its life.
async fn start(
    Begin { settings, source, files, .. }: Begin,
    inherited: Result<Inherited, String>,
    manner: Manner,
    log: &LogGuard,
) -> Result<(), Unfit> {
    // before anybody can know that it runs
    let signals = Signals::listen()?;
    let inherited = inherited.map_err(Unfit::Unfitting)?;
    inherited.are_named_by(&settings).map_err(Unfit::Unfitting)?;
    inherited.report();
    let (predecessor, inherited, admin) = match manner.first {
        First::Bind => (None, inherited, socket::bind(&settings)?),
        First::TakeOver => take_over(&settings, inherited)?,
    };
    let path = admin.as_ref().map(AdminSocket::path);
    let token = match &settings.admin_tcp {
        Some(tcp) => Some(token::obtain(&tcp.token_file, settings.run_as.as_ref())?),
        None => None,
    };
    let prepare = |settings: &Settings, made: &[PathBuf]| {
        confine(settings, &files, made, path)?;
        // from now on threads may do no more than they have to
        memory::give_back()?;
        let wrong = |error| {
            let right = format!(
                "{} has to be able to write it, and to make files beside it",
                privileges::shown(settings.run_as.as_ref())
            );
            StartError::new("the audit log cannot be written", error).if_denied(right)
        };
        log.hub().outlets().begin(settings).map_err(wrong).map_err(Unfit::Start)
    };
    let server = Server::start_after(settings, Clock::system(), inherited, prepare)?;
    for bound in server.bound() {
        tracing::info!(event = "listening", address = %bound);
    }
    if let Some(address) = server.metrics_bound() {
        tracing::info!(event = "metrics_listening", address = %address);
    }
    let shared = Arc::clone(server.shared());
    let taking = match predecessor {
        Some(predecessor) => Some(predecessor.take_over(Arc::clone(&shared))?),
        None => None,
    };
    let reloader = Reloader::new((shared, log.hub()), source, files);
    live(Life { server, reloader, watch: manner.watch, admin, token, taking }, signals).await?;
    Ok(())
}

type Origin = (Option<Predecessor>, Inherited, Option<AdminSocket>);

/// Takes over from the guard that runs; where there is none, begins as usual.
fn take_over(settings: &Settings, inherited: Inherited) -> Result<Origin, Unfit> {
    let Some(Legacy { predecessor, inherited, admin }) = upgrade::ask(settings)? else {
        let message = "no guard runs that could be taken over; this one begins as usual";
        tracing::info!(event = "nothing_to_take_over", message);
        return Ok((None, inherited, socket::bind(settings)?));
    };
    inherited.report();
    Ok((Some(predecessor), inherited, Some(admin)))
}
