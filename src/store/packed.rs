//! A counter at rest, in as few bytes as it needs: there may be millions.
//!
//! First what finds it, at fixed places, then what changes, then [whom it is about](super::whose).
//! While a counter is at hand its bytes stay with it, and nearly always its new state takes the
//! place of the old one in them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Moment;
use crate::compact::{Taker, difference, differing, put};
use crate::policy::key::{Key, LimitId};
use crate::policy::lockout::History;
use crate::policy::lockout::packed::MARKS;
use crate::store::order::Place;
use crate::store::slot::{Rest, Slot, State, Tier};
use crate::store::whose;

/// A key comes first.
const KEY: usize = size_of::<Key>();
/// Then its place in the table where it rests, if it does, its marks, its limit and its site.
const PLACE: usize = size_of::<u32>();
/// Then when its latest failure was. That has room until the year 10,000.
const LATEST: usize = 6;
/// So much all that takes, and what changes, of nearly all counters.
pub const ROOM: usize = KEY + PLACE + 4 + LATEST + 4;

/// Beside the marks of its history: how it rests, five ways.
const LIES: u16 = 0b111 << 6;
const NOWHERE: u16 = 0;
const LOCKED: u16 = 1 << 6;
const LAST: u16 = 2 << 6;
const MORE: u16 = 3 << 6;
const ONCE: u16 = 4 << 6;
/// When its table was last told that it is used is not when its latest failure was.
const TOUCHED: u16 = 1 << 9;
/// A batch has a change of it.
const CHANGED: u16 = 1 << 10;
/// Whoever keeps it will be told of it.
const NOTED: u16 = 1 << 11;

/// Its limit, its site, and when its latest failure was, have not the room that they should have.
const WIDE: u16 = 1 << 12;

/// A counter that nobody uses.
#[derive(Clone, Debug)]
pub struct Packed(Box<[u8]>);

/// What changes about a packed counter, and where it is.
#[derive(Debug)]
struct Head {
    limit: LimitId,
    history: History,
    rest: Rest,
    place: Place,
    site: u64,
    touched: Moment,
    changed: u64,
    is_noted: bool,
    /// Where in the bytes it ends.
    end: usize,
}

/// The names of sites, by numbers. There are as many as are configured.
#[derive(Debug, Default)]
pub struct Sites {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, usize>,
    /// The one that was asked for last: it will be that again.
    latest: usize,
}

impl Sites {
    fn number(&mut self, name: &Arc<str>) -> u64 {
        let is_it = |latest: &Arc<str>| Arc::ptr_eq(latest, name) || latest == name;
        if !self.names.get(self.latest).is_some_and(is_it) {
            self.latest = *self.numbers.entry(Arc::clone(name)).or_insert_with(|| {
                self.names.push(Arc::clone(name));
                self.names.len() - 1
            });
        }
        self.latest as u64
    }

    fn name(&self, number: u64) -> Option<Arc<str>> {
        self.names.get(usize::try_from(number).ok()?).map(Arc::clone)
    }
}

impl Packed {
    /// Packs a counter, of which nothing is left then. `work` is room to work in.
    #[must_use]
    pub fn of(slot: &mut Slot, sites: &mut Sites, work: &mut Vec<u8>) -> Self {
        work.clear();
        work.extend_from_slice(&slot.key.0.to_le_bytes());
        let (site, limit) = (sites.number(&slot.site), slot.limit);
        let own = whose::spelling(slot.whose_bytes());
        put_state(slot.state_mut(), (limit, site, own), work);
        let (mut bytes, end) = slot.take_bytes();
        match bytes.get_mut(..end) {
            Some(before) if end == work.len() => before.copy_from_slice(work),
            _ => {
                work.extend_from_slice(bytes.get(end..).unwrap_or_default());
                bytes = work.as_slice().into();
            }
        }
        Self(bytes)
    }

    /// The counter's key.
    #[must_use]
    pub fn key(&self) -> Key {
        Key(self.0.first_chunk().map_or(0, |key| u128::from_le_bytes(*key)))
    }

    /// Whether it rests at that place of that table.
    #[must_use]
    pub fn lies_at(&self, tier: Tier, place: Place) -> bool {
        let mut from = Taker::new(self.0.get(KEY..).unwrap_or_default());
        let is_there = from.array().is_some_and(|at| u32::from_le_bytes(at) == place.0);
        is_there && self.marks() & LIES == lies(Rest::Table(tier))
    }

    /// Whoever keeps it is told of it.
    pub fn is_told(&mut self) {
        if let Some(marks) = self.0.get_mut(KEY + PLACE..).and_then(<[u8]>::first_chunk_mut) {
            *marks = (u16::from_le_bytes(*marks) & !NOTED).to_le_bytes();
        }
    }

