//! The commands: what they take, and what their exit statuses mean.

pub mod check;
pub mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A reverse proxy that guards the logins of applications nobody wants to change.
#[derive(Debug, Parser)]
#[command(name = "loginward", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
    Run(run::Run),
}

/// Everything is well.
pub const OK: u8 = 0;
/// Something failed; for `check --strict`: there are warnings.
pub const FAILED: u8 = 1;
/// The configuration or the command line is wrong.
pub const USAGE: u8 = 2;

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let status = match arguments.command {
        Command::Check(check) => check.execute(),
        Command::Run(run) => run.execute(),
    };
    ExitCode::from(status)
}

/// Prints for people, or for programs that read standard output.
#[expect(clippy::print_stdout, reason = "this is what commands are for")]
pub fn say(text: &str) {
    println!("{text}");
}

/// Prints what is wrong.
#[expect(clippy::print_stderr, reason = "there may be no logger yet")]
pub fn complain(text: &str) {
    eprintln!("{text}");
}
