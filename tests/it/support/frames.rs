//! A client that writes the frames of HTTP/2 (RFC 9113, section 4) as a test wants them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::Authority;
use super::guard::Guard;
use super::wait::PATIENCE;

/// Kinds of frames.
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The frame is the last of its stream.
pub const END_STREAM: u8 = 1;
/// The frame is the last of its fields.
pub const END_HEADERS: u8 = 4;

/// `GET https://shop.test/`, compressed (RFC 7541).
pub const GET: &[u8] = b"\x82\x84\x87\x41\x09shop.test";
/// `POST https://shop.test/`.
pub const POST: &[u8] = b"\x83\x84\x87\x41\x09shop.test";

/// A connection.
pub struct Frames(StreamOwned<ClientConnection, TcpStream>);

/// What came of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// The guard ended it, and said why: the code of RFC 9113, section 7.
    GoneAway(u32),
    /// The guard ended it.
    Ended,
}

impl Frames {
    /// A client that has said hello to a guard which `authority` vouches for.
    #[track_caller]
    pub fn to(guard: &Guard, authority: &Authority) -> Self {
        let mut config = authority.client();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("shop.test").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(guard.tls_addr()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        stream.write_all(&frame(kind::SETTINGS, 0, 0, b"")).unwrap();
        Self(stream)
    }

    /// Writes these frames; `false` once the guard has ended the connection.
    pub fn write(&mut self, frames: &[u8]) -> bool {
        self.0.write_all(frames).and_then(|()| self.0.flush()).is_ok()
    }

    /// Reads until the guard has ended the connection. The end may overtake what is said of it.
    #[track_caller]
    pub fn fate(&mut self) -> Fate {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("it goes on"),
            Err(_) | Ok(_) => {}
        }
        let mut rest = &bytes[..];
        while let [a, b, c, of, _, _, _, _, _, after @ ..] = rest {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            if *of == kind::GOAWAY {
                return Fate::GoneAway(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
            rest = after;
        }
        Fate::Ended
    }
}

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length.to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
