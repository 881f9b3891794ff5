//! What stands for a secret that must be recognised and never read: a cookie, credentials.
//!
//! Hashes under a key that dies with the process (or goes to the one that takes over from it) and
//! that is written nowhere, so that nothing that is kept can be turned back into what was typed.

use std::fmt;

/// A value that must be recognised and never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

/// What keeps these hashes apart from those of other kinds.
const TAG: u8 = 3;

/// Hashes secrets under a key.
#[derive(Clone, Copy)]
pub struct Fingerprinter([u8; 16]);

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Fingerprinter(…)")
    }
}

impl Fingerprinter {
    /// Hashes under `secret`, which must be random.
    #[must_use]
    pub const fn new(secret: [u8; 16]) -> Self {
        Self(secret)
    }

    /// What it hashes under: for a successor, and for nobody else.
    #[must_use]
    pub const fn secret(&self) -> [u8; 16] {
        self.0
    }

    /// What stands for `fields`, for one `purpose`.
    #[must_use]
    pub fn fingerprint(&self, purpose: &str, fields: &[&[u8]]) -> Fingerprint {
        let all: Vec<&[u8]> = std::iter::once(purpose.as_bytes()).chain(fields.to_vec()).collect();
        Fingerprint(super::hash(&self.0, TAG, &all))
    }
}
