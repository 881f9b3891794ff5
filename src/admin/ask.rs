//! Asking a running guard, as its commands do: one request, one answer, one connection.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// No answer is longer.
const LONGEST: u64 = 64 * 1024 * 1024;
/// No head of one is longer.
const LONGEST_HEAD: u64 = 64 * 1024;
/// How much is sent at once.
const PIECE: usize = 64 * 1024;

/// Where a guard is asked.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// Over TCP, with its token.
    Tcp(SocketAddr, Box<str>),
    /// At a unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address, _) => write!(out, "http://{address}"),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A connection to a guard.
#[derive(Debug)]
pub enum Connection {
    /// Over TCP.
    Tcp(TcpStream),
    /// At a unix socket.
    Unix(UnixStream),
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Such as `GET`.
    pub method: &'a str,
    /// The path, and the query if there is one.
    pub target: &'a str,
    /// What is sent with it.
    pub body: Option<&'a Value>,
}

impl<'a> Question<'a> {
    /// A question without a body.
    #[must_use]
    pub const fn new(method: &'a str, target: &'a str) -> Self {
        Self { method, target, body: None }
    }
}

/// What a guard answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// What it says.
    pub body: Value,
}

impl Answer {
    /// What is wrong, where something is.
    #[must_use]
    pub fn detail(&self) -> &str {
        self.body.get("detail").and_then(Value::as_str).unwrap_or_default()
    }
}

impl Place {
    /// Connects; each step of what follows may take so long.
    ///
    /// # Errors
    ///
    /// When nobody listens there.
    pub fn connect(&self, patience: Duration) -> io::Result<Connection> {
        match self {
            Self::Tcp(address, _) => {
                let stream = TcpStream::connect_timeout(address, patience)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                Ok(Connection::Tcp(stream))
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                Ok(Connection::Unix(stream))
            }
        }
    }

    /// The header fields without which it does not answer, each with its end.
    #[must_use]
    pub fn fields(&self) -> String {
        match self {
            Self::Tcp(address, token) => {
                format!("host: {address}\r\nauthorization: Bearer {token}\r\n")
            }
            Self::Unix(_) => "host: loginward\r\n".to_owned(),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}

/// Asks the guard at `place`; each step may take so long.
///
/// # Errors
///
/// When there is no guard, or it does not answer in time.
pub fn ask(place: &Place, question: Question<'_>, patience: Duration) -> io::Result<Answer> {
    let mut connection = place.connect(patience)?;
    let Question { method, target, body } = question;
    let body = body.map(Value::to_string).unwrap_or_default();
    let fields = place.fields();
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\n{fields}{kind}content-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    connection.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    connection.take(LONGEST).read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::other("what answers there is no guard"))
}

/// Opens a long answer of the guard at `place`, to be read after its head; what it refuses it with
/// is its status and what it says. Each step may take so long.
///
/// # Errors
///
/// When there is no guard, or it does not answer in time.
pub fn open(
    place: &Place,
    (target, fields): (&str, &str),
    patience: Duration,
) -> io::Result<Result<BufReader<Connection>, (u16, String)>> {
    let mut stream = place.connect(patience)?;
    // the answer to this version is not cut into pieces
    let request = format!("GET {target} HTTP/1.0\r\n{}{fields}\r\n", place.fields());
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let strange = || io::Error::other("what answers there is no guard");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = reader.by_ref().take(LONGEST_HEAD).read_until(b'\n', &mut head)?;
        if read == 0 || head.len() as u64 > LONGEST_HEAD {
            return Err(strange());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1.")).ok_or_else(strange)?;
    let status: u16 = words.next().and_then(|status| status.parse().ok()).ok_or_else(strange)?;
    if status == 200 {
        return Ok(Ok(reader));
    }
    let mut said = String::new();
    reader.take(LONGEST).read_to_string(&mut said)?;
    let detail = serde_json::from_str::<Value>(&said).ok();
    let detail = detail.and_then(|said| Some(said.get("detail")?.as_str()?.to_owned()));
    Ok(Err((status, detail.unwrap_or_default())))
}

/// Sends the guard at `place` all of `from`, as it comes; each step may take so long.
///
/// # Errors
///
/// When there is no guard, it does not answer in time, or `from` cannot be read.
pub fn send(
    place: &Place,
    (target, kind): (&str, &str),
    from: &mut dyn Read,
    patience: Duration,
) -> io::Result<Answer> {
    let mut connection = place.connect(patience)?;
    let fields = place.fields();
    let head = format!(
        "POST {target} HTTP/1.1\r\n{fields}content-type: {kind}\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes())?;
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece)?;
        let length = format!("{read:x}\r\n");
        let bytes = piece.get(..read).unwrap_or_default();
        if connection.write_all(&[length.as_bytes(), bytes, b"\r\n"].concat()).is_err() {
            break; // it does not want more, and says why
        }
        if read == 0 {
            break;
        }
    }
    let mut answer = Vec::new();
    connection.take(LONGEST).read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::other("what answers there is no guard"))
}

/// The parts of an answer that ends with the connection.
fn parse(answer: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut words = head.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    let status = words.next()?.parse().ok()?;
    Some(Answer { status, body: serde_json::from_str(body).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_json() {
        let check = |answer: &str, expected: Option<u16>| {
            assert_eq!(parse(answer.as_bytes()).map(|answer| answer.status), expected, "{answer}");
        };
        check("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{}\n", Some(200));
        check("HTTP/1.1 422 No\r\n\r\n{\"error\": \"no\"}", Some(422));
        check("HTTP/1.1 200 OK\r\n\r\nhello", None);
        check("HTTP/1.1 200 OK\r\n\r\n", None);
        check("SSH-2.0-OpenSSH_9.2\r\n", None);
        check("", None);
    }

    #[test]
    fn a_token_is_not_shown() {
        let place = Place::Tcp("127.0.0.1:9180".parse().unwrap(), "secret".into());
        assert_eq!(format!("{place} {place:?}"), "http://127.0.0.1:9180 http://127.0.0.1:9180");
        assert!(place.fields().contains("secret"));
    }
}
