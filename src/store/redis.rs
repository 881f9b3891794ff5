//! The counters of several guards, in one Redis or Valkey.
//!
//! Nothing outside of this directory knows the client or its protocol.

pub mod breaker;
mod connect;
pub mod outage;
pub mod script;
pub mod settings;
pub mod wire;
