//! Many guards, one memory.

mod cap;
mod suites;
mod told;
mod wire;
