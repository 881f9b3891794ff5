//! The normal form of a username.

/// A folded username: all spellings of one account are one of these.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(Box<str>);

impl std::fmt::Debug for Account {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Account(…)")
    }
}

impl Account {
    /// The folded text.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Stand-in until folding lands.
#[cfg(test)]
#[must_use]
pub fn fold_one(raw: &[u8]) -> Account {
    Account(String::from_utf8_lossy(raw).into())
}
