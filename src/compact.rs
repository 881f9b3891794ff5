//! Numbers in as few bytes as they need, for what there are millions of.

/// Puts a number after what is there: seven bits to a byte, the lowest first.
pub fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// A difference as a number that is small where the difference is, whichever of both is larger.
#[must_use]
pub const fn difference(of: u64, from: u64) -> u64 {
    let difference = of.wrapping_sub(from).cast_signed();
    (difference << 1 ^ difference >> 63).cast_unsigned()
}

/// What differs so much from `from`.
#[must_use]
pub const fn differing(difference: u64, from: u64) -> u64 {
    from.wrapping_add(difference >> 1 ^ (difference & 1).wrapping_neg())
}

/// Takes one thing after another from the front; `None` where there is no more.
#[derive(Clone, Copy, Debug)]
pub struct Taker<'a>(&'a [u8]);

impl<'a> Taker<'a> {
    /// From these.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What is left.
    #[must_use]
    pub const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// A number that was [put] there.
    #[inline]
    pub fn number(&mut self) -> Option<u64> {
        match *self.0 {
            [byte @ ..0x80, ref rest @ ..] => {
                self.0 = rest;
                Some(byte.into())
            }
            _ => self.longer(),
        }
    }

    fn longer(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }

    /// One that is small enough.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.number()?.try_into().ok()
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// As many bytes as it has.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64_u32).prop_map(|(number, less)| number >> less)
    }

    proptest! {
        #[test]
        fn numbers_are_those_that_were_put_there(numbers in prop::collection::vec(number(), 0..9)) {
            let mut bytes = Vec::new();
            for number in &numbers {
                let before = bytes.len();
                put(&mut bytes, *number);
                let bits = u64::BITS - number.leading_zeros();
                prop_assert_eq!(bytes.len() - before, bits.div_ceil(7).max(1) as usize);
            }
            let mut taker = Taker::new(&bytes);
            for number in numbers {
                prop_assert_eq!(taker.number(), Some(number));
            }
            prop_assert_eq!((taker.rest().len(), taker.number(), taker.byte()), (0, None, None));
        }

        #[test]
        fn a_difference_is_as_small_as_numbers_are_near(from in number(), of in number()) {
            let told = difference(of, from);
            prop_assert_eq!(differing(told, from), of);
            let near = of.abs_diff(from).min(from.abs_diff(of));
            prop_assert!(near > 1 << 62 || told <= 2 * near);
        }
    }

    #[test]
    fn there_is_nothing_after_the_end() {
        let mut taker = Taker::new(&[1, 2, 3, 0x80]);
        assert_eq!((taker.array::<5>(), taker.bytes(5)), (None, None));
        assert_eq!((taker.array(), taker.bytes(1)), (Some([1, 2]), Some(&[3][..])));
        assert_eq!((taker.number(), taker.number()), (None, None));
        assert_eq!(Taker::new(&[0xff; 11]).number(), None);
    }
}
