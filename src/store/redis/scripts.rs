//! What the store server does by itself: each script is one step that nothing comes between.

use std::sync::LazyLock;

use super::script::Script;

/// A script that begins with what all have in common.
macro_rules! script {
    ($name:literal) => {
        LazyLock::new(|| {
            let code = concat!(include_str!("common.lua"), include_str!(concat!($name, ".lua")));
            Script::new($name, code)
        })
    };
}

/// Takes places in all counters of an attempt, or in none.
pub static ADMIT: LazyLock<Script> = script!("admit");

/// Settles an attempt that holds no places.
pub static CHARGE: LazyLock<Script> = script!("charge");

/// Adds what a guard knows of counters, and what only it has counted.
pub static MERGE: LazyLock<Script> = script!("merge");

/// Tells how counters stand.
pub static PEEK: LazyLock<Script> = script!("peek");

/// Reads and changes the locks by hand.
pub static HANDS: LazyLock<Script> = script!("hands");

/// Takes places that a guard has given out alone.
pub static HOLD: LazyLock<Script> = script!("hold");

/// Lets a lease run for longer.
pub static RENEW: LazyLock<Script> = script!("renew");

/// Takes away what an operator means.
pub static RESET: LazyLock<Script> = script!("reset");

/// Tells what counters are about and how they stand.
pub static SHOW: LazyLock<Script> = script!("show");

/// Ends a lease.
pub static SETTLE: LazyLock<Script> = script!("settle");
