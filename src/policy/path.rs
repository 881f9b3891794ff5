//! The normal form of a path, and every form an upstream may take it for.
