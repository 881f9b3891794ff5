//! Numbers and texts as bytes, for what one guard tells another of the same machine.

use crate::clock::Moment;

/// Writes one thing after another.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    /// What moments are told relative to.
    now: Moment,
}

/// Reads what a [`Writer`] wrote, in the same order. `None` where it is something else.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    now: Moment,
}

impl Writer {
    /// Writes at `now`.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self { bytes: Vec::new(), now }
    }

    /// What was written.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.bytes
    }

    /// How much that is.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// A number.
    pub fn number(&mut self, number: u64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// A hash.
    pub fn hash(&mut self, hash: u128) {
        self.bytes.extend_from_slice(&hash.to_le_bytes());
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// What may be missing.
    pub fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// A moment, as it is from now: each process has a clock of its own.
    pub fn moment(&mut self, moment: Moment) {
        match moment {
            Moment::NEVER => self.byte(2),
            later if later >= self.now => {
                self.byte(1);
                self.number(later.0 - self.now.0);
            }
            earlier => {
                self.byte(0);
                self.number(self.now.0 - earlier.0);
            }
        }
    }
}

impl<'a> Reader<'a> {
    /// Reads `bytes` at `now`.
    #[must_use]
    pub const fn new(bytes: &'a [u8], now: Moment) -> Self {
        Self { bytes, now }
    }

    /// Whether there is no more.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.bytes.is_empty()
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*first)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    /// A number.
    pub fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// A number that is no larger than its type.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    /// A hash.
    pub fn hash(&mut self) -> Option<u128> {
        self.take().map(u128::from_le_bytes)
    }

    /// A text.
    pub fn text(&mut self) -> Option<&'a str> {
        let length = self.small()?;
        let (text, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        std::str::from_utf8(text).ok()
    }

    /// What may be missing.
    pub fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    /// So many of the same.
    pub fn several<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        (0..count).map(|_| read(self)).collect()
    }

    /// A moment.
    pub fn moment(&mut self) -> Option<Moment> {
        match self.byte()? {
            0 => Some(Moment(self.now.0.saturating_sub(self.number()?))),
            1 => Some(Moment(self.now.0.saturating_add(self.number()?))),
            2 => Some(Moment::NEVER),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_moments_stay_as_far_away() {
        let mut writer = Writer::new(Moment(1000));
        writer.byte(7);
        writer.text("ä");
        writer.hash(u128::MAX - 1);
        writer.optional(Some(3), Writer::number);
        writer.optional(None, Writer::number);
        for moment in [Moment(900), Moment(1000), Moment(1500), Moment::NEVER] {
            writer.moment(moment);
        }
        let bytes = writer.done();
        let mut reader = Reader::new(&bytes, Moment(5000));
        assert_eq!(reader.byte(), Some(7));
        assert_eq!(reader.text(), Some("ä"));
        assert_eq!(reader.hash(), Some(u128::MAX - 1));
        assert_eq!(reader.optional(Reader::number), Some(Some(3)));
        assert_eq!(reader.optional(Reader::number), Some(None));
        for moment in [Moment(4900), Moment(5000), Moment(5500), Moment::NEVER] {
            assert_eq!(reader.moment(), Some(moment));
        }
        assert!(reader.is_done());
        assert_eq!(reader.byte(), None);
    }

    #[test]
    fn what_is_something_else_is_nothing() {
        for bytes in [&b"\x09\0\0\0\0\0\0\0text"[..], &[255; 40], b"", b"\x03"] {
            assert_eq!(Reader::new(bytes, Moment(0)).text(), None, "{bytes:?}");
            assert_eq!(Reader::new(bytes, Moment(0)).moment(), None, "{bytes:?}");
        }
    }
}
