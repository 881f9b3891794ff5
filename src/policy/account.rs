//! The normal form of a username.
