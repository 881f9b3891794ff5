//! What an attempt is charged to: tagged, length-prefixed, keyed hashes.
