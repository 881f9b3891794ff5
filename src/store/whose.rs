//! Whom a counter is about, in as few bytes as that needs: there are as many of it as of counters.
//!
//! A counter is about one username at most. Of others that the same attempt offered it knows
//! nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::compact::{Taker, put};
use crate::policy::key::{AccountId, Candidate, Subject, wider};

/// The address is one of IPv6; of which all bytes are told, and not the first half.
const V6: u8 = 1;
const LONG: u8 = 1 << 1;
/// How many of its bits are counted is told; else those are all bits that are told of it.
const LENGTH: u8 = 1 << 2;
/// The coarser network is told as a whole; else it has so many bits of the address.
const OTHER: u8 = 1 << 3;
/// There is a username; which is shown; of which a name is told; and there is a user agent.
const CANDIDATE: u8 = 1 << 4;
const SHOWN: u8 = 1 << 5;
const NAME: u8 = 1 << 6;
const AGENT: u8 = 1 << 7;

/// Whom a counter is about.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The client, as far as its address is counted.
    pub address: IpNet,
    /// The coarser network it is in.
    pub network: IpNet,
    /// The username that it is about, if it is about one.
    pub candidate: Option<Named<'a>>,
    /// What the client calls itself; only where a limit counts that.
    pub user_agent: Option<&'a str>,
}

/// A username; see [`Candidate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// What it is counted as.
    pub account: AccountId,
    /// As it was typed, cut for display; `None` where only the session tells the account.
    pub shown: Option<&'a str>,
    /// A hash of the very spelling.
    pub spelling: u64,
    /// The account's normal form, where what is shown does not tell it.
    pub name: Option<&'a str>,
}

/// Puts `subject` after what is there, and of its usernames the one at `candidate`.
pub fn put_subject(subject: &Subject, candidate: Option<u8>, to: &mut Vec<u8>) {
    let at = to.len();
    to.push(0);
    let mut tag = 0;
    let candidate = candidate.and_then(|at| subject.candidates.get(usize::from(at)));
    if let Some(Candidate { account, shown, spelling, name }) = candidate {
        tag |= CANDIDATE;
        to.extend_from_slice(&spelling.to_le_bytes());
        to.extend_from_slice(&account.0.to_le_bytes());
        if let Some(shown) = shown.as_deref() {
            tag |= SHOWN;
            put_text(shown, to);
        }
        if let Some(name) = name {
            tag |= NAME;
            put_text(name, to);
        }
    }
    tag |= put_address(subject.address(), to);
    let network = subject.network();
    if wider(subject.address(), network.prefix_len()) == network {
        to.push(network.prefix_len());
    } else {
        tag |= OTHER;
        let family = to.len();
        to.push(0);
        let told = put_address(network, to);
        if let Some(family) = to.get_mut(family) {
            *family = told;
        }
    }
    if let Some(user_agent) = subject.user_agent() {
        tag |= AGENT;
        to.extend_from_slice(user_agent.as_bytes());
    }
    if let Some(first) = to.get_mut(at) {
        *first = tag;
    }
}

fn put_text(text: &str, to: &mut Vec<u8>) {
    put(to, text.len() as u64);
    to.extend_from_slice(text.as_bytes());
}

fn put_address(net: IpNet, to: &mut Vec<u8>) -> u8 {
    let (mut tag, usual) = match net.addr() {
        IpAddr::V4(v4) => {
            to.extend_from_slice(&v4.octets());
            (0, 32)
        }
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            to.extend_from_slice(&((bits >> 64) as u64).to_be_bytes());
            if bits as u64 == 0 {
                (V6, 64)
            } else {
                to.extend_from_slice(&(bits as u64).to_be_bytes());
                (V6 | LONG, 128)
            }
        }
    };
    if net.prefix_len() != usual {
        tag |= LENGTH;
        to.push(net.prefix_len());
    }
    tag
}

fn take_address(tag: u8, from: &mut Taker<'_>) -> Option<IpNet> {
    let (address, usual) = if tag & V6 == 0 {
        (IpAddr::V4(Ipv4Addr::from_octets(from.array()?)), 32)
    } else {
        let (mut bits, mut usual) = (u128::from(u64::from_be_bytes(from.array()?)) << 64, 64);
        if tag & LONG != 0 {
            bits |= u128::from(u64::from_be_bytes(from.array()?));
            usual = 128;
        }
        (IpAddr::V6(Ipv6Addr::from_bits(bits)), usual)
    };
    let length = if tag & LENGTH == 0 { usual } else { from.byte()? };
    IpNet::new(address, length).ok()
}

fn take_text<'a>(from: &mut Taker<'a>) -> Option<&'a str> {
    let length = from.small()?;
    str::from_utf8(from.bytes(length)?).ok()
}

