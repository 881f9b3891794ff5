//! What an attempt is charged to: tagged, length-prefixed, keyed hashes.
//!
//! Their key is kept with the counters, where these are kept. Secrets are hashed under
//! [another](fingerprint), which is kept nowhere.

pub mod candidate;
pub mod fingerprint;
mod subject;

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use ipnet::IpNet;
use siphasher::sip128::{Hasher128, SipHasher13};

pub use self::candidate::Candidate;
pub use self::fingerprint::{Fingerprint, Fingerprinter};
pub use self::subject::{Candidates, Subject, wider};
use crate::policy::account::Account;
use crate::policy::client::{ClientAddr, ClientRules};
use crate::policy::lockout::{Limit, Parameter, Spelling};
use crate::policy::reference::Reference;

/// Identifies a counter. Two different combinations of values never share one but by an accident
/// of 1 in 2^64 that nobody outside can steer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u128);

impl Key {
    /// What a refused client is given to name this counter to support; see [`Reference`].
    #[must_use]
    pub fn reference(self) -> String {
        Reference::of(self).to_string()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

/// An account without its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub u128);

/// Where a limit stands in the store's register; the same across reloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId(pub u32);

/// What keeps hashes of one kind apart from those of another.
#[derive(Clone, Copy, Debug)]
enum Tag {
    Account = 1,
    Counter,
    Number = 4,
    Scope,
    Spelling,
}

/// Hashes under a secret key.
#[derive(Clone, Copy)]
pub struct Keyer([u8; 16]);

impl fmt::Debug for Keyer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Keyer(…)")
    }
}

impl Keyer {
    /// Hashes under `secret`, which must be random.
    #[must_use]
    pub const fn new(secret: [u8; 16]) -> Self {
        Self(secret)
    }

    /// What it hashes under: for a successor, and for nobody else.
    #[must_use]
    pub const fn secret(&self) -> [u8; 16] {
        self.0
    }

    /// What stands for an account wherever its name need not be read.
    #[must_use]
    pub fn account(&self, account: &Account) -> AccountId {
        AccountId(self.hash(Tag::Account, &[account.as_str().as_bytes()]))
    }

    /// What stands for a spelling of a username.
    #[must_use]
    pub fn spelling(&self, raw: &[u8]) -> u64 {
        self.hash(Tag::Spelling, &[raw]) as u64
    }

    /// What stands for a number: another one, that nobody can foretell.
    #[must_use]
    pub fn number(&self, number: u64) -> u128 {
        self.hash(Tag::Number, &[&number.to_le_bytes()])
    }

    /// What the counters of one limit have in common.
    #[must_use]
    pub fn scope(&self, names: ScopeNames<'_>) -> u128 {
        let (login, own) =
            names.login.map_or((&b""[..], &[0][..]), |login| (login.as_bytes(), &[1]));
        let kind = [names.kind as u8];
        let site = names.site.as_bytes();
        self.hash(Tag::Scope, &[site, own, login, &kind, names.limit.as_bytes()])
    }

    fn hash(&self, tag: Tag, fields: &[&[u8]]) -> u128 {
        hash(&self.0, tag as u8, fields)
    }
}

/// Each field with its length, so that no two lists of them look alike.
fn hash(secret: &[u8; 16], tag: u8, fields: &[&[u8]]) -> u128 {
    let mut hasher = SipHasher13::new_with_key(secret);
    hasher.write_u8(tag);
    for field in fields {
        hasher.write_u64(field.len() as u64);
        hasher.write(field);
    }
    hasher.finish128().as_u128()
}

/// What names the counters of one limit across reloads.
#[derive(Clone, Copy, Debug)]
pub struct ScopeNames<'a> {
    /// The site's name.
    pub site: &'a str,
    /// The login's, where the counters are its own.
    pub login: Option<&'a str>,
    /// The limit's.
    pub limit: &'a str,
    /// Whether it is the limit itself.
    pub kind: ScopeKind,
}

/// Which counters of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKind {
    /// Those of the limit itself.
    Limit = 1,
    /// Those that take in attempts which no limit counts.
    Uncounted,
}

/// A limit with the name of its counters.
#[derive(Clone, Debug)]
pub struct CountedLimit {
    /// In the store's register.
    pub id: LimitId,
    /// See [`Keyer::scope`].
    pub scope: u128,
    /// Its numbers.
    pub limit: Arc<Limit>,
}

/// One counter of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The counter.
    pub key: Key,
    /// The limit it belongs to.
    pub limit: LimitId,
    /// Which of the subject's candidates it is for.
    pub candidate: Option<u8>,
}

