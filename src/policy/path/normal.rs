//! What an upstream may do to a path, one step at a time.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::percent::{Escape, escape};

/// The normal form of a path in the configuration, where every oddity is a slip of the pen.
pub(super) fn of_pattern(written: &str) -> String {
    let mut text = format!("/{}", written.replace('\\', "/"));
    for _ in 0..3 {
        let Some(decoded) = percent_decode(&text, Slashes::Decode) else { break };
        text = to_text(&decoded, Overlong::Read);
    }
    let text: String = text.nfkc().collect();
    let text = collapse_slashes(&text).unwrap_or(text);
    let text = resolve_dots(&text).unwrap_or(text);
    fold_case(&tidy(&text)).into_owned()
}

/// Empty segments, blanks and control characters around a segment, and dots behind it dropped:
/// routers and file systems do that last, when a path is taken apart.
pub(super) fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    for segment in text.split('/') {
        let segment = segment.trim_matches(is_blank);
        let segment = match dots(segment) {
            Some(_) => segment,
            None => without_stream(segment).trim_end_matches(|c| c == '.' || is_blank(c)),
        };
        if !segment.is_empty() {
            tidied.push('/');
            tidied.push_str(segment);
        }
    }
    if tidied.is_empty() { "/".to_owned() } else { tidied }
}

/// `login::$DATA` -> `login`: NTFS calls a file's content so.
fn without_stream(segment: &str) -> &str {
    let split = segment.split_once("::$");
    split.map_or(segment, |(file, _)| file)
}

/// Letters in one case; those that some upstream takes for an ASCII letter become that letter.
pub(super) fn fold_case(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        // upper case first, for letters such as the dotless i that have no other lower case
        let upper = text.chars().flat_map(char::to_uppercase);
        let lower = upper.flat_map(char::to_lowercase);
        // the dot of a capital I with a dot stands by itself in lower case
        return Cow::Owned(lower.filter(|c| *c != '\u{307}').collect());
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    Cow::Borrowed(text)
}

/// Without the scripts that serve a whole application (`/index.php/login`) or a folder
/// (`/shop/index.html`). `None` if there is none, as for all the following.
pub(super) fn drop_front_controllers(text: &str) -> Option<String> {
    if !text.split('/').any(is_front_controller) {
        return None;
    }
    let segments = text.split('/').filter(|s| !s.is_empty() && !is_front_controller(s));
    let kept = segments.fold(String::new(), |path, segment| path + "/" + segment);
    Some(if kept.is_empty() { "/".to_owned() } else { kept })
}

fn is_front_controller(segment: &str) -> bool {
    const STEMS: [&str; 11] = [
        "index",
        "default",
        "app",
        "app_dev",
        "app_test",
        "app_prod",
        "frontend",
        "frontend_dev",
        "dispatch",
        "main",
        "server",
    ];
    const PAGES: [&str; 3] = ["html", "htm", "shtml"];
    let Some((stem, extension)) = segment.rsplit_once('.') else { return false };
    let is_in = |known: &[&str], name: &str| known.iter().any(|k| k.eq_ignore_ascii_case(name));
    (is_in(&SCRIPTS, extension) || is_in(&PAGES, extension)) && is_in(&STEMS, stem)
}

const SCRIPTS: [&str; 19] = [
    "php", "php5", "php7", "php8", "phtml", "asp", "aspx", "ashx", "jsp", "jspx", "jsf", "do",
    "action", "cfm", "cgi", "fcgi", "pl", "py", "rb",
];

/// The path of a script without its extension, as servers that guess the extension take it.
pub(super) fn drop_script_extension(path: &str) -> Option<&str> {
    let (stem, extension) = path.rsplit_once('.')?;
    (SCRIPTS.contains(&extension) && !stem.ends_with('/')).then_some(stem)
}

/// `/x\y` -> `/x/y`
pub(super) fn slash_backslashes(text: &str) -> Option<String> {
    text.contains('\\').then(|| text.replace('\\', "/"))
}

/// `/x;y=z/w` -> `/x/w` (RFC 3986, section 3.3)
pub(super) fn drop_parameters(text: &str) -> Option<String> {
    let name = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    text.contains(';').then(|| text.split('/').map(name).collect::<Vec<_>>().join("/"))
}

/// `/x/(S(abc))/y` -> `/x/y`: the cookieless sessions of ASP.NET
pub(super) fn drop_sessions(text: &str) -> Option<String> {
    let is_session = |segment: &str| {
        let mut chars = segment.chars();
        segment.ends_with("))")
            && chars.next() == Some('(')
            && chars.next().is_some_and(|c| c.is_ascii_alphabetic())
            && chars.next() == Some('(')
    };
    text.split('/').any(is_session).then(|| {
        let kept: Vec<_> = text.split('/').filter(|segment| !is_session(segment)).collect();
        kept.join("/")
    })
}

