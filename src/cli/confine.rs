//! What a guard gives up once it has bound its addresses: the user it was, and all other files.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{FAILED, USAGE};
use crate::config::{RunAs, Sandboxed, Settings};
use crate::outlets::settings::AuditTo;
use crate::privileges::sandbox::{self, Sandbox};
use crate::privileges::{become_user, give, is_root};
use crate::server::StartError;
use crate::snapshot::place;

/// Why a guard cannot run.
#[derive(Debug)]
pub enum Unfit {
    /// The system does not let it.
    Start(StartError),
    /// What it is started with does not fit its configuration.
    Unfitting(String),
}

impl Unfit {
    /// The exit status: what does not fit it is the configuration's fault.
    #[must_use]
    pub const fn status(&self) -> u8 {
        match self {
            Self::Start(_) => FAILED,
            Self::Unfitting(_) => USAGE,
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => error.fmt(out),
            Self::Unfitting(text) => out.write_str(text),
        }
    }
}

impl From<StartError> for Unfit {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Start(StartError::new("the system does not let it run", error))
    }
}

/// Becomes the user of the settings, finds out whether he can read `files`, and gives up all other
/// files. To be done before there are workers. The `made` sockets are the guard's own.
///
/// # Errors
///
/// When one of that cannot be done; landlock is done without where there is none.
pub fn confine(
    settings: &Settings,
    files: &[PathBuf],
    made: &[PathBuf],
    admin: Option<&Path>,
) -> Result<(), Unfit> {
    let admin = admin.into_iter().map(Path::to_path_buf);
    let sockets: Vec<PathBuf> = admin.chain(made.iter().cloned()).collect();
    if let Some(snapshot) = &settings.store.snapshot {
        place::prepare(snapshot, settings.run_as.as_ref().filter(|_| is_root()))?;
    }
    match &settings.run_as {
        Some(whom) => descend(whom, files, &sockets)?,
        None if is_root() => {
            let message = "name a `user`, whom it becomes once it has bound its addresses";
            tracing::warn!(event = "running_as_root", message);
        }
        None => {}
    }
    if settings.sandbox == Sandboxed::Yes {
        report(sandbox::confine(files, &sockets, &written(settings)));
    }
    Ok(())
}

/// The files that it writes, of which there may come others beside them.
fn written(settings: &Settings) -> Vec<PathBuf> {
    let audit = match settings.audit.as_ref().map(|audit| &audit.to) {
        Some(AuditTo::File(file)) => Some(file.path.clone()),
        Some(AuditTo::Stdout | AuditTo::Syslog(_)) | None => None,
    };
    audit.into_iter().chain(settings.store.snapshot.clone()).collect()
}

/// Becomes `whom`, who has to be able to read `files` and gets the `sockets`.
fn descend(whom: &RunAs, files: &[PathBuf], sockets: &[PathBuf]) -> Result<(), Unfit> {
    if is_root() {
        for socket in sockets {
            let what = format!("{} cannot be given away", socket.display());
            give(socket, whom).map_err(|error| StartError::new(what, error))?;
        }
    }
    become_user(whom).map_err(|error| StartError::new("cannot become another user", error))?;
    let unreadable = files.iter().find_map(|file| Some((file, File::open(file).err()?)));
    if let Some((file, error)) = unreadable {
        return Err(Unfit::Unfitting(format!(
            "{}: cannot be read by user {} (group {}), who will have to read it at every reload: \
             {error}; give it to that user or group",
            file.display(),
            whom.uid,
            whom.gid
        )));
    }
    tracing::info!(event = "user_changed", uid = whom.uid, gid = whom.gid);
    Ok(())
}

fn report(confined: io::Result<Sandbox>) {
    match confined {
        Ok(Sandbox::Whole) => tracing::info!(event = "sandboxed", by = "landlock"),
        Ok(Sandbox::Part) => {
            let message = "this kernel knows a part of it";
            tracing::info!(event = "sandboxed", by = "landlock", message);
        }
        Ok(Sandbox::None) => {
            tracing::info!(event = "not_sandboxed", reason = "this kernel has no landlock");
        }
        Err(error) => tracing::info!(event = "not_sandboxed", reason = %error),
    }
}
