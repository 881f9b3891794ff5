//! `--help` and `--version`.

use super::program::run;

/// All commands.
pub const COMMANDS: [&str; 17] = [
    "run",
    "check",
    "completions",
    "demo",
    "events",
    "explain",
    "export",
    "health",
    "import",
    "list",
    "lock",
    "man",
    "page",
    "reload",
    "reset",
    "show",
    "status",
];

#[test]
fn each_command_says_what_its_exit_statuses_mean() {
    for command in COMMANDS {
        let said = run(&[command, "--help"]);
        assert_eq!(said.status, 0);
        assert!(said.out.contains("Exit status:\n  0  "), "{command}: {}", said.out);
        assert!(run(&["--help"]).out.contains(&format!("\n  {command} ")), "{command}");
    }
}

#[test]
fn help_fits_a_terminal_that_is_100_wide() {
    let each = COMMANDS.map(|command| vec![command]);
    for command in [vec![]].into_iter().chain(each) {
        let said = run(&[command.clone(), vec!["--help"]].concat());
        let long = said.out.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "{command:?}");
    }
}

#[test]
fn the_version_is_the_packages() {
    let said = run(&["--version"]);
    assert_eq!(said.out, concat!("loginward ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(said.status, 0);
}

#[test]
fn a_command_line_that_says_nothing_is_a_usage_error() {
    for arguments in [&[][..], &["frobnicate"], &["check"]] {
        let said = run(arguments);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{arguments:?}");
        assert!(said.err.contains("Usage: loginward"), "{arguments:?}: {}", said.err);
    }
}
