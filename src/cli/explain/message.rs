//! Requests and answers as they go over the wire, made from flags or read from files.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};

/// What a client sends.
#[derive(Debug)]
pub struct Asked {
    /// Byte by byte.
    pub bytes: Vec<u8>,
    /// Whether it comes with TLS.
    pub secure: Secure,
}

/// How a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secure {
    /// In the clear.
    No,
    /// With TLS.
    Yes,
}

/// What an application answers.
#[derive(Debug)]
pub struct Told {
    /// Byte by byte; it ends with the connection.
    pub bytes: Vec<u8>,
}

impl Asked {
    /// A request as curl would make it; it fails with what is wrong with a flag.
    ///
    /// # Errors
    ///
    /// When something of it is no part of a request.
    pub fn new(
        url: &str,
        method: Option<&str>,
        (fields, user): (&[String], Option<&str>),
        data: Option<&str>,
    ) -> Result<Self, String> {
        let with_scheme =
            if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let no_url =
            |_| format!("`{url}` is no URL; write one such as http://shop.example.com/login");
        let uri: Uri = with_scheme.parse().map_err(no_url)?;
        let host = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let secure = if uri.scheme_str() == Some("https") { Secure::Yes } else { Secure::No };
        let usual = if data.is_some() { "POST" } else { "GET" };
        let method = method.unwrap_or(usual);
        let no_method = |_| format!("`{method}` is no method");
        Method::from_bytes(method.as_bytes()).map_err(no_method)?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        let mut names = Vec::new();
        for written in fields {
            let (name, value) = field(written)?;
            head.push_str(&format!("{name}: {value}\r\n"));
            names.push(name);
        }
        let mut add = |name: &str, value: &str| {
            if !names.iter().any(|known| known.as_str() == name) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        };
        add("host", host);
        add("accept", "*/*");
        add("user-agent", "loginward-explain");
        if let Some(user) = user {
            add("authorization", &format!("Basic {}", STANDARD.encode(user)));
        }
        if let Some(data) = data {
            add("content-type", "application/x-www-form-urlencoded");
            add("content-length", &data.len().to_string());
        }
        let bytes = [head.as_bytes(), b"\r\n", data.unwrap_or_default().as_bytes()].concat();
        Ok(Self { bytes, secure })
    }

    /// A request from a file, in the clear. Lines of the head may end without a carriage return,
    /// as editors write them; an empty one has to end it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        Ok(Self { bytes: wire(&read(path)?), secure: Secure::No })
    }
}

impl Told {
    /// An answer of that status, with these header fields.
    ///
    /// # Errors
    ///
    /// When something of it is no part of an answer.
    pub fn new(status: u16, fields: &[String], body: &str) -> Result<Self, String> {
        let code = StatusCode::from_u16(status).map_err(|_| format!("{status} is no status"))?;
        let mut head = format!("HTTP/1.1 {status} {}\r\n", code.canonical_reason().unwrap_or("-"));
        for written in fields {
            let (name, value) = field(written)?;
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let bytes = [head.as_bytes(), b"\r\n", body.as_bytes()].concat();
        Ok(Self { bytes: framed(&bytes) })
    }

    /// An answer from a file, as `curl -i` writes it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds something else.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let bytes = wire(&read(path)?);
        if !bytes.starts_with(b"HTTP/") {
            let path = path.display();
            return Err(format!(
                "{path}: no answer; its first line is one such as `HTTP/1.1 200 OK`"
            ));
        }
        if split(&bytes).1.is_none() {
            return Err(format!(
                "{}: no whole answer: no empty line ends its head",
                path.display()
            ));
        }
        Ok(Self { bytes: framed(&bytes) })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn field(written: &str) -> Result<(HeaderName, &str), String> {
    let wrong = || format!("`{written}` is no header field; write one such as `Accept: text/html`");
    let (name, value) = written.split_once(':').ok_or_else(wrong)?;
    let value = value.trim();
    HeaderValue::from_str(value).map_err(|_| wrong())?;
    Ok((name.trim().parse().map_err(|_| wrong())?, value))
}

/// A message whose head's lines end as they do on the wire. A head that breaks off stays so.
fn wire(bytes: &[u8]) -> Vec<u8> {
    let body = split(bytes).1.unwrap_or_default();
    let head = bytes.get(..bytes.len() - body.len()).unwrap_or(bytes);
    let mut wire = Vec::with_capacity(bytes.len() + 64);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) if line.trim_ascii().is_empty() => wire.extend_from_slice(b"\r\n"),
            Some(line) => {
                wire.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                wire.extend_from_slice(b"\r\n");
            }
            None => wire.extend_from_slice(line),
        }
    }
    wire.extend_from_slice(body);
    wire
}

