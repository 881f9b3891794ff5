//! The code on a refused client's screen, by which support finds what refused it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::key::Key;

/// The first 40 bits of a key, in letters and digits that are not mistaken for each other (those of
/// Crockford's base 32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference(u64);

impl Hash for Reference {
    /// It is part of a hash already; spread, since a table looks at the first bits, too.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0 << 24 | self.0 >> 4);
    }
}

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 8;
/// Letters of it that are mistaken for each other all the same.
const PAIRS: [[u8; 2]; 3] = [*b"S5", *b"B8", *b"Z2"];

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

    /// Those that somebody may read out or copy as this one: `S` is heard and read as `5`, `B` as
    /// `8`, `Z` as `2`, and the other way round.
    #[must_use]
    pub fn alike(self) -> Vec<Self> {
        let mut alike = vec![self];
        for at in (0..LENGTH).map(|at| at * 5) {
            let letter = LETTERS.get((self.0 >> at) as usize & 31);
            let pair = PAIRS.iter().find(|pair| letter.is_some_and(|own| pair.contains(own)));
            let value = |own: &u8| LETTERS.iter().position(|letter| letter == own);
            let [Some(first), Some(second)] =
                pair.map_or([None, None], |[a, b]| [value(a), value(b)])
            else {
                continue;
            };
            let other = (first ^ second) as u64;
            let turned: Vec<Self> = alike.iter().map(|own| Self(own.0 ^ (other << at))).collect();
            alike.extend(turned);
        }
        alike.split_off(1)
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

    /// As somebody reads it out, in whichever case, with blanks and hyphens wherever he makes a
    /// pause, and with what looks alike taken for each other.
    fn from_str(text: &str) -> Result<Self, NoReference> {
        let is_pause =
            |c: char| c.is_whitespace() || "-\u{2010}\u{2011}\u{2013}\u{2212}".contains(c);
        let mut letters = [0; LENGTH];
        let mut places = letters.iter_mut();
        for letter in text.chars().filter(|c| !is_pause(*c)) {
            let letter = u8::try_from(letter).map_err(|_| NoReference)?;
            *places.next().ok_or(NoReference)? = letter;
        }
        if places.next().is_some() {
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
        letters.into_iter().try_fold(0, add).map(Self).ok_or(NoReference)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_read_however_it_was_copied() {
        let own: Reference = "QZ52GVY0".parse().unwrap();
        for same in ["QZ52GVY0", " qz52gvyo\n", "qZ52gvYO", "QZ52-GVY0", "q z 5 2 \u{2013} gvyo"] {
            assert_eq!(same.parse(), Ok(own), "{same}");
        }
        for wrong in ["", "QZ52GVY", "QZ52GVY00", "QZ52GVYU", "QZ52GVé", "QZ52 VY0"] {
            assert_eq!(wrong.parse::<Reference>(), Err(NoReference), "{wrong}");
        }
    }

    #[test]
    fn it_may_have_been_any_that_looks_like_it() {
        let of = |text: &str| text.parse::<Reference>().expect("it is one");
        assert_eq!(of("ACDEFGH1").alike(), []);
        assert_eq!(of("ACDEFGHS").alike(), [of("ACDEFGH5")]);
        let of_two = of("8CDEFGZ1").alike();
        assert_eq!(of_two.len(), 3);
        for other in ["BCDEFGZ1", "8CDEFG21", "BCDEFG21"] {
            assert!(of_two.contains(&of(other)), "{other}");
        }
        assert_eq!(of("SBZ528SB").alike().len(), 255);
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
