//! What a rule makes of the fields of a request.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::body::{Field, Place, Sink, Value};
use super::field::FieldName;
use super::{Carries, Credentials, MAX_USERNAMES, Source, Unreadable, Username};
use crate::policy::account::{Charset, accounts};
use crate::policy::glob::Glob;
use crate::policy::route::{LoginRule, When};

/// Gathers usernames and counts passwords, which it forgets at once.
pub(super) struct Collector<'r> {
    rule: &'r LoginRule,
    charset: Charset,
    /// With the place of its source in the rule.
    usernames: Vec<(usize, Username)>,
    /// How many names were folded, also of one account.
    spellings: usize,
    /// Whether a username's field was there, be it empty.
    named: bool,
    passwords: Vec<Guess>,
    reading: usize,
    hasher: RandomState,
    /// Whether a field changes the charset of the others to one that is not read here.
    strange: bool,
}

/// How many spellings are folded before a request is refused; folding takes its time.
const MAX_SPELLINGS: usize = 16;

/// A password that was offered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Guess {
    reading: usize,
    source: usize,
    /// Its hash; where each occurrence counts, a number of its own.
    value: u64,
}

impl<'r> Collector<'r> {
    pub(super) fn new(rule: &'r LoginRule, charset: Charset) -> Self {
        Self {
            rule,
            charset,
            usernames: Vec::new(),
            spellings: 0,
            named: false,
            passwords: Vec::new(),
            reading: 0,
            hasher: RandomState::new(),
            strange: false,
        }
    }

    /// Takes the names that cookies have; their passwords only where the request names somebody and
    /// has none itself. Cookies alone are no attempt, since a site may call any of its cookies so.
    pub(super) fn fill_from(&mut self, cookies: Self) {
        if self.passwords.is_empty() && !self.usernames.is_empty() {
            self.passwords = cookies.passwords;
        }
        for (source, name) in cookies.usernames {
            if !self.usernames.iter().any(|(_, known)| known.account == name.account) {
                self.usernames.push((source, name));
            }
        }
        self.spellings += cookies.spellings;
    }

    /// Adds what `raw` names, found by the source at `source` of the rule.
    pub(super) fn username(&mut self, source: usize, raw: &[u8]) {
        if raw.is_empty() {
            return;
        }
        if let Some((known, _)) = self.usernames.iter_mut().find(|(_, name)| *name.raw == *raw) {
            *known = source.min(*known);
            return;
        }
        self.spellings += 1;
        if self.has_too_many() {
            return; // one too many is enough to know
        }
        for account in accounts(raw, self.charset, &self.rule.naming) {
            match self.usernames.iter_mut().find(|(_, known)| known.account == account) {
                Some((known, _)) => *known = source.min(*known),
                None => self.usernames.push((source, Username { raw: raw.into(), account })),
            }
        }
    }

    const fn has_too_many(&self) -> bool {
        self.usernames.len() > MAX_USERNAMES || self.spellings > MAX_SPELLINGS
    }

    /// Counts a guess, once for each value.
    pub(super) fn password(&mut self, source: usize, value: &[u8]) {
        let value = self.hasher.hash_one(value);
        self.passwords.push(Guess { reading: self.reading, source, value });
    }

    /// Notes that a username's field is there.
    pub(super) const fn name_field(&mut self) {
        self.named = true;
    }

    pub(super) fn finish(mut self) -> Result<Credentials, Unreadable> {
        let carries = match (self.passwords.is_empty(), self.named) {
            (false, _) => Carries::Password,
            (true, true) => Carries::UsernameOnly,
            (true, false) => Carries::Nothing,
        };
        if self.strange && carries != Carries::Nothing {
            return Err(Unreadable::Charset);
        }
        if self.has_too_many() {
            return Err(Unreadable::TooManyUsernames(carries));
        }
        self.usernames.sort_by_key(|(source, _)| *source);
        Ok(Credentials {
            guesses: self.guesses(),
            usernames: self.usernames.into_iter().map(|(_, username)| username).collect(),
            carries,
        })
    }

    /// The most passwords that one reading offers for one field, at least 1.
    fn guesses(&mut self) -> u32 {
        self.passwords.sort_unstable();
        self.passwords.dedup();
        let same = |a: &Guess, b: &Guess| (a.reading, a.source) == (b.reading, b.source);
        let most = self.passwords.chunk_by(same).map(<[Guess]>::len).max().unwrap_or_default();
        u32::try_from(most.max(1)).unwrap_or(u32::MAX)
    }
}

impl Sink for Collector<'_> {
    fn field(&mut self, Field { place, name, value }: Field<'_>) {
        let fits = |source: &Source| match source {
            Source::Form(field) if self.rule.is_exact() => {
                name.is(field)
                    || name.ends_in(field)
                    || (place == Place::Json && name.is_key(field.last_level()))
            }
            Source::Json(field) if self.rule.is_exact() => name.is(field) || name.ends_in(field),
            Source::Form(field) | Source::Json(field) => name.is(field),
            Source::Query(field) => place == Place::Query && name.is(field),
            Source::Header(_) | Source::Basic | Source::Path(_) => false,
        };
        if name.is_charset() {
            // HTML's own, which Jetty and Sling obey
            let charset = value.decode().to_ascii_lowercase();
            const READ: [&[u8]; 4] = [b"utf-8", b"us-ascii", b"iso-8859-1", b"windows-1252"];
            self.strange |= !charset.is_empty() && !READ.contains(&&*charset);
        }
        let rule = self.rule;
        for (source, _) in rule.usernames.iter().enumerate().filter(|(_, source)| fits(source)) {
            self.named |= place != Place::Cookie;
            self.username(source, &value.decode());
            if let Some(wide) = value.decode_wide() {
                self.username(source, &wide);
            }
        }
        for (source, _) in rule.passwords.iter().enumerate().filter(|(_, source)| fits(source)) {
            if place == Place::Json {
                // a batch may try one password on many accounts
                let value = u64::try_from(self.passwords.len()).unwrap_or(u64::MAX);
                self.passwords.push(Guess { reading: self.reading, source, value });
            } else {
                self.password(source, &value.decode());
            }
        }
    }

    fn next_reading(&mut self) {
        self.reading += 1;
    }
}

/// Ticks off the conditions of a rule that some field fulfils.
pub(super) struct Conditions<'w> {
    open: Vec<(&'w FieldName, &'w Glob, Scope)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Query,
    Anywhere,
}

impl<'w> Conditions<'w> {
    pub(super) fn new(when: &'w When) -> Self {
        let query = when.query.iter().map(|(field, glob)| (field, glob, Scope::Query));
        let anywhere = when.field.iter().map(|(field, glob)| (field, glob, Scope::Anywhere));
        Self { open: query.chain(anywhere).collect() }
    }

    pub(super) const fn hold(&self) -> bool {
        self.open.is_empty()
    }
}

impl Sink for Conditions<'_> {
    fn field(&mut self, Field { place, name, value }: Field<'_>) {
        self.open.retain(|(field, glob, scope)| {
            let fits = |value: Value<'_>| {
                glob.matches(&value.decode())
                    || value.decode_wide().is_some_and(|value| glob.matches(&value))
            };
            let in_scope = *scope == Scope::Anywhere || place == Place::Query;
            !(in_scope && name.is(field) && fits(value))
        });
    }

    fn next_reading(&mut self) {}
}