    fn marks(&self) -> u16 {
        let marks = self.0.get(KEY + PLACE..).and_then(<[u8]>::first_chunk);
        marks.map_or(0, |marks| u16::from_le_bytes(*marks))
    }

    /// Its limit, what it remembers, and where it rests; `None` where these bytes are none.
    #[must_use]
    pub fn standing(&self) -> Option<(LimitId, History, Rest)> {
        Head::read(&self.0).map(|head| (head.limit, head.history, head.rest))
    }

    /// The counter as it was; `None` where these bytes are none.
    #[must_use]
    #[inline]
    pub fn unpack(&mut self, sites: &Sites) -> Option<Slot> {
        let head = Head::read(&self.0)?;
        let (key, site) = (self.key(), sites.name(head.site)?);
        let mut state = State::of(head.history);
        (state.touched, state.changed, state.is_noted) =
            (head.touched, head.changed, head.is_noted);
        state.lie(head.rest, head.place);
        let bytes = std::mem::take(&mut self.0);
        Some(Slot::unpacked((key, head.limit, site), state, (bytes, head.end)))
    }

    /// How many bytes it takes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is left of it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn put_state(state: &State, (limit, site, own): (LimitId, u64, Option<u64>), to: &mut Vec<u8>) {
    let (history, rest) = (state.history(), state.rest());
    let latest = history.latest();
    let mut marks = lies(rest);
    let first = to.len();
    to.extend_from_slice(&[0; PLACE + 4]);
    let [early @ .., _, _] = latest.0.to_le_bytes();
    to.extend_from_slice(&early);
    let narrow = (u8::try_from(limit.0), u8::try_from(site), latest.0 >> (8 * LATEST));
    let (limit, site) = if let (Ok(limit), Ok(site), 0) = narrow {
        (limit, site)
    } else {
        marks |= WIDE;
        put(to, limit.0.into());
        put(to, site);
        put(to, latest.0);
        (0, 0)
    };
    if state.touched != latest {
        marks |= TOUCHED;
        put(to, difference(state.touched.0, latest.0));
    }
    if state.changed != 0 {
        marks |= CHANGED;
        put(to, state.changed);
    }
    if let Rest::Locked(until) = rest {
        put(to, until.0);
    }
    if state.is_noted {
        marks |= NOTED;
    }
    marks |= u16::from(history.pack(own, to));
    let (place, marks) = (state.place().0.to_le_bytes(), marks.to_le_bytes());
    if let Some(told) = to.get_mut(first..).and_then(<[u8]>::first_chunk_mut) {
        let ([a, b, c, d], [e, f]) = (place, marks);
        *told = [a, b, c, d, e, f, limit, site];
    }
}

const fn lies(rest: Rest) -> u16 {
    match rest {
        Rest::Locked(_) => LOCKED,
        Rest::Nowhere => NOWHERE,
        Rest::Table(Tier::Last) => LAST,
        Rest::Table(Tier::More) => MORE,
        Rest::Table(Tier::Once) => ONCE,
    }
}

