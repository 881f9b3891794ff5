//! loginward: a reverse proxy that guards the logins of applications nobody wants to change.

pub mod alarm;
pub mod body;
pub mod cli;
pub mod clock;
pub mod config;
pub mod events;
pub mod guard;
pub mod headers;
pub mod link;
pub mod log;
pub mod metrics;
pub mod policy;
pub mod rejection;
pub mod server;
pub mod store;
pub mod stream;
pub mod upstream;
