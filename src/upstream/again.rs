//! A request that can be sent once more, where its connection turns out to be dead.
//!
//! That is seldom: to copy each request for it would cost more than all else that is done to pick
//! its connection. Over HTTP/1 it is read again from what was written of it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::take;
use std::rc::Rc;

use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Uri};

use super::{Lease, Sender, Traffic};
use crate::body::RequestBody;

/// What is kept longer than its request takes no more room than this.
const MOST_ROOM: usize = 4096;

/// The head of a request as it was written, while somebody may want to read it again. Its `Debug`
/// tells nothing of what is in it.
#[derive(Default)]
pub(super) struct Written {
    awaited: Cell<bool>,
    head: RefCell<Vec<u8>>,
}

impl fmt::Debug for Written {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Written(…)")
    }
}

impl Written {
    /// These bytes are about to be written. hyper writes a head in one piece.
    pub(super) fn note(&self, bytes: &[u8]) {
        if self.awaited.take() {
            self.head.borrow_mut().extend_from_slice(bytes);
        }
    }
}

/// A request without a body, kept until its answer is here. What was written of it is forgotten
/// when this is dropped.
pub struct Again(Kept);

enum Kept {
    Copy(Box<Request<RequestBody>>),
    /// With its method and the length of its target, so that nothing else is taken for it.
    Written(Rc<Traffic>, Method, usize),
}

impl fmt::Debug for Again {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Again(…)")
    }
}

impl Lease {
    /// Keeps `request`, which has no body and is sent on this connection next.
    #[must_use]
    pub fn keep(&self, request: &Request<RequestBody>) -> Again {
        Again(match &self.sender {
            Sender::Http1(_) => {
                self.traffic.written_head.awaited.set(true);
                let target = target_length(request.uri());
                Kept::Written(Rc::clone(&self.traffic), request.method().clone(), target)
            }
            Sender::Http2(_) => Kept::Copy(Box::new(copy(request))),
        })
    }
}

impl Again {
    /// The same request; none where nothing of it was written, or not all of its head.
    #[must_use]
    pub fn request(&self) -> Option<Request<RequestBody>> {
        match &self.0 {
            Kept::Copy(request) => Some(copy(request)),
            Kept::Written(traffic, method, target) => {
                let read = read(&traffic.written_head.head.borrow())?;
                let is_it = read.method() == method && target_length(read.uri()) == *target;
                is_it.then_some(read)
            }
        }
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        if let Kept::Written(traffic, ..) = &self.0 {
            let Written { awaited, head } = &traffic.written_head;
            awaited.set(false);
            let mut head = head.borrow_mut();
            head.clear();
            if head.capacity() > MOST_ROOM {
                take(&mut *head);
            }
        }
    }
}

fn copy(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::Empty);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    copy
}

fn target_length(uri: &Uri) -> usize {
    uri.path_and_query().map_or(0, |target| target.as_str().len())
}

/// The request whose head hyper has written so, and nothing else.
fn read(written: &[u8]) -> Option<Request<RequestBody>> {
    let lines = written.iter().filter(|byte| **byte == b'\n').count();
    let mut fields = vec![httparse::EMPTY_HEADER; lines];
    let mut head = httparse::Request::new(&mut fields);
    let parsed = head.parse(written).ok()?;
    if parsed != httparse::Status::Complete(written.len()) || head.version != Some(1) {
        return None;
    }
    let mut request = Request::new(RequestBody::Empty);
    *request.method_mut() = Method::from_bytes(head.method?.as_bytes()).ok()?;
    *request.uri_mut() = Uri::try_from(head.path?).ok()?;
    for field in head.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: &str) -> Option<Request<RequestBody>> {
        read(lines.as_bytes())
    }

    #[test]
    fn what_was_written_is_the_request_again() {
        let request = written("GET /a?b=c HTTP/1.1\r\nhost: a:1\r\nx: \r\nx: b: c\r\n\r\n");
        let request = request.expect("a request");
        assert_eq!((request.method(), request.uri().to_string()), (&Method::GET, "/a?b=c".into()));
        let fields =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let expected: [(&str, &[u8]); 3] = [("host", b"a:1"), ("x", b""), ("x", b"b: c")];
        assert_eq!(fields.collect::<Vec<_>>(), expected);
        let any = written("OPTIONS * HTTP/1.1\r\n\r\n").expect("a request");
        assert_eq!((any.method(), any.uri().path()), (&Method::OPTIONS, "*"));
        let value = read(b"GET / HTTP/1.1\r\na: \xfc\r\n\r\n").expect("a request");
        assert_eq!(value.headers().get("a").map(HeaderValue::as_bytes), Some(&b"\xfc"[..]));
    }

    #[test]
    fn what_is_not_a_whole_head_is_none() {
        let whole = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        for end in 0..whole.len() {
            assert!(written(whole.get(..end).expect("ASCII")).is_none(), "{end}");
        }
        for other in ["GET / HTTP/1.1\r\nhost\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
            assert!(written(other).is_none(), "{other}");
        }
        assert!(written(&format!("{whole}more")).is_none());
    }

    #[test]
    fn only_what_is_awaited_is_taken_down_and_it_is_forgotten() {
        let traffic = Rc::<Traffic>::default();
        let kept = || traffic.written_head.head.borrow().clone();
        traffic.written_head.note(b"one");
        assert!(kept().is_empty());
        traffic.written_head.awaited.set(true);
        let again = Again(Kept::Written(Rc::clone(&traffic), Method::GET, 1));
        traffic.written_head.note(b"GET / HTTP/1.1\r\n\r\n");
        traffic.written_head.note(b"two");
        assert!(again.request().is_some());
        for (method, target) in [(Method::HEAD, 1), (Method::GET, 2)] {
            let other = Kept::Written(Rc::clone(&traffic), method, target);
            assert!(std::mem::ManuallyDrop::new(Again(other)).request().is_none());
        }
        drop(again);
        assert!(kept().is_empty());
        traffic.written_head.note(b"three");
        assert!(kept().is_empty());
    }
}
