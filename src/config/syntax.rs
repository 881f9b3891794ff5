//! Where a file is no YAML: what is wrong, in the operator's words, and what would be right.

use std::sync::Arc;

use super::error::{Position, Problem, Severity};
use super::reader::Reader;
use super::slips::{Slip, slip};
use super::yaml::SyntaxError;

const QUOTE: &str = "quote it";
const ALIASES: &str = "name things by fewer aliases";
const INDENT: &str = "check the indentation, and quote text that has quotes or brackets";

/// What the YAML crate says, what that means, and what would be right; the first that fits.
const MEANINGS: &[(&str, &str, &str)] = &[
    ("more than one document", "has more than one document", "remove the `---` between them"),
    ("too many values", "has more than 200000 values", ALIASES),
    ("repetition limit", "has aliases of aliases without end", ALIASES),
    ("recursion limit", "is nested too deeply", "at most 128 levels"),
    ("a tab character", "a tab is no indentation in YAML", "use blanks"),
    ("unknown anchor", "YAML reads `*` as an alias, and no `&` names it", QUOTE),
    ("scanning an alias", "YAML reads `*` as the beginning of an alias", QUOTE),
    ("scanning an anchor", "YAML reads `&` as the beginning of an anchor", QUOTE),
    ("scanning a tag", "YAML reads `!` as the beginning of a tag", QUOTE),
    ("parsing a tag", "YAML reads `!` as the beginning of a tag", QUOTE),
    ("undefined tag handle", "YAML reads `!` as the beginning of a tag", QUOTE),
    ("scanning a directive", "YAML reads `%` as the beginning of a directive", QUOTE),
    ("scanning a quoted scalar", "a quotation mark is not closed", "close it"),
    ("unknown escape character", "in double quotes `\\` has a meaning", "take single quotes"),
    ("parsing a quoted scalar", "in double quotes `\\` has a meaning", "take single quotes"),
    (
        "expected ',' or ']'",
        "YAML reads `[` as a list, and that does not end",
        "quote it or end it",
    ),
    (
        "expected ',' or '}'",
        "YAML reads `{` as a mapping, and that does not end",
        "quote it or end it",
    ),
    (
        "mapping values are not allowed",
        "YAML reads `:` here as the end of a key",
        "quote the text, or check the indentation",
    ),
    ("could not find expected ':'", "this is neither a key nor a value", "write `key: value`"),
    ("control characters", "has a control character", "remove it"),
    ("expected key", "YAML expects a key here", INDENT),
    ("expected '-' indicator", "YAML expects `- ` here", INDENT),
];

/// What is better reported where it began.
const UNCLOSED: &[&str] =
    &["scanning a quoted scalar", "expected ',' or ']'", "expected ',' or '}'"];

const BRACKET: (&str, &str) = ("YAML reads `[` as the beginning of a list", QUOTE);

/// Characters that no text begins with.
const STOPS: &[(char, &str, &str)] = &[
    ('\t', "a tab is no indentation in YAML", "use blanks"),
    ('%', "no text begins with `%` in YAML", QUOTE),
    ('@', "no text begins with `@` in YAML", QUOTE),
    ('`', "no text begins with a backtick in YAML", QUOTE),
];

/// Reports `error`.
pub(super) fn report(error: &SyntaxError, reader: &mut Reader<'_>) {
    if let Some(Slip { at, wrong, right }) = slip(error, reader.text) {
        return reader.error_at(at, "", wrong, &right);
    }
    let says = |words: &str| error.message.contains(words);
    let at = if says("control characters") {
        control_character(reader.text)
    } else if UNCLOSED.iter().any(|words| says(words)) {
        error.begun
    } else {
        error.at
    };
    let stops = |(c, ..): &&(char, &str, &str)| {
        says("cannot start any token") && at.and_then(|at| reader.char_at(at)) == Some(*c)
    };
    let stop = STOPS.iter().find(stops).map(|(_, wrong, right)| (*wrong, *right));
    let meaning = || {
        let meaning = MEANINGS.iter().find(|(words, ..)| says(words));
        meaning.map(|(_, wrong, right)| (*wrong, *right))
    };
    let said = || {
        let said = error.message.split(" at line ").next().unwrap_or_default();
        (format!("is no YAML: {said}"), "")
    };
    // `[::]:8080`: the list ends, and something follows
    let bracket = || {
        let line = at.and_then(|at| reader.text.lines().nth(at.line.checked_sub(1)?));
        let value =
            line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.trim_start());
        value.filter(|value| value.starts_with("[:")).map(|_| BRACKET)
    };
    let known = bracket().or(stop).or_else(meaning).map(|(wrong, right)| (wrong.to_owned(), right));
    let (wrong, right) = known.unwrap_or_else(said);
    reader.add(Problem {
        severity: Severity::Error,
        file: Arc::clone(&reader.file),
        at,
        key: "".into(),
        wrong: wrong.into(),
        right: right.into(),
    });
}

/// The YAML crate does not say where it is.
fn control_character(text: &str) -> Option<Position> {
    let stray = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let found = text.lines().enumerate().find_map(|(above, line)| {
        line.chars().position(stray).map(|before| (above + 1, before + 1))
    });
    found.map(|(line, column)| Position { line, column })
}
