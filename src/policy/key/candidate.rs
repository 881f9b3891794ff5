//! A username as it is counted, shown, and told to another guard.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use super::{AccountId, Keyer};
use crate::policy::account::Account;

/// A user agent is counted by its beginning.
pub const AGENT_CHARS: usize = 255;
/// A username is shown by its beginning.
const SHOWN_CHARS: usize = 128;

/// A username that an attempt offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What it is counted as.
    pub account: AccountId,
    /// As it was typed, cut for display; `None` where only the session tells the account.
    pub shown: Option<Shown>,
    /// A hash of the very spelling.
    pub spelling: u64,
    /// The account's normal form, where what is shown does not tell it. Hardly any has one, and a
    /// thin pointer costs nothing beside the rest.
    pub name: Option<Box<Box<str>>>,
}

impl Candidate {
    /// What was typed, which names `account`.
    #[must_use]
    pub fn typed(keyer: &Keyer, raw: &[u8], account: &Account) -> Self {
        let text = String::from_utf8_lossy(raw);
        let shown = cut(&text, SHOWN_CHARS);
        let is_whole = matches!(text, Cow::Borrowed(_)) && shown.len() == raw.len();
        Self {
            account: keyer.account(account),
            shown: Some(shown.into()),
            spelling: keyer.spelling(raw),
            name: (!is_whole).then(|| Box::new(account.as_str().into())),
        }
    }

    /// An account of which only a session tells.
    #[must_use]
    pub const fn nameless(account: AccountId) -> Self {
        Self { account, shown: None, spelling: 0, name: None }
    }
}

/// The beginning of a username. Nearly all are short, and beside the rest instead of on the heap.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(Text);

#[derive(Clone, PartialEq, Eq)]
enum Text {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

/// As many bytes as fit beside the length and what tells both kinds apart in 32.
const SHORT: usize = 30;

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        let Some(beginning) = bytes.get_mut(..text.len()) else {
            return Self(Text::Long(text.into()));
        };
        beginning.copy_from_slice(text.as_bytes());
        Self(Text::Short { length: text.len() as u8, bytes })
    }
}

impl Deref for Shown {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Text::Short { length, bytes } => {
                let bytes = bytes.get(..usize::from(*length)).unwrap_or_default();
                str::from_utf8(bytes).unwrap_or_default() // they were a text
            }
            Text::Long(text) => text,
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, out)
    }
}

/// The first `chars` characters of `text`.
#[must_use]
pub fn cut(text: &str, chars: usize) -> &str {
    if text.len() <= chars {
        return text;
    }
    text.char_indices().nth(chars).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_form_is_kept_where_what_is_shown_does_not_tell_it() {
        let keyer = Keyer::new([7; 16]);
        let check = |raw: &[u8], name: Option<&str>| {
            let account = Account::new(&String::from_utf8_lossy(raw)).unwrap();
            let candidate = Candidate::typed(&keyer, raw, &account);
            let kept = candidate.name.map(|name| name.to_string());
            assert_eq!(kept.as_deref(), name, "{raw:?}");
        };
        check(b"Ada", None);
        check("a\u{e9}\u{e9}".repeat(40).as_bytes(), None);
        check(b"ad\xe9", Some("ad\u{fffd}"));
        let long = "A".repeat(129);
        check(long.as_bytes(), Some(&long.to_lowercase()));
    }

    #[test]
    fn a_username_is_shown_as_it_was_typed_and_takes_no_more_than_64_bytes_if_it_is_short() {
        for length in [0, 1, 29, 30, 31, 128] {
            let text = "n".repeat(length);
            let shown = Shown::from(&*text);
            assert_eq!((&*shown, format!("{shown:?}")), (&*text, format!("{text:?}")));
            assert_eq!(matches!(shown.0, Text::Short { .. }), length <= SHORT);
        }
        let text = "\u{e9}".repeat(15);
        assert_eq!(*Shown::from(&*text), *text);
        assert!(size_of::<Option<Shown>>() <= 32, "{}", size_of::<Option<Shown>>());
        assert!(size_of::<Candidate>() <= 64, "{}", size_of::<Candidate>());
    }
}
