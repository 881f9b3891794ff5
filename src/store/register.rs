//! The limits that counters belong to, by a number that stays the same across reloads.

use std::collections::HashMap;
use std::sync::Arc;

use crate::policy::key::{LimitId, ScopeKind};
use crate::policy::lockout::Limit;

/// What identifies a limit across reloads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitName {
    /// The site's name.
    pub site: Arc<str>,
    /// The login's, where the counters are its own.
    pub login: Option<Arc<str>>,
    /// The limit's.
    pub limit: Arc<str>,
    /// Whether its counters are for attempts that no limit counts.
    pub kind: ScopeKind,
}

/// A limit and what it is called.
#[derive(Clone, Debug)]
pub struct Registered {
    /// What identifies it.
    pub name: LimitName,
    /// Its numbers at present.
    pub limit: Arc<Limit>,
}

/// All limits that ever counted anything in this process.
#[derive(Debug, Default)]
pub struct Register {
    entries: Vec<Registered>,
    by_name: HashMap<LimitName, LimitId>,
}

impl Register {
    /// The number of the limit of that name; its numbers are `limit`'s from now on.
    pub fn register(&mut self, name: LimitName, limit: Arc<Limit>) -> LimitId {
        if let Some(id) = self.by_name.get(&name) {
            if let Some(entry) = self.entries.get_mut(id.0 as usize) {
                entry.limit = limit;
            }
            return *id;
        }
        let id = LimitId(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        self.by_name.insert(name.clone(), id);
        self.entries.push(Registered { name, limit });
        id
    }

    /// The limit of that number.
    #[must_use]
    pub fn get(&self, id: LimitId) -> Option<&Registered> {
        self.entries.get(id.0 as usize)
    }

    /// What they are called, each at the place of its number.
    pub fn names(&self) -> impl Iterator<Item = &LimitName> {
        self.entries.iter().map(|entry| &entry.name)
    }

    /// The number of the limit of that name.
    #[must_use]
    pub fn find(&self, name: &LimitName) -> Option<LimitId> {
        self.by_name.get(name).copied()
    }
}
