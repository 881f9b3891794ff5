//! The example explains every key, and it loads.

use proptest::prelude::*;

use super::*;
use crate::config::keys;

const EXAMPLE: &str = include_str!("../../../config.example.yaml");

#[test]
fn the_example_has_no_flaw() {
    check(EXAMPLE, &[]);
}

#[test]
fn the_example_names_every_key() {
    let words: Vec<_> = EXAMPLE.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    for keys in keys::ALL {
        for key in keys.known {
            let named = EXAMPLE.contains(&format!("{key}:")) && words.contains(key);
            assert!(named, "`{key}` of {} is not in config.example.yaml", keys.of);
        }
    }
}

#[test]
fn the_readme_names_every_key() {
    let readme = include_str!("../../../README.md");
    let words: Vec<_> = readme.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    for keys in keys::ALL {
        for key in keys.known {
            assert!(words.contains(key), "`{key}` of {} is not in README.md", keys.of);
        }
    }
}

/// Some bytes that mean something to YAML or to us.
const PIECES: &[&str] = &[
    "\n", "  ", ": ", "- ", "{", "}", "[", "]", "*", "&a ", "*a", "!", "%", "@", "`", "\"", "'",
    "#", "|", ">", "~", "0", "-1", "1.5", "never", "<<: ", "? ", "---\n", "...\n", "\t", "\u{0}",
    "ä", "${", "${HOME}", "$${", "}", "file:", "unix:", "name: ", "null", "true", "[]", "{}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// Whatever becomes of the example, the answer is settings or problems.
    #[test]
    fn no_mutation_of_the_example_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, 0..PIECES.len()), 1..6),
    ) {
        let mut chars: Vec<char> = EXAMPLE.chars().collect();
        for (at, cut, piece) in edits {
            let at = at.index(chars.len());
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, PIECES[piece].chars());
        }
        let text: String = chars.into_iter().collect();
        if let Err(problems) = parse(&text) {
            prop_assert!(problems.has_errors());
            prop_assert!(!problems.to_string().is_empty());
        }
    }

    /// Nor does any text.
    #[test]
    fn no_text_panics(text in "\\PC{0,200}|[a-z:\\-\\[\\]{}&*!|>'\"%@`#,?\n ]{0,200}") {
        if let Err(problems) = parse(&text) {
            prop_assert!(problems.has_errors());
        }
    }
}
