//! What the guard decides: pure functions of a request, an answer, a history and the time.
//!
//! Invariant: nothing below this module performs I/O, waits, logs, or asks for the time of day.
//! Decisions return values; [`crate::guard`] carries them out and reports them.

pub mod account;
pub mod balance;
pub mod client;
pub mod coding;
pub mod credentials;
pub mod glob;
pub mod hosts;
pub mod key;
pub mod lockout;
pub mod method;
pub mod outcome;
pub mod path;
pub mod proxy_header;
pub mod reference;
pub mod route;
pub mod scheme;
pub mod session;
pub mod shedding;
pub mod smuggling;
