//! A body that could not be read, made plain enough to look for a name in it.

use unicode_normalization::UnicodeNormalization;

use super::form::{Wide, decode};

/// The letters and digits of `body`, folded: without NULs, which wide encodings have, without
/// escapes of URLs, JSON and quotes, and without all other signs.
pub(super) fn plain(body: &[u8]) -> String {
    let narrow: Vec<u8> = body.iter().copied().filter(|byte| *byte != 0).collect();
    let text = String::from_utf8_lossy(&narrow);
    // `\\u0061` is what `%u0061` is elsewhere
    let escaped = text.replace("\\u", "%u");
    let decoded = decode(escaped.as_bytes(), Wide::Read);
    bare(&String::from_utf8_lossy(&decoded))
}

/// The letters and digits of `text`, folded.
pub(super) fn bare(text: &str) -> String {
    let upper = text.nfkc().flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_seen_through_escapes_widths_and_quotes() {
        let utf16: Vec<u8> = "{\"password\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for body in [
            &b"{'password':'x'}"[..],
            b"{pass\\u0077ord:1}",
            b"pa\\u017f\\u017fword",
            b"p%61ssword",
            b"p\\assword",
            "\u{ff50}assword".as_bytes(),
            b"PASS_WORD",
            &utf16,
        ] {
            assert!(plain(body).contains("password"), "{body:?}");
        }
        assert_eq!(bare("user[Pass-Word]"), "userpassword");
    }
}
