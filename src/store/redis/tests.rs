//! The scripts on a real server.

mod equality;
mod server;
mod time;
