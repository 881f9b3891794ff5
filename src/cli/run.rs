//! `loginward run`: the guard, until it is told to end.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{FAILED, OK, USAGE, complain};
use crate::clock::Clock;
use crate::config::Settings;
use crate::log;
use crate::server::Server;

/// Runs the guard.
///
/// Exit status: 0 ended as told, 2 the configuration is wrong, 1 anything else.
#[derive(Args, Debug)]
pub struct Run {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Run {
    /// Serves until SIGTERM or SIGINT.
    #[must_use]
    pub fn execute(&self) -> u8 {
        let (settings, warnings) = match self.settings() {
            Ok(loaded) => loaded,
            Err(problems) => {
                complain(&problems.to_string());
                return USAGE;
            }
        };
        let Ok(_log) = log::install(settings.log, Clock::system()) else {
            complain("logging is set up already");
            return FAILED;
        };
        for warning in &warnings {
            tracing::warn!(event = "configuration_warning", reason = %warning);
        }
        serve(settings)
    }

    fn settings(
        &self,
    ) -> Result<(Settings, Vec<crate::config::error::Problem>), crate::config::error::Problems>
    {
        Settings::load(Path::new(&self.config))
    }
}

/// Runs a guard with `settings` until a signal ends it.
#[must_use]
pub fn serve(settings: Settings) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        complain("the system gives no runtime");
        return FAILED;
    };
    let server = match Server::start(settings, Clock::system()) {
        Ok(server) => server,
        Err(error) => {
            complain(&error.to_string());
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

/// Waits for SIGTERM or SIGINT.
async fn until_told() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
