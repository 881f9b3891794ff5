//! What things are called in the store server. All that belongs to one site lies in one slot of a
//! Cluster, and no name of anything is readable there.

use crate::policy::key::{Key, Keyer, ScopeKind, ScopeNames};

/// Makes the names.
#[derive(Debug)]
pub struct Names {
    prefix: Box<str>,
    keyer: Keyer,
}

impl Names {
    /// Names that begin with `prefix` and hide what they stand for under `keyer`.
    #[must_use]
    pub fn new(prefix: &str, keyer: Keyer) -> Self {
        Self { prefix: prefix.into(), keyer }
    }

    /// What everything of one site begins with.
    #[must_use]
    pub fn site(&self, site: &str) -> String {
        let names = ScopeNames { site, login: None, limit: "", kind: ScopeKind::Limit };
        format!("{}:{{{:016x}}}", self.prefix, (self.keyer.scope(names) >> 64) as u64)
    }

    /// How often the locks by hand have changed, as a site is told.
    #[must_use]
    pub fn changes(&self, site: &str) -> Vec<u8> {
        changes(&self.site(site))
    }

    /// What all counters are called, as `SCAN` takes it.
    #[must_use]
    pub fn counters(&self) -> Vec<u8> {
        let mut pattern = String::new();
        for letter in self.prefix.chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '^' | '\\' | '-') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        format!("{pattern}:{{*}}:c:*").into_bytes()
    }

    /// How often they have changed, as the whole fleet is told.
    #[must_use]
    pub fn hands_mark(&self) -> Vec<u8> {
        format!("{}:{{hands}}:v", self.prefix).into_bytes()
    }

    /// Which counters were reset lately.
    #[must_use]
    pub fn resets(&self) -> Vec<u8> {
        format!("{}:{{hands}}:r", self.prefix).into_bytes()
    }

    /// The locks by hand.
    #[must_use]
    pub fn hands(&self) -> Vec<u8> {
        format!("{}:{{hands}}", self.prefix).into_bytes()
    }
}

/// See [`Names::changes`].
#[must_use]
pub fn changes(site: &str) -> Vec<u8> {
    format!("{site}:v").into_bytes()
}

/// The counter `key` of a site.
#[must_use]
pub fn counter(site: &str, key: Key) -> Vec<u8> {
    format!("{site}:c:{:032x}", key.0).into_bytes()
}
