//! What the configuration says to people: every message, in full.

mod edge;
mod example;
mod files;
mod limits;
mod logins;
mod outcomes;
mod outlets;
mod own;
mod redis;
mod sites;
mod slips;
mod syntax;
mod values;

use std::path::{Path, PathBuf};

use super::Settings;
use super::error::{Problem, Problems};

/// A configuration without a flaw; ends inside of its one login.
const FLAWLESS: &str = "\
listen: \"127.0.0.1:8080\"
sites:
  - upstream: http://127.0.0.1:3000
    logins:
      - path: /login
        username: { form: u }
        password: { form: p }
        outcome: { success: { status: 302, location: /app } }
";

/// Where the files lie that the configurations name.
fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests/files")
}

fn parse(yaml: &str) -> Result<(Settings, Vec<Problem>), Problems> {
    Settings::parse(yaml, &base(), "config.yaml")
}

/// The settings of a configuration without errors.
#[track_caller]
fn settings(yaml: &str) -> Settings {
    parse(yaml).unwrap_or_else(|problems| panic!("{yaml}\n{problems}")).0
}

/// Asserts that `yaml` has just these problems, each `LINE:COLUMN: KEY: WRONG; RIGHT`.
#[track_caller]
fn check(yaml: &str, expected: &[&str]) {
    let problems = match parse(yaml) {
        Ok((_, warnings)) => Problems::new("config.yaml", warnings),
        Err(problems) => problems,
    };
    let told = problems.to_string().replace("config.yaml:", "");
    let told = told.replace(&format!("{}/", base().display()), "");
    assert_eq!(told, expected.join("\n"), "\n{yaml}");
}

/// `text` without the indentation it has in the test.
fn yaml(text: &str) -> String {
    let Some(text) = text.strip_prefix('\n') else { return text.to_owned() };
    let depth = text.len() - text.trim_start_matches(' ').len();
    let indent = " ".repeat(depth);
    let lines =
        text.lines().map(|line| line.strip_prefix(&indent).unwrap_or_else(|| line.trim_start()));
    lines.collect::<Vec<_>>().join("\n")
}

/// `text` with `depth` blanks before each line.
fn indented(text: &str, depth: usize) -> String {
    let indent = " ".repeat(depth);
    yaml(text).lines().map(|line| format!("{indent}{line}\n")).collect()
}

/// The first lines of the flawless configuration.
fn first(lines: usize) -> String {
    FLAWLESS.split_inclusive('\n').take(lines).collect()
}

/// More keys of the file, from line 9.
fn file(keys: &str) -> String {
    format!("{FLAWLESS}{}", indented(keys, 0))
}

/// More keys of the site, from line 9.
fn site(keys: &str) -> String {
    format!("{FLAWLESS}{}", indented(keys, 4))
}

/// More keys of the login, from line 9.
fn login(keys: &str) -> String {
    format!("{FLAWLESS}{}", indented(keys, 8))
}

/// Another listener, in line 1.
fn listen(key: &str) -> String {
    format!("{}\n{}", yaml(key).trim_end(), FLAWLESS.replacen(&first(1), "", 1))
}

/// Another upstream, in line 3.
fn upstream(url: &str) -> String {
    FLAWLESS.replacen("http://127.0.0.1:3000", url, 1)
}

/// Another login, from line 5.
fn rule(keys: &str) -> String {
    format!("{}      - {}", first(4), indented(keys, 8).trim_start())
}

/// Another outcome, from line 9.
fn outcome(rules: &str) -> String {
    format!("{}        outcome:\n{}", first(7), indented(rules, 10))
}

/// A limit of the file, in line 11; what it has to have and `keys` do not say is added.
fn limit(keys: &str) -> String {
    let needed = ["by: ip_address", "failures: 5", "cool_off: 10m"];
    let said = |pair: &&str| keys.contains(pair.split_inclusive(' ').next().unwrap_or_default());
    let mut pairs = vec![keys];
    pairs.extend(needed.iter().filter(|pair| !said(pair)));
    format!("{FLAWLESS}lockout:\n  limits:\n    - {{ {} }}\n", pairs.join(", "))
}