/// Everything an attempt asks of the counters.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whom it is charged to.
    pub subject: Arc<Subject>,
    /// Each counter once.
    pub charges: Vec<Charge>,
    /// How many guesses it brings, at least one.
    pub guesses: u32,
    /// Whether a limit of the configuration counts it.
    pub counted: Counted,
}

impl Claim {
    /// How the username was spelled that the counter `key` is charged for.
    #[must_use]
    pub fn spelling(&self, key: Key) -> Spelling {
        let charge = self.charges.iter().find(|charge| charge.key == key);
        let candidate = charge.and_then(|charge| charge.candidate);
        let candidate = candidate.and_then(|at| self.subject.candidates.get(usize::from(at)));
        candidate.map_or(Spelling::Unknown, |named| Spelling::One(named.spelling))
    }
}

/// Whether a limit of the configuration counts an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// At least one does, or its clients are excepted.
    Limits,
    /// None does, so that it is counted by address.
    Fallback,
}

/// The limits an attempt is held against.
#[derive(Clone, Copy, Debug)]
pub struct Counting<'a> {
    /// Those of its login.
    pub limits: &'a [CountedLimit],
    /// The one for attempts that none of them counts.
    pub fallback: &'a CountedLimit,
}

/// The subject of an attempt by `client` on `site`.
#[must_use]
pub fn subject(site: &Arc<str>, client: ClientAddr, rules: &ClientRules) -> Subject {
    let (address, network) = (client.network(rules.address), client.network(rules.network));
    Subject::new(Arc::clone(site), address, network)
}

/// What an attempt of `subject`, made by `client` with `guesses`, is charged to.
#[must_use]
pub fn claim(
    keyer: &Keyer,
    counting: Counting<'_>,
    (subject, client): (Arc<Subject>, ClientAddr),
    guesses: u32,
) -> Claim {
    let mut charges: Vec<Charge> = Vec::with_capacity(counting.limits.len());
    let mut excepted = false;
    for counted in counting.limits {
        if counted.limit.except.contains(client.ip()) {
            excepted = true;
            continue;
        }
        let by = &counted.limit.by;
        if by.contains(&Parameter::UserAgent) && subject.user_agent().is_none() {
            continue;
        }
        if !by.contains(&Parameter::Username) {
            charges.push(charge(keyer, counted, &subject, None));
            continue;
        }
        // there are never more than a dozen, and none twice
        for index in (0..=u8::MAX).take(subject.candidates.len()) {
            charges.push(charge(keyer, counted, &subject, Some(index)));
        }
    }
    let counted = if charges.is_empty() && !excepted {
        charges.push(charge(keyer, counting.fallback, &subject, None));
        Counted::Fallback
    } else {
        Counted::Limits
    };
    Claim { subject, charges, guesses: guesses.max(1), counted }
}

/// The counter of `subject` under one limit, for that one of its candidates.
#[must_use]
pub fn charge(
    keyer: &Keyer,
    counted: &CountedLimit,
    subject: &Subject,
    candidate: Option<u8>,
) -> Charge {
    let mut hasher = SipHasher13::new_with_key(&keyer.0);
    hasher.write_u8(Tag::Counter as u8);
    hasher.write_u128(counted.scope);
    for parameter in &counted.limit.by {
        hasher.write_u8(*parameter as u8);
        match parameter {
            Parameter::Username => {
                let named = candidate.and_then(|at| subject.candidates.get(usize::from(at)));
                hasher.write_u128(named.map_or(0, |named| named.account.0));
            }
            Parameter::IpAddress => write_network(&mut hasher, subject.address()),
            Parameter::IpNetwork => write_network(&mut hasher, subject.network()),
            Parameter::UserAgent => {
                let agent = subject.user_agent().unwrap_or_default();
                hasher.write_u64(agent.len() as u64);
                hasher.write(agent.as_bytes());
            }
        }
    }
    Charge { key: Key(hasher.finish128().as_u128()), limit: counted.id, candidate }
}

fn write_network(hasher: &mut SipHasher13, network: IpNet) {
    match network {
        IpNet::V4(v4) => {
            hasher.write_u8(4);
            hasher.write_u32(v4.addr().to_bits());
        }
        IpNet::V6(v6) => {
            hasher.write_u8(6);
            hasher.write_u128(v6.addr().to_bits());
        }
    }
    hasher.write_u8(network.prefix_len());
}

#[cfg(test)]
mod tests;
