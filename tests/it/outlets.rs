//! Where events go besides the log.

mod follow;
