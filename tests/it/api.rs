//! The admin API: what operators ask, and what they are told.

pub mod asking;
mod by_hand;
mod chain;
mod door;
mod list;
mod openapi;
mod reset;
mod tcp;

pub use asking::{Operator, operator};
