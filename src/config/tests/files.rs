//! Files: the configuration itself, and what it takes from others.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::reader::{Reader, in_words};

#[track_caller]
fn check_load(path: &Path, expected: &str) {
    let told = match Settings::load(path) {
        Ok((_, warnings)) => Problems::new("", warnings).to_string(),
        Err(problems) => problems.to_string(),
    };
    assert_eq!(told, expected);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    let name = path.display();
    check_load(&path, &format!("{name}: there is no such file"));
    check_load(dir.path(), &format!("{}: it is a directory", dir.path().display()));
    fs::write(&path, b"listen: a\nsites: \xfc\n").unwrap();
    check_load(&path, &format!("{name}: line 2 is not UTF-8"));
    fs::write(&path, "#".repeat(1024 * 1024 + 1)).unwrap();
    check_load(&path, &format!("{name}: it is larger than 1 MiB"));
}

#[test]
fn a_file_that_others_may_not_read_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    fs::write(&path, FLAWLESS).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_err() {
        check_load(&path, &format!("{}: permission denied", path.display()));
    }
    let denied = in_words(&std::io::ErrorKind::PermissionDenied.into());
    assert_eq!(denied, "permission denied"); // for those who run this as root
}

#[test]
fn a_file_that_everybody_may_change_is_doubtful() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    fs::write(&path, FLAWLESS).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    check_load(&path, "");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o646)).unwrap();
    let expected = format!(
        "{}: warning: everybody on this machine may change it; run chmod o-w on it",
        path.display()
    );
    check_load(&path, &expected);
}

#[test]
fn a_byte_order_mark_is_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    fs::write(&path, format!("\u{feff}{FLAWLESS}")).unwrap();
    check_load(&path, "");
}

/// `yaml` with the one environment variable `PORT`.
fn with_port(yaml: &str) -> Result<(Settings, Vec<Problem>), Problems> {
    let base = base();
    let mut reader = Reader::new(yaml, &base, "config.yaml");
    reader.variable = |name| (name == "PORT").then(|| "3000".to_owned());
    crate::config::file::parse(&mut reader)
}

#[test]
fn variables_and_files_stand_for_their_text() {
    let yaml = upstream("http://127.0.0.1:${PORT}");
    let (settings, _) = with_port(&yaml).unwrap();
    assert_eq!(
        format!("{:?}", settings.sites[0].upstream.servers[0].address),
        r#"Tcp { host: "127.0.0.1", port: 3000 }"#
    );
    let yaml =
        file("lockout: { response: { contact: \"${file:secret.txt}\" }, wait: \"${PORT}ms\" }");
    let (settings, _) = with_port(&yaml).unwrap();
    assert_eq!(settings.response.contact.as_deref(), Some("hunter2"));
    assert_eq!(settings.sites[0].site.logins[0].lockout.wait.as_millis(), 3000);
    let yaml = file("lockout: { response: { contact: \"$${PORT} $5 ${PORT}\" } }");
    assert_eq!(with_port(&yaml).unwrap().0.response.contact.as_deref(), Some("${PORT} $5 3000"));
    let yaml = limit("failures: \"${PORT}\", cool_off: \"${PORT}s\"");
    let limits = with_port(&yaml).unwrap().0.sites[0].site.logins[0].lockout.limits.clone();
    assert_eq!(limits[0].failures.get(), 3000);
}

