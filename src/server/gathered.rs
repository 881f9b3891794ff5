//! A client's socket of HTTP/2: what is written to it while its connection has a turn goes out
//! together, when the turn is over.
//!
//! The library hands over and flushes each frame with data by itself. On the wire that would be a
//! TLS record and a call to the kernel for each, though the answers of many streams are here at the
//! same time. Nobody waits longer for it: the turn ends as soon as nothing is left to be written.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::Link;
use crate::stream::Stream;

/// How much is kept at most: what fits into a record of TLS (RFC 8446, section 5.1).
const MOST: usize = 16 * 1024;

thread_local! {
    /// Room for what is kept, for the next connection that has a turn.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A client's socket. Whoever lets its connection have a turn calls [`Self::poll_release`]
/// afterwards. Notes whether the client takes what is sent.
#[derive(Clone, Debug)]
pub(super) struct Gathered(Rc<RefCell<Gathering>>);

#[derive(Debug)]
struct Gathering {
    stream: Stream,
    link: Rc<Link>,
    /// What is written and has not gone out yet, behind what has.
    kept: Vec<u8>,
    /// How much of `kept` has gone out.
    gone: usize,
    state: State,
}

/// Whether what went out is all with the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Settled,
    /// Some of it may still be with TLS; nothing follows before that is sent.
    Unsettled,
}

impl Gathered {
    /// The socket of `link`.
    pub(super) fn new(stream: Stream, link: Rc<Link>) -> Self {
        let (kept, gone, state) = (Vec::new(), 0, State::Settled);
        Self(Rc::new(RefCell::new(Gathering { stream, link, kept, gone, state })))
    }

    /// Sends what is kept. What the client does not take now goes out at later turns; the task of
    /// `context` is woken for them.
    pub(super) fn poll_release(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_release(context)
    }
}

impl Gathering {
    fn poll_release(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_settle(context))?;
        ready!(self.poll_kept(context, &[]))?;
        self.poll_settle(context)
    }

    /// Sends what is with TLS.
    fn poll_settle(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state == State::Settled {
            // that nothing goes out is no sign that the client takes what is sent
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        ready!(self.link.note(flushed))?;
        self.state = State::Settled;
        Poll::Ready(Ok(()))
    }

    /// Sends what is kept, and of `more` what fills a record with it; returns how much that was.
    fn poll_kept(&mut self, context: &mut Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        while let Some(kept) = self.kept.get(self.gone..).filter(|kept| !kept.is_empty()) {
            let left = kept.len();
            let along = more.get(..MOST.saturating_sub(left)).unwrap_or(more);
            let slices = [IoSlice::new(kept), IoSlice::new(along)];
            let stream = Pin::new(&mut self.stream);
            let written = match along {
                [] => stream.poll_write(context, kept),
                _ => stream.poll_write_vectored(context, &slices),
            };
            let written = ready!(self.link.note(written))?;
            self.state = State::Unsettled;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if written < left {
                self.gone += written;
                continue;
            }
            self.gone = 0;
            self.kept.clear();
            SPARE.set(std::mem::take(&mut self.kept));
            return Poll::Ready(Ok(written - left));
        }
        Poll::Ready(Ok(0))
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.kept.capacity() == 0 {
            self.kept = SPARE.take();
            self.kept.reserve_exact(MOST);
        }
        self.kept.extend_from_slice(bytes);
    }
}

