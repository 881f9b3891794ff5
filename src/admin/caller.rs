//! Who asks: what is said of him wherever something is changed.

use std::fmt;
use std::net::SocketAddr;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever knows the token, from this address.
    Tcp(SocketAddr),
    /// A process of this user, by number where the kernel tells it.
    Unix(Option<u32>),
}

impl fmt::Display for Caller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(out, "admin at {address}"),
            Self::Unix(Some(uid)) => write!(out, "admin with uid {uid}"),
            Self::Unix(None) => out.write_str("admin"),
        }
    }
}