impl Head {
    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Taker::new(bytes.get(KEY..)?);
        let [a, b, c, d, e, f, limit, site] = from.array()?;
        let (place, marks) = (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]));
        let [a, b, c, d, e, f] = from.array::<LATEST>()?;
        let mut latest = Moment(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]));
        let (mut limit, mut site) = (u32::from(limit), u64::from(site));
        if marks & WIDE != 0 {
            (limit, site, latest) = (from.small()?, from.number()?, Moment(from.number()?));
        }
        let mut touched = latest;
        if marks & TOUCHED != 0 {
            touched = Moment(differing(from.number()?, latest.0));
        }
        let changed = if marks & CHANGED == 0 { 0 } else { from.number()? };
        let rest = match marks & LIES {
            LOCKED => Rest::Locked(Moment(from.number()?)),
            LAST => Rest::Table(Tier::Last),
            MORE => Rest::Table(Tier::More),
            ONCE => Rest::Table(Tier::Once),
            _ => Rest::Nowhere,
        };
        let history = History::unpack((marks as u8 & MARKS, latest), &mut from, whose::spelling)?;
        Some(Self {
            limit: LimitId(limit),
            history,
            rest,
            place: Place(place),
            site,
            touched,
            changed,
            is_noted: marks & NOTED != 0,
            end: bytes.len() - from.rest().len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::key::{AccountId, Candidate, Charge, Subject};
    use crate::policy::lockout::packed::tests::history;
    use crate::policy::lockout::{Failure, Forget, Limit, Proof, Spelling};
    use crate::store::whose::tests::subject;

    fn rest() -> impl Strategy<Value = Rest> {
        let tables = [Tier::Last, Tier::More, Tier::Once].map(Rest::Table);
        prop_oneof![
            prop::sample::select(tables.to_vec()),
            Just(Rest::Nowhere),
            any::<u64>().prop_map(|until| Rest::Locked(Moment(until))),
        ]
    }

    prop_compose! {
        fn state()(
            history in history(),
            (rest, place) in (rest(), any::<u32>()),
            touched in prop::option::of(any::<u64>()),
            changed in prop_oneof![Just(0), 0..9_u64, any::<u64>()],
            is_noted: bool,
        ) -> State {
            let mut state = State::of(history);
            state.touched = touched.map_or_else(|| history.latest(), Moment);
            (state.changed, state.is_noted) = (changed, is_noted);
            state.lie(rest, Place(place));
            state
        }
    }

    proptest! {
        #[test]
        fn a_counter_is_unpacked_as_it_was_to_the_last_bit(
            (key, limit, subject) in (any::<u128>(), prop_oneof![0..9_u32, any::<u32>()], subject()),
            candidate in prop::option::of(0..3_u8),
            states in prop::collection::vec(state(), 1..4),
        ) {
            let (mut sites, mut work) = (Sites::default(), Vec::new());
            let charge = Charge { key: Key(key), limit: LimitId(limit), candidate };
            let new = || Slot::new(&charge, &subject, &mut Vec::new());
            let (mut slot, whose) = (new(), new().subject());
            for state in states {
                let expected = format!("{state:?}");
                let (rest, place, history) = (state.rest(), state.place(), state.history());
                *slot.state_mut() = state;
                let mut packed = Packed::of(&mut slot, &mut sites, &mut work);
                prop_assert_eq!((packed.key(), slot.whose_bytes().len()), (Key(key), 0));
                prop_assert_eq!(packed.standing(), Some((LimitId(limit), history, rest)));
                for tier in [Tier::Last, Tier::More, Tier::Once] {
                    let lies_there = rest == Rest::Table(tier);
                    prop_assert_eq!(packed.lies_at(tier, place), lies_there);
                    prop_assert!(!packed.lies_at(tier, Place(place.0 ^ 1)));
                }
                let mut told = packed.clone();
                told.is_told();
                prop_assert!(!told.unpack(&sites).expect("a counter").state().is_noted);
                slot = packed.unpack(&sites).expect("a counter");
                prop_assert!(packed.is_empty());
                prop_assert_eq!(format!("{:?}", *slot.state()), expected);
                prop_assert_eq!((slot.key, slot.limit, &*slot.site), (Key(key), LimitId(limit), "s"));
                prop_assert_eq!(slot.subject(), whose.clone());
            }
        }
    }

    /// A counter with one failure of a client with an address like that.
    fn packed(address: &str, name: Option<&str>, limit: &Limit) -> Packed {
        let [address, network] =
            [address, "192.0.2.0/24"].map(|net| net.parse().expect("a network"));
        let mut subject = Subject::new("s".into(), address, network);
        let (account, spelling) = (AccountId(u128::MAX), u64::MAX / 3);
        let named =
            |name: &str| Candidate { account, shown: Some(name.into()), spelling, name: None };
        subject.candidates = name.map(named).into_iter().collect();
        let candidate = name.map(|_| 0);
        let charge = Charge { key: Key(u128::MAX), limit: LimitId(2), candidate };
        let mut slot = Slot::new(&charge, &subject, &mut Vec::new());
        let now = Moment((1 << 40) + 365 * 24 * 60 * 60 * 1_000);
        let spelling = name.map_or(Spelling::Unknown, |_| Spelling::One(spelling));
        let mut history = History::default();
        history.fail(limit, Failure { guesses: 1, proof: Proof::Verdict, spelling }, now);
        let state = slot.state_mut();
        state.remember(history);
        (state.touched, state.changed) = (now, 100_000);
        state.lie(Rest::of(&history, limit), Place(1_000_000));
        Packed::of(&mut slot, &mut Sites::default(), &mut Vec::new())
    }

    #[test]
    fn a_counter_of_an_address_and_a_username_of_20_bytes_takes_no_more_than_96_bytes() {
        let (together, leaky) = (Limit::usual(), Limit { forget: Forget::Leaky, ..Limit::usual() });
        let name = Some("somebody@example.com");
        assert_eq!(name.map(str::len), Some(20));
        for (limit, most) in [(&together, 0), (&leaky, 4)] {
            let of = |address, name| packed(address, name, limit).len() - most;
            assert!(of("192.0.2.1/32", name) <= 96 - 8, "{}", of("192.0.2.1/32", name));
            assert!(of("192.0.2.1/32", None) <= 48, "{}", of("192.0.2.1/32", None));
            assert!(of("2001:db8::/64", None) <= 56, "{}", of("2001:db8::/64", None));
        }
    }
}