impl AsyncRead for Gathered {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut gathering = self.0.borrow_mut();
        ready!(gathering.poll_settle(context))?;
        if gathering.kept.len() + bytes.len() <= MOST {
            gathering.keep(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        let along = ready!(gathering.poll_kept(context, bytes))?;
        if along > 0 {
            return Poll::Ready(Ok(along));
        }
        let written = Pin::new(&mut gathering.stream).poll_write(context, bytes);
        let written = ready!(gathering.link.note(written));
        gathering.state = State::Unsettled;
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_settle(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathering = self.0.borrow_mut();
        ready!(gathering.poll_release(context))?;
        Pin::new(&mut gathering.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::*;
    use crate::alarm::Alarms;
    use crate::clock::Moment;
    use crate::link::{LinkLimits, Links, Scheme, Stall, Standing};
    use crate::policy::client::PeerAddr;

    /// A socket, its link, and the client's end.
    fn connected() -> (Gathered, Rc<Link>, UnixStream) {
        connected_by(&Rc::new(Alarms::new(Moment(0))))
    }

    /// The same, with these alarms.
    fn connected_by(alarms: &Rc<Alarms>) -> (Gathered, Rc<Link>, UnixStream) {
        let time = Duration::from_secs(60);
        let limits =
            LinkLimits { idle: time, head: time, body: time, answer: time, send: time, places: 9 };
        let links = Links::new(limits, Arc::default());
        let peer = (PeerAddr::Ip(Ipv4Addr::LOCALHOST.into()), Standing::Client);
        let link = links.begin(peer, (Scheme::Http, 0), alarms);
        let (own, client) = UnixStream::pair().unwrap();
        (Gathered::new(Stream::Unix(own), Rc::clone(&link)), link, client)
    }

    async fn release(socket: &Gathered) {
        poll_fn(|context| socket.poll_release(context)).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_written_in_a_turn_goes_out_when_it_is_over() {
        let (mut socket, _, mut client) = connected();
        let mut read = [0; 64];
        for piece in ["one ", "two ", "three"] {
            socket.write_all(piece.as_bytes()).await.unwrap();
            socket.flush().await.unwrap();
        }
        assert!(client.try_read(&mut read).is_err(), "nothing is there yet");
        release(&socket).await;
        let length = client.read(&mut read).await.unwrap();
        assert_eq!(read.get(..length), Some(&b"one two three"[..]));
        release(&socket).await;
        socket.write_all(b"the end").await.unwrap();
        socket.shutdown().await.unwrap();
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "the end", "and what was written before it");
    }

    /// Writes `bytes` until the client would have to read; returns how many were taken.
    fn write_some(socket: &mut Gathered, bytes: &[u8], context: &mut Context<'_>) -> usize {
        let mut written = 0;
        while let Some(piece) = bytes.get(written..written + 1000) {
            let Poll::Ready(taken) = Pin::new(&mut *socket).poll_write(context, piece) else {
                break;
            };
            written += taken.unwrap();
            assert!(socket.0.borrow().kept.len() <= MOST);
        }
        written
    }

    #[tokio::test]
    async fn no_more_is_kept_than_a_record_holds_and_all_arrives_in_order() {
        let (mut socket, link, mut client) = connected();
        let bytes: Vec<u8> = (0..4_000_000_u32).map(|at| (at % 251) as u8).collect();
        let written =
            poll_fn(|context| Poll::Ready(write_some(&mut socket, &bytes, context))).await;
        assert!(written < bytes.len(), "the client does not read");
        assert_eq!(link.stall(), Some(Stall::Send), "which is noticed");
        let rest = bytes.get(written..).unwrap().to_vec();
        let writing = async {
            socket.write_all(&rest).await.unwrap();
            release(&socket).await;
            socket.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let (_, length) = tokio::join!(writing, client.read_to_end(&mut read));
        assert_eq!(length.unwrap(), bytes.len());
        assert!(read == bytes);
        assert_eq!(link.stall(), None);
    }

    #[tokio::test]
    async fn who_reads_nothing_is_late_however_often_the_connection_has_a_turn() {
        let alarms = Rc::new(Alarms::new(Moment(0)));
        let (mut socket, link, _client) = connected_by(&alarms);
        let bytes = vec![7; 4_000_000];
        let written =
            poll_fn(|context| Poll::Ready(write_some(&mut socket, &bytes, context))).await;
        assert!(written < bytes.len());
        for second in 1..=200 {
            alarms.sweep(Moment(second * 1000));
            // a turn: nothing goes out
            let turn = |context: &mut Context<'_>| Poll::Ready(socket.poll_release(context));
            assert!(poll_fn(turn).await.is_pending());
        }
        assert_eq!(link.overdue(), Some(Stall::Send), "three times as long as it may take");
    }
}
