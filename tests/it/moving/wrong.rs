//! Files that are wrong, and commands that reach nobody.

use super::*;

/// What an import says of a wrong text, from a file and from a pipe.
#[track_caller]
fn check(guard: &Guard, text: &str, expected: &str) {
    let said = import(guard, text);
    assert_eq!((said.status, said.out.as_str()), (2, ""), "{}", said.err);
    assert!(said.err.starts_with("error: ") && said.err.contains(expected), "{}", said.err);
    assert_eq!(of(guard, &["list"]).status, 1, "of a file that is wrong nothing is taken");
    let said = pipe(guard, text);
    assert_eq!((said.status, said.out.as_str()), (2, ""), "{}", said.err);
    assert!(said.err.contains(expected), "{}", said.err);
    assert!(said.err.contains("what came before it was taken in: "), "{}", said.err);
    of(guard, &["reset", "--all"]);
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_a_file_is_taken_whole_or_not_at_all() {
    let upstream = Upstream::shop();
    let (one, other) = (guard(&upstream), guard(&upstream));
    guess(&one, "ada", "203.0.113.7", 2);
    guess(&one, "bob", "203.0.113.8", 2);
    let text = export(&one);
    let lines: Vec<&str> = text.lines().collect();
    let count = lines.len();
    let without = |at: usize| {
        let kept = lines.iter().enumerate().filter(|(own, _)| *own != at);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    check(&other, "", "line 1: there is nothing");
    check(&other, "PK\u{3}\u{4}", "line 1: this is no export of loginward");
    check(
        &other,
        &text.replacen("\"version\":1", "\"version\":9", 1),
        "line 1: it is of version 9",
    );
    check(&other, &without(0), "line 1: this is no export");
    check(&other, &without(3), &format!("line {}: it counts", count - 1));
    check(&other, &without(count - 1), &format!("line {count}: it ends here"));
    let half = &text[..text.len() / 2];
    let line = half.lines().count();
    check(&other, half, &format!("line {line}: EOF while parsing"));
    let misspelled = text.replacen("\"failures\"", "\"falures\"", 1);
    check(&other, &misspelled, "line 2: unknown field `falures`");
    check(&other, &format!("{text}{text}"), &format!("line {}: there is more", count + 1));
    let long = text.replacen("\"latest_ms\"", &format!("{}\"latest_ms\"", " ".repeat(70_000)), 1);
    check(&other, &long, "line 2: it is longer than 65536 bytes");
    // what no check of the form finds is found by the guard
    let said = import(&other, &text.replacen("203.0.113.", "203.0.113.300", 1));
    assert_eq!(said.status, 2, "{}", said.err);
    assert!(said.err.contains("is no address and no network"), "{}", said.err);
    assert_eq!(import(&other, &text).status, 0, "whatever was taken, all of it is then");
    assert_eq!(rows(&one), rows(&other));
}

#[test]
fn exit_statuses_are_those_of_all_commands() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let said = of(&guard, &["export"]);
    assert_eq!((said.status, said.out.lines().count()), (1, 2), "{}", said.out);
    assert_eq!(said.err, "exported: 0 counters, 0 locks by hand\n");
    let empty = import(&guard, &said.out);
    assert_eq!(empty.status, 1, "{}", empty.err);
    guess(&guard, "ada", "203.0.113.7", 1);
    let said = of(&guard, &["export", "--json"]);
    assert_eq!((said.status, said.err.as_str()), (0, "{\"counters\":5,\"locks_by_hand\":0}\n"));
    for words in [&["export"][..], &["import", "/dev/null"], &["import", "-"]] {
        let said = run(&[words, &["--admin", "unix:/nowhere/admin.sock"]].concat());
        assert_eq!(said.status, 3, "{words:?}: {}", said.err);
    }
    let said = of(&guard, &["import", "/nowhere/file"]);
    assert_eq!(said.status, 2, "{}", said.err);
    assert!(said.err.starts_with("error: /nowhere/file: "), "{}", said.err);
    assert_eq!(of(&guard, &["import"]).status, 2);
}

#[test]
fn a_file_that_others_may_read_is_warned_of() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    guess(&guard, "ada", "203.0.113.7", 1);
    for (umask, warns) in [("022", true), ("077", false)] {
        let file = guard.dir().join(umask);
        let line =
            format!("umask {umask}; \"$0\" export --admin \"$1\" > {}", file.to_str().unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", &line, env!("CARGO_BIN_EXE_loginward"), &guard.admin()]);
        let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
        assert_eq!(said.contains("others may read that file"), warns, "{said}");
    }
}

#[test]
fn a_page_in_a_browser_cannot_have_something_imported() {
    let upstream = Upstream::shop();
    let guard = guard(&upstream);
    let text = export_of_one();
    for kind in ["text/plain", "application/json", "application/x-www-form-urlencoded"] {
        let head = format!(
            "POST /v1/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n{text}",
            text.len()
        );
        let path = guard.admin().strip_prefix("unix:").unwrap().to_owned();
        let mut client = crate::support::Client::to_unix(path.as_ref());
        assert_eq!(client.send(head).answer().status, 415, "{kind}");
    }
    assert_eq!(of(&guard, &["list"]).status, 1);
}

fn export_of_one() -> String {
    "{\"loginward_export\":{\"version\":1,\"program\":\"0\",\"at\":\"\",\"at_ms\":1}}\n\
     {\"lock\":{\"username\":\"ada\",\"until_ms\":\"never\"}}\n\
     {\"end\":{\"counters\":0,\"locks\":1}}\n"
        .to_owned()
}
