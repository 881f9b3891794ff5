//! Login fields that turn up late in a body too large to be read, found before they are sent.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use super::lax::has_field;
use super::{FieldName, Source};
use crate::policy::route::LoginRule;

/// What to look for; built once for a rule, cheap to clone.
#[derive(Clone, Debug)]
pub struct LateField {
    field: Regex,
    /// What a field's name may stand behind, with padding up to the end.
    opening: Regex,
    multipart: Regex,
    /// The last levels of the names.
    names: Vec<Box<str>>,
    /// The longest match of `field`, padding before the name not counted.
    window: usize,
}

/// Blanks, raw or encoded, that upstreams drop from around a name.
const PAD: &str = r"(?:[ +!\t\r\n\x0b\x0c]|%(?:20|09|0[abcd]))";

/// What may close a name.
const END: &str = r"(?:[ +\]']|%(?:20|5d)){0,8}";

impl LateField {
    /// The fields that make a request an attempt under `with_credentials`; none if the body
    /// has none of them.
    ///
    /// # Errors
    ///
    /// If names are so long that the expression for them is too large.
    pub fn new(rule: &LoginRule) -> Result<Option<Self>, regex::Error> {
        let fields: Vec<_> = fields(rule).collect();
        let longest = fields.iter().map(|field| field.as_str().len()).max();
        let Some(longest) = longest else { return Ok(None) };
        let either = |text: fn(&FieldName) -> &str| {
            let names: Vec<_> = fields.iter().map(|field| loosely(text(field))).collect();
            names.join("|")
        };
        let (whole, last) = (either(FieldName::as_str), either(FieldName::last_level));
        // `password=`, `password[x]=`; `name="password"`; `"password":`
        // and, in lax JSON, `'password':` and `{{password:`; in parts, names written so that
        // parsers differ
        let field = format!(
            "[&;\\r\\n]{PAD}*(?:\\[|%5b)?(?:{whole}){END}(?:[=\\[\\x00]|%5b|%00)\
             |{MULTIPART}{PAD}*(?:{whole}){END}[\"'\\[;\\s\\x00]\
             |\"(?:{whole}|{last}){END}\"(?:[ \\t\\r\\n]{{0,63}}:|[ \\t\\r\\n]{{64}})\
             |[{{,][ \\t\\r\\n]{{0,63}}'?(?:{whole}|{last})'?[ \\t\\r\\n]{{0,63}}:\
             |[;\\s]name[ \\t]{{0,8}}\\*\
             |[;\\s]name[ \\t]{{0,8}}=[ \\t]{{0,8}}\"(?:=\\?|[^\"\\r\\n]{{0,64}}\\\\)"
        );
        let opening = format!("(?:[&;\\r\\n]|({MULTIPART})){PAD}*\\z");
        Ok(Some(Self {
            field: compile(&field)?,
            opening: compile(&opening)?,
            multipart: compile(MULTIPART)?,
            names: fields.iter().map(|field| field.last_level().into()).collect(),
            window: longest * MAX_LETTER + 256,
        }))
    }

    /// The names that it looks for; where these are the same, so is all else.
    #[must_use]
    pub fn names(rule: &LoginRule) -> Vec<String> {
        fields(rule).map(|field| field.as_str().to_owned()).collect()
    }

    /// Whether a body that could not be read has a name of these fields in it, in whatever
    /// quotes, escapes or width.
    #[must_use]
    pub fn is_mentioned(&self, body: &[u8]) -> bool {
        self.names.iter().any(|name| has_field(body, name)) || self.field.is_match(body)
    }

    /// A scan of one body.
    #[must_use]
    pub fn scanner(&self) -> Scanner {
        Scanner { late: self.clone(), held: b"&".to_vec(), context: 1 }
    }
}

/// The fields of bodies that make a request an attempt.
fn fields(rule: &LoginRule) -> impl Iterator<Item = &FieldName> {
    let sources = if rule.passwords.is_empty() { &rule.usernames } else { &rule.passwords };
    sources.iter().filter_map(|source| match source {
        Source::Form(field) | Source::Json(field) => Some(field),
        Source::Query(_) | Source::Header(_) | Source::Basic | Source::Path(_) => None,
    })
}

/// At most [`LONGEST_MULTIPART`] bytes.
const MULTIPART: &str = r#"name[ \t]{0,8}\*?[ \t]{0,8}=[ \t]{0,8}(?:utf-8'')?["']?"#;

