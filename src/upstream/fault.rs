//! What upstreams do wrong, in a word: for metrics.

use super::UpstreamError;

/// What an upstream did wrong. The words are an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It broke off in the midst of an answer's body.
    Body,
    /// It broke off before the head of an answer.
    Broken,
    /// No connection could be opened.
    Connect,
    /// Opening one took too long.
    ConnectTimeout,
    /// A check says of each server that it takes no requests.
    NoneHealthy,
    /// No head of an answer came in time.
    Timeout,
    /// The handshake of TLS failed.
    Tls,
    /// The answer was to a question nobody asked.
    Unexpected,
}

impl Fault {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Body,
        Self::Broken,
        Self::Connect,
        Self::ConnectTimeout,
        Self::NoneHealthy,
        Self::Timeout,
        Self::Tls,
        Self::Unexpected,
    ];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Broken => "broken",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::NoneHealthy => "none_healthy",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Unexpected => "unexpected",
        }
    }
}

impl UpstreamError {
    /// What the upstream did wrong, where it did.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        match self {
            Self::Broken(_) => Some(Fault::Broken),
            Self::Connect(_) => Some(Fault::Connect),
            Self::ConnectTimeout => Some(Fault::ConnectTimeout),
            Self::NoneHealthy => Some(Fault::NoneHealthy),
            Self::Timeout => Some(Fault::Timeout),
            Self::Tls(_) => Some(Fault::Tls),
            Self::Unexpected => Some(Fault::Unexpected),
            Self::LateField | Self::Unspeakable => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_stands_at_its_number() {
        for (at, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, at, "{fault:?}");
        }
    }
}
