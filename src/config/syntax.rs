//! Where a file is no YAML: what is wrong, in the operator's words, and what would be right.

use super::reader::Reader;
use super::yaml::SyntaxError;

const QUOTE: &str = "quote it";
const ALIASES: &str = "name things by fewer aliases";
const INDENT: &str = "check the indentation of this line and the one above";

/// What the YAML crate says, what that means, and what would be right; the first that fits.
const MEANINGS: &[(&str, &str, &str)] = &[
    ("more than one document", "has more than one document", "remove the `---` between them"),
    ("too many values", "has more than 200000 values", ALIASES),
    ("repetition limit", "has aliases of aliases without end", ALIASES),
    ("recursion limit", "is nested too deeply", "at most 128 levels"),
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

/// Reports `error`.
pub(super) fn report(error: &SyntaxError, reader: &mut Reader<'_>) {
    let at = error.at.unwrap_or(super::error::Position::START);
    let stopped = ['\t', '@', '`', '%'].into_iter().find_map(|c| reader.begins_with(at, c));
    if error.message.contains("cannot start any token") {
        match stopped {
            Some('\t') => {
                return reader.error_at(at, "", "a tab is no indentation in YAML", "use blanks");
            }
            Some(c) => {
                let wrong = format!("no text may begin with `{c}` in YAML");
                return reader.error_at(at, "", wrong, QUOTE);
            }
            None => {}
        }
    }
    let meaning = MEANINGS.iter().find(|(says, _, _)| error.message.contains(says));
    match meaning {
        Some((_, wrong, right)) => reader.error_at(at, "", *wrong, right),
        None => {
            let said = error.message.split(" at line ").next().unwrap_or_default();
            reader.error_at(at, "", format!("is no YAML: {said}"), "");
        }
    }
}
