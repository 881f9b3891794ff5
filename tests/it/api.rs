//! The admin API: what operators ask, and what they are told.

mod asking;
mod door;
mod list;
mod reset;

pub use asking::{Operator, operator};
