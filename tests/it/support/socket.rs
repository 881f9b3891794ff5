//! A TCP or unix socket, or TLS over one, blocking, with a bound on how long it blocks.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};
use socket2::{Domain, SockRef, Type};

use super::wait::PATIENCE;

/// A socket.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
    /// With TLS, whose handshake comes with the first byte that is read or written.
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Socket {
    /// Connects over TCP, from an address of this machine's own choice or a given one.
    pub fn connect(to: SocketAddr, from: Option<IpAddr>) -> Self {
        let socket = socket2::Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        if let Some(from) = from {
            socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
        }
        socket.connect(&to.into()).unwrap();
        Self::from(TcpStream::from(socket))
    }

    /// Connects to a unix socket.
    pub fn connect_unix(path: &Path) -> Self {
        Self::from(UnixStream::connect(path).unwrap())
    }

    /// How long reading and writing may block.
    pub fn set_patience(&self, patience: Duration) {
        let socket = self.raw();
        socket.set_read_timeout(Some(patience)).unwrap();
        socket.set_write_timeout(Some(patience)).unwrap();
    }

    /// What was agreed on with whoever connected.
    #[track_caller]
    pub fn tls(&self) -> &ServerConnection {
        match self {
            Self::Tls(stream) => &stream.conn,
            Self::Tcp(_) | Self::Unix(_) => panic!("it speaks no TLS"),
        }
    }

    /// The same of a server's that has not shaken hands yet.
    pub fn serve_tls(stream: TcpStream, connection: ServerConnection) -> Self {
        stream.set_nodelay(true).unwrap();
        let socket = Self::Tls(Box::new(StreamOwned::new(connection, stream)));
        socket.set_patience(PATIENCE);
        socket
    }

    /// Ends one direction or both.
    pub fn shutdown(&mut self, how: Shutdown) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            drop(stream.flush());
        }
        // the other end may be gone already
        drop(self.raw().shutdown(how));
    }

    /// Ends it with a reset.
    pub fn reset(self) {
        self.raw().set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn raw(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
            Self::Tls(stream) => SockRef::from(&stream.sock),
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        let socket = Self::Tcp(stream);
        socket.set_patience(PATIENCE);
        socket
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        let socket = Self::Unix(stream);
        socket.set_patience(PATIENCE);
        socket
    }
}

/// A handshake that fails and an end without a farewell end a connection like any other.
#[expect(clippy::wildcard_enum_match_arm, reason = "foreign and open-ended")]
fn over(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            io::ErrorKind::ConnectionReset.into()
        }
        _ => error,
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer).map_err(over),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Tls(stream) => {
                let written = stream.write(bytes)?;
                stream.flush().map(|()| written)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
