//! Lines in one piece for a stream, and where it goes on when only a part of it was written.

use std::collections::VecDeque;
use std::io::{self, Write};

use super::queue::Line;

/// How much is written at once.
const MOST: usize = 256 * 1024;

/// How much of the first line that is not written was written nevertheless.
#[derive(Debug, Default)]
pub struct Place(usize);

impl Place {
    /// Writes lines from the front, whole ones and at most `room` bytes or one line, and takes them
    /// away. How many bytes were written.
    ///
    /// # Errors
    ///
    /// Those of `to`; what was written until then is taken away, or remembered.
    pub fn write(
        &mut self,
        to: &mut impl Write,
        lines: &mut VecDeque<Line>,
        room: usize,
    ) -> io::Result<usize> {
        let room = room.min(MOST);
        let mut piece = Vec::new();
        for line in lines.iter() {
            if !piece.is_empty() && piece.len() + line.text.len() > room {
                break;
            }
            let from = if piece.is_empty() { self.0 } else { 0 };
            piece.extend_from_slice(line.text.as_bytes().get(from..).unwrap_or_default());
        }
        let mut taken = 0;
        while let Some(rest) = piece.get(taken..).filter(|rest| !rest.is_empty()) {
            match to.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    taken += written;
                    self.advance(lines, written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// What was begun is to be written again, elsewhere.
    pub const fn begin_anew(&mut self) {
        self.0 = 0;
    }

    /// Whether a line was begun and not ended.
    #[must_use]
    pub const fn is_inside(&self) -> bool {
        self.0 > 0
    }

    fn advance(&mut self, lines: &mut VecDeque<Line>, written: usize) {
        self.0 += written;
        while let Some(first) = lines.front().filter(|first| first.text.len() <= self.0) {
            self.0 -= first.text.len();
            lines.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Takes so many bytes at a time and in all.
    struct Narrow {
        got: Vec<u8>,
        at_once: usize,
        in_all: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.in_all.saturating_sub(self.got.len());
            let taken = bytes.len().min(self.at_once).min(room);
            self.got.extend_from_slice(&bytes[..taken]);
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(texts: &[&str]) -> VecDeque<Line> {
        let line = |text: &&str| Line {
            name: "x".into(),
            level: tracing::Level::INFO,
            wall: Duration::ZERO,
            text: (*text).into(),
        };
        texts.iter().map(line).collect()
    }

    #[test]
    fn after_a_failure_it_goes_on_in_the_middle_of_the_line() {
        let mut place = Place::default();
        let mut lines = lines(&["one\n", "two\n", "three\n"]);
        let mut to = Narrow { got: Vec::new(), at_once: 3, in_all: 6 };
        place.write(&mut to, &mut lines, 100).unwrap_err();
        assert_eq!((&*to.got, lines.len()), (&b"one\ntw"[..], 2));
        assert!(place.is_inside());
        to.in_all = 100;
        assert_eq!(place.write(&mut to, &mut lines, 100).unwrap(), 8);
        assert_eq!((&*to.got, lines.len()), (&b"one\ntwo\nthree\n"[..], 0));
        assert!(!place.is_inside());
    }

    #[test]
    fn it_writes_whole_lines_as_far_as_there_is_room_and_at_least_one() {
        let mut place = Place::default();
        let mut lines = lines(&["one\n", "two\n", "three\n"]);
        let mut to = Narrow { got: Vec::new(), at_once: 100, in_all: 100 };
        assert_eq!(place.write(&mut to, &mut lines, 9).unwrap(), 8);
        assert_eq!(place.write(&mut to, &mut lines, 1).unwrap(), 6);
        assert!(lines.is_empty());
    }
}