const LONGEST_MULTIPART: usize = 40;

/// The longest way to write a letter is `\u0070`; a separator is up to eight of them.
const MAX_LETTER: usize = 48;

/// An expression for a folded name in every spelling.
fn loosely(name: &str) -> String {
    name.chars().map(loosely_letter).collect()
}

fn loosely_letter(letter: char) -> String {
    if letter == '_' {
        // what separates levels, with indexes between
        return r"(?:[_. +\[\]0-9'\x22]|[%\\](?:u00)?(?:5[bdf]|2[e027]|3[0-9])){1,8}".to_owned();
    }
    let mut ways = vec![regex::escape(&letter.to_string())];
    for letter in [letter.to_ascii_lowercase(), letter.to_ascii_uppercase()] {
        ways.push(letter.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect());
        ways.push(format!(r"[%\\]u{:04x}", u32::from(letter)));
    }
    // Go takes the long s and the Kelvin sign for letters
    match letter {
        's' => ways.push(r"[%\\]u017f".to_owned()),
        'k' => ways.push(r"[%\\]u212a".to_owned()),
        _ => {}
    }
    format!("(?:{})", ways.join("|"))
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(true).build()
}

/// What may be done with what was pushed so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Scan {
    /// This many bytes more may be sent; the rest is held back.
    Pass(usize),
    /// There is a login field: nothing more may be sent.
    Found,
}

/// A scan of one body as it streams. Its `Debug` tells nothing of what it holds back.
pub struct Scanner {
    late: LateField,
    /// What may stand before what is held back, then that.
    held: Vec<u8>,
    /// How much of `held` was sent, or never was there.
    context: usize,
}

impl fmt::Debug for Scanner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Scanner(…)")
    }
}

impl Scanner {
    /// Looks at the next bytes.
    pub fn push(&mut self, chunk: &[u8]) -> Scan {
        self.held.extend_from_slice(chunk);
        // not for every byte: a body may come in very small chunks
        if self.held.len() < 2 * self.late.window {
            return Scan::Pass(0);
        }
        if self.late.field.is_match(&self.held) {
            return Scan::Found;
        }
        let end = self.release_end();
        let Some(released) = end.checked_sub(self.context) else { return Scan::Pass(0) };
        let gone: Vec<u8> = self.held.drain(..end).collect();
        // padding may be sent, but what it stands behind must not be forgotten
        let opening: &[u8] = match self.late.opening.captures(&gone) {
            Some(found) if found.get(1).is_some() => b"name=\"",
            Some(_) => b"&",
            None => b"",
        };
        self.held.splice(..0, opening.iter().copied());
        self.context = opening.len();
        Scan::Pass(released)
    }

    /// The end of the body: looks at what is still held back.
    pub fn finish(self) -> Scan {
        if self.late.field.is_match(&self.held) {
            return Scan::Found;
        }
        Scan::Pass(self.held.len().saturating_sub(self.context))
    }

