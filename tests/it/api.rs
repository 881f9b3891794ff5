//! The admin API: what operators ask, and what they are told.

mod asking;
mod door;
mod list;

pub use asking::{Operator, operator};
