//! The guard as a program: the real binary between real clients and real upstreams.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    unreachable_pub,
    reason = "what goes wrong in a test's support fails the test; its `pub` is for the tests"
)]

mod driven;
mod rules;
mod secrets;
mod smoke;
mod support;
mod vectors;
