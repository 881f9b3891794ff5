//! Many guards, one memory.

mod cap;
mod compose;
mod example;
mod operate;
mod outage;
mod renewed;
mod suites;
mod told;
mod wire;
