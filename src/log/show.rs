//! How values are shown that tell of people: as they are, masked, or as keyed hashes.
//!
//! Values that stand in fields of their own are known by the field. What is said in words, a
//! `reason`, holds some only where it quotes somebody: behind a colon or a backtick. What operators
//! say in their own words is not shown where anything is hidden.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac;
use ipnet::IpNet;

use super::pack::Entry;
use crate::events::is_about_people;
use crate::outlets::settings::{Privacy, Shown};
use crate::policy::account::Account;

/// What begins the reason of a refusal by hand where an operator gave one.
const BY_HAND: &str = "locked by hand: ";
/// No address is longer, with its port.
const LONGEST_ADDRESS: usize = 51;

/// How values are shown that tell of people.
#[derive(Debug)]
pub struct Show {
    usernames: How,
    addresses: How,
}

/// How values of a kind are shown.
#[derive(Debug)]
enum How {
    Clear,
    Hashed(Box<hmac::Key>),
    Masked,
}

impl Show {
    /// As `privacy` says. `own` is a key for where it names none.
    #[must_use]
    pub fn new(privacy: &Privacy, own: &[u8]) -> Self {
        let key = privacy.key.as_ref().map_or(own, |secret| &secret.0);
        let how = |shown| match shown {
            Shown::Clear => How::Clear,
            Shown::Hashed => How::Hashed(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key))),
            Shown::Masked => How::Masked,
        };
        Self { usernames: how(privacy.usernames), addresses: how(privacy.addresses) }
    }

    /// Whether everything is shown as it is.
    #[must_use]
    pub const fn is_clear(&self) -> bool {
        matches!((&self.usernames, &self.addresses), (How::Clear, How::Clear))
    }

    /// The text of the field `name` of `entry` as it is shown.
    #[must_use]
    pub fn field<'a>(&self, entry: &Entry<'_>, name: &str, text: &'a str) -> Cow<'a, str> {
        if self.is_clear() {
            return Cow::Borrowed(text);
        }
        match name {
            "client" | "peer" => self.address(text),
            "username" => self.usernames(text),
            "path" => self.path(text),
            "event" | "limit" | "login" | "method" | "mode" | "ref" | "site" | "until" => {
                Cow::Borrowed(text)
            }
            _ => match entry.text("event").filter(|event| is_about_people(event)) {
                Some(event) => self.words(entry, event, text),
                None => Cow::Borrowed(text),
            },
        }
    }

    fn address<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let read = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let Ok(network) = read else { return Cow::Borrowed(text) };
        let cut = |v4: u8, v6: u8| {
            let most = if matches!(network, IpNet::V4(_)) { v4 } else { v6 };
            let length = network.prefix_len().min(most);
            IpNet::new(network.addr(), length).map_or(network, |network| network.trunc())
        };
        match &self.addresses {
            How::Clear => Cow::Borrowed(text),
            // as clients are counted: what they choose themselves is not looked at
            How::Hashed(key) => hash(key, "address", &cut(32, 64).to_string()).into(),
            How::Masked => cut(24, 48).to_string().into(),
        }
    }

    fn usernames<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if matches!(self.usernames, How::Clear) {
            return Cow::Borrowed(text);
        }
        let all: Vec<String> = text.split(", ").map(|name| self.username(name)).collect();
        all.join(", ").into()
    }

    fn username(&self, name: &str) -> String {
        match &self.usernames {
            How::Clear => name.to_owned(),
            How::Hashed(key) => {
                // every spelling of an account is one
                let account = Account::new(name);
                hash(key, "username", account.as_ref().map_or(name, Account::as_str))
            }
            How::Masked => mask(name),
        }
    }

    /// A path, of which any part may be a username.
    fn path<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.usernames {
            How::Clear => Cow::Borrowed(text),
            How::Hashed(key) => hash(key, "path", text).into(),
            How::Masked => {
                let part = |part: &str| if part.is_empty() { String::new() } else { mask(part) };
                text.split('/').map(part).collect::<Vec<_>>().join("/").into()
            }
        }
    }

    /// What is said in words about an event.
    fn words<'a>(&self, entry: &Entry<'_>, event: &str, text: &'a str) -> Cow<'a, str> {
        if event == "rule_suspect" {
            return self.looks(text);
        }
        // nobody can tell whom an operator's own words name
        let own = match event {
            "locked_by_hand" => text.split_once(": ").map(|(ours, _)| format!("{ours}: ")),
            _ => text.starts_with(BY_HAND).then(|| BY_HAND.to_owned()),
        };
        if let Some(ours) = own {
            return format!("{ours}…").into();
        }
        let quoted = text.find(": ").into_iter().chain(text.find('`')).min();
        let begin = if event == "counters_reset" { Some(0) } else { quoted };
        let Some((ours, theirs)) = begin.and_then(|begin| text.split_at_checked(begin)) else {
            return Cow::Borrowed(text);
        };
        let mut theirs = theirs.to_owned();
        if !matches!(self.usernames, How::Clear) {
            if let Some(quoted) = theirs.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
                // whatever a client made of it
                return format!("{ours}`{}`", self.username(quoted)).into();
            }
            for name in entry.text("username").unwrap_or_default().split(", ") {
                theirs = replace_word(&theirs, name, &self.username(name));
            }
        }
        format!("{ours}{}", self.addresses_in(&theirs)).into()
    }

    /// What a rule's answers look like: a place that they lead to may have a name in it.
    fn looks<'a>(&self, text: &'a str) -> Cow<'a, str> {
        const PLACE: &str = ", location /";
        let Some((before, after)) = text.split_once(PLACE) else { return Cow::Borrowed(text) };
        let (place, rest) = after.split_once(", ").unwrap_or((after, ""));
        let place = self.path(place);
        let comma = if rest.is_empty() { "" } else { ", " };
        format!("{before}{PLACE}{place}{comma}{rest}").into()
    }

    /// Addresses that stand in a text, whatever they are glued to.
    fn addresses_in(&self, text: &str) -> String {
        let mut shown = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((network, behind)) = leading(rest) {
                shown.push_str(&self.address(&network.to_string()));
                rest = behind;
                continue;
            }
            // an address does not begin within a number
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(digits.max(first.len_utf8()));
            shown.push_str(word);
            rest = behind;
        }
        shown
    }
}

