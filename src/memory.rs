//! Memory that is free goes back to the system, which a thread of the allocator's own looks after.
//!
//! Connections that have become quiet leave most of theirs. By itself the allocator gives back only
//! when somebody allocates, and where connections are quiet nobody does.

use std::io;

use tikv_jemalloc_ctl::background_thread;

/// Starts that thread. It may do what the calling thread may, as any other one.
///
/// # Errors
///
/// When the system gives no thread.
pub fn give_back() -> io::Result<()> {
    background_thread::write(true).map_err(|error| io::Error::other(error.to_string()))
}
