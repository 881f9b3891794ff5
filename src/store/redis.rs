//! The counters of several guards, in one Redis or Valkey.
//!
//! Nothing outside of this directory knows the client or its protocol. While the server serves, its
//! scripts are the counters: they do what [`crate::policy::lockout`] does. What they answer is
//! adopted into the counters of this process, which are a mirror then.

pub mod about;
mod admit;
pub mod answer;
pub mod background;
pub mod breaker;
mod connect;
pub mod counter;
mod describe;
pub mod fleet_key;
pub mod hands;
pub mod heed;
pub mod later;
pub mod lease;
pub mod lines;
pub mod local;
pub mod meanwhile;
pub mod merge;
pub mod meter;
pub mod names;
pub mod outage;
mod peek;
pub mod recover;
pub mod request;
pub mod reset;
pub mod scan;
pub mod script;
pub mod scripts;
pub mod settings;
mod settle;
pub mod shared;
mod sought;
pub mod spread;
pub mod taken;
pub mod wire;

#[cfg(test)]
mod tests;