/// The longest address that `text` begins with, and what stands behind it: a port and the length of
/// a prefix belong to it.
fn leading(text: &str) -> Option<(IpNet, &str)> {
    let of_address = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':');
    let run = text.find(|c| !of_address(c)).unwrap_or(text.len()).min(LONGEST_ADDRESS);
    let count = |mark| text.bytes().take(run).filter(|byte| *byte == mark).count();
    if count(b'.') < 3 && count(b':') < 2 {
        return None;
    }
    let (address, behind) = (2..=run).rev().find_map(|end| {
        let (word, behind) = text.split_at_checked(end)?;
        let with_port = || {
            let more = behind.strip_prefix('.').unwrap_or(behind);
            let is_whole = !more.starts_with(|c: char| c.is_ascii_digit());
            word.parse::<SocketAddr>().ok().filter(|_| is_whole)
        };
        let address = word.parse::<IpAddr>().ok().or_else(|| Some(with_port()?.ip()))?;
        Some((address.to_canonical(), behind))
    })?;
    let whole = IpNet::from(address);
    let Some(rest) = behind.strip_prefix('/') else { return Some((whole, behind)) };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (length, after) = rest.split_at_checked(digits)?;
    let network = length.parse().ok().and_then(|length| IpNet::new(address, length).ok());
    Some(network.map_or((whole, behind), |network| (network, after)))
}

/// At most the first two letters, and never more than half of them.
fn mask(text: &str) -> String {
    let letters = text.chars().count();
    let mut masked: String = text.chars().take((letters / 2).min(2)).collect();
    masked.push('…');
    masked
}

/// The same for the same `text` of a kind, under one key.
fn hash(key: &hmac::Key, kind: &str, text: &str) -> String {
    let mut hashing = hmac::Context::with_key(key);
    hashing.update(kind.as_bytes());
    hashing.update(&[0]);
    hashing.update(text.as_bytes());
    let tag = hashing.sign();
    let first = tag.as_ref().first_chunk().copied().unwrap_or_default();
    format!("#{:016x}", u64::from_be_bytes(first))
}

