//! Each command as somebody types it: what it prints, and its exit status.

mod check;
mod demo;
mod health;
mod help;
mod operate;
pub mod program;
mod run;
