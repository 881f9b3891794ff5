//! `loginward man`: the manual, a page for the program and one for each command.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use super::{Arguments, FAILED, OK, USAGE, complain, say};

/// Print the manual, or write all of its pages into a directory
///
/// There is a page for the program, loginward(1), and one for each command, such as
/// loginward-run(1).
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  loginward man run | man -l -
  mkdir -p /usr/local/share/man/man1 && loginward man --dir /usr/local/share/man/man1

Exit status:
  0  it is printed or written
  1  the directory cannot be written to
  2  there is no such command, or the command line is wrong"
)]
pub struct Manual {
    /// The command; default: the program as a whole
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Option<String>,
    /// Write all pages into this directory
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

impl Manual {
    /// Prints or writes it.
    #[must_use]
    pub fn execute(&self) -> u8 {
        let mut program = Arguments::command().disable_help_subcommand(true);
        program.build();
        let result = match (&self.dir, &self.command) {
            (Some(dir), _) => write(&program, dir),
            (None, None) => print(&program),
            (None, Some(name)) => match program.find_subcommand(name) {
                Some(command) => print(command),
                None => {
                    complain(&format!("error: there is no command `{name}`"));
                    return USAGE;
                }
            },
        };
        result.map_or_else(
            |error| {
                complain(&format!("error: {error}"));
                FAILED
            },
            |()| OK,
        )
    }
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).section("1").manual("loginward").render(&mut page)?;
    Ok(page)
}

fn print(command: &Command) -> io::Result<()> {
    say(String::from_utf8_lossy(&page(command)?).trim_end());
    Ok(())
}

fn write(program: &Command, dir: &Path) -> io::Result<()> {
    for command in std::iter::once(program).chain(program.get_subcommands()) {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let file = dir.join(format!("{name}.1"));
        let named = |error| io::Error::other(format!("{}: {error}", file.display()));
        std::fs::write(&file, page(command)?).map_err(named)?;
    }
    Ok(())
}
