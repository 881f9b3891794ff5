//! What the file looks like: a head, then frames. Each has a checksum, so that whatever a crash or a
//! disk does to it is seen, and what is intact before that can be used.
//!
//! ```text
//! head    "loginward counters\n" · version u32 · boot u128 · key of the hashes [16] · sum u64
//! frame   length of the records u32 · since boot u64 · wall clock u64 · records · sum u64
//! ```
//!
//! Numbers are little-endian; times are milliseconds. Sums are `SipHash` 1-3, those of frames under the
//! key of the hashes: a frame of another file is none of this one. The moments in a frame's records are
//! relative to when it was written.

use std::hash::Hasher as _;
use std::io::{self, Read};

use siphasher::sip::SipHasher13;

use crate::clock::Stamp;
use crate::policy::key::Keyer;

/// What the file begins with.
pub const MAGIC: &[u8; 19] = b"loginward counters\n";
/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;
/// How long the head is.
pub const HEAD: usize = MAGIC.len() + 4 + 16 + 16 + 8;
/// No frame has longer records.
const LONGEST: usize = 16 * 1024 * 1024;
/// Stands for a boot that has no name.
const NAMELESS: u128 = 0;

/// What the head says.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// What the counters are hashed under.
    pub keyer: Keyer,
    /// In which boot it was written.
    pub boot: Option<u128>,
}

/// A frame as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it was written; the boot is the head's.
    pub stamp: Stamp,
    /// What it tells.
    pub records: Vec<u8>,
}

/// Why a head is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strange {
    /// It is a file of something else.
    Foreign,
    /// It was damaged.
    Damaged,
    /// It is of another version of the format.
    Version(u32),
}

impl std::fmt::Display for Strange {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Foreign => out.write_str("it is no file of counters"),
            Self::Damaged => out.write_str("its beginning is damaged"),
            Self::Version(version) => {
                write!(out, "its format is version {version}, and this program knows {VERSION}")
            }
        }
    }
}

impl Head {
    /// As bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.boot.unwrap_or(NAMELESS).to_le_bytes());
        bytes.extend_from_slice(&self.keyer.secret());
        let sum = sum([0; 16], &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Those bytes.
    ///
    /// # Errors
    ///
    /// When they are something else.
    pub fn read(bytes: &[u8]) -> Result<Self, Strange> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(Strange::Foreign)?;
        let (version, rest) = rest.split_first_chunk().ok_or(Strange::Damaged)?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(Strange::Version(version));
        }
        let (boot, rest) = rest.split_first_chunk().ok_or(Strange::Damaged)?;
        let (secret, rest) = rest.split_first_chunk().ok_or(Strange::Damaged)?;
        let (told, _) = rest.split_first_chunk().ok_or(Strange::Damaged)?;
        let summed = bytes.get(..HEAD - 8).ok_or(Strange::Damaged)?;
        if u64::from_le_bytes(*told) != sum([0; 16], summed) {
            return Err(Strange::Damaged);
        }
        let boot = Some(u128::from_le_bytes(*boot)).filter(|boot| *boot != NAMELESS);
        Ok(Self { keyer: Keyer::new(*secret), boot })
    }

    /// A frame with `records`, as bytes.
    #[must_use]
    pub fn frame(&self, stamp: Stamp, records: &[u8]) -> Vec<u8> {
        let length = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(records.len() + 28);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&stamp.since_boot.to_le_bytes());
        bytes.extend_from_slice(&stamp.wall.to_le_bytes());
        bytes.extend_from_slice(records);
        let sum = sum(self.keyer.secret(), &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The next frame of `from`; `None` at its end.
    ///
    /// # Errors
    ///
    /// When there is something and it is no intact frame, or it cannot be read.
    pub fn next_frame(&self, from: &mut impl Read) -> io::Result<Option<Frame>> {
        let mut begin = [0; 20];
        let mut filled = 0;
        while let Some(rest) = begin.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match from.read(rest)? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        let mut all = begin.to_vec();
        let (length, rest) = begin.split_at(4);
        let (since_boot, wall) = rest.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a frame is damaged");
        let length = usize::try_from(number(length)).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or_else(damaged)?;
        // no more is taken than comes, whatever the length says
        let read = from.take(length as u64 + 8).read_to_end(&mut all)?;
        if read < length + 8 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let told = all.split_off(begin.len() + length);
        if number(&told) != sum(self.keyer.secret(), &all) {
            return Err(damaged());
        }
        let stamp = Stamp { boot: self.boot, since_boot: number(since_boot), wall: number(wall) };
        Ok(Some(Frame { stamp, records: all.split_off(begin.len()) }))
    }
}

fn sum(secret: [u8; 16], bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(&secret);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Head = Head { keyer: Keyer::new([9; 16]), boot: Some(77) };

    fn stamp(since_boot: u64) -> Stamp {
        Stamp { boot: Some(77), since_boot, wall: since_boot + 1 }
    }

    /// What can be read of `bytes`, and whether all of it could.
    fn frames(head: &Head, mut bytes: &[u8]) -> (Vec<Frame>, bool) {
        let mut frames = Vec::new();
        loop {
            match head.next_frame(&mut bytes) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, true),
                Err(_) => return (frames, false),
            }
        }
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_nothing_else_is_one() {
        let bytes = HEADER.write();
        assert_eq!(bytes.len(), HEAD);
        let read = Head::read(&bytes).expect("a head");
        assert_eq!((read.keyer.secret(), read.boot), ([9; 16], Some(77)));
        let nameless = Head { boot: None, ..HEADER };
        assert_eq!(Head::read(&nameless.write()).map(|head| head.boot), Ok(None));
        for length in 0..HEAD {
            assert!(Head::read(&bytes[..length]).is_err(), "{length}");
        }
        for at in 0..HEAD {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Head::read(&damaged).is_err(), "{at}");
        }
        assert_eq!(Head::read(b"SQLite format 3\0").err(), Some(Strange::Foreign));
        let mut other = bytes;
        other[MAGIC.len()] = 2;
        assert_eq!(Head::read(&other).err(), Some(Strange::Version(2)));
    }

    #[test]
    fn of_a_torn_or_damaged_file_what_is_intact_before_is_read() {
        let written: Vec<Frame> = (1..4_u8)
            .map(|at| Frame { stamp: stamp(u64::from(at)), records: vec![at; 10 * at as usize] })
            .collect();
        let parts: Vec<Vec<u8>> =
            written.iter().map(|frame| HEADER.frame(frame.stamp, &frame.records)).collect();
        let whole = parts.concat();
        assert_eq!(frames(&HEADER, &whole), (written.clone(), true));
        let ends: Vec<usize> = parts.iter().map(Vec::len).collect();
        for length in 0..whole.len() {
            let (read, is_whole) = frames(&HEADER, &whole[..length]);
            let mut left = length;
            let intact =
                ends.iter().take_while(|end| left.checked_sub(**end).map(|l| left = l).is_some());
            let intact = intact.count();
            assert_eq!(read, written[..intact], "{length}");
            assert_eq!(is_whole, ends[..intact].iter().sum::<usize>() == length, "{length}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            let (read, is_whole) = frames(&HEADER, &damaged);
            assert!(!is_whole && written.starts_with(&read), "{at}");
        }
        let other = Head { keyer: Keyer::new([8; 16]), ..HEADER };
        assert_eq!(frames(&other, &whole), (Vec::new(), false), "of another file");
    }
}
