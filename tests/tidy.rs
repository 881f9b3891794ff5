//! House rules that no lint knows, read from the source.
#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Longer files are two files.
const MOST_LINES: usize = 400;

/// Every Rust file below `dirs`, with its text.
fn sources(dirs: &[&str]) -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    let mut waiting: Vec<PathBuf> = dirs.iter().map(|dir| root().join(dir)).collect();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push((path.strip_prefix(root()).unwrap().to_owned(), text));
        }
    }
    assert!(!sources.is_empty());
    sources
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What of a file is no test: nothing of a test's file, and the rest of others up to their tests.
fn program((path, text): &(PathBuf, String)) -> &str {
    let is_test = |part: std::path::Component<'_>| {
        let name = part.as_os_str().to_string_lossy();
        name == "tests" || name == "tests.rs"
    };
    if path.components().any(is_test) {
        return "";
    }
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

/// The code of a line, without a comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Fails with every line of `sources` about which `is_wrong`.
#[track_caller]
fn check(rule: &str, sources: &[(PathBuf, String)], is_wrong: impl Fn(&Path, &str) -> bool) {
    let mut wrong = String::new();
    for source in sources {
        for (at, line) in program(source).lines().enumerate() {
            if is_wrong(&source.0, line) {
                wrong.push_str(&format!("\n{}:{}: {}", source.0.display(), at + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{rule}:{wrong}");
}

/// Whether `word` stands in `line` as a word of its own.
fn mentions(line: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let around: Vec<&str> = line.split(word).collect();
    around.windows(2).any(|sides| {
        matches!(sides, [before, after]
            if !before.ends_with(is_letter) && !after.starts_with(is_letter))
    })
}

#[test]
fn decisions_know_no_runtime_no_store_and_no_time_of_day() {
    let forbidden = ["tokio", "hyper", "moka", "tracing", "async", "Instant", "SystemTime"];
    check("the policy is pure", &sources(&["src/policy", "src/policy.rs"]), |_, line| {
        forbidden.iter().any(|word| mentions(code(line), word))
    });
}

#[test]
fn what_may_be_replaced_has_one_importer() {
    for (what, home) in [
        ("moka", "src/store/memory.rs"),
        ("serde_yaml", "src/config/yaml.rs"),
        ("hyper::client", "src/upstream"),
        ("prometheus_client", "src/metrics"),
        ("RedisError", "src/store/redis"),
    ] {
        let rule = format!("{what} is imported in {home} alone");
        check(&rule, &sources(&["src"]), |path, line| {
            // what is passed on to a guard does not go to an upstream
            let is_passed = path == Path::new("src/cli/page/pass.rs");
            mentions(code(line), what) && !path.to_str().unwrap().starts_with(home) && !is_passed
        });
    }
}

#[test]
fn time_is_read_in_one_place() {
    check("the time comes from clock.rs", &sources(&["src"]), |path, line| {
        let reads = ["Instant::now", "SystemTime::now"].iter().any(|now| code(line).contains(now));
        reads && path != Path::new("src/clock.rs")
    });
}

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in sources(&["src", "tests"]) {
        assert!(text.starts_with("//! "), "{} begins with what it is", path.display());
    }
}

#[test]
fn files_are_short() {
    for source in sources(&["src", "tests"]) {
        let path = &source.0;
        // the tests of a source file are not counted, those in files of their own are
        let lines = match program(&source) {
            "" => source.1.lines().count(),
            program => program.lines().count(),
        };
        assert!(lines < MOST_LINES, "{} has {lines} lines", path.display());
    }
}

#[test]
fn nothing_is_left_to_do() {
    let words = ["TO DO", "FIX ME", "XX X"].map(|word| word.replace(' ', ""));
    for (path, text) in sources(&["src", "tests"]) {
        for (at, line) in text.lines().enumerate() {
            let left = words.iter().any(|word| mentions(line, word));
            assert!(!left, "{}:{}: {line}", path.display(), at + 1);
        }
    }
}

#[test]
fn no_code_is_commented_out() {
    check("comments are sentences", &sources(&["src", "tests"]), |_, line| {
        let comment = line.trim_start().strip_prefix("// ").unwrap_or_default();
        comment.ends_with([';', '{', '}'])
            || comment.starts_with("let ")
            || comment.starts_with("use ")
    });
}

#[test]
fn nothing_is_allowed_without_a_reason() {
    check("exceptions are expected", &sources(&["src", "tests"]), |_, line| {
        ["#[allow(", "#![allow("].iter().any(|allow| code(line).contains(allow))
    });
}

#[test]
fn the_threat_model_names_tests_that_exist() {
    let model = fs::read_to_string(root().join("src/threat_model.rs")).unwrap();
    let tests = sources(&["src", "tests"]);
    let names =
        model.split('`').skip(1).step_by(2).filter(|name| name.contains("::") && *name != "it::");
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let mut parts = name.split("::").filter(|part| *part != "tests").collect::<Vec<_>>();
        let test = parts.pop().unwrap();
        let module = *parts.last().unwrap();
        let is_there = tests.iter().any(|(path, text)| {
            let in_module = path
                .components()
                .any(|part| part.as_os_str().to_string_lossy().trim_end_matches(".rs") == module);
            in_module && text.contains(&format!("fn {test}("))
        });
        assert!(is_there, "{name}");
    }
}

/// Cargo refuses a manifest whose targets it does not find, also where it builds another.
#[test]
fn the_container_is_built_with_all_that_the_manifest_names() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let (manifest, dockerfile, ignored) =
        (read("Cargo.toml"), read("Dockerfile"), read(".dockerignore"));
    let mut needed = vec!["Cargo.toml", "Cargo.lock", ".cargo", "src"];
    for (target, dir) in [("bench", "benches"), ("test", "tests"), ("example", "examples")] {
        if manifest.contains(&format!("[[{target}]]")) {
            needed.push(dir);
        }
    }
    let copied: Vec<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .flat_map(str::split_whitespace)
        .collect();
    for needed in needed {
        assert!(copied.contains(&needed), "{needed} is not copied");
        let kept = format!("!{needed}");
        assert!(ignored.lines().any(|line| line == kept), "{needed} is ignored");
    }
}
