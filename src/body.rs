//! Bodies of requests: as the client sends them, as they go upstream, and a bounded beginning.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::link::{Link, Phase};
use crate::policy::credentials::{Scan, Scanner};
use crate::policy::smuggling::hides_request;
use crate::quiet::next_frame;

/// Why a body ended early.
#[derive(Debug)]
pub enum BodyError {
    /// It came from a connection that failed.
    Connection(hyper::Error),
    /// A login field turned up where none may come any more.
    LateField,
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connection(_) => out.write_str("the connection failed"),
            Self::LateField => out.write_str("a login field came too late in the body"),
        }
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connection(error) => Some(error),
            Self::LateField => None,
        }
    }
}

/// A request's body as the client sends it. Tells its link when all of it is here.
#[derive(Debug)]
pub struct ClientBody {
    incoming: Incoming,
    link: Rc<Link>,
}

impl ClientBody {
    /// The body of the request that `link` is reading.
    #[must_use]
    pub fn new(incoming: Incoming, link: Rc<Link>) -> Self {
        let phase = if incoming.is_end_stream() { Phase::Answering } else { Phase::Body };
        link.enter(phase);
        Self { incoming, link }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = next_frame(&mut self.incoming, context);
        if polled.is_pending() {
            self.link.hunger(context);
        }
        let frame = ready!(polled);
        self.link.goes_on();
        if frame.is_none() || self.incoming.is_end_stream() {
            self.link.enter(Phase::Answering);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Connection)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// What goes upstream as a request's body. Its `Debug` tells nothing of what is in it.
pub enum RequestBody {
    /// Nothing.
    Empty,
    /// These bytes.
    Whole(Option<Bytes>),
    /// What the client sends, as it comes.
    Streamed(ClientBody),
    /// The same, of which the beginning is here already.
    Begun(Box<Begun>),
    /// What the client sends, watched for login fields that come late.
    Watched(Box<Watched>),
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Empty => "Empty",
            Self::Whole(_) => "Whole(…)",
            Self::Streamed(_) => "Streamed(…)",
            Self::Begun(_) => "Begun(…)",
            Self::Watched(_) => "Watched(…)",
        })
    }
}

/// A body that did not arrive whole with its head. Its `Debug` tells nothing of what is in it.
pub struct Begun {
    begun: VecDeque<Result<Frame<Bytes>, BodyError>>,
    /// How many bytes of data are in `begun`.
    held: usize,
    rest: ClientBody,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Begun(…)")
    }
}

impl Begun {
    /// Takes what is here of `rest` by now. Registers the task for more.
    fn poll(&mut self, context: &mut Context<'_>) {
        while self.held < MOST_GATHERED && !self.rest.is_end_stream() {
            let Poll::Ready(Some(frame)) = Pin::new(&mut self.rest).poll_frame(context) else {
                return;
            };
            self.held += frame.iter().filter_map(Frame::data_ref).map(Bytes::len).sum::<usize>();
            // an HTTP/2 body tells its failure again whenever it is asked
            let is_last = !frame.as_ref().is_ok_and(Frame::is_data);
            self.begun.push_back(frame);
            if is_last {
                return;
            }
        }
    }

    /// All of it, if it is here and nothing but data.
    fn whole(&mut self) -> Option<Bytes> {
        let is_data = |frame: &Result<Frame<Bytes>, _>| frame.as_ref().is_ok_and(Frame::is_data);
        if !self.rest.is_end_stream() || !self.begun.iter().all(is_data) {
            return None;
        }
        let frames = self.begun.drain(..).flatten();
        let mut chunks = frames.filter_map(|frame| frame.into_data().ok()).collect();
        Some(joined(&mut chunks, self.held))
    }
}

/// More of a body is not taken before it goes upstream.
const MOST_GATHERED: usize = 64 * 1024;

/// A large body on a path that also takes logins: it streams, but no login field passes. Its
/// `Debug` tells nothing of what is in it.
pub struct Watched {
    begun: VecDeque<Bytes>,
    rest: ClientBody,
    scanners: Vec<(Scanner, usize)>,
    held: BytesMut,
    sent: usize,
    length: Option<u64>,
    ended: Ended,
    /// Whether it was broken off by a field that came late.
    late: Rc<Cell<bool>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    No,
    Yes,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Watched(…)")
    }
}

impl Watched {
    /// A body of which `begun` was read before it was known to be large.
    #[must_use]
    pub fn new(begun: VecDeque<Bytes>, rest: ClientBody, scanners: Vec<Scanner>) -> Self {
        let read: usize = begun.iter().map(Bytes::len).sum();
        let length = rest.size_hint().exact().map(|rest| rest.saturating_add(read as u64));
        let scanners = scanners.into_iter().map(|scanner| (scanner, 0)).collect();
        let held = BytesMut::new();
        let late = Rc::default();
        Self { begun, rest, scanners, held, sent: 0, length, ended: Ended::No, late }
    }

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let releasable = match self.scanners.iter().map(|(_, released)| *released).min() {
                Some(released) => released.saturating_sub(self.sent).min(self.held.len()),
                None => self.held.len(),
            };
            if releasable > 0 {
                self.sent = self.sent.saturating_add(releasable);
                return Poll::Ready(Some(Ok(self.held.split_to(releasable).freeze())));
            }
            if self.ended == Ended::Yes {
                return Poll::Ready(None);
            }
            let next = match self.begun.pop_front() {
                Some(bytes) => Some(Frame::data(bytes)),
                None => ready!(Pin::new(&mut self.rest).poll_frame(context)).transpose()?,
            };
            self.look_at(next)?;
        }
    }

    fn look_at(&mut self, next: Option<Frame<Bytes>>) -> Result<(), BodyError> {
        let Some(frame) = next else {
            self.ended = Ended::Yes;
            let mut scanners = std::mem::take(&mut self.scanners).into_iter();
            let found = scanners.any(|(scanner, _)| scanner.finish() == Scan::Found);
            return if found { break_off(&self.late) } else { Ok(()) };
        };
        let Ok(data) = frame.into_data() else { return Ok(()) };
        self.held.extend_from_slice(&data);
        for (scanner, released) in &mut self.scanners {
            match scanner.push(&data) {
                Scan::Found => return break_off(&self.late),
                Scan::Pass(more) => *released = released.saturating_add(more),
            }
        }
        Ok(())
    }
}

