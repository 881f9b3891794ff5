//! Each command as somebody types it: what it prints, and its exit status.

mod check;
mod completions;
mod contact;
mod demo;
mod explain;
mod health;
pub mod help;
mod live;
mod operate;
pub mod program;
mod references;
mod run;
