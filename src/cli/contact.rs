//! Finding the guard that a command is about, and asking it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::{UNREACHABLE, USAGE, complain};
use crate::admin::ask::{self, Answer};
use crate::config::{Admin, Settings, USUAL_ADMIN};

/// Which guard.
#[derive(Args, Debug)]
pub struct Contact {
    /// The address of its admin socket, such as `unix:/run/loginward/admin.sock`
    #[arg(long, value_name = "ADDRESS", value_parser = socket)]
    admin: Option<PathBuf>,
    /// Its configuration file, which names that address
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
}

/// The path of a unix socket, as a flag has it.
fn socket(written: &str) -> Result<PathBuf, String> {
    let path = written.strip_prefix("unix:").unwrap_or(written);
    if path.contains('/') {
        Ok(path.into())
    } else {
        Err("write a unix socket, such as unix:/run/loginward/admin.sock".to_owned())
    }
}

impl Contact {
    /// Asks the guard, and gives up after that time. If it cannot be asked, that is told, and what
    /// there is instead of an answer is an exit status.
    ///
    /// # Errors
    ///
    /// The exit status.
    pub fn ask(&self, method: &str, target: &str, patience: Duration) -> Result<Answer, u8> {
        let path = self.path().map_err(|wrong| {
            complain(&wrong);
            USAGE
        })?;
        ask::ask(&path, method, target, patience).map_err(|error| {
            complain(&format!("not reachable: unix:{}: {}", path.display(), why(&error)));
            UNREACHABLE
        })
    }

    /// Where it is asked.
    ///
    /// # Errors
    ///
    /// What is wrong with the flags or the file.
    pub fn path(&self) -> Result<PathBuf, String> {
        match (&self.admin, &self.config) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(file)) => configured(file),
            (None, None) => Ok(USUAL_ADMIN.into()),
        }
    }
}

/// Where the guard of this configuration is asked.
fn configured(file: &Path) -> Result<PathBuf, String> {
    let (settings, _) = Settings::load(file).map_err(|problems| problems.to_string())?;
    match settings.admin {
        Admin::At(path) => Ok(path),
        Admin::Nowhere => {
            Err(format!("{}: admin: is `none`, so it cannot be asked", file.display()))
        }
        Admin::Usual => Ok(USUAL_ADMIN.into()),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "foreign and open-ended")]
pub(super) fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            "no guard is there; name its address with --admin, or its file with --config".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "only root and the user that the guard runs as may ask it".to_owned()
        }
        io::ErrorKind::WouldBlock => "it does not answer in time".to_owned(),
        _ => error.to_string(),
    }
}
