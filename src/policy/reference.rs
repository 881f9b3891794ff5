//! The code on a refused client's screen, by which support finds what refused it.

use std::fmt;
use std::str::FromStr;

use super::key::Key;

/// The first 40 bits of a key, in letters and digits that are not mistaken for each other (those of
/// Crockford's base 32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(u64);

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 8;

impl Reference {
    /// That of the counter `key`.
    #[must_use]
    pub const fn of(key: Key) -> Self {
        Self((key.0 >> 88) as u64)
    }

    /// It as a number of 40 bits.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The least of the keys that it is the reference of.
    #[must_use]
    pub const fn first_key(self) -> Key {
        Key((self.0 as u128) << 88)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for at in (0..LENGTH).rev() {
            let letter = LETTERS.get((self.0 >> (at * 5)) as usize & 31);
            fmt::Write::write_char(out, char::from(letter.copied().unwrap_or(b'0')))?;
        }
        Ok(())
    }
}

/// It is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoReference;

impl FromStr for Reference {
    type Err = NoReference;

    /// As somebody reads it out, in whichever case, and with what looks alike taken for each other.
    fn from_str(text: &str) -> Result<Self, NoReference> {
        let text = text.trim();
        if text.len() != LENGTH {
            return Err(NoReference);
        }
        let value = |letter: u8| {
            let letter = match letter.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                letter => letter,
            };
            LETTERS.iter().position(|own| *own == letter)
        };
        let add = |sum: u64, letter: u8| Some(sum << 5 | value(letter)? as u64);
        text.bytes().try_fold(0, add).map(Self).ok_or(NoReference)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_read_however_it_was_copied() {
        let own: Reference = "QZ52GVY0".parse().unwrap();
        for same in ["QZ52GVY0", " qz52gvyo\n", "qZ52gvYO"] {
            assert_eq!(same.parse(), Ok(own), "{same}");
        }
        for wrong in ["", "QZ52GVY", "QZ52GVY00", "QZ52GVYU", "QZ52GVé", "QZ52 VY0"] {
            assert_eq!(wrong.parse::<Reference>(), Err(NoReference), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn it_is_the_beginning_of_a_key(key: u128) {
            let reference = Reference::of(Key(key));
            prop_assert_eq!(reference.to_string().parse(), Ok(reference));
            prop_assert_eq!(reference.first_key().0 >> 88, key >> 88);
        }
    }
}
