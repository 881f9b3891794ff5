//! `loginward completions`: what a shell needs to complete commands and flags.

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::{Arguments, OK, say};

/// Print what a shell needs to complete commands and flags
///
/// Where each shell looks for it is among the examples.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  loginward completions bash > /usr/share/bash-completion/completions/loginward
  loginward completions fish > /usr/share/fish/vendor_completions.d/loginward.fish
  loginward completions zsh > /usr/local/share/zsh/site-functions/_loginward

Exit status:
  0  it is printed
  2  the command line is wrong"
)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Prints it.
    #[must_use]
    pub fn execute(&self) -> u8 {
        let mut script = Vec::new();
        generate(self.shell, &mut Arguments::command(), "loginward", &mut script);
        say(String::from_utf8_lossy(&script).trim_end());
        OK
    }
}
