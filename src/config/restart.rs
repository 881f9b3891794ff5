//! What of the settings can change while the guard runs, and what takes a restart.

use std::sync::Arc;

use serde_json::Value;

use super::{Listen, Settings};

impl Settings {
    /// These settings as far as a guard can change to them that runs by `before`, and the keys of
    /// what stays as it is there until a restart.
    #[must_use]
    pub fn after(mut self, before: &Self) -> (Self, Vec<&'static str>) {
        let mut stays = Vec::new();
        let mut stay = |key, is_same: bool| {
            if !is_same {
                stays.push(key);
            }
        };
        stay("listen", self.same_listeners(before));
        stay("workers", self.workers == before.workers);
        let keeps_store = self.store.follows(&before.store);
        stay("store", keeps_store);
        stay("user", self.run_as == before.run_as);
        stay("sandbox", self.sandbox == before.sandbox);
        let is_same = self.admin == before.admin && self.admin_tcp == before.admin_tcp;
        stay("admin", is_same);
        stay("metrics", self.metrics == before.metrics);
        stay("log.format", self.log.format == before.log.format);
        stay("audit", self.audit == before.audit);
        self.listen = before.listen.iter().map(|listen| self.listener(listen)).collect();
        self.workers = before.workers;
        if !keeps_store {
            self.store = before.store.clone();
        }
        self.run_as = before.run_as.clone();
        self.sandbox = before.sandbox;
        self.admin = before.admin.clone();
        self.admin_tcp.clone_from(&before.admin_tcp);
        self.metrics = before.metrics;
        self.log.format = before.log.format;
        self.audit.clone_from(&before.audit);
        self.written = Arc::new(self.written_with(before, &stays));
        (self, stays)
    }

    /// What is written, but that of `before` for the keys that stay.
    fn written_with(&self, before: &Self, stays: &[&str]) -> Value {
        let mut written = (*self.written).clone();
        for key in stays {
            let mut parents = key.split('.');
            let (Some(first), rest) = (parents.next(), parents.next()) else { continue };
            let old = before.written.get(first);
            let old = rest.map_or(old, |rest| old.and_then(|old| old.get(rest)));
            let place = match rest {
                None => Some(&mut written),
                Some(_) => written.get_mut(first),
            };
            let Some(place) = place.and_then(Value::as_object_mut) else { continue };
            let name = rest.unwrap_or(first);
            match old {
                Some(old) => _ = place.insert(name.to_owned(), old.clone()),
                None => _ = place.remove(name),
            }
        }
        written
    }

    /// `before` as it is now, if it is still there and still speaks TLS, or still does not.
    fn listener(&self, before: &Listen) -> Listen {
        let same = self.listen.iter().find(|listen| {
            listen.address == before.address && listen.tls.is_some() == before.tls.is_some()
        });
        same.unwrap_or(before).clone()
    }

    fn same_listeners(&self, before: &Self) -> bool {
        let kind = |listen: &Listen| (listen.address.clone(), listen.tls.is_some());
        let is_in = |list: &[Listen], listen| list.iter().any(|other| kind(other) == kind(listen));
        self.listen.len() == before.listen.len()
            && self.listen.iter().all(|listen| is_in(&before.listen, listen))
    }
}
