//! Which requests are framed twice: by `Content-Length` and `Transfer-Encoding`.
//!
//! hyper reads such a request as chunked and takes `Content-Length` away before anybody sees it.
//! Whoever stands in front of us may have gone by the length (RFC 9112, section 6.1), so heads are
//! looked at as they arrive. Where a head begins in the midst of what came before, behind a body,
//! it is not looked at: its request is still framed once when it goes upstream, and its connection
//! ends with it.

use std::sync::LazyLock;

use memchr::memchr2_iter;
use memchr::memmem::Finder;

/// Follows the heads that arrive on one connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// The beginning of a head that is not whole yet.
    partial: Vec<u8>,
}

/// Longer beginnings are given up; hyper refuses such heads.
const MOST_BYTES: usize = 1024 * 1024;

static END_OF_HEAD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

impl Framing {
    /// Takes what was read while no request was being answered. Returns which of the requests that
    /// begin in it is framed twice: 0 is the next one to be answered.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.partial.is_empty() {
            let is_whole = bytes.ends_with(b"\r\n\r\n") || END_OF_HEAD.find(bytes).is_some();
            if is_whole && !mentions_chunked(bytes) {
                return None; // as nearly every request
            }
            let heads = walk(bytes);
            self.partial.extend_from_slice(heads.partial);
            return heads.doubly;
        }
        self.partial.extend_from_slice(bytes);
        let Heads { doubly, partial } = walk(&self.partial);
        let whole = self.partial.len().saturating_sub(partial.len());
        self.partial.drain(..whole);
        if self.partial.is_empty() || self.partial.len() > MOST_BYTES {
            self.partial = Vec::new();
        }
        doubly
    }
}

/// Whether `chunked` stands somewhere, in any case.
fn mentions_chunked(bytes: &[u8]) -> bool {
    memchr2_iter(b'k', b'K', bytes).any(|at| {
        let word = at.checked_sub(4).and_then(|begin| bytes.get(begin..at + 3));
        word.is_some_and(|word| word.eq_ignore_ascii_case(b"chunked"))
    })
}

/// What stands in some bytes.
struct Heads<'a> {
    /// Which request is framed twice.
    doubly: Option<usize>,
    /// The last head, if it is not whole.
    partial: &'a [u8],
}

/// Goes from head to head, as far as it is known where the next one begins.
fn walk(bytes: &[u8]) -> Heads<'_> {
    let mut rest = bytes;
    for at in 0.. {
        let begin = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        rest = rest.get(begin..).unwrap_or_default();
        let Some(head) = Head::read(rest) else { break };
        match head {
            Head { length: Some(_), is_coded: true, .. } => {
                return Heads { doubly: Some(at), partial: &[] };
            }
            // where a chunked body ends is for hyper to say
            Head { is_coded: true, .. } => return Heads { doubly: None, partial: &[] },
            Head { length, end, .. } => {
                let end = end.saturating_add(length.unwrap_or_default());
                rest = rest.get(end..).unwrap_or_default();
            }
        }
    }
    Heads { doubly: None, partial: rest }
}

/// How one request is framed.
struct Head {
    /// Where its body begins.
    end: usize,
    /// What `Content-Length` says; the first where several do, zero where it is no number.
    length: Option<usize>,
    /// Whether there is a `Transfer-Encoding`.
    is_coded: bool,
}

impl Head {
    /// The head at the beginning of `bytes`, if it is whole.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut head = Self { end: 0, length: None, is_coded: false };
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            head.end += line.len();
            let line = line.strip_suffix(b"\n")?;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                return Some(head);
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at_checked(colon)?;
            if name.eq_ignore_ascii_case(b"content-length") {
                let value = std::str::from_utf8(value.get(1..).unwrap_or_default());
                let length = value.ok().and_then(|value| value.trim().parse().ok());
                head.length = head.length.or_else(|| length.or(Some(0)));
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                head.is_coded = true;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: &str = "POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    const ONE: &str = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    const OTHER: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n";
    const NONE: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn read(text: &str) -> Option<usize> {
        Framing::default().read(text.as_bytes())
    }

    #[test]
    fn both_fields_in_one_head_are_found() {
        assert_eq!(read(BOTH), Some(0));
        assert_eq!(read(&BOTH.replace("chunked", "cHuNKed")), Some(0));
        assert_eq!(read(&BOTH.replace("\r\n", "\n")), Some(0));
        assert_eq!(read(&format!("\r\n\r\n{BOTH}")), Some(0));
        assert_eq!(read(&format!("{ONE}{BOTH}")), Some(1));
        assert_eq!(read(&format!("{NONE}{NONE}{BOTH}")), Some(2));
        for other in [ONE, OTHER, NONE, &format!("{ONE}{OTHER}"), &format!("{NONE}{ONE}")] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn bodies_are_no_heads() {
        let body = "a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        let text = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        assert_eq!(read(&text), None);
        let text = format!("{}Content-Length: 3\r\n\r\n", OTHER.trim_end());
        assert_eq!(read(&text), None);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_head_is_cut(cut in 1..BOTH.len() - 5, again in 1..BOTH.len() - 5) {
            let mut framing = Framing::default();
            let (head, rest) = BOTH.as_bytes().split_at(cut.min(again));
            let (more, rest) = rest.split_at(cut.abs_diff(again));
            let found = [head, more, rest].map(|piece| framing.read(piece));
            prop_assert_eq!(found.iter().flatten().count(), 1);
            prop_assert!(framing.partial.is_empty());
        }

        #[test]
        fn anything_is_read(pieces in prop::collection::vec(any::<Vec<u8>>(), 0..5)) {
            let mut framing = Framing::default();
            for piece in pieces {
                framing.read(&piece);
            }
        }
    }
}
