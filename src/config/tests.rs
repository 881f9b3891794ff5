//! What the configuration says to people.
