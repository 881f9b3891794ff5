//! The names of fields, folded as any upstream might fold them.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use unicode_normalization::UnicodeNormalization;

/// The name of a field, folded as any upstream might fold it, so that `user[login]`,
/// `User.Login` and the JSON pointer `/user/login` are one.
#[derive(Clone, Debug)]
pub struct FieldName {
    folded: Box<str>,
    /// Where the last level begins: `login` in `user[login]`.
    last: usize,
}

impl FieldName {
    /// The field that a form calls `written`.
    #[must_use]
    pub fn new(written: &str) -> Self {
        let mut name = FoundName::default();
        name.enter(written);
        let dot = written.rsplit_once('.').map_or(0, |(_, last)| last.len());
        let last = name.levels.last().map_or(0, |level| level + 1);
        let last = if dot == 0 { last } else { last.max(name.folded.len().saturating_sub(dot)) };
        Self { last, folded: name.folded.into() }
    }

    /// The field at `pointer` (RFC 6901) of a JSON document; array indexes do not matter.
    #[must_use]
    pub fn pointer(pointer: &str) -> Self {
        let mut name = FoundName::default();
        for key in pointer.strip_prefix('/').unwrap_or(pointer).split('/') {
            name.enter(&key.replace("~1", "/").replace("~0", "~"));
        }
        let last = name.levels.last().map_or(0, |level| level + 1);
        Self { last, folded: name.folded.into() }
    }

    /// The name in the folded form, levels joined by `_`.
    pub(super) fn as_str(&self) -> &str {
        &self.folded
    }

    /// The part of it that is a key in nested JSON.
    pub(super) fn last_level(&self) -> &str {
        self.folded.get(self.last..).unwrap_or_default()
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for FieldName {}

impl Hash for FieldName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded.hash(state);
    }
}

/// The name of a field in a request, folded; one buffer for all of them.
#[derive(Debug, Default)]
pub(super) struct FoundName {
    folded: String,
    /// Where levels with others below them end, ascending: at `[` of a form, at keys of JSON.
    levels: Vec<usize>,
    /// Where a name may begin behind a prefix: after a dot or another level.
    begins: Vec<usize>,
}

/// Where a name stood before a level was added.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    folded: usize,
    levels: usize,
    begins: usize,
}

impl FoundName {
    /// Whether a rule's field is this one, or one above it: `username` is above `username[x]`
    /// and, in JSON, above `{"username": {"$eq": …}}`.
    pub(super) fn is(&self, rule: &FieldName) -> bool {
        let rule = rule.as_str();
        match self.folded.strip_prefix(rule) {
            _ if rule.is_empty() => false,
            Some("") => true,
            Some(_) => self.levels.binary_search(&rule.len()).is_ok(),
            None => false,
        }
    }

    /// Whether it is the one that names the charset of a form.
    pub(super) fn is_charset(&self) -> bool {
        self.folded == "_charset_"
    }

    /// Whether this is a key of a document's top level, by itself: Rails puts such keys into an
    /// object named after the controller.
    pub(super) fn is_key(&self, name: &str) -> bool {
        !name.is_empty() && self.levels.is_empty() && self.folded == name
    }

    /// Whether a rule's field is at the end of this one, behind a prefix: model binders of ASP.NET
    /// take `model.username` for the `username` of an argument called so.
    pub(super) fn ends_in(&self, rule: &FieldName) -> bool {
        let rule = rule.as_str();
        let begin = self.folded.len().checked_sub(rule.len());
        let begins = begin.is_some_and(|begin| self.begins.binary_search(&begin).is_ok());
        !rule.is_empty() && begins && self.folded.ends_with(rule)
    }

    /// No name: above all the keys of a document.
    pub(super) fn clear(&mut self) {
        self.folded.clear();
        self.levels.clear();
        self.begins.clear();
    }

    /// The name of a form's field, decoded.
    pub(super) fn set(&mut self, name: &[u8]) {
        self.clear();
        let is_plain = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-');
        if name.iter().all(is_plain) {
            // nearly every name there is
            return self.folded.extend(name.iter().copied().map(char::from));
        }
        match std::str::from_utf8(name) {
            // nothing goes up from a form's field
            Ok(name) => drop(self.enter(name)),
            Err(_) => drop(self.enter(&String::from_utf8_lossy(name))),
        }
    }

