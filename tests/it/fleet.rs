//! Many guards, one memory.

mod told;
mod wire;
