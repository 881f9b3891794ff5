//! Other settings while the guard runs: read, checked, and in force at once or not at all.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};

use super::watched::Watched;
use crate::clock::Clock;
use crate::config::error::{Problem, Problems, Severity};
use crate::config::{Loaded, Settings};
use crate::guard::Shared;
use crate::guard::plan::Plan;
use crate::guard::rollout::Rollout;
use crate::log::Hub;

/// A worker that has not heard of a new plan by then hears of it later.
const PATIENCE: Duration = Duration::from_secs(5);
/// A configuration that cannot be read by then cannot be read.
const READING: Duration = Duration::from_secs(10);

/// Reads a configuration again and puts it in force.
#[derive(Debug)]
pub struct Reloader {
    shared: Arc<Shared>,
    source: Source,
    hub: Hub,
    /// Locked by whoever reloads.
    watched: Mutex<Watched>,
    /// What was wrong or doubtful when it was last tried.
    problems: RefCell<Vec<Problem>>,
    /// What has changed of the configuration and is not in force before a restart.
    need_restart: RefCell<Vec<&'static str>>,
    /// Whether somebody still reads.
    reading: Arc<AtomicBool>,
}

/// Where a guard's settings come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// This file, and those that it names.
    File(PathBuf),
    /// The command line, which does not change.
    Flags,
}

/// What came of a configuration that is in force now.
#[derive(Clone, Debug, Default)]
pub struct Reloaded {
    /// What is doubtful in it.
    pub warnings: Vec<Problem>,
    /// The keys that have changed and are not in force before a restart.
    pub need_restart: Vec<&'static str>,
}

/// Why everything is as it was.
#[derive(Debug)]
pub enum ReloadError {
    /// There is no file to read.
    NoFile,
    /// All that is wrong with it.
    Unusable(Problems),
}

impl Reloader {
    /// Reloads what `shared` was started with, from `source`, which consists of `files`.
    #[must_use]
    pub fn new((shared, hub): (Arc<Shared>, Hub), source: Source, files: Vec<PathBuf>) -> Self {
        Self {
            shared,
            source,
            hub,
            watched: Mutex::new(Watched::new(files)),
            problems: RefCell::default(),
            need_restart: RefCell::default(),
            reading: Arc::default(),
        }
    }