/// How the username is spelled that a counter is about; see [`Named::spelling`].
#[must_use]
pub fn spelling(bytes: &[u8]) -> Option<u64> {
    let (tag, rest) = bytes.split_first()?;
    let spelling = rest.first_chunk().filter(|_| tag & CANDIDATE != 0)?;
    Some(u64::from_le_bytes(*spelling))
}

impl<'a> Whose<'a> {
    /// What [`put_subject`] put there.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut from = Taker::new(bytes);
        let tag = from.byte()?;
        let candidate =
            if tag & CANDIDATE == 0 { None } else { Some(Named::take(tag, &mut from)?) };
        let address = take_address(tag, &mut from)?;
        let first = from.byte()?;
        let network =
            if tag & OTHER == 0 { wider(address, first) } else { take_address(first, &mut from)? };
        let user_agent =
            if tag & AGENT == 0 { None } else { Some(str::from_utf8(from.rest()).ok()?) };
        Some(Self { address, network, candidate, user_agent })
    }

    /// The same as it was told, of `site`.
    #[must_use]
    pub fn subject(&self, site: &Arc<str>) -> Subject {
        let mut subject = Subject::new(Arc::clone(site), self.address, self.network);
        if let Some(named) = self.candidate {
            subject.candidates = named.candidate().into();
        }
        subject.calling_itself(self.user_agent.map(Into::into))
    }

    /// Nobody: what stands for what cannot be read.
    #[must_use]
    pub fn nobody() -> Self {
        let address = IpNet::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Self { address, network: address, candidate: None, user_agent: None }
    }
}

impl<'a> Named<'a> {
    fn take(tag: u8, from: &mut Taker<'a>) -> Option<Self> {
        let spelling = u64::from_le_bytes(from.array()?);
        let account = AccountId(u128::from_le_bytes(from.array()?));
        let shown = if tag & SHOWN == 0 { None } else { Some(take_text(from)?) };
        let name = if tag & NAME == 0 { None } else { Some(take_text(from)?) };
        Some(Self { account, shown, spelling, name })
    }

    /// The same as it was told.
    #[must_use]
    pub fn candidate(&self) -> Candidate {
        Candidate {
            account: self.account,
            shown: self.shown.map(Into::into),
            spelling: self.spelling,
            name: self.name.map(|name| Box::new(name.into())),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net() -> impl Strategy<Value = IpNet> {
        let v4 = (any::<[u8; 4]>(), prop_oneof![Just(32), Just(24), 0..=32_u8])
            .prop_map(|(bytes, length)| IpNet::new(bytes.into(), length).unwrap());
        let v6 = (any::<[u8; 16]>(), prop_oneof![Just(64), Just(48), 0..=128_u8])
            .prop_map(|(bytes, length)| IpNet::new(bytes.into(), length).unwrap());
        (prop_oneof![v4, v6], any::<bool>())
            .prop_map(|(net, is_cut)| if is_cut { net.trunc() } else { net })
    }

    prop_compose! {
        fn candidate()(
            account: u128,
            shown in prop::option::of(".{0,140}"),
            spelling: u64,
            name in prop::option::of(".{0,140}"),
        ) -> Candidate {
            Candidate {
                account: AccountId(account),
                shown: shown.map(|shown| (*shown).into()),
                spelling,
                name: name.map(|name| Box::new(name.into())),
            }
        }
    }

    prop_compose! {
        /// Anybody at all.
        pub(crate) fn subject()(
            (address, network, bits) in (net(), net(), 0..=32_u8),
            is_near: bool,
            candidates in prop::collection::vec(candidate(), 0..3),
            user_agent in prop::option::of(".{0,40}"),
        ) -> Subject {
            let network = if is_near { wider(address, bits) } else { network };
            let mut subject = Subject::new("s".into(), address, network);
            subject.candidates = candidates.into();
            subject.calling_itself(user_agent.map(String::into_boxed_str))
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_put_there(subject in subject(), at in prop::option::of(0..3_u8)) {
            let mut bytes = Vec::new();
            put_subject(&subject, at, &mut bytes);
            let read = Whose::read(&bytes).expect("it can be read");
            let own = at.and_then(|at| subject.candidates.get(usize::from(at))).cloned();
            prop_assert_eq!(spelling(&bytes), own.as_ref().map(|own| own.spelling));
            let mut expected = subject;
            expected.candidates = own.into_iter().collect();
            prop_assert_eq!(read.subject(&expected.site), expected);
            for length in 0..bytes.len() {
                _ = (Whose::read(&bytes[..length]), spelling(&bytes[..length]));
            }
        }
    }
}