/// `text` with `word` replaced where it stands as a word of its own.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    if word.is_empty() {
        return text.to_owned();
    }
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        let inside = before.ends_with(char::is_alphanumeric)
            || (before.is_empty() && replaced.ends_with(char::is_alphanumeric))
            || after.starts_with(char::is_alphanumeric);
        replaced.push_str(before);
        replaced.push_str(if inside { word } else { by });
        rest = after;
    }
    replaced.push_str(rest);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outlets::settings::Secret;

    fn show(shown: Shown) -> Show {
        let key = Some(Secret(b"0123456789abcdef"[..].into()));
        Show::new(&Privacy { usernames: shown, addresses: shown, key }, b"")
    }

    #[test]
    fn what_is_masked_keeps_its_shape() {
        let show = show(Shown::Masked);
        for (address, masked) in [
            ("203.0.113.7", "203.0.113.0/24"),
            ("203.0.113.0/26", "203.0.113.0/24"),
            ("203.0.0.0/16", "203.0.0.0/16"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
            ("2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("unix", "unix"),
        ] {
            assert_eq!(show.address(address), masked);
        }
        for (name, masked) in [
            ("alice", "al…"),
            ("bob", "b…"),
            ("é", "…"),
            ("", "…"),
            ("ada, eve@example.com", "a…, ev…"),
        ] {
            assert_eq!(show.usernames(name), masked);
        }
        assert_eq!(show.path("/u/alice/login"), "/…/al…/lo…");
    }

    #[test]
    fn what_is_hashed_is_the_same_in_every_spelling_and_nothing_else() {
        let show = show(Shown::Hashed);
        let hash = show.usernames("alice");
        assert!(hash.starts_with('#') && hash.len() == 17, "{hash}");
        assert_eq!(show.usernames("ALICE"), hash);
        assert_ne!(show.usernames("bob"), hash);
        assert_eq!(show.address("2001:db8::1"), show.address("2001:db8::/64"));
        assert_ne!(show.address("2001:db8::1"), show.address("2001:db8:0:1::1"));
        assert_eq!(show.address("203.0.113.7"), show.address("203.0.113.7/32"));
        let other = Privacy { usernames: Shown::Hashed, ..Privacy::default() };
        assert_ne!(Show::new(&other, b"another key").usernames("alice"), hash);
    }

    #[test]
    fn addresses_are_found_in_words() {
        let show = show(Shown::Masked);
        for (text, shown) in [
            ("from 203.0.113.7.", "from 203.0.113.0/24."),
            ("`203.0.113.7:8080`", "`203.0.113.0/24`"),
            ("[2001:db8::1], abc", "[2001:db8::/48], abc"),
            ("12:30 at 1.2.3", "12:30 at 1.2.3"),
            ("::ffff:203.0.113.7", "203.0.113.0/24"),
            ("from:203.0.113.7", "from:203.0.113.0/24"),
            ("ip:203.0.113.7/32, dead:203.0.113.7", "ip:203.0.113.0/24, dead:203.0.113.0/24"),
            ("203.0.113.7/x a203.0.113.7/99", "203.0.113.0/24/x a203.0.113.0/24/99"),
            ("203.0.113.7:198.51.100.8", "203.0.113.0/24:198.51.100.0/24"),
            ("203.0.113.7:80:x 203.0.113.7-100", "203.0.113.0/24:x 203.0.113.0/24-100"),
            ("from:2001:db8:1:2::9/64.", "from:2001:db8:1::/48."),
            ("of2001:db8::1 é", "of2001:db8::/48 é"),
        ] {
            assert_eq!(show.addresses_in(text), shown);
        }
    }

    #[test]
    fn a_name_is_replaced_where_it_is_a_word() {
        let check = |text, expected| assert_eq!(replace_word(text, "bob", "b…"), expected);
        check("bob, bobby and bob", "b…, bobby and b…");
        check("kebob bob's", "kebob b…'s");
        check("bobbob", "bobbob");
    }
}