    /// What the workers share.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Where every event comes through.
    #[must_use]
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The file that the configuration is in, if it is in one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::File(path) => Some(path),
            Source::Flags => None,
        }
    }

    /// What was wrong or doubtful when the configuration was last read again.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.borrow().clone()
    }

    /// The keys of which something has changed that is not in force before a restart.
    #[must_use]
    pub fn need_restart(&self) -> Vec<&'static str> {
        self.need_restart.borrow().clone()
    }

    /// Reads everything again, checks all of it, and puts it in force; `reason` is who asked.
    /// Returns when every worker serves by it.
    ///
    /// # Errors
    ///
    /// When it cannot be used; then everything is as it was.
    pub async fn reload(&self, reason: &str) -> Result<Reloaded, ReloadError> {
        let mut watched = self.watched.lock().await;
        let result = match &self.source {
            Source::File(path) => self.reload_from(path, &mut watched).await,
            Source::Flags => Err(ReloadError::NoFile),
        };
        report(reason, &result);
        match &result {
            Ok(Reloaded { warnings, need_restart }) => {
                self.need_restart.replace(need_restart.clone());
                self.problems.replace(warnings.clone())
            }
            Err(ReloadError::Unusable(all)) => self.problems.replace(all.iter().cloned().collect()),
            Err(ReloadError::NoFile) => Vec::new(),
        };
        result
    }

    async fn reload_from(
        &self,
        path: &Path,
        watched: &mut Watched,
    ) -> Result<Reloaded, ReloadError> {
        watched.look();
        let Loaded { result, files } = self.read(path).await?;
        watched.take(files);
        let (settings, warnings) = result.map_err(|problems| {
            self.shared.metrics.reload_failed();
            ReloadError::Unusable(problems)
        })?;
        let (rollout, need_restart) = apply(&self.shared, settings);
        self.hub.configure(&rollout.plan().settings);
        self.hub.outlets().set_webhooks(&rollout.plan().settings.webhooks);
        self.shared.metrics.reload_succeeded(Clock::system().wall_now());
        let workers = rollout.plan().settings.workers.get();
        // it is in force also where a worker is late
        drop(tokio::time::timeout(PATIENCE, rollout.until_taken(workers)).await);
        Ok(Reloaded { warnings, need_restart })
    }

    /// Reads what is there by a thread of its own: a file may be a pipe that nobody writes to, or be on
    /// a disk that does not go on.
    async fn read(&self, path: &Path) -> Result<Loaded, ReloadError> {
        let failed = |why: &str| {
            self.shared.metrics.reload_failed();
            ReloadError::Unusable(Problems::unreadable(path, why))
        };
        if self.reading.swap(true, Ordering::SeqCst) {
            return Err(failed("it is still being read, since the last time: is it a pipe?"));
        }
        let (read, reading) = oneshot::channel();
        let (own, is_reading) = (path.to_owned(), Arc::clone(&self.reading));
        let thread = std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let loaded = Loaded::from(&own);
            is_reading.store(false, Ordering::SeqCst);
            // whoever wanted to know has given up
            drop(read.send(loaded));
        });
        if let Err(error) = thread {
            self.reading.store(false, Ordering::SeqCst);
            return Err(failed(&error.to_string()));
        }
        let late = |_| {
            failed("it, or a file that it names, cannot be read within 10 seconds: is it a pipe?")
        };
        let loaded = tokio::time::timeout(READING, reading).await.map_err(late)?;
        loaded.map_err(|_| failed("it cannot be read"))
    }

    /// Reloads when a file has other content than it had, and no more changes come.
    pub async fn follow_files(&self) {
        let mut every = tokio::time::interval(super::watched::EVERY);
        loop {
            every.tick().await;
            if self.watched.lock().await.has_changed() {
                // what came of it is reported
                drop(self.reload("changed files").await);
            }
        }
    }
}

/// Serves by `settings` from now on, as far as they can change while the guard runs. Requests that
/// are under way end as they began. Counters are kept, and held against the limits of the same
/// names. Returns the keys whose change takes a restart, too.
pub fn apply(shared: &Shared, settings: Settings) -> (Rollout, Vec<&'static str>) {
    let before = shared.plans.latest();
    let (settings, need_restart) = settings.after(&before.settings);
    if let (Some(wire), Some(redis)) = (shared.store.wire(), &settings.store.redis) {
        wire.renew(redis);
    }
    let plan = Plan::new(settings, &shared.store, &shared.metrics, Some(&before));
    let rollout = shared.plans.replace(plan);
    shared.note_certificates();
    (rollout, need_restart)
}

fn report(reason: &str, result: &Result<Reloaded, ReloadError>) {
    match result {
        Ok(Reloaded { warnings, need_restart }) => {
            for problem in warnings {
                tracing::warn!(event = "configuration_warning", reason = %problem);
            }
            for key in need_restart {
                let message = "a change of this key is not in force before a restart";
                tracing::warn!(event = "restart_needed", key, reason = message);
            }
            tracing::info!(event = "reloaded", reason);
        }
        Err(ReloadError::NoFile) => {
            let message = "there is no configuration file to read again";
            tracing::warn!(event = "reload_failed", reason, message);
        }
        Err(ReloadError::Unusable(problems)) => {
            for problem in problems {
                match problem.severity {
                    Severity::Error => {
                        tracing::error!(event = "configuration_error", reason = %problem);
                    }
                    Severity::Warning => {
                        tracing::warn!(event = "configuration_warning", reason = %problem);
                    }
                }
            }
            let message = "everything stays as it was";
            tracing::error!(event = "reload_failed", reason, message);
        }
    }
}
