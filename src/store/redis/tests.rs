//! The scripts on a real server.

mod equality;
mod merging;
mod server;
mod time;
