//! The commands: what they take, and what their exit statuses mean.

pub mod check;
pub mod completions;
pub mod confine;
pub mod contact;
pub mod demo;
pub mod events;
pub mod explain;
pub mod export;
pub mod health;
pub mod import;
pub mod life;
pub mod list;
pub mod lock;
pub mod manager;
pub mod manual;
pub mod page;
pub mod quick;
pub mod reload;
pub mod reset;
pub mod rows;
pub mod run;
pub mod show;
pub mod signals;
pub mod status;
pub mod success;
pub mod table;
pub mod upgrade;
pub mod whom;
pub mod why;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A reverse proxy that guards the logins of applications nobody wants to change
///
/// It forwards everything, recognises login attempts, reads from the application's answer
/// whether they failed, counts the failures, and answers 403 to locked-out clients before they
/// reach the application.
#[derive(Debug, Parser)]
#[command(name = "loginward", bin_name = "loginward", version, verbatim_doc_comment, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  loginward demo
  loginward run --upstream http://127.0.0.1:3000 --login /login
  loginward check --config config.yaml
  loginward run --config config.yaml

Each command has its own --help, which names its exit statuses.";

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Run>),
    Check(check::Check),
    Completions(completions::Completions),
    Demo(demo::Demo),
    Events(events::Events),
    Explain(Box<explain::Explain>),
    Export(export::Export),
    Health(health::Health),
    Import(import::Import),
    List(list::List),
    Lock(lock::Lock),
    Man(manual::Manual),
    Page(page::Page),
    Reload(reload::Reload),
    #[command(visible_alias = "unlock")]
    Reset(reset::Reset),
    Show(show::Show),
    Status(status::Status),
}

/// Everything is well.
pub const OK: u8 = 0;
/// Something failed; for `check --strict`: there are warnings.
pub const FAILED: u8 = 1;
/// The configuration or the command line is wrong.
pub const USAGE: u8 = 2;
/// There is no guard to talk to.
pub const UNREACHABLE: u8 = 3;

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let status = match arguments.command {
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
        Command::Completions(completions) => completions.execute(),
        Command::Demo(demo) => demo.execute(),
        Command::Events(events) => events.execute(),
        Command::Explain(explain) => explain.execute(),
        Command::Export(export) => export.execute(),
        Command::Health(health) => health.execute(),
        Command::Import(import) => import.execute(),
        Command::List(list) => list.execute(),
        Command::Lock(lock) => lock.execute(),
        Command::Man(manual) => manual.execute(),
        Command::Page(page) => page.execute(),
        Command::Reload(reload) => reload.execute(),
        Command::Reset(reset) => reset.execute(),
        Command::Show(show) => show.execute(),
        Command::Status(status) => status.execute(),
    };
    ExitCode::from(status)
}

/// Prints for people, or for programs that read standard output.
pub fn say(text: &str) {
    // whoever has stopped reading, as `head` does, has seen enough
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Prints what is wrong.
pub fn complain(text: &str) {
    // there is nobody to tell that standard error is gone
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// An address as a flag has it.
fn address(written: &str) -> Result<SocketAddr, String> {
    let wrong = "write an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
    written.parse().map_err(|_| wrong.to_owned())
}

/// Where something that listens on `address` is asked: the nearest, where that is every one.
const fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback = match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        address.set_ip(loopback);
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_on_every_address_is_asked_on_loopback() {
        let check = |bound, expected: &str| {
            assert_eq!(
                address(bound).map(|bound| reachable(bound).to_string()).as_deref(),
                Ok(expected)
            );
        };
        check("0.0.0.0:9181", "127.0.0.1:9181");
        check("[::]:9181", "[::1]:9181");
        check("10.0.0.5:9181", "10.0.0.5:9181");
    }
}
