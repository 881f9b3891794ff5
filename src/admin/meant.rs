//! Whom an operator means: an address, a network, a username in any spelling, a site, a counter, a
//! reference; all that is given has to fit.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use super::reply::Problem;
use crate::guard::Shared;
use crate::policy::account::{Account, Charset, accounts};
use crate::policy::client::ClientAddr;
use crate::policy::key::{AccountId, Key};
use crate::policy::lockout::Parameter;
use crate::policy::reference::Reference;
use crate::store::Store;
use crate::store::index::part_of;
use crate::store::register::Registered;
use crate::store::select::Selector;
use crate::store::slot::Slot;

/// What an operator writes to say whom he means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// An address, a network or a name.
    pub what: Option<&'a str>,
    /// An address, or a network.
    pub ip: Option<&'a str>,
    /// A network, or an address.
    pub network: Option<&'a str>,
    /// A username, as its owner may write it or as lists show it.
    pub username: Option<&'a str>,
    /// A site's name.
    pub site: Option<&'a str>,
    /// A counter's `id`.
    pub counter: Option<&'a str>,
    /// What a refused client was told.
    pub reference: Option<&'a str>,
}

/// The names of these as parameters and members.
pub const NAMES: [&str; 7] = ["what", "ip", "network", "username", "site", "counter", "ref"];

/// The counters that an operator means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meant {
    base: Selector,
    username: Option<Named>,
    reference: Option<Reference>,
    /// The counters that refused it, as far as that is remembered.
    refused: Vec<Key>,
}

/// A username that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    /// As the operator wrote it.
    written: Arc<str>,
    /// Every account that a login may take it for; the first is the likeliest.
    accounts: Vec<AccountId>,
    /// Those of them that a login of the guard takes it for as it is now.
    current: Vec<AccountId>,
}

impl<'a> Asked<'a> {
    /// What `get` knows under these [`NAMES`].
    #[must_use]
    pub fn by(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self {
            what: get("what"),
            ip: get("ip"),
            network: get("network"),
            username: get("username"),
            site: get("site"),
            counter: get("counter"),
            reference: get("ref"),
        }
    }

    /// Nothing is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is given and empty: whoever writes that means somebody, and not everybody.
    fn blank(&self) -> Option<&'static str> {
        let all = [
            self.what,
            self.ip,
            self.network,
            self.username,
            self.site,
            self.counter,
            self.reference,
        ];
        NAMES.into_iter().zip(all).find_map(|(name, value)| (value == Some("")).then_some(name))
    }

    /// With the bare word of `what` in its place.
    fn sorted(self) -> Result<Self, Problem> {
        let Some(word) = self.what else { return Ok(self) };
        let twice = || Problem::bad(format!("{word:?} says again what is said otherwise"));
        let mut sorted = Self { what: None, ..self };
        if network(word).is_some() {
            if self.ip.is_some() || self.network.is_some() {
                return Err(twice());
            }
            sorted.network = Some(word);
        } else if looks_like_an_address(word) {
            let detail = "is no address and no network; where it is a username, say so";
            return Err(Problem::bad(format!("{word:?} {detail}: `username`")));
        } else {
            if self.username.is_some() {
                return Err(twice());
            }
            sorted.username = Some(word);
        }
        Ok(sorted)
    }
}

impl Meant {
    /// What `asked` means to the guard that `shared` belongs to.
    ///
    /// # Errors
    ///
    /// When something given is not what it should be.
    pub fn resolve(asked: Asked<'_>, shared: &Shared) -> Result<Self, Problem> {
        if let Some(name) = asked.blank() {
            return Err(Problem::bad(format!("`{name}` is empty")));
        }
        let asked = asked.sorted()?;
        if asked.ip.is_some() && asked.network.is_some() {
            return Err(Problem::bad("give an address or a network, and not both"));
        }
        let network = asked.ip.or(asked.network).map(|written| {
            let wrong = || Problem::bad(format!("{written:?} is no address and no network"));
            network(written).ok_or_else(wrong)
        });
        let counter = asked.counter.map(|written| {
            let wrong = || Problem::bad(format!("{written:?} is no counter's id: 32 hex digits"));
            counter(written).ok_or_else(wrong)
        });
        let reference = asked.reference.map(|written| {
            let wrong =
                || Problem::bad(format!("{written:?} is no reference: 8 letters or digits"));
            written.parse().map_err(|_| wrong())
        });
        let username = asked.username.map(|written| named(written, asked.site, shared));
        let reference = reference.transpose()?.map(|written| known(written, shared));
        let refused = reference.and_then(|reference| shared.refusals.find(reference));
        let mut base = Selector {
            site: asked.site.map(Arc::from),
            network: network.transpose()?,
            account: None,
            counter: counter.transpose()?,
        };
        base.widen(&shared.plans.latest().settings.clients);
        Ok(Self {
            refused: refused.map(|refused| refused.locked()).unwrap_or_default(),
            base,
            username: username.transpose()?,
            reference,
        })
    }

