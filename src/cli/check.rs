//! `loginward check`: every error and every warning of a configuration.

use std::path::PathBuf;

use clap::Args;

use super::{FAILED, OK, USAGE, complain, say};
use crate::config::Settings;

/// Reports every error and warning of a configuration file.
///
/// Exit status: 0 usable, 1 there are warnings and --strict was given, 2 there are errors.
#[derive(Args, Debug)]
pub struct Check {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Take warnings for failures.
    #[arg(long)]
    strict: bool,
}

impl Check {
    /// Reads the file and says what it finds.
    #[must_use]
    pub fn execute(&self) -> u8 {
        match Settings::load(&self.config) {
            Err(problems) => {
                complain(&problems.to_string());
                USAGE
            }
            Ok((_, warnings)) => {
                for warning in &warnings {
                    complain(&warning.to_string());
                }
                let plural = if warnings.len() == 1 { "" } else { "s" };
                say(&format!(
                    "{}: usable, {} warning{plural}",
                    self.config.display(),
                    warnings.len()
                ));
                if self.strict && !warnings.is_empty() { FAILED } else { OK }
            }
        }
    }
}
