//! An answer as a client got it.

use super::lines::Lines;
use super::wire::{Body, Framing};

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `HTTP/1.1`.
    pub version: String,
    /// `403`.
    pub status: u16,
    /// `Forbidden`.
    pub reason: String,
    /// Its fields, in order.
    pub fields: Lines,
    /// Its body.
    pub body: Body,
}

impl Answer {
    /// Reads a head.
    #[track_caller]
    pub fn new(line: &str, fields: Lines) -> Self {
        let (version, rest) = line.split_once(' ').unwrap();
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        Self {
            version: version.to_owned(),
            status: status.parse().unwrap(),
            reason: reason.to_owned(),
            fields,
            body: Body::default(),
        }
    }

    /// How long the body of the answer to a request of `method` is.
    pub fn framing(&self, method: &str) -> Framing {
        if method == "HEAD" || self.status < 200 || [204, 304].contains(&self.status) {
            return Framing::Length(0);
        }
        match (self.get("transfer-encoding"), self.get("content-length")) {
            (Some(_), _) => Framing::Chunked,
            (None, Some(length)) => Framing::Length(length.parse().unwrap()),
            (None, None) => Framing::Close,
        }
    }

    /// The value of a field that is there once.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }

    /// Its body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }

    /// What the guard says that its own answer is; empty where the answer is the upstream's.
    #[track_caller]
    pub fn kind(&self) -> &str {
        self.get("x-loginward").unwrap_or_default()
    }

    /// Status and kind.
    #[track_caller]
    pub fn verdict(&self) -> (u16, &str) {
        (self.status, self.kind())
    }
}