fn break_off(late: &Cell<bool>) -> Result<(), BodyError> {
    late.set(true);
    Err(BodyError::LateField)
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(body) => Pin::new(body).poll_frame(context),
            Self::Begun(body) => match body.begun.pop_front() {
                Some(frame) => Poll::Ready(Some(frame)),
                None => Pin::new(&mut body.rest).poll_frame(context),
            },
            Self::Watched(watched) => {
                watched.poll_data(context).map(|data| data.map(|data| data.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Whole(None) => true,
            Self::Whole(Some(bytes)) => bytes.is_empty(),
            Self::Streamed(body) => body.is_end_stream(),
            Self::Begun(body) => body.begun.is_empty() && body.rest.is_end_stream(),
            Self::Watched(watched) => watched.ended == Ended::Yes && watched.held.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Whole(None) => SizeHint::with_exact(0),
            Self::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streamed(body) => body.size_hint(),
            Self::Begun(body) => {
                let frames = body.begun.iter().flatten().filter_map(Frame::data_ref);
                let begun: u64 = frames.map(|data| data.len() as u64).sum();
                let total = body.rest.size_hint().exact().map(|rest| rest.saturating_add(begun));
                total.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Self::Watched(watched) => {
                watched.length.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}

impl RequestBody {
    /// The same body; whole, if all of it came with its head. Does not wait.
    pub async fn gather(self) -> Self {
        let Self::Streamed(rest) = self else { return self };
        if rest.is_end_stream() {
            return Self::Empty;
        }
        let mut body = Begun { begun: VecDeque::new(), held: 0, rest };
        poll_fn(|context| {
            body.poll(context);
            Poll::Ready(())
        })
        .await;
        body.whole().map_or_else(|| Self::Begun(Box::new(body)), |whole| Self::Whole(Some(whole)))
    }

    /// What tells whether it was broken off by a login field, where that may be.
    #[must_use]
    pub fn late(&self) -> Option<Rc<Cell<bool>>> {
        match self {
            Self::Watched(watched) => Some(Rc::clone(&watched.late)),
            Self::Begun(_) | Self::Empty | Self::Streamed(_) | Self::Whole(_) => None,
        }
    }

    /// Whether all of it is here.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        matches!(self, Self::Empty | Self::Whole(_))
    }

    /// Whether an upstream might see another request in it; as good as any is what cannot be seen.
    #[must_use]
    pub fn may_hide_request(&self) -> bool {
        match self {
            Self::Empty | Self::Whole(None) => false,
            Self::Whole(Some(bytes)) => hides_request(bytes),
            Self::Streamed(_) | Self::Begun(_) | Self::Watched(_) => !self.is_end_stream(),
        }
    }

    /// How many bytes are kept of it while it waits.
    #[must_use]
    pub fn held(&self) -> usize {
        match self {
            Self::Empty | Self::Streamed(_) | Self::Whole(None) => 0,
            Self::Begun(body) => body.held,
            Self::Whole(Some(bytes)) => bytes.len(),
            Self::Watched(watched) => watched.begun.iter().map(Bytes::len).sum(),
        }
    }
}

/// How reading a body to its end went.
#[derive(Debug)]
pub enum Prefix {
    /// It did not end within the bound.
    Begun,
    /// It did; these are all its bytes.
    Whole(Bytes),
}

/// Reads a client's body until its end or until more than `bound` bytes are here; what was read
/// and not returned is in `chunks`, also when the future is dropped before it is done.
///
/// # Errors
///
/// When the client's connection fails or what it sends is no body.
pub async fn read_prefix(
    body: &mut ClientBody,
    bound: usize,
    chunks: &mut VecDeque<Bytes>,
) -> Result<Prefix, BodyError> {
    let mut read: usize = 0;
    while read <= bound {
        let Some(frame) = body.frame().await else {
            return Ok(Prefix::Whole(joined(chunks, read)));
        };
        // trailers of a login are of no use to anybody and would be one more place to hide things
        if let Ok(data) = frame?.into_data() {
            read = read.saturating_add(data.len());
            // most often there is but one
            if chunks.is_empty() && read <= bound && body.is_end_stream() {
                return Ok(Prefix::Whole(data));
            }
            chunks.push_back(data);
        }
        if body.is_end_stream() && read <= bound {
            return Ok(Prefix::Whole(joined(chunks, read)));
        }
    }
    Ok(Prefix::Begun)
}

fn joined(chunks: &mut VecDeque<Bytes>, length: usize) -> Bytes {
    if chunks.len() <= 1 {
        return chunks.pop_front().unwrap_or_default();
    }
    let mut whole = Vec::with_capacity(length);
    chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
    whole.into()
}