/// The lines before the first empty one, and what follows it; nothing does where there is none.
fn split(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            let (head, rest) = bytes.split_at_checked(at).unwrap_or((bytes, b""));
            let head = head.strip_suffix(b"\n").unwrap_or(head);
            let body = rest.get(line.len()..).unwrap_or_default();
            return (head.strip_suffix(b"\r").unwrap_or(head), Some(body));
        }
        at += line.len();
    }
    let head = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    (head.strip_suffix(b"\r").unwrap_or(head), None)
}

/// The answer as HTTP/1.1, with the length of the body that is here: whoever saved it may have
/// taken chunks apart, or have spoken HTTP/2. Its body is otherwise as it was.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let (head, body) = split(bytes);
    let body = body.unwrap_or_default();
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split_once(' ')).map_or("", |(_, rest)| rest);
    let mut framed = format!("HTTP/1.1 {status}\r\n");
    let frames = ["content-length", "transfer-encoding", "connection"];
    for line in lines {
        let name = line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !frames.contains(&&*name) {
            framed.push_str(line);
            framed.push_str("\r\n");
        }
    }
    let is_bodiless = ["1", "204", "304"].iter().any(|code| status.starts_with(code));
    if !is_bodiless {
        framed.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    [framed.as_bytes(), b"\r\n", body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_made_as_curl_makes_it() {
        let fields = ["Host: other.test".to_owned(), "X-A:  b ".to_owned()];
        let asked = Asked::new("https://shop.test/login?a=b", None, (&fields, None), Some("u=a"));
        let asked = asked.unwrap();
        let text = String::from_utf8(asked.bytes).unwrap();
        assert_eq!(
            text,
            "POST /login?a=b HTTP/1.1\r\nhost: other.test\r\nx-a: b\r\naccept: */*\r\n\
             user-agent: loginward-explain\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: 3\r\n\r\nu=a"
        );
        assert_eq!(asked.secure, Secure::Yes);
        assert!(Asked::new("shop.test", None, (&["nonsense".to_owned()], None), None).is_err());
    }

    #[test]
    fn lines_end_as_on_the_wire_and_bodies_stay_as_they_are() {
        assert_eq!(
            wire(b"GET / HTTP/1.1\nHost: a\n\nb\nc\n"),
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nb\nc\n"
        );
        assert_eq!(
            wire(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nb"),
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nb"
        );
        assert_eq!(wire(b"GET / HTTP/1.1\nHost: a"), b"GET / HTTP/1.1\r\nHost: a");
    }

    #[test]
    fn a_saved_answer_has_the_length_that_it_has() {
        let saved =
            b"HTTP/2 200\r\ncontent-length: 99\r\ntransfer-encoding: chunked\r\nx: y\r\n\r\nabc";
        assert_eq!(framed(saved), b"HTTP/1.1 200\r\nx: y\r\ncontent-length: 3\r\n\r\nabc");
        assert_eq!(framed(b"HTTP/1.1 204 No Content\r\n\r\n"), b"HTTP/1.1 204 No Content\r\n\r\n");
    }
}