#[test]
fn where_counters_are_kept() {
    let usual = |name: &str| (name == "STATE_DIRECTORY").then(|| "/var/lib/a:/b".to_owned());
    let relative = |name: &str| (name == "STATE_DIRECTORY").then(|| "a".to_owned());
    let none: fn(&str) -> Option<String> = |_| None;
    let (absolute, beside) = ("/srv/kept.db", base().join("kept.db"));
    for (written, variable, expected) in [
        ("", none, None),
        ("", usual, Some("/var/lib/a/counters.db".into())),
        ("", relative, None),
        ("store: { memory: { max_counters: 5000 } }", usual, Some("/var/lib/a/counters.db".into())),
        ("store: { snapshot: none }", usual, None),
        ("store: { snapshot: { file: kept.db } }", usual, Some(beside)),
        ("store: { snapshot: { file: /srv/kept.db } }", none, Some(absolute.into())),
    ] {
        let (base, yaml) = (base(), file(written));
        let mut reader = Reader::new(&yaml, &base, "config.yaml");
        reader.variable = variable;
        let (settings, warnings) = crate::config::file::parse(&mut reader).unwrap();
        assert_eq!((settings.store.snapshot, warnings), (expected, Vec::new()), "{written}");
        assert!(reader.files().is_empty(), "it is no part of the configuration");
    }
    for (written, expected) in [
        ("true", "9:20: store.snapshot: says no file; write `{ file: PATH }`, or `snapshot: none`"),
        ("{}", "9:20: store.snapshot: needs `file`; write `{ file: PATH }`, or `snapshot: none`"),
        ("{ file: a/ }", "9:28: store.snapshot.file: names a directory; name a file in it"),
        ("{ file: \"\" }", "9:28: store.snapshot.file: is empty"),
        ("{ files: a }", "9:22: store.snapshot.files: unknown key; did you mean `file`?"),
    ] {
        let problems = parse(&file(&format!("store: {{ snapshot: {written} }}"))).unwrap_err();
        assert!(problems.to_string().contains(expected), "{written}: {problems}");
    }
}

#[track_caller]
fn check_with_port(yaml: &str, expected: &str) {
    let problems = with_port(yaml).unwrap_err().to_string();
    assert_eq!(problems.replace("config.yaml:", ""), expected);
}

#[test]
fn what_cannot_be_replaced_is_named() {
    let contact = |text: &str| file(&format!("lockout: {{ response: {{ contact: \"{text}\" }} }}"));
    check_with_port(
        &contact("${PROT}"),
        "9:33: lockout.response.contact: the environment variable `PROT` is not set; \
         set it where loginward starts",
    );
    check_with_port(
        &contact("${file:missing.txt}"),
        "9:33: lockout.response.contact: cannot read the file `missing.txt`: there is no such file",
    );
    check_with_port(
        &contact("${file:latin1.txt}"),
        "9:33: lockout.response.contact: cannot read the file `latin1.txt`: line 2 is not UTF-8",
    );
    check_with_port(
        &contact("${1}"),
        "9:33: lockout.response.contact: `${1}` names no environment variable; \
         write `${NAME}` or `${file:PATH}`, or `$${` for the text itself",
    );
    check_with_port(
        &contact("${PORT"),
        "9:33: lockout.response.contact: has a `${` without `}`; write `$${` for the text itself",
    );
}

#[test]
fn what_was_replaced_is_never_shown() {
    check_with_port(
        &login("max_body: \"${file:secret.txt}\""),
        "9:19: sites[0].logins[0].max_body: `${file:secret.txt}` is no size that fits here; \
         write a size such as 512B, 64KiB or 1.5MiB",
    );
    check_with_port(
        &login("username_rewrite: { regex: \"(${file:secret.txt}\", to: a }"),
        "9:36: sites[0].logins[0].username_rewrite.regex: `(${file:secret.txt}` is no regular \
         expression: unclosed group",
    );
    check_with_port(
        &outcome("- success: { location: \"${file:secret.txt}\" }"),
        "9:34: sites[0].logins[0].outcome[0].success.location: `${file:secret.txt}` matches no \
         Location",
    );
    check_with_port(
        &rule("path: \"${file:secret.txt}\"\noutcome: inferred\nusername: { json: \"${PORT}\" }"),
        "5:15: sites[0].logins[0].path: `${file:secret.txt}` is no path\n\
         6:18: warning: sites[0].logins[0].outcome: `inferred` guesses what a success looks like; \
         name what yours answers under `success`\n\
         7:27: sites[0].logins[0].username.json: `${PORT}` is no JSON pointer",
    );
}
