//! The scripts and the store over them on a real server.

mod away;
mod back;
mod both;
mod doubt;
mod equality;
mod hands;
mod merging;
mod server;
mod stores;
mod time;
mod waiting;
