//! What one guard tells its successor over the operators' socket, and how sockets are passed.
//!
//! Frames with their length, then, after the first, one byte with each socket (`SCM_RIGHTS`). The
//! first one holds the keys of the hashes: the socket is its owner's alone.

use std::io::{self, IoSlice, IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::clock::Moment;
use crate::config::ListenAddr;
use crate::policy::key::{Fingerprinter, Keyer};
use crate::wire::{Reader, Writer};

/// The successor: I listen; then, for each socket, whether it has it.
pub const LISTENS: u8 = 1;
/// The successor: I have all.
pub const TAKEN: u8 = 2;
/// The other one: it is yours.
pub const YOURS: u8 = 3;
/// The other one: I go on.
pub const RESUMES: u8 = 4;

/// How both are sure to mean the same.
const VERSION: u64 = 2;
/// No frame is longer.
const LONGEST: usize = 16 * 1024 * 1024;
/// No guard listens on more sockets.
const MOST: usize = 16 * 1024;

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Counters and locks by hand.
    Counters = 11,
    /// There is no more; how many frames there were.
    End,
    /// What sockets there are.
    Header,
    /// Sessions and credentials that were seen.
    Seen,
}

/// Whether a guard keeps its counters in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// It does not.
    No,
    /// It does.
    Yes,
}

/// What comes first.
#[derive(Clone)]
pub struct Header {
    /// What counters are hashed under, and what secrets are.
    pub secrets: (Keyer, Fingerprinter),
    /// Whether the lock of the file that keeps the counters follows the operators' socket and its
    /// lock.
    pub keeps: Keeps,
    /// Where the sockets listen that follow, after the operators' own and its lock.
    pub addresses: Vec<ListenAddr>,
    /// The unix sockets among them that are to be removed in the end.
    pub made: Vec<PathBuf>,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Header").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Header {
    /// As bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut to = Writer::new(Moment(0));
        to.number(VERSION);
        to.hash(u128::from_le_bytes(self.secrets.0.secret()));
        to.hash(u128::from_le_bytes(self.secrets.1.secret()));
        to.byte(self.keeps as u8);
        to.number(self.addresses.len() as u64);
        for address in &self.addresses {
            match address {
                ListenAddr::Tcp(address) => {
                    to.byte(0);
                    to.text(&address.to_string());
                }
                ListenAddr::Unix(path) => {
                    to.byte(1);
                    to.text(&path.to_string_lossy());
                }
            }
        }
        to.number(self.made.len() as u64);
        self.made.iter().for_each(|path| to.text(&path.to_string_lossy()));
        to.done()
    }

    /// Those bytes; `None` if they are of another version.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes, Moment(0));
        from.number().filter(|version| *version == VERSION)?;
        let header = Self {
            secrets: (
                Keyer::new(from.hash()?.to_le_bytes()),
                Fingerprinter::new(from.hash()?.to_le_bytes()),
            ),
            keeps: match from.byte()? {
                0 => Keeps::No,
                1 => Keeps::Yes,
                _ => return None,
            },
            addresses: from.several(|from| match from.byte()? {
                0 => from.text()?.parse().ok().map(ListenAddr::Tcp),
                1 => from.text().map(PathBuf::from).map(ListenAddr::Unix),
                _ => None,
            })?,
            made: from.several(|from| from.text().map(PathBuf::from))?,
        };
        (header.addresses.len() <= MOST && from.is_done()).then_some(header)
    }
}

/// A frame as it is sent.
#[must_use]
pub fn framed(part: Part, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(bytes.len() + 5);
    frame.push(part as u8);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(bytes);
    frame
}

/// Reads a frame; a byte that begins none is an error with which it can be told.
///
/// # Errors
///
/// When none comes.
pub fn read_frame(stream: &mut StdStream) -> io::Result<Result<(Part, Vec<u8>), u8>> {
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    let [kind] = kind;
    let parts = [Part::Counters, Part::End, Part::Header, Part::Seen];
    let Some(part) = parts.into_iter().find(|part| *part as u8 == kind) else {
        return Ok(Err(kind));
    };
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(Ok((part, bytes)))
}

/// Passes a socket.
///
/// # Errors
///
/// When the other end has gone.
pub async fn give(stream: &UnixStream, socket: &OwnedFd) -> io::Result<()> {
    let sending = || {
        let sockets: [BorrowedFd<'_>; 1] = [socket.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&sockets));
        let flags = SendFlags::NOSIGNAL;
        sendmsg(stream, &[IoSlice::new(&[0])], &mut control, flags).map_err(io::Error::from)
    };
    stream.async_io(Interest::WRITABLE, sending).await.map(drop)
}

/// Takes a socket.
///
/// # Errors
///
/// When none comes.
pub fn take(stream: &StdStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut slices = [IoSliceMut::new(&mut byte)];
    let received = recvmsg(stream, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("there are too few file descriptors"));
    }
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut sockets) = message
            && let Some(socket) = sockets.next()
        {
            return Ok(socket);
        }
    }
    Err(io::Error::other("a socket did not come"))
}
