//! The audit log on standard output.

use std::collections::VecDeque;
use std::io;

use super::audit::Sink;
use super::piece::Place;
use super::queue::Line;

/// Standard output.
#[derive(Debug, Default)]
pub struct StandardOutput(Place);

impl Sink for StandardOutput {
    fn write(&mut self, lines: &mut VecDeque<Line>) -> io::Result<()> {
        // unbuffered: what was taken was written
        let stdout = io::stdout();
        let mut raw = Raw(stdout);
        while !lines.is_empty() {
            self.0.write(&mut raw, lines, usize::MAX)?;
        }
        Ok(())
    }
}

struct Raw(io::Stdout);

impl io::Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
