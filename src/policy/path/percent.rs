//! One percent escape, as anybody reads it.

/// What an escape stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Escape {
    /// `%6c`: this byte.
    Byte(u8),
    /// `%u006c`, which IIS and ASP read: this character.
    Wide(char),
}

/// The escape whose `%` stands before `text`, and what follows it.
pub(in crate::policy) fn escape(text: &[u8]) -> Option<(Escape, &[u8])> {
    if let [b'u' | b'U', text @ ..] = text {
        let (value, rest) = hex(text, 4)?;
        let c = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
        return Some((Escape::Wide(c), rest));
    }
    let (value, rest) = hex(text, 2)?;
    Some((Escape::Byte(u8::try_from(value).ok()?), rest))
}

/// The value of the first `count` bytes as hexadecimal digits, and what follows them.
fn hex(text: &[u8], count: usize) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    let value = digits.iter().try_fold(0, |value, digit| {
        char::from(*digit).to_digit(16).map(|digit| value * 16 + digit)
    })?;
    Some((value, rest))
}
