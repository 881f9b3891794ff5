//! The counters of several guards, in one Redis or Valkey.
//!
//! Nothing outside of this directory knows the client or its protocol. While the server serves, its
//! scripts are the counters: they do what [`crate::policy::lockout`] does. What they answer is
//! adopted into the counters of this process, which are a mirror then.

pub mod breaker;
mod connect;
pub mod counter;
pub mod fleet_key;
pub mod meter;
pub mod outage;
pub mod script;
pub mod scripts;
pub mod settings;
pub mod wire;

#[cfg(test)]
mod tests;
