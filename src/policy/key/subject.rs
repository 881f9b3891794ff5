//! Whom an attempt is charged to, readable for lists.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use ipnet::IpNet;

use super::Candidate;

/// Whom an attempt is charged to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The site's name.
    pub site: Arc<str>,
    /// The usernames offered.
    pub candidates: Candidates,
    address: IpNet,
    /// How many leading bits of the address are the coarser network, where `more` has no other.
    coarser: u8,
    more: Option<Box<More>>,
}

/// What hardly any has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct More {
    /// A coarser network that the address is not in, or not by its first bits.
    network: Option<IpNet>,
    user_agent: Option<Box<str>>,
}

impl Subject {
    /// Somebody at `address`, as far as that is counted, in `network`.
    #[must_use]
    pub fn new(site: Arc<str>, address: IpNet, network: IpNet) -> Self {
        let coarser = network.prefix_len();
        let other = (wider(address, coarser) != network).then_some(network);
        let more = other.map(|_| Box::new(More { network: other, user_agent: None }));
        Self { site, candidates: Candidates::default(), address, coarser, more }
    }

    /// The client, as far as its address is counted.
    #[must_use]
    pub const fn address(&self) -> IpNet {
        self.address
    }

    /// The coarser network it is in.
    #[must_use]
    pub fn network(&self) -> IpNet {
        let other = self.more.as_ref().and_then(|more| more.network);
        other.unwrap_or_else(|| wider(self.address, self.coarser))
    }

    /// What it calls itself; only where a limit counts that.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.more.as_ref()?.user_agent.as_deref()
    }

    /// The same, which calls itself that.
    #[must_use]
    pub fn calling_itself(mut self, user_agent: Option<Box<str>>) -> Self {
        if user_agent.is_some() || self.more.is_some() {
            self.more.get_or_insert_default().user_agent = user_agent;
        }
        self
    }

    /// The usernames as they were typed, if there are any.
    #[must_use]
    pub fn shown_names(&self) -> Option<Cow<'_, str>> {
        let mut names = self.candidates.iter().filter_map(|candidate| candidate.shown.as_deref());
        let mut shown = Cow::Borrowed(names.next()?);
        for name in names {
            let shown = shown.to_mut();
            shown.push_str(", ");
            shown.push_str(name);
        }
        Some(shown)
    }
}

/// The first `bits` of an address. It is itself where it has no more.
#[must_use]
pub fn wider(address: IpNet, bits: u8) -> IpNet {
    IpNet::new(address.addr(), bits).map_or(address, |net| net.trunc())
}

/// The usernames that an attempt offers: nearly always one, which is then where its subject is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates(Few);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Few {
    #[default]
    None,
    One(Candidate),
    Several(Box<[Candidate]>),
}

impl Deref for Candidates {
    type Target = [Candidate];

    fn deref(&self) -> &[Candidate] {
        match &self.0 {
            Few::None => &[],
            Few::One(candidate) => std::slice::from_ref(candidate),
            Few::Several(candidates) => candidates,
        }
    }
}

impl From<Candidate> for Candidates {
    fn from(candidate: Candidate) -> Self {
        Self(Few::One(candidate))
    }
}

impl From<Vec<Candidate>> for Candidates {
    fn from(mut candidates: Vec<Candidate>) -> Self {
        match (candidates.len(), candidates.pop()) {
            (1, Some(only)) => only.into(),
            (_, Some(last)) => {
                candidates.push(last);
                Self(Few::Several(candidates.into()))
            }
            (_, None) => Self(Few::None),
        }
    }
}

impl FromIterator<Candidate> for Candidates {
    fn from_iter<T: IntoIterator<Item = Candidate>>(candidates: T) -> Self {
        candidates.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a Candidates {
    type Item = &'a Candidate;
    type IntoIter = std::slice::Iter<'a, Candidate>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::key::AccountId;

    #[test]
    fn a_subject_takes_no_more_than_128_bytes_with_a_name_of_30() {
        // beside it are the two counts of its references
        let size = size_of::<Subject>() + 2 * size_of::<usize>();
        assert!(size <= 128, "{size}");
    }

    #[test]
    fn networks_are_those_that_were_said() {
        for (address, network) in [
            ("192.0.2.1/32", "192.0.2.0/24"),
            ("192.0.2.1/32", "192.0.2.1/32"),
            ("192.0.2.0/24", "192.0.2.0/28"),
            ("192.0.2.0/24", "192.0.2.32/28"),
            ("192.0.2.1/32", "192.0.2.1/24"),
            ("192.0.2.1/24", "192.0.2.1/24"),
            ("192.0.2.1/32", "0.0.0.0/0"),
            ("192.0.2.1/32", "198.51.100.0/24"),
            ("192.0.2.1/32", "2001:db8::/32"),
            ("2001:db8::/64", "2001:db8::/128"),
            ("2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("2001:db8:1:2::/64", "192.0.2.0/24"),
            ("::ffff:192.0.2.1/128", "192.0.2.0/24"),
        ] {
            let [address, network] = [address, network].map(|net| net.parse().expect("a network"));
            let subject = Subject::new("s".into(), address, network);
            assert_eq!((subject.address(), subject.network()), (address, network));
            assert_eq!(subject.user_agent(), None);
            let subject = subject.calling_itself(Some("a".into()));
            assert_eq!((subject.address(), subject.network()), (address, network));
            assert_eq!(subject.user_agent(), Some("a"));
        }
    }

    #[test]
    fn usernames_come_in_their_order_however_many_there_are() {
        for count in 0..4 {
            let nameless = |n| Candidate::nameless(AccountId(n));
            let all: Vec<Candidate> = (0..count).map(nameless).collect();
            let candidates = Candidates::from(all.clone());
            assert_eq!(*candidates, *all);
            assert!((&candidates).into_iter().eq(&all));
            assert_eq!(all.iter().cloned().collect::<Candidates>(), candidates);
        }
        assert_eq!(Candidates::from(Vec::new()), Candidates::default());
    }
}