/// C strings end at NUL, expressions with `$` match before a line feed, and some rewriting takes
/// a decoded `?` for the real one.
pub(super) fn cut(text: &str) -> Option<String> {
    text.split_once(|c: char| c.is_control() || c == '?' || c == '#').map(|(head, _)| head.into())
}

/// `/x//y` -> `/x/y`
pub(super) fn collapse_slashes(text: &str) -> Option<String> {
    text.contains("//").then(|| {
        let segments = text.split('/').filter(|segment| !segment.is_empty());
        segments.fold(String::with_capacity(text.len()), |path, segment| path + "/" + segment)
    })
}

/// `/x/./y/../z` -> `/x/z` (RFC 3986, section 5.2.4); an empty segment is one to go back over.
pub(super) fn resolve_dots(text: &str) -> Option<String> {
    if !text.split('/').any(|segment| dots(segment).is_some()) {
        return None;
    }
    let mut kept = Vec::new();
    for segment in text.strip_prefix('/').unwrap_or(text).split('/') {
        match dots(segment) {
            None => kept.push(segment),
            Some(Dots::Here) => {}
            Some(Dots::Above) => {
                kept.pop();
            }
        }
    }
    Some(format!("/{}", kept.join("/")))
}

enum Dots {
    Here,
    Above,
}

/// `.` and `..`, also encoded, as URL parsers take them, and with blanks behind them.
fn dots(segment: &str) -> Option<Dots> {
    let mut rest = segment.trim_end_matches(is_blank);
    let mut count = 0;
    while !rest.is_empty() && count < 3 {
        rest = rest
            .strip_prefix('.')
            .or_else(|| rest.strip_prefix("%2e"))
            .or_else(|| rest.strip_prefix("%2E"))?;
        count += 1;
    }
    match count {
        1 => Some(Dots::Here),
        2 => Some(Dots::Above),
        _ => None,
    }
}

/// Full-width and other compatible letters and signs as the plain ones.
pub(super) fn plain_letters(text: &str) -> Option<String> {
    (!text.is_ascii()).then(|| text.nfkc().collect())
}

/// Whether `%2f` and `%5c` are decoded too; some routers leave them alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slashes {
    Decode,
    Leave,
}

/// The bytes that one decoding makes of `text`.
pub(super) fn percent_decode(text: &str, slashes: Slashes) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match if *byte == b'%' { escape(tail) } else { None } {
            Some((Escape::Byte(b'/' | b'\\'), _)) if slashes == Slashes::Leave => {
                decoded.push(b'%');
            }
            Some((Escape::Byte(byte), tail)) => {
                decoded.push(byte);
                rest = tail;
            }
            Some((Escape::Wide(c), tail)) => {
                decoded.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = tail;
            }
            None => decoded.push(*byte),
        }
    }
    (decoded != text.as_bytes()).then_some(decoded)
}

/// What an overlong UTF-8 sequence is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlong {
    /// The character it encodes at needless length.
    Read,
    /// Some bytes.
    Leave,
}

/// Decoded bytes as text; what is no UTF-8 is ISO 8859-1.
pub(super) fn to_text(bytes: &[u8], overlong: Overlong) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (valid, invalid) = match std::str::from_utf8(rest) {
            Ok(_) => (rest, &[][..]),
            Err(error) => rest.split_at_checked(error.valid_up_to()).unwrap_or((rest, &[])),
        };
        text.push_str(std::str::from_utf8(valid).unwrap_or_default());
        let long = if overlong == Overlong::Read { read_overlong(invalid) } else { None };
        rest = match (long, invalid.split_first()) {
            (Some((c, tail)), _) => {
                text.push(c);
                tail
            }
            (None, Some((byte, tail))) => {
                text.push(char::from(*byte));
                tail
            }
            (None, None) => &[],
        };
    }
    text
}

fn read_overlong(bytes: &[u8]) -> Option<(char, &[u8])> {
    let (lead, rest) = bytes.split_first()?;
    let (count, bits) = match lead {
        0xc0..=0xdf => (1, lead & 0x1f),
        0xe0..=0xef => (2, lead & 0x0f),
        0xf0..=0xf7 => (3, lead & 0x07),
        _ => return None,
    };
    let (tail, rest) = rest.split_at_checked(count)?;
    let value = tail.iter().try_fold(u32::from(bits), |value, byte| {
        (byte & 0xc0 == 0x80).then_some(value << 6 | u32::from(byte & 0x3f))
    })?;
    Some((char::from_u32(value)?, rest))
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}
