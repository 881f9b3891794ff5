//! What a client's connection is doing.

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for the next request.
    Idle,
    /// A head has begun to arrive.
    Head,
    /// A request is here, its body may still be arriving.
    Body,
    /// The whole request is here, the answer is not out yet.
    Answering,
    /// The answer is made, its last bytes may still be here.
    Answered,
    /// Requests are under way on it, each on a stream of its own.
    Streams,
    /// It speaks another protocol now, until its end.
    Tunnel,
}

impl Phase {
    /// Whether it is the client's turn.
    #[must_use]
    pub const fn awaits_client(self) -> bool {
        matches!(self, Self::Head | Self::Idle)
    }
}
