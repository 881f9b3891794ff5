//! A body that could not be read, made plain enough to look for a field in it.

use unicode_normalization::UnicodeNormalization;

use super::form::{Wide, decode};

/// Whether something in `body` looks like a field of this name: `name:`, `name=`, or a part that is
/// called so, in whatever quotes, escapes and width.
pub(super) fn has_field(body: &[u8], name: &str) -> bool {
    let (text, name) = (plain(body), words(name));
    let mut rest = &*text;
    while let Some(at) = rest.find(&*name) {
        let (before, after) = rest.split_at(at);
        let after = after.strip_prefix(&*name).unwrap_or_default();
        let begins = !before.ends_with(char::is_alphanumeric);
        let is_key = after.starts_with([':', '=']);
        let is_part =
            before.trim_end().ends_with("name=") && !after.starts_with(char::is_alphanumeric);
        if begins && (is_key || is_part) {
            return true;
        }
        rest = after;
    }
    false
}

/// The words of `body`, without escapes of URLs, JSON and quotes and without the NULs of wide
/// encodings, and `:` and `=` where they follow a word.
fn plain(body: &[u8]) -> String {
    let narrow: Vec<u8> = body.iter().copied().filter(|byte| *byte != 0).collect();
    let text = String::from_utf8_lossy(&narrow);
    // `\\u0061` is what `%u0061` is elsewhere
    let escaped = text.replace("\\u", "%u").replace('\\', "");
    let decoded = decode(escaped.as_bytes(), Wide::Read);
    words(&String::from_utf8_lossy(&decoded))
}

/// `text` folded, with one blank for whatever is no letter, digit, `:` or `=`.
fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    // a letter may become eighteen, of which none is a name's
    let plain = text.chars().flat_map(|c| std::iter::once(c).nfkc().take(2));
    let upper = plain.flat_map(char::to_uppercase);
    for c in upper.flat_map(char::to_lowercase) {
        match c {
            ':' | '=' => {
                words.truncate(words.trim_end().len());
                words.push(c);
            }
            c if c.is_alphanumeric() => words.push(c),
            _ if words.ends_with(' ') => {}
            _ => words.push(' '),
        }
    }
    words.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_seen_through_escapes_widths_and_quotes() {
        let utf16: Vec<u8> = "{\"password\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for body in [
            &b"{'password':'x'}"[..],
            b"{pass\\u0077ord :1}",
            b"{\"pa\\u017f\\u017fword\":1}",
            b"p%61ssword=x",
            b"name=\"p\\assword\"",
            "{\u{ff50}assword: 1}".as_bytes(),
            b"PASSWORD=1",
            &utf16,
        ] {
            assert!(has_field(body, "password"), "{body:?}");
        }
        assert!(has_field(b"{otp-code: 1}", "otp-code"));
    }

    #[test]
    fn words_in_texts_are_no_fields() {
        for body in [
            "{\"index\":{}}\n{\"message\":\"bad password\"}",
            "{{password}} template",
            "{\\rtf1 my password}",
            "{ let password; }",
            "{a:1,/*decode*/}",
            "passwords: 1",
        ] {
            assert!(!has_field(body.as_bytes(), "password"), "{body}");
            assert!(!has_field(body.as_bytes(), "code"), "{body}");
        }
    }
}
