//! Asking a running guard, as its commands do: one request, one answer, one connection.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// No answer is longer.
const LONGEST: u64 = 64 * 1024 * 1024;

/// What a guard answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// What it says.
    pub body: Value,
}

/// Asks the guard at the socket `path`; each step may take so long.
///
/// # Errors
///
/// When there is no guard, or it does not answer in time.
pub fn ask(path: &Path, method: &str, target: &str, patience: Duration) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: loginward\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
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
}