    /// Whether the counter `slot` under `limit` is meant.
    #[must_use]
    pub fn fits(&self, slot: &Slot, limit: &Registered) -> bool {
        let is_refused =
            |reference| Reference::of(slot.key) == reference || self.refused.contains(&slot.key);
        self.reference.is_none_or(is_refused)
            && self.base.fits(slot, limit)
            && self.username.as_ref().is_none_or(|named| {
                let candidate = slot.whose().candidate;
                let by = &limit.limit.by;
                candidate.filter(|_| by.contains(&Parameter::Username)).is_some_and(|candidate| {
                    named.accounts.contains(&candidate.account)
                        || candidate.shown == Some(&*named.written)
                })
            })
    }

    /// The parts of all counters in which those may be that are meant.
    #[must_use]
    pub fn parts(&self) -> Vec<usize> {
        let key = self.base.counter.or_else(|| self.reference.map(Reference::first_key));
        let Some(key) = key else { return Store::parts().collect() };
        let mut parts: Vec<usize> =
            self.refused.iter().copied().chain([key]).map(part_of).collect();
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// Selectors that mean the same: one for each account, where there is a username.
    #[must_use]
    pub fn selectors(&self) -> Vec<Selector> {
        self.selectors_of(self.username.as_ref().map(|named| &*named.accounts))
    }

    /// Selectors of all attempts that may still come of whom is meant.
    #[must_use]
    pub fn to_come(&self) -> Vec<Selector> {
        self.selectors_of(self.username.as_ref().map(|named| &*named.current))
    }

    fn selectors_of(&self, accounts: Option<&[AccountId]>) -> Vec<Selector> {
        let Some(accounts) = accounts else { return vec![self.base.clone()] };
        let of = |account| Selector { account: Some(account), ..self.base.clone() };
        accounts.iter().copied().map(of).collect()
    }

    /// The counters that are named by themselves: one, or those that refused a reference. Those of
    /// the latter that are not remembered are met on the way through the counters.
    #[must_use]
    pub fn counters(&self, store: &Store) -> Vec<Key> {
        let mut counters = self.refused.clone();
        for part in self.parts() {
            store.scan(part, |found| {
                let is_meant = self.fits(found.slot, found.registered);
                counters.extend(is_meant.then_some(found.slot.key));
            });
        }
        counters.sort_unstable();
        counters.dedup();
        counters
    }

    /// Whether the counter `key` belongs to the reference that is meant, or refused it.
    #[must_use]
    pub fn has_refused(&self, key: Key) -> bool {
        let is_own = self.reference.is_some_and(|reference| Reference::of(key) == reference);
        is_own || self.refused.contains(&key)
    }

    /// The username that is meant, as the operator wrote it.
    #[must_use]
    pub fn username(&self) -> Option<&Arc<str>> {
        self.username.as_ref().map(|named| &named.written)
    }

    /// The reference that is meant.
    #[must_use]
    pub const fn reference(&self) -> Option<Reference> {
        self.reference
    }

    /// What else than the username and the reference is meant.
    #[must_use]
    pub const fn base(&self) -> &Selector {
        &self.base
    }
}

/// A username by all the readings that some login has of it, at that site where one is named.
fn named(written: &str, site: Option<&str>, shared: &Shared) -> Result<Named, Problem> {
    let plan = shared.plans.latest();
    let keyer = shared.store.keyer();
    let mut found: Vec<AccountId> =
        Account::new(written).iter().map(|account| keyer.account(account)).collect();
    let mut current: Vec<AccountId> = Vec::new();
    for at in plan.sites().iter() {
        let rules = at.rules().iter();
        let read =
            rules.flat_map(|rule| accounts(written.as_bytes(), Charset::Utf8, &rule.rule.naming));
        let read: Vec<AccountId> = read.map(|account| keyer.account(&account)).collect();
        found.extend(&read);
        if site.is_none_or(|site| *at.site.name == *site) {
            current.extend(read);
        }
    }
    let (mut met, mut met_too) = (HashSet::new(), HashSet::new());
    found.retain(|account| met.insert(*account));
    current.retain(|account| met_too.insert(*account));
    if found.is_empty() {
        return Err(Problem::bad("nothing is left of that username, so nothing is counted by it"));
    }
    if current.is_empty() {
        current.clone_from(&found);
    }
    Ok(Named { written: written.into(), accounts: found, current })
}

/// The reference of which something is known, of `written` and those that look like it.
fn known(written: Reference, shared: &Shared) -> Reference {
    if shared.refusals.find(written).is_some() {
        return written;
    }
    let mut all = vec![written];
    all.extend(written.alike());
    let mut parts: Vec<usize> = all.iter().map(|one| part_of(one.first_key())).collect();
    parts.sort_unstable();
    parts.dedup();
    let mut counters = Vec::new();
    for part in parts {
        shared.store.scan(part, |found| {
            let own = Reference::of(found.slot.key);
            counters.extend(all.contains(&own).then_some(own));
        });
    }
    let is_known = |one: &Reference| counters.contains(one) || shared.refusals.find(*one).is_some();
    all.into_iter().find(is_known).unwrap_or(written)
}

/// An address or a network; an IPv4-mapped one as IPv4.
pub(super) fn network(written: &str) -> Option<IpNet> {
    let bare = written.trim();
    let bare = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(bare);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(ClientAddr::new(address).ip().into());
    }
    let network: IpNet = bare.parse().ok()?;
    match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => Ipv4Net::new(v4, v6.prefix_len() - 96).ok().map(IpNet::V4),
            None => Some(network),
        },
        IpNet::V4(_) | IpNet::V6(_) => Some(network),
    }
    .map(|network| network.trunc())
}

