//! `loginward check`.

use super::program::{Said, run};
use crate::support::program;

const FLAWLESS: &str = "\
listen: \"127.0.0.1:8080\"
sites:
  - upstream: http://127.0.0.1:3000
    logins:
      - path: /login
        username: { form: u }
        password: { form: p }
        outcome: { success: { status: 302, location: /app } }
bounds: { connections: 10 }
";

/// What `check` says of a file, in which `FILE` stands for its path.
#[track_caller]
fn check(text: &str, flags: &[&str]) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    let path = path.to_str().unwrap();
    std::fs::write(path, text).unwrap();
    let mut said = run(&[&["check", "--config", path], flags].concat());
    said.out = said.out.replace(path, "FILE");
    said.err = said.err.replace(path, "FILE");
    said
}

#[test]
fn a_file_without_flaws_can_be_used() {
    let said = check(FLAWLESS, &["--strict"]);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("FILE: usable, 0 warnings\n", ""));
    assert_eq!(said.status, 0);
}

#[test]
fn warnings_matter_where_they_are_told_to() {
    let doubtful = FLAWLESS.replace("{ success: { status: 302, location: /app } }", "inferred");
    let said = check(&doubtful, &[]);
    assert_eq!(said.out, "FILE: usable, 1 warning\n");
    assert!(said.err.starts_with("FILE:8:18: warning: sites[0].logins[0].outcome: "), "{said:?}");
    assert_eq!(said.status, 0);
    assert_eq!(check(&doubtful, &["--strict"]).status, 1);
}

#[test]
fn programs_get_it_as_json() {
    let json = |text: &str, flags: &[&str]| {
        let said = check(text, &[&["--json"], flags].concat());
        assert_eq!(said.err, "");
        let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(told["file"], "FILE");
        (said.status, told)
    };
    let doubtful = FLAWLESS.replace("{ success: { status: 302, location: /app } }", "inferred");
    let doubtful = format!("{doubtful}lockout: {{ mode: monitor }}\n");
    let (status, told) = json(&doubtful, &[]);
    assert_eq!((status, &told["usable"]), (0, &true.into()));
    let warning = &told["problems"][0];
    assert_eq!((&warning["severity"], &warning["line"]), (&"warning".into(), &8.into()));
    assert_eq!(warning["key"], "sites[0].logins[0].outcome");
    assert_eq!(
        (&told["monitored"][0]["login"], &told["problems"][1]),
        (&"/login".into(), &().into())
    );
    assert_eq!(json(&doubtful, &["--strict"]).0, 1);
    let (status, told) = json(&FLAWLESS.replace("path:", "paht:"), &[]);
    assert_eq!((status, &told["usable"]), (2, &false.into()));
    let errors = told["problems"].as_array().unwrap();
    assert!(errors.iter().any(|error| error["wrong"].as_str().unwrap().contains("unknown key")));
    assert!(errors.iter().all(|error| error["text"].as_str().unwrap().starts_with("FILE:")));
}

#[test]
fn all_errors_are_reported_at_once() {
    let wrong = FLAWLESS.replace("path:", "paht:").replace("http://", "htp://");
    let said = check(&wrong, &[]);
    assert_eq!((said.status, said.out.as_str()), (2, ""));
    let lines: Vec<&str> = said.err.lines().collect();
    assert!(lines[0].starts_with("FILE:3:15: sites[0].upstream: "), "{said:?}");
    assert!(said.err.contains("FILE:5:9: sites[0].logins[0].paht: unknown key"), "{said:?}");
}

#[test]
fn more_connections_than_the_system_allows_files_for_are_doubtful() {
    let text = FLAWLESS.replace("connections: 10", "connections: 1000000");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    let Some(mut command) = program("prlimit") else { return };
    command.args(["--nofile=64:120", env!("CARGO_BIN_EXE_loginward"), "check", "--config"]);
    let output = command.arg(&path).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "config.yaml: warning: bounds.connections: 1000000 connections may need 2000000 \
                    open files, and 120 are allowed: there will be 60 connections; raise the limit";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let said = run(&["check", "--config", "/nowhere/config.yaml"]);
    assert_eq!(said.err, "/nowhere/config.yaml: there is no such file\n");
    assert_eq!(said.status, 2);
}
