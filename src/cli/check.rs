//! `loginward check`: every error and every warning of a configuration.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{FAILED, OK, USAGE, complain, say};
use crate::config::Settings;
use crate::config::error::{Problem, Severity};
use crate::files;

/// Report every error and warning of a configuration file
///
/// Each message names the line, the key, what is wrong and what would be right. Nothing is started
/// and no address is listened on.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Exit status:
  0  the file can be used; there may be warnings
  1  there are warnings, and --strict was given
  2  there are errors, or the command line is wrong"
)]
pub struct Check {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Exit with status 1 if there are warnings
    #[arg(long)]
    strict: bool,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    /// What the system allows here may not be what it allows where the guard will run.
    fn too_few_files(&self, settings: &Settings) -> Option<Problem> {
        let (wrong, right) = files::doubt(&settings.bounds, files::most())?;
        Some(Problem {
            severity: Severity::Warning,
            file: self.config.display().to_string().into(),
            at: None,
            key: "bounds.connections".into(),
            wrong: wrong.into(),
            right: right.into(),
        })
    }

    /// Reads the file and says what it finds.
    #[must_use]
    pub fn execute(&self) -> u8 {
        match Settings::load(&self.config) {
            Err(problems) if self.json => {
                say(&json!({
                    "file": self.config,
                    "usable": false,
                    "problems": problems.iter().map(shown).collect::<Vec<_>>(),
                    "monitored": [],
                })
                .to_string());
                USAGE
            }
            Err(problems) => {
                complain(&problems.to_string());
                USAGE
            }
            Ok((settings, mut warnings)) => {
                warnings.extend(self.too_few_files(&settings));
                self.tell(&settings, &warnings);
                if self.strict && !warnings.is_empty() { FAILED } else { OK }
            }
        }
    }

    /// Says that the file can be used, and what is doubtful about it.
    fn tell(&self, settings: &Settings, warnings: &[Problem]) {
        if self.json {
            let monitored = settings.monitored();
            let monitored = monitored.map(|(site, login)| json!({ "site": site, "login": login }));
            let told = json!({
                "file": self.config,
                "usable": true,
                "problems": warnings.iter().map(shown).collect::<Vec<_>>(),
                "monitored": monitored.collect::<Vec<_>>(),
            });
            return say(&told.to_string());
        }
        for warning in warnings {
            complain(&warning.to_string());
        }
        for (site, login) in settings.monitored() {
            say(&format!("{site}: {login}: monitor mode, nothing is refused"));
        }
        let plural = if warnings.len() == 1 { "" } else { "s" };
        say(&format!("{}: usable, {} warning{plural}", self.config.display(), warnings.len()));
    }
}

/// A problem as programs want it.
fn shown(problem: &Problem) -> Value {
    json!({
        "severity": if problem.severity == Severity::Error { "error" } else { "warning" },
        "file": &*problem.file,
        "line": problem.at.map(|at| at.line),
        "column": problem.at.map(|at| at.column),
        "key": &*problem.key,
        "wrong": &*problem.wrong,
        "right": &*problem.right,
        "text": problem.to_string(),
    })
}
