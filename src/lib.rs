//! loginward: a reverse proxy that guards the logins of applications nobody wants to change.

pub mod clock;
pub mod config;
pub mod policy;
pub mod store;
