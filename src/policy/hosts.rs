//! Host -> site, by hash: as quick with a thousand sites as with one.

use std::collections::HashMap;

use super::route::HostPattern;

/// Which site answers for which hosts.
#[derive(Clone, Debug, Default)]
pub struct HostIndex {
    exact: HashMap<Box<str>, usize>,
    below: HashMap<Box<str>, usize>,
    /// The site for every host that no other names.
    any: Option<usize>,
}

impl HostIndex {
    /// The index of sites that answer for these hosts, by number; the first of several for one.
    #[must_use]
    pub fn new<'a>(sites: impl Iterator<Item = &'a [HostPattern]>) -> Self {
        let mut index = Self::default();
        for (at, hosts) in sites.enumerate() {
            if hosts.is_empty() {
                index.any = index.any.or(Some(at));
            }
            for host in hosts {
                match host {
                    HostPattern::Below(name) => index.below.entry(name.clone()).or_insert(at),
                    HostPattern::Exact(name) => index.exact.entry(name.clone()).or_insert(at),
                };
            }
        }
        index
    }

    /// The number of the site that answers for `host`, as a `Host` field names it; the first of all
    /// where a request of HTTP/1.0 names none and no site is for every host.
    #[must_use]
    pub fn find(&self, host: Option<&str>) -> Option<usize> {
        match host {
            None => self.any.or(Some(0)),
            Some(_) if self.exact.is_empty() && self.below.is_empty() => self.any,
            Some(host) => self.named(&bare(host), |names, name| names.get(name)).or(self.any),
        }
    }

    /// The site that is for `host`, by as many `look`s as that has parts.
    fn named<'a>(
        &'a self,
        host: &str,
        mut look: impl FnMut(&'a HashMap<Box<str>, usize>, &str) -> Option<&'a usize>,
    ) -> Option<usize> {
        if let Some(at) = look(&self.exact, host) {
            return Some(*at);
        }
        let mut rest = host;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(at) = look(&self.below, parent) {
                return Some(*at);
            }
            rest = parent;
        }
        None
    }
}

/// A host without its port, if it has one.
#[must_use]
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// A host's name alone: no port, no final dot, in lower case.
fn bare(host: &str) -> String {
    let name = without_port(host);
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_port_final_dot_and_case() {
        let check = |host, expected: &str| assert_eq!(bare(host), expected);
        check("Shop.Example.:8080", "shop.example");
        check("shop.example:", "shop.example");
        check("[2001:db8::1]:80", "[2001:db8::1]");
        check("[2001:db8::1]", "[2001:db8::1]");
    }

    /// Sites that are each for a name, and for all names below another.
    fn index(sites: usize) -> HostIndex {
        let hosts: Vec<[HostPattern; 2]> = (0..sites)
            .map(|at| {
                let [name, parent] = ["", "-all"].map(|kind| format!("site{at}{kind}.test").into());
                [HostPattern::Exact(name), HostPattern::Below(parent)]
            })
            .collect();
        HostIndex::new(hosts.iter().map(|hosts| &hosts[..]))
    }

    #[test]
    fn a_site_is_found_by_its_hosts_and_the_nearest_name_wins() {
        let exact = |name: &str| HostPattern::Exact(name.into());
        let below = |name: &str| HostPattern::Below(name.into());
        let sites =
            [vec![exact("a.test")], vec![below("a.test")], vec![below("b.a.test")], Vec::new()];
        let index = HostIndex::new(sites.iter().map(Vec::as_slice));
        for (host, site) in
            [("a.test", 0), ("x.a.test", 1), ("x.b.a.test:80", 2), ("B.A.test.", 1), ("test", 3)]
        {
            assert_eq!(index.find(Some(host)), Some(site), "{host}");
        }
        assert_eq!(index.find(None), Some(3));
        let index = HostIndex::new(sites.iter().take(3).map(Vec::as_slice));
        assert_eq!((index.find(Some("c.test")), index.find(None)), (None, Some(0)));
    }

    #[test]
    fn a_site_is_found_by_as_many_looks_however_many_there_are() {
        let looks = |sites: usize, host: &str| {
            let index = index(sites);
            let mut looks = 0;
            let found = index.named(host, |names, name| {
                looks += 1;
                names.get(name)
            });
            (found, looks)
        };
        for sites in [1, 1_000, 10_000] {
            let last = sites - 1;
            assert_eq!(looks(sites, &format!("site{last}.test")), (Some(last), 1));
            assert_eq!(looks(sites, &format!("a.b.site{last}-all.test")), (Some(last), 3));
            assert_eq!(looks(sites, "a.b.c.elsewhere.test"), (None, 5));
        }
    }
}
