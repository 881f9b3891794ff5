//! A TCP or unix stream, with or without TLS, whichever it is.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use crate::dry::Dry;

/// What is copied rather than handed to the kernel in pieces, which costs it more.
const SMALL: usize = 1536;

thread_local! {
    /// Where that is put together.
    static PIECE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A TCP or unix stream.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
    /// With TLS over one of them.
    Tls(Box<TlsStream<Self>>),
}

impl Stream {
    /// Whether HTTP/2 was agreed on with the other end.
    #[must_use]
    pub fn speaks_http2(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Unix(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(crate::tls::H2),
        }
    }

    /// What went wrong on the socket, if anything did.
    ///
    /// # Errors
    ///
    /// That.
    pub fn take_error(&self) -> io::Result<()> {
        let error = match self {
            Self::Tcp(stream) => stream.take_error()?,
            Self::Unix(stream) => stream.take_error()?,
            Self::Tls(stream) => return stream.get_ref().0.take_error(),
        };
        error.map_or(Ok(()), Err)
    }

    /// Waits for bytes and copies those that are here; they are still to be read. None at the end
    /// of what comes. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// When the socket fails, or where TLS is in between.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, RecvFlags::PEEK).await
    }

    /// Waits for bytes and reads them, as many as fit and are here. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    ///
    /// When the socket fails, or where TLS is in between.
    pub async fn take(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, RecvFlags::empty()).await
    }

    /// Reads, unless it was found empty and has not been heard of since.
    pub fn poll_read_unless_dry(
        &mut self,
        dry: &mut Dry,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => dry.poll(context, |own| Pin::new(stream).poll_read(own, buffer)),
            Self::Unix(stream) => dry.poll(context, |own| Pin::new(stream).poll_read(own, buffer)),
            // whether there is something to read, it knows alone
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }

    async fn receive(&self, buffer: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
        let readable = Interest::READABLE;
        let (received, _) = match self {
            Self::Tcp(stream) => {
                stream.async_io(readable, || Ok(recv(stream, &mut *buffer, flags)?)).await?
            }
            Self::Unix(stream) => {
                stream.async_io(readable, || Ok(recv(stream, &mut *buffer, flags)?)).await?
            }
            Self::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(received)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = slices {
            return self.poll_write(context, only);
        }
        if slices.iter().map(|slice| slice.len()).sum::<usize>() <= SMALL {
            let mut piece = PIECE.take();
            piece.clear();
            slices.iter().for_each(|slice| piece.extend_from_slice(slice));
            let written = self.poll_write(context, &piece);
            PIECE.set(piece);
            return written;
        }
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
