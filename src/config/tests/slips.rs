//! Slips that make a file no YAML, or another one.

use super::*;

/// The flawless configuration with a limit from line 9, and `from` in it replaced by `to`.
#[track_caller]
fn slipped(from: &str, to: &str, expected: &str) {
    let text = limit("by: ip_address, failures: 3, cool_off: 2m");
    assert!(text.contains(from), "{text}");
    check(&text.replacen(from, to, 1), &[expected]);
}

#[test]
fn a_blank_that_is_missing_is_named_in_its_line() {
    let behind = |at: &str, key: &str| {
        format!("{at}: there is no blank behind `{key}:`; write `{key}: ` and the value")
    };
    slipped("listen: ", "listen:", &behind("1:1", "listen"));
    slipped("upstream: ", "upstream:", &behind("3:5", "upstream"));
    slipped("path: ", "path:", &behind("5:9", "path"));
    let last = limit("by: ip_address");
    check(&format!("{last}workers:2\n"), &[&behind("12:1", "workers")]);
    let dash = "there is no blank behind `-`; write `- ` and what follows";
    slipped("- {", "-{", &format!("11:5: {dash}"));
    slipped("- path", "-path", &format!("5:7: {dash}"));
}

#[test]
fn a_blank_that_is_missing_within_braces_is_named() {
    slipped(
        "status: 302",
        "status:302",
        "8:31: sites[0].logins[0].outcome.success.status:302: unknown key; write a blank behind \
         `status:`",
    );
    slipped(
        "{ by: ip_address, failures: 3, cool_off: 2m }",
        "by:ip_address",
        "11:7: lockout.limits[0]: there is no blank behind `by:`; write `by: ` and the value",
    );
}

#[test]
fn a_colon_that_is_missing_is_named_in_its_line() {
    let behind =
        |at: &str, key: &str| format!("{at}: there is no `:` behind `{key}`; write `{key}:`");
    slipped("sites:", "sites", &behind("2:1", "sites"));
    slipped("logins:", "logins", &behind("4:5", "logins"));
    slipped("  limits:", "\n  # all\n  limits", &behind("12:3", "limits"));
    // a word within a text of several lines
    slipped(
        "        outcome",
        "        name: ask\n          admin\n          x: y\n        outcome",
        "10:12: YAML reads `:` here as the end of a key; quote the text, or check the indentation",
    );
}

#[test]
fn a_comma_that_is_missing_is_named() {
    let before =
        |at: &str, key: &str| format!("{at}: there is no `,` before `{key}`; write `, {key}:`");
    slipped("3, ", "3 ", &before("11:37", "cool_off"));
    slipped("by: ip_address, ", "by: [ip_address] ", &before("11:26", "failures"));
    // the end is missing, not a comma
    slipped(
        "{ form: u }",
        "{ form: u",
        "6:19: YAML reads `{` as a mapping, and that does not end; quote it or end it",
    );
}

#[test]
fn a_bracket_before_a_list_of_lines_is_named() {
    slipped(
        "limits:",
        "limits: [",
        "10:11: `[` begins a list in brackets, and `- ` stands in none; remove the `[`",
    );
}
