//! The normal form of a username: all spellings of an account that an upstream may accept are one.
//!
//! Folding more than the upstream does merely lets two accounts share a counter; folding less
//! hands out a fresh counter with every spelling.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use encoding_rs::WINDOWS_1252;
use regex::Regex;
use unicode_normalization::UnicodeNormalization;

/// An account: a username in normal form, never empty. Its `Debug` does not tell it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account(Box<str>);

impl Account {
    /// The account that `username` names; none if nothing is left of it.
    #[must_use]
    pub fn new(username: &str) -> Option<Self> {
        let folded = fold(username);
        (!folded.is_empty()).then(|| Self(folded.into()))
    }

    /// The account of which this is the normal form somewhere, as a login names it that takes
    /// aliases so.
    #[must_use]
    pub fn named(normal: &str, aliases: MailAliases) -> Option<Self> {
        let account = Self::new(normal)?;
        Some(match aliases {
            MailAliases::Distinct => account,
            MailAliases::Same => account.without_alias(),
        })
    }

    /// The account that a mail address delivers to, whatever is its alias.
    fn without_alias(self) -> Self {
        const DOTLESS: [&str; 2] = ["gmail.com", "googlemail.com"];
        let Some((local, domain)) = self.0.rsplit_once('@') else { return self };
        let user = local.split('+').next().filter(|user| !user.is_empty()).unwrap_or(local);
        if DOTLESS.contains(&domain) {
            return Self(format!("{}@gmail.com", user.replace('.', "")).into());
        }
        Self(format!("{user}@{domain}").into())
    }

    /// The normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Account(…)")
    }
}

/// The encoding that a request declares for its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// None, or UTF-8, which includes US-ASCII.
    #[default]
    Utf8,
    /// ISO 8859-1 or windows-1252, which browsers take for the same.
    Western,
}

/// A change to a username before it is folded.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// What it applies to.
    pub regex: Regex,
    /// What it becomes; `$1` is the first group.
    pub to: String,
}

/// How a login names its accounts, besides what all logins have in common.
#[derive(Clone, Debug, Default)]
pub struct Naming {
    /// Further readings of a username, in order.
    pub rewrites: Vec<Rewrite>,
    /// Whether aliases of a mail address are one account.
    pub aliases: MailAliases,
}

/// What `user+tag@example.com` is to `user@example.com`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailAliases {
    /// Another account.
    #[default]
    Distinct,
    /// The same. With the providers that ignore dots, so is `u.ser@example.com`.
    Same,
}

/// Every account that some upstream may take `raw` for, each once, the likeliest first.
///
/// Rewrites apply in order, each to what the one before made of the username as it came and in
/// normal form, so that a blank or a capital does not slip past them; each result counts.
#[must_use]
pub fn accounts(raw: &[u8], charset: Charset, naming: &Naming) -> Vec<Account> {
    let mut accounts = Accounts { found: Vec::new(), naming };
    accounts.add_text(raw, charset);
    if raw.iter().all(u8::is_ascii_graphic) {
        return accounts.found; // nobody finds anything to cut off
    }
    accounts.add_cut(raw);
    if let Some(end) = raw.iter().position(|byte| *byte == 0) {
        // a C string ends here; others drop or keep the NUL, as folding does
        accounts.add_text(raw.get(..end).unwrap_or_default(), charset);
    }
    accounts.found
}

struct Accounts<'a> {
    found: Vec<Account>,
    naming: &'a Naming,
}

impl Accounts<'_> {
    fn add_text(&mut self, raw: &[u8], charset: Charset) {
        let western = || WINDOWS_1252.decode_without_bom_handling(raw).0;
        let error = match std::str::from_utf8(raw) {
            Ok(text) => {
                self.add(text);
                if charset == Charset::Western && !text.is_ascii() {
                    self.add(&western());
                }
                return;
            }
            Err(error) => error,
        };
        self.add(&western());
        // lax databases cut a text at the first bad byte, lax decoders drop it
        let valid = raw.get(..error.valid_up_to()).unwrap_or_default();
        self.add(&String::from_utf8_lossy(valid));
        self.add(&raw.utf8_chunks().map(|chunk| chunk.valid()).collect::<String>());
    }

    /// What databases make of a text that they cannot store whole: without signs beyond the basic
    /// plane, or up to the first of them (`utf8` of `MySQL`, SQL Server), and up to where a column
    /// ends in blanks.
    fn add_cut(&mut self, raw: &[u8]) {
        const MANY_BLANKS: &str = "    ";
        let Ok(text) = std::str::from_utf8(raw) else { return };
        let beyond = |c: char| u32::from(c) > 0xffff;
        if let Some(at) = text.find(beyond) {
            self.add_account(&text.chars().filter(|c| !beyond(*c)).collect::<String>());
            self.add_account(text.get(..at).unwrap_or_default());
        }
        let blank = |c: char| if c.is_whitespace() { ' ' } else { c };
        let blanks: String = text.trim_start().chars().map(blank).collect();
        if let Some((before, _)) = blanks.trim_end().split_once(MANY_BLANKS) {
            self.add_account(before);
        }
    }

    fn add(&mut self, text: &str) {
        self.add_account(text);
        if self.naming.rewrites.is_empty() {
            return;
        }
        self.add_rewritten(text);
        let folded = fold(text);
        if folded != text {
            self.add_rewritten(&folded);
        }
    }

    fn add_rewritten(&mut self, text: &str) {
        let mut text = Cow::Borrowed(text);
        for Rewrite { regex, to } in &self.naming.rewrites {
            let rewritten = match regex.replace_all(&text, to) {
                Cow::Borrowed(_) => continue,
                Cow::Owned(rewritten) => rewritten,
            };
            if rewritten.len() > MAX_REWRITTEN {
                return;
            }
            self.add_account(&rewritten);
            text = Cow::Owned(rewritten);
        }
    }

    fn add_account(&mut self, text: &str) {
        let account = Account::named(text, self.naming.aliases);
        self.found.extend(account.filter(|account| !self.found.contains(account)));
    }
}

