//! The scripts and the store over them on a real server.

mod away;
mod back;
mod both;
mod equality;
mod merging;
mod server;
mod stores;
mod time;
mod waiting;
