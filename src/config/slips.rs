//! Slips of the hand that make a file no YAML, where the lines around show what is missing.

use super::error::Position;
use super::keys::ALL;
use super::yaml::SyntaxError;

/// What is missing, where, and what would be right.
#[derive(Debug)]
pub(super) struct Slip {
    /// Where it is missing.
    pub(super) at: Position,
    /// What is.
    pub(super) wrong: String,
    /// What to write.
    pub(super) right: String,
}

/// The slip in `text` that led to `error`, if there is one that cannot be anything else.
pub(super) fn slip(error: &SyntaxError, text: &str) -> Option<Slip> {
    let says = |words: &str| error.message.contains(words);
    let at = error.at?;
    let own = content(text, at.line)?;
    let mut above = (1..at.line).rev().filter_map(|number| content(text, number));
    let above = above.next();
    if says("mapping values are not allowed") || says("could not find expected ':'") {
        let before = above.as_ref().and_then(|line| {
            let mut higher = (1..line.number).rev().filter_map(|number| content(text, number));
            higher.next()
        });
        let of_above = above.as_ref().and_then(|line| missing(line, before.as_ref()));
        return of_above.or_else(|| missing(&own, above.as_ref()));
    }
    if says("expected ',' or '}'") || says("expected ',' or ']'") {
        return comma(&own, at.column);
    }
    let opens = above.filter(|line| line.text.trim_end().ends_with('['))?;
    (says("expected node content") && own.dashes > 0).then(|| Slip {
        at: Position {
            line: opens.number,
            column: opens.before + opens.text.trim_end().chars().count(),
        },
        wrong: "`[` begins a list in brackets, and `- ` stands in none".to_owned(),
        right: "remove the `[`".to_owned(),
    })
}

/// A line with something in it.
struct Line<'a> {
    number: usize,
    /// How many characters stand before the text.
    before: usize,
    /// How many of them are dashes of lists.
    dashes: usize,
    text: &'a str,
}

/// The line of that number; nothing of it where it is blank or a comment.
fn content(text: &str, number: usize) -> Option<Line<'_>> {
    let Some(line) = text.lines().nth(number.checked_sub(1)?) else {
        return Some(Line { number, before: 0, dashes: 0, text: "" }); // the end
    };
    let mut rest = line.trim_start_matches(' ');
    let mut dashes = 0;
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start_matches(' ');
        dashes += 1;
    }
    let before = line.len() - rest.len(); // blanks and dashes
    let is_content = !rest.is_empty() && !rest.starts_with('#');
    is_content.then_some(Line { number, before, dashes, text: rest })
}

/// The blank or the colon that `line` lacks, which comes after `above`.
fn missing(line: &Line<'_>, above: Option<&Line<'_>>) -> Option<Slip> {
    let at = Position { line: line.number, column: line.before + 1 };
    if let Some(item) = line.text.strip_prefix('-')
        && (item.starts_with(['{', '[', '"']) || key_of(item).is_some())
    {
        let (wrong, right) = ("there is no blank behind `-`", "write `- ` and what follows");
        return Some(Slip { at, wrong: wrong.to_owned(), right: right.to_owned() });
    }
    if let Some((key, rest)) = key_of(line.text)
        && rest.starts_with(|c: char| !c.is_whitespace())
    {
        let wrong = format!("there is no blank behind `{key}:`");
        return Some(Slip { at, wrong, right: format!("write `{key}: ` and the value") });
    }
    let word = line.text.trim_end();
    // text may go on in lines that are further to the right
    let goes_on = |above: &Line<'_>| {
        line.before > above.before && line.dashes == 0 && !above.text.trim_end().ends_with(':')
    };
    (is_known(word) && !above.is_some_and(goes_on)).then(|| Slip {
        at,
        wrong: format!("there is no `:` behind `{word}`"),
        right: format!("write `{word}:`"),
    })
}

/// The comma that is missing before the key which YAML stumbles over in that column.
fn comma(line: &Line<'_>, column: usize) -> Option<Slip> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let place = line.text.char_indices().nth(column.checked_sub(line.before + 1)?)?.0;
    let (before, after) = line.text.split_at_checked(place)?;
    // at the key itself, or at its colon
    let begin = if after.starts_with(':') { before.trim_end_matches(is_word) } else { before };
    let (key, _) = key_of(line.text.get(begin.len()..)?)?;
    let last = begin.trim_end().chars().next_back()?;
    let column = line.before + begin.chars().count() + 1;
    (begin.ends_with(' ') && !matches!(last, ',' | '{' | '[' | ':')).then(|| Slip {
        at: Position { line: line.number, column },
        wrong: format!("there is no `,` before `{key}`"),
        right: format!("write `, {key}:`"),
    })
}

/// A key that there is, and what follows its colon.
fn key_of(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(key, _)| is_known(key))
}

fn is_known(word: &str) -> bool {
    ALL.iter().any(|keys| keys.known.contains(&word))
}
