//! Many guards, one memory.

mod wire;