/// Whether somebody who writes `word` can only have meant an address or a network.
fn looks_like_an_address(word: &str) -> bool {
    let is_of = |more: &str| word.chars().all(|c| c.is_ascii_hexdigit() || more.contains(c));
    let v4 = word.matches('.').count() >= 3
        && word.chars().all(|c| c.is_ascii_digit() || "./:".contains(c));
    let v6 = (word.contains("::") || word.matches(':').count() == 7) && is_of(":./[]");
    v4 || v6
}

/// A counter's id.
fn counter(written: &str) -> Option<Key> {
    let is_hex = written.len() == 32 && written.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(written, 16).ok().filter(|_| is_hex).map(Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_told_from_names() {
        let check = |written, expected: Option<&str>| {
            assert_eq!(
                network(written).map(|net| net.to_string()).as_deref(),
                expected,
                "{written}"
            );
        };
        check("10.1.2.3", Some("10.1.2.3/32"));
        check(" 10.1.2.3 ", Some("10.1.2.3/32"));
        check("10.1.2.3/8", Some("10.0.0.0/8"));
        check("[2001:DB8::1]", Some("2001:db8::1/128"));
        check("2001:db8::1/64", Some("2001:db8::/64"));
        check("::ffff:10.1.2.3", Some("10.1.2.3/32"));
        check("::ffff:10.1.2.3/104", Some("10.0.0.0/8"));
        for name in ["bob", "10.1.2", "010.1.2.3", "10.1.2.3/33", "10.1.2.3:80", "bob/8", ""] {
            check(name, None);
        }
    }

    #[test]
    fn what_only_looks_like_an_address_is_no_username() {
        let sorted = |what| Asked { what: Some(what), ..Asked::default() }.sorted();
        for wrong in ["203.0.113.300", "10.1.2.3/33", "10.1.2.3:80", "1.2.3.4.5", "fe80::1::2"] {
            assert!(sorted(wrong).is_err(), "{wrong}");
        }
        for name in ["10.1.2", "12.03.1980", "aa:bb:cc:dd:ee:ff", "a.b.c.d", "cafe", "1.2.3.4x"] {
            assert_eq!(sorted(name).map(|asked| asked.username).ok(), Some(Some(name)), "{name}");
        }
    }

    #[test]
    fn a_bare_word_stands_for_what_it_looks_like() {
        let sorted = |what, more| Asked { what: Some(what), ..more }.sorted();
        let none = Asked::default;
        assert_eq!(sorted("::1", none()).unwrap().network, Some("::1"));
        assert_eq!(sorted("10.0.0.0/8", none()).unwrap().network, Some("10.0.0.0/8"));
        assert_eq!(sorted("bob", none()).unwrap().username, Some("bob"));
        assert!(sorted("::1", Asked { ip: Some("::2"), ..none() }).is_err());
        assert!(sorted("bob", Asked { username: Some("eve"), ..none() }).is_err());
        let both = sorted("bob", Asked { ip: Some("::1"), ..none() }).unwrap();
        assert_eq!((both.ip, both.username), (Some("::1"), Some("bob")));
    }

    #[test]
    fn an_id_is_32_hex_digits() {
        assert_eq!(counter(&"0f".repeat(16)), Some(Key(u128::MAX / 17)));
        for wrong in ["", "0f", &"0g".repeat(16), &format!("+{}", "0".repeat(31))] {
            assert_eq!(counter(wrong), None, "{wrong}");
        }
    }
}
