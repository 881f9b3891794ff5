//! The contract's promises and its rules of counting, through the real guard with a driven clock.
//!
//! What django-axes' vectors show already is in [`crate::vectors`].

mod attempts;
mod eviction;
mod exempt;
mod limits;
mod locked;
mod operators;
mod outcomes;
mod reported;
mod scopes;
mod success;
mod waiting;

use crate::driven::play::play;
use crate::driven::{Driven, Setup};

/// Plays `steps` where the lockout is `lockout`.
#[track_caller]
fn check(lockout: &str, steps: &str) -> Driven {
    play(lockout, &Setup::lockout(lockout), steps)
}
