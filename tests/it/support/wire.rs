//! HTTP/1 as it comes over a socket, read without mercy or understanding.

use std::io::{ErrorKind, Read, Write};

use super::lines::Lines;
use super::socket::Socket;

/// One end of a connection.
#[derive(Debug)]
pub struct Wire {
    /// The socket itself.
    pub socket: Socket,
    buffer: Vec<u8>,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As its chunks say.
    Chunked,
    /// As long as the connection lasts.
    Close,
    /// So many bytes.
    Length(usize),
}

/// What came of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The fields behind it.
    pub trailers: Lines,
    /// Whether it was broken off.
    pub cut: bool,
}

impl Wire {
    /// Speaks over `socket`.
    pub const fn new(socket: Socket) -> Self {
        Self { socket, buffer: Vec::new() }
    }

    /// Sends bytes; whether the other end took them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.socket.write_all(bytes.as_ref()).is_ok()
    }

    /// Reads a head; `None` where the connection ends before there is one.
    pub fn head(&mut self) -> Option<(String, Lines)> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill() {
                return None;
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head: String = head.into_iter().map(char::from).collect();
        let (line, fields) = head.split_once("\r\n").unwrap();
        Some((line.to_owned(), Lines::parse(fields)))
    }

    /// Reads a body to its end, or as far as it comes.
    pub fn body(&mut self, framing: Framing) -> Body {
        let mut body = Body::default();
        body.cut = match framing {
            Framing::Chunked => self.chunks(&mut body).is_none(),
            Framing::Close => {
                body.bytes = self.rest();
                false
            }
            Framing::Length(length) => match self.exactly(length) {
                Some(bytes) => {
                    body.bytes = bytes;
                    false
                }
                None => {
                    body.bytes = std::mem::take(&mut self.buffer);
                    true
                }
            },
        };
        body
    }

    fn chunks(&mut self, body: &mut Body) -> Option<()> {
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                break;
            }
            body.bytes.extend_from_slice(&chunk);
        }
        let mut trailers = String::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                body.trailers = Lines::parse(&trailers);
                return Some(());
            }
            trailers.push_str(&line);
            trailers.push_str("\r\n");
        }
    }

    /// Reads one chunk of a chunked body; the last one is empty. `None` where there is none.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line()?;
        let digits = size.split(';').next().unwrap().trim();
        let size = usize::from_str_radix(digits, 16).unwrap();
        let chunk = self.exactly(size)?;
        if size > 0 {
            assert_eq!(self.line()?, "", "a chunk ends with its line");
        }
        Some(chunk)
    }

    fn line(&mut self) -> Option<String> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                break at;
            }
            if !self.fill() {
                return None;
            }
        };
        let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
        Some(line.into_iter().map(char::from).collect())
    }

    /// Reads so many bytes; `None` where the connection ends before.
    pub fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.fill() {
                return None;
            }
        }
        Some(self.buffer.drain(..length).collect())
    }

    /// Reads until the end of the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Reads what comes next, at least one byte; nothing at the end of the connection.
    pub fn some(&mut self) -> Vec<u8> {
        if self.buffer.is_empty() {
            self.fill();
        }
        std::mem::take(&mut self.buffer)
    }

    /// Whether the connection has ended, by a reset or not.
    #[track_caller]
    pub fn is_at_end(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    /// Reads more; `false` at the end of the connection.
    #[track_caller]
    #[expect(clippy::wildcard_enum_match_arm, reason = "foreign and open-ended")]
    fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        match self.socket.read(&mut bytes) {
            Ok(read) => {
                self.buffer.extend_from_slice(&bytes[..read]);
                read > 0
            }
            Err(error) => match error.kind() {
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => false,
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    panic!("nothing came; here is {:?}", String::from_utf8_lossy(&self.buffer))
                }
                _ => panic!("{error}"),
            },
        }
    }
}

/// Where `needle` begins in `bytes`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
