//! What of the settings can change while the guard runs, and what takes a restart.

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
        stay("store", self.store == before.store);
        stay("user", self.run_as == before.run_as);
        stay("sandbox", self.sandbox == before.sandbox);
        stay("admin", self.admin == before.admin);
        stay("metrics", self.metrics == before.metrics);
        stay("log.format", self.log.format == before.log.format);
        stay("audit", self.audit == before.audit);
        self.listen = before.listen.iter().map(|listen| self.listener(listen)).collect();
        self.workers = before.workers;
        self.store = before.store.clone();
        self.run_as = before.run_as.clone();
        self.sandbox = before.sandbox;
        self.admin = before.admin.clone();
        self.metrics = before.metrics;
        self.log.format = before.log.format;
        self.audit.clone_from(&before.audit);
        (self, stays)
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