    /// Goes down to a key of an object, which may itself be written like a form's field.
    pub(super) fn enter(&mut self, key: &str) -> Mark {
        let mark = Mark {
            folded: self.folded.len(),
            levels: self.levels.len(),
            begins: self.begins.len(),
        };
        // PHP cuts at NUL and drops leading blanks, qs a question mark
        let key = key.split('\0').next().unwrap_or_default();
        // and Spring takes a leading `!` for the mark of a default
        let key = key.trim_matches(|c: char| is_padding(c) || matches!(c, '?' | '!' | '\u{feff}'));
        let key: Cow<'_, str> =
            if key.is_ascii() { Cow::Borrowed(key) } else { Cow::Owned(key.nfkc().collect()) };
        for level in key.split(['[', ']']) {
            self.push_level(level.trim_matches(|c: char| is_padding(c) || c == '\'' || c == '"'));
        }
        mark
    }

    /// Goes up again to where a key was entered.
    pub(super) fn leave(&mut self, mark: Mark) {
        self.folded.truncate(mark.folded);
        self.levels.truncate(mark.levels);
        self.begins.truncate(mark.begins);
    }

    /// An array's index is no level, since arrays come in any order.
    fn push_level(&mut self, level: &str) {
        if level.bytes().all(|byte| byte.is_ascii_digit()) {
            return;
        }
        if !self.folded.is_empty() {
            self.levels.push(self.folded.len());
            self.folded.push('_');
            self.begins.push(self.folded.len());
        }
        for c in level.chars() {
            match c {
                // PHP makes these `_`, ASP.NET and Spring take the dot for a level
                '.' => {
                    self.folded.push('_');
                    self.begins.push(self.folded.len());
                }
                ' ' => self.folded.push('_'),
                _ if c.is_ascii() => self.folded.push(c.to_ascii_lowercase()),
                _ => self.folded.extend(c.to_uppercase().flat_map(char::to_lowercase)),
            }
        }
    }
}

fn is_padding(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(rule: &str, found: &str, expected: bool) {
        let mut name = FoundName::default();
        name.set(found.as_bytes());
        assert_eq!(name.is(&FieldName::new(rule)), expected, "{found} for {rule}");
    }

    #[test]
    fn a_field_is_known_in_every_spelling() {
        for found in [
            "username",
            "USERNAME",
            " username",
            "username ",
            "username[]",
            "username[0]",
            "username\0x",
            "username[x]",
            "username['x']",
            "\u{feff}username",
            "?username",
            "\r\nusername",
            "U\u{17f}ername",
            "\u{ff55}sername",
            "username[",
            "username[x]y",
            "0[username]",
        ] {
            check("username", found, true);
        }
        for found in [
            "user[login]",
            "User.Login",
            "user.login",
            "user_login",
            "user[0][login]",
            "user[login",
            "user['login']",
            "user login",
            "user[login][]",
            "users[0].x",
        ] {
            check("user[login]", found, found != "users[0].x");
        }
        check("_user", "_user", true);
        check("Input.Email", "input.email", true);
        check("ctl00$Main$UserName", "ctl00$main$username", true);
    }

    #[test]
    fn other_fields_are_not() {
        for found in [
            "user",
            "username2",
            "username_x",
            "username.x",
            "xusername",
            "x[username]",
            "_username",
            "user-name",
            "",
            "[]",
        ] {
            check("username", found, false);
        }
        check("", "", false);
        check("", "x", false);
        check("user", "user_agent", false);
        check("password", "password_confirmation", false);
    }

    #[test]
    fn a_pointer_and_a_form_name_are_one_field() {
        assert_eq!(FieldName::pointer("/user/login"), FieldName::new("user[login]"));
        assert_eq!(FieldName::pointer("/user/0/login"), FieldName::new("User.Login"));
        assert_eq!(FieldName::pointer("/email"), FieldName::new("email"));
        assert_ne!(FieldName::pointer("/email"), FieldName::new("user[email]"));
        assert_eq!(FieldName::new("user[otp_attempt]").last_level(), "otp_attempt");
        assert_eq!(FieldName::new("Input.Email").last_level(), "email");
        assert_eq!(FieldName::pointer("/identifier/user").last_level(), "user");
        assert_eq!(FieldName::new("user_name").last_level(), "user_name");
    }

    proptest! {
        #[test]
        fn leaving_a_level_undoes_entering_it(keys in prop::collection::vec(any::<String>(), 1..5)) {
            let mut name = FoundName::default();
            let marks: Vec<_> = keys.iter().map(|key| name.enter(key)).collect();
            for mark in marks.into_iter().rev() {
                name.leave(mark);
            }
            prop_assert!(name.folded.is_empty() && name.levels.is_empty() && name.begins.is_empty());
        }
    }
}