    /// Up to where `held` may be sent: a window before its end, but not in the middle of an
    /// escape or of `name="`.
    fn release_end(&self) -> usize {
        let end = self.held.len().saturating_sub(self.late.window);
        let around = end.saturating_sub(LONGEST_MULTIPART);
        let near = self.held.get(around..end + LONGEST_MULTIPART).unwrap_or_default();
        let mut openings = self.late.multipart.find_iter(near);
        let cut = openings.find(|found| (found.start()..found.end()).contains(&(end - around)));
        if let Some(cut) = cut {
            return around + cut.start();
        }
        let tail = self.held.get(end.saturating_sub(2)..end).unwrap_or_default();
        end - tail.iter().rev().position(|byte| *byte == b'%').map_or(0, |at| at + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{field, rule};
    use super::*;

    fn late() -> LateField {
        let rule = rule(vec![field("name")], vec![field("user[password]"), field("otp-code")]);
        LateField::new(&rule).expect("small").expect("fields")
    }

    /// Whether a field is found before it is sent, if the body comes in chunks of `size`.
    fn scan(late: &LateField, body: &[u8], size: usize) -> (Scan, usize) {
        let mut scanner = late.scanner();
        let mut sent = 0;
        for chunk in body.chunks(size) {
            match scanner.push(chunk) {
                Scan::Pass(count) => sent += count,
                Scan::Found => return (Scan::Found, sent),
            }
        }
        match scanner.finish() {
            Scan::Pass(count) => (Scan::Pass(count), sent + count),
            Scan::Found => (Scan::Found, sent),
        }
    }

    #[track_caller]
    fn check_found(field: &str) {
        let late = late();
        let filler = "x".repeat(5000);
        for start in [0, 1, 700, 2047, 5000] {
            let start = filler.get(..start).expect("long enough");
            let start = if field.starts_with(['&', '\n', ';', 'n', '"']) { start } else { "" };
            let body = [start, field, "secret", &filler].concat();
            for size in [1, 7, 1000, 10_000] {
                let (scan, sent) = scan(&late, body.as_bytes(), size);
                assert_eq!(scan, Scan::Found, "{field:?} behind {} in {size}s", start.len());
                // all that may be sent before it is padding
                assert!(sent <= start.len() + field.len(), "{field:?}: {sent}");
            }
        }
    }

    #[test]
    fn a_field_is_found_in_every_spelling() {
        check_found("user[password]=");
        check_found("+user.password=");
        check_found("&user%5Bpassword%5D=");
        check_found("&USER[0][%70assword][]=");
        check_found(";user_password=");
        check_found("\nuser[password]=");
        check_found("&user[%u0070assword%00x=");
        check_found("&otp-code=");
        check_found("&%6ftp%2Dcode=");
        check_found("name=\"user[password]\"");
        check_found("name=user.password\r\n");
        check_found("name*=utf-8''user.password;");
        check_found("\"password\":");
        check_found("\"pass\\u0077ord\" \n :");
        check_found("\"user[password]\":");
        check_found("\"otp-code\":");
        check_found(&format!("&{}user[password]=", " ".repeat(9000)));
        check_found(&format!("&{}user[password]=", "%20+".repeat(3000)));
        check_found(&format!("name=\"{}user[password]\"", " ".repeat(9000)));
        check_found(&format!("\"password\"{}:", " ".repeat(9000)));
    }

    #[test]
    fn what_is_no_field_passes_whole() {
        let late = late();
        let random: Vec<u8> = (0..20_000u32).map(|n| ((n * n) >> 7) as u8).collect();
        for body in [
            "",
            "x",
            "&user[passwords]=1",
            "password=x",
            "&password=x",
            "a user[password] here",
            "\"passwords\":1",
            "\"password\"",
            "the \"password\" field: x",
            "&user=1&name=2",
            "if a &&\n      user {}",
            "filename=\"user.password.txt\"",
        ]
        .map(str::as_bytes)
        .into_iter()
        .chain([random.as_slice()])
        {
            for size in [1, 100, 100_000] {
                let (scan, sent) = scan(&late, body, size);
                let shown = String::from_utf8_lossy(body.get(..40).unwrap_or(body));
                assert!(matches!(scan, Scan::Pass(_)), "{shown}");
                assert_eq!(sent, body.len(), "{shown}");
            }
        }
    }

    #[test]
    fn where_a_window_ends_makes_no_difference() {
        let late = late();
        for start in late.window - 60..late.window + 60 {
            let part = format!("{}name=\"{}user[password]\"", "x".repeat(start), " ".repeat(5000));
            assert_eq!(scan(&late, part.as_bytes(), 100).0, Scan::Found, "{start}");
            let word = format!("{}user[password]={}", "x".repeat(start), "x".repeat(5000));
            assert_eq!(scan(&late, word.as_bytes(), 100).1, word.len(), "{start}");
            let pads = format!("{}&{}user[password]=", "x".repeat(start), "%20".repeat(2000));
            assert_eq!(scan(&late, pads.as_bytes(), 7).0, Scan::Found, "{start}");
        }
    }

    #[test]
    fn a_rule_without_fields_in_the_body_looks_for_none() {
        let scans = |rule| LateField::new(&rule).expect("small").is_some();
        assert!(!scans(rule(vec![Source::Basic], Vec::new())));
        assert!(scans(rule(vec![field("user")], Vec::new())));
        assert!(!scans(rule(vec![field("user")], vec![Source::Query(FieldName::new("p"))])));
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            body in "([&;=\"\\[\\] +%:x]|%20|user|password|name=|otp-code|\n){0,400}",
            sizes in prop::collection::vec(1..900usize, 1..4),
        ) {
            let late = late();
            let found = |size| matches!(scan(&late, body.as_bytes(), size).0, Scan::Found);
            let whole = found(body.len().max(1));
            for size in sizes {
                prop_assert_eq!(found(size), whole);
            }
        }
    }
}
