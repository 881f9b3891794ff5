//! Many guards, one memory.

mod cap;
mod compose;
mod ended;
mod example;
mod load;
mod operate;
mod outage;
mod renewed;
mod suites;
mod told;
mod under_load;
mod wire;
