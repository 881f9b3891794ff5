//! What is wrong with a configuration, where, and what would be right.
