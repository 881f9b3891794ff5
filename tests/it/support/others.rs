//! Programs that others wrote: used where they are there, and missed aloud where they are not.

use std::path::Path;
use std::process::Command;

/// A program, if it is there. Where `LOGINWARD_TEST_ALL` is set, as in CI, it has to be.
#[track_caller]
pub fn program(name: &str) -> Option<Command> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&paths).any(|path| path.join(name).is_file());
    if !is_there {
        not_run(&format!("{name} is not here"));
    }
    is_there.then(|| Command::new(Path::new(name)))
}

/// Says that a test, or a part of one, is left out.
#[expect(clippy::print_stderr, reason = "whoever runs it is told what was not tested")]
#[track_caller]
pub fn not_run(because: &str) {
    assert!(std::env::var_os("LOGINWARD_TEST_ALL").is_none(), "not run: {because}");
    eprintln!("not run: {because}");
}

/// The text of every source file of the program.
pub fn sources() -> Vec<String> {
    let mut sources = Vec::new();
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(std::fs::read_to_string(&path).unwrap());
        }
    }
    sources
}
