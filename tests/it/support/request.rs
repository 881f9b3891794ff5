//! A request as an upstream got it.

use super::lines::Lines;
use super::wire::{Body, Framing};

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// `/login?next=/`.
    pub target: String,
    /// `HTTP/1.1`.
    pub version: String,
    /// Its fields, in order.
    pub fields: Lines,
    /// Its body; empty where only the head was read.
    pub body: Body,
    /// The number of the connection by which it came, from 0.
    pub connection: usize,
}

impl Request {
    /// Reads a head.
    pub fn new(line: &str, fields: Lines, connection: usize) -> Self {
        let mut words = line.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let (method, target, version) = (word(), word(), word());
        Self { method, target, version, fields, body: Body::default(), connection }
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

    /// How long its body is.
    pub fn framing(&self) -> Framing {
        match (self.get("transfer-encoding"), self.get("content-length")) {
            (Some(coding), None) => {
                assert_eq!(coding, "chunked");
                Framing::Chunked
            }
            (None, Some(length)) => Framing::Length(length.parse().unwrap()),
            (None, None) => Framing::Length(0),
            (Some(_), Some(_)) => panic!("framed twice: {:?}", self.fields),
        }
    }
}