/// Rewrites may double what they are given; beyond this it is no username any more.
const MAX_REWRITTEN: usize = 128 * 1024;

/// The normal form of a username: compatibility letters, accents, strokes and case folded, what
/// cannot be seen dropped, blanks collapsed, the domain of `CORP\user` and the dot of `user@corp.`
/// cut off. Folding twice changes nothing.
fn fold(username: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let mut name = if username.bytes().all(is_plain) {
        username.to_ascii_lowercase()
    } else {
        last_part(username)
    };
    name.truncate(name.floor_char_boundary(LONGEST));
    let ends: &[char] = if name.contains('@') { &['.', ' '] } else { &[' '] };
    name.truncate(name.trim_end_matches(ends).len());
    name
}

/// The last part that is not empty, its letters folded; a name may have a backslash behind it.
fn last_part(username: &str) -> String {
    let mut parts = username.rsplit(BACKSLASHES).take(MAX_PARTS).map(fold_letters);
    parts.find(|name| !name.is_empty()).unwrap_or_else(|| {
        let joined: String = username.split(BACKSLASHES).collect();
        fold_letters(&joined)
    })
}

/// What becomes a backslash when letters are folded.
const BACKSLASHES: [char; 3] = ['\\', '\u{ff3c}', '\u{fe68}'];

const MAX_PARTS: usize = 8;

/// Names that are alike so far share a counter: nobody's name is longer, and a letter may become
/// eighteen.
const LONGEST: usize = 1024;

fn fold_letters(text: &str) -> String {
    let mut folded = String::with_capacity(text.len().min(LONGEST));
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        push_collapsed(&mut folded, text.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
        return folded;
    }
    let visible = visible_letters(text);
    // there and back, as capital sharp s and dotless i need it
    let letters = visible.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase);
    for letter in letters.flat_map(char::to_lowercase) {
        match transliterate(letter) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(letter),
        }
    }
    folded.nfc().collect()
}

/// Decomposed, without what cannot be seen; far more than [`LONGEST`] is cut.
fn visible_letters(text: &str) -> String {
    let blank = |c: char| if c.is_whitespace() { ' ' } else { c };
    let mut decomposed = text.nfkd().map(blank);
    let mut visible = String::new();
    while visible.len() < 4 * LONGEST {
        let piece: String = decomposed.by_ref().take(LONGEST).collect();
        if piece.is_empty() {
            break;
        }
        push_collapsed(&mut visible, INVISIBLE.replace_all(&piece, "").chars());
    }
    visible
}

/// Appends letters, of several blanks one, and none at the beginning.
fn push_collapsed(text: &mut String, letters: impl Iterator<Item = char>) {
    for letter in letters {
        if letter != ' ' || !(text.is_empty() || text.ends_with(' ')) {
            text.push(letter);
        }
    }
}

/// Accents and other marks, control and format characters, and what is ignored by default.
#[expect(clippy::unwrap_used, reason = "the expression is a constant, and a test uses it")]
static INVISIBLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{Mn}\p{Me}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\x{fffc}\x{640}\x{903}\x{302e}\x{302f}]+").unwrap()
});

/// Letters that collations and slug makers take for ASCII though they do not decompose.
const fn transliterate(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ⱥ' => "a",
        'ƀ' => "b",
        'ȼ' => "c",
        'đ' | 'ð' => "d",
        'ɇ' => "e",
        'ǥ' => "g",
        'ħ' => "h",
        'ɨ' => "i",
        'ɉ' => "j",
        'ĸ' => "k",
        'ł' | 'ƚ' => "l",
        'ŋ' => "n",
        'ø' | 'ɵ' => "o",
        'ɍ' => "r",
        'ŧ' | 'ⱦ' => "t",
        'ʉ' => "u",
        'ɏ' => "y",
        'ƶ' => "z",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
