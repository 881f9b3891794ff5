//! Login exchanges whose client has gone: not too many of them for one address or one site.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ipnet::IpNet;

use crate::store::memory::lock;

/// How many exchanges of one address may go on without a client.
pub const MOST_PER_ADDRESS: u32 = 32;
/// How many of one site may.
pub const MOST_PER_SITE: u32 = 1024;

/// The exchanges that go on without a client.
#[derive(Debug, Default)]
pub struct Detached {
    counts: Mutex<Counts>,
    /// How many there are, to be looked at without the lock.
    total: AtomicU32,
}

#[derive(Debug, Default)]
struct Counts {
    by_address: HashMap<IpNet, u32>,
    by_site: HashMap<Arc<str>, u32>,
}

/// One exchange that goes on without its client; dropped when it is over.
#[derive(Debug)]
pub struct WithoutClient {
    of: Arc<Detached>,
    address: IpNet,
    site: Arc<str>,
}

impl Detached {
    /// Whether another attempt of `address` on `site` may begin.
    #[must_use]
    pub fn has_room(&self, address: IpNet, site: &Arc<str>) -> bool {
        if self.count() < MOST_PER_ADDRESS {
            return true;
        }
        let counts = lock(&self.counts);
        counts.by_address.get(&address).is_none_or(|count| *count < MOST_PER_ADDRESS)
            && counts.by_site.get(site).is_none_or(|count| *count < MOST_PER_SITE)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.total.load(Ordering::Acquire)
    }

    /// An exchange of `address` on `site` has lost its client.
    #[must_use]
    pub fn begin(self: &Arc<Self>, address: IpNet, site: Arc<str>) -> WithoutClient {
        self.total.fetch_add(1, Ordering::AcqRel);
        let mut counts = lock(&self.counts);
        *counts.by_address.entry(address).or_default() += 1;
        *counts.by_site.entry(Arc::clone(&site)).or_default() += 1;
        drop(counts);
        WithoutClient { of: Arc::clone(self), address, site }
    }
}

impl Drop for WithoutClient {
    fn drop(&mut self) {
        self.of.total.fetch_sub(1, Ordering::AcqRel);
        let mut counts = lock(&self.of.counts);
        one_less(&mut counts.by_address, &self.address);
        one_less(&mut counts.by_site, &self.site);
    }
}

fn one_less<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) {
    let Some(count) = counts.get_mut(key) else { return };
    *count = count.saturating_sub(1);
    if *count == 0 {
        counts.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpNet {
        IpNet::from(std::net::IpAddr::from(std::net::Ipv4Addr::from(number)))
    }

    #[test]
    fn an_address_may_have_so_many_and_others_are_not_concerned() {
        let detached = Arc::new(Detached::default());
        let site: Arc<str> = "s".into();
        let mut own: Vec<_> =
            (0..MOST_PER_ADDRESS).map(|_| detached.begin(address(1), Arc::clone(&site))).collect();
        assert!(!detached.has_room(address(1), &site));
        assert!(detached.has_room(address(2), &site));
        own.pop();
        assert!(detached.has_room(address(1), &site), "one is over");
        drop(own);
        assert_eq!(detached.count(), 0);
    }

    #[test]
    fn a_site_may_have_so_many_and_others_are_not_concerned() {
        let detached = Arc::new(Detached::default());
        let site: Arc<str> = "s".into();
        let mut own: Vec<_> = (0..MOST_PER_SITE)
            .map(|number| detached.begin(address(number), Arc::clone(&site)))
            .collect();
        assert!(!detached.has_room(address(MOST_PER_SITE), &site));
        assert!(detached.has_room(address(MOST_PER_SITE), &"other".into()));
        own.pop();
        assert!(detached.has_room(address(MOST_PER_SITE), &site), "one is over");
    }
}
