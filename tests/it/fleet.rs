//! Many guards, one memory.

mod cap;
mod operate;
mod suites;
mod told;
mod wire;
