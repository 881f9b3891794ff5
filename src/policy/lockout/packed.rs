//! A history in as few bytes as it needs, to the last bit.

use super::{History, Spelling};
use crate::clock::Moment;
use crate::compact::{Taker, put};

/// What there is of a history besides what each has.
const LEAKY: u8 = 1;
const LOCKED: u8 = 1 << 1;
const TALLY: u8 = 1 << 2;
/// Not every attempt was one guess with a verdict that was not refused.
const MORE: u8 = 1 << 3;

/// Which spellings its failures had.
const SPELLING: u8 = 0b11 << 4;
const UNKNOWN: u8 = 0;
const MIXED: u8 = 1 << 4;
/// That of the username which the counter is about.
const OWN: u8 = 2 << 4;
const OTHER: u8 = 3 << 4;

/// All bits that tell what there is.
pub const MARKS: u8 = SPELLING | LEAKY | LOCKED | TALLY | MORE;

impl History {
    /// Puts it after what is there, but for when its latest failure was; the [`MARKS`] that tell what
    /// there is of it. `own` is how the username is spelled that its counter is about.
    #[must_use]
    #[inline]
    pub fn pack(&self, own: Option<u64>, to: &mut Vec<u8>) -> u8 {
        let mut marks = 0;
        let latest = self.latest.0;
        put(to, self.forget_at.0.wrapping_sub(latest));
        put(to, self.failures.into());
        let is_more = u32::from(self.attempts) != self.failures
            || self.without_verdict != 0
            || self.refused != 0;
        if is_more {
            marks |= MORE;
            put(to, self.attempts.into());
            put(to, self.without_verdict.into());
            put(to, self.refused.into());
        }
        if self.leak_every != 0 {
            marks |= LEAKY;
            put(to, self.leak_every);
        }
        if let Some(until) = self.locked_until {
            marks |= LOCKED;
            put(to, until.0.wrapping_sub(latest));
        }
        if self.tally != 0 || self.forget_tally_at != Moment(0) {
            marks |= TALLY;
            put(to, self.tally.into());
            put(to, self.forget_tally_at.0.wrapping_sub(latest));
        }
        marks | self.spelling.pack(own, to)
    }

    /// What was packed with these marks, of which the latest failure was then; `own` reads the
    /// spelling of the username which the counter is about from what comes after.
    #[must_use]
    #[inline]
    pub fn unpack(
        (marks, Moment(latest)): (u8, Moment),
        from: &mut Taker<'_>,
        own: impl FnOnce(&[u8]) -> Option<u64>,
    ) -> Option<Self> {
        let forget_at = Moment(from.number()?.wrapping_add(latest));
        let failures = from.small()?;
        let (attempts, without_verdict, refused) = if marks & MORE == 0 {
            (u16::try_from(failures).ok()?, 0, 0)
        } else {
            (from.small()?, from.small()?, from.small()?)
        };
        let leak_every = if marks & LEAKY == 0 { 0 } else { from.number()? };
        let mut locked_until = None;
        if marks & LOCKED != 0 {
            locked_until = Some(Moment(from.number()?.wrapping_add(latest)));
        }
        let (mut tally, mut forget_tally_at) = (0, Moment(0));
        if marks & TALLY != 0 {
            tally = from.small()?;
            forget_tally_at = Moment(from.number()?.wrapping_add(latest));
        }
        let spelling = match marks & SPELLING {
            UNKNOWN => Spelling::Unknown,
            MIXED => Spelling::Mixed,
            OWN => Spelling::One(own(from.rest())?),
            _ => Spelling::One(u64::from_le_bytes(from.array()?)),
        };
        Some(Self {
            failures,
            attempts,
            without_verdict,
            refused,
            latest: Moment(latest),
            forget_at,
            leak_every,
            locked_until,
            tally,
            forget_tally_at,
            spelling,
        })
    }
}

impl Spelling {
    fn pack(self, own: Option<u64>, to: &mut Vec<u8>) -> u8 {
        match self {
            Self::Unknown => UNKNOWN,
            Self::Mixed => MIXED,
            Self::One(hash) if Some(hash) == own => OWN,
            Self::One(hash) => {
                to.extend_from_slice(&hash.to_le_bytes());
                OTHER
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Nothing as often as something.
    fn some<T: std::fmt::Debug + Clone + Default + 'static>(
        value: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = T> {
        prop_oneof![4 => Just(T::default()), 1 => value]
    }

    fn moment() -> impl Strategy<Value = Moment> {
        let near = 0_u64..1 << 33;
        prop_oneof![4 => near.prop_map(Moment), 1 => Just(Moment::NEVER), 1 => any::<u64>().prop_map(Moment)]
    }

    fn spelling() -> impl Strategy<Value = Spelling> {
        let one = prop_oneof![Just(7), any::<u64>()].prop_map(Spelling::One);
        prop_oneof![Just(Spelling::Unknown), Just(Spelling::Mixed), one]
    }

    prop_compose! {
        /// Any at all, and often one as there are.
        pub(crate) fn history()(
            (failures, attempts, without_verdict) in (prop_oneof![0..9_u32, any::<u32>()],
                prop_oneof![0..9_u16, any::<u16>()], some(any::<u32>())),
            (refused, leak_every, tally) in (some(any::<u32>()), some(any::<u64>()), some(any::<u16>())),
            (latest, forget_at, forget_tally_at) in (moment(), moment(), some(moment())),
            (locked_until, spelling) in (some(moment().prop_map(Some)), spelling()),
        ) -> History {
            History {
                failures, attempts, without_verdict, refused, latest, forget_at, leak_every,
                locked_until, tally, forget_tally_at, spelling,
            }
        }
    }

    fn check(history: &History, own: Option<u64>) -> usize {
        let mut bytes = vec![9];
        let marks = history.pack(own, &mut bytes);
        assert_eq!(marks & !MARKS, 0);
        let packed = bytes.len() - 1;
        bytes.extend_from_slice(b"after");
        let mut taker = Taker::new(&bytes[1..]);
        let read_own = |rest: &[u8]| (rest == b"after").then_some(own?);
        assert_eq!(
            History::unpack((marks, history.latest), &mut taker, read_own).as_ref(),
            Some(history)
        );
        assert_eq!(taker.rest(), b"after");
        packed
    }

    proptest! {
        #[test]
        fn what_is_unpacked_is_what_was_packed(history in history(), own: Option<u64>) {
            check(&History::default(), own);
            check(&history, own);
            check(&history, Some(7));
        }
    }

    #[test]
    fn a_plain_history_takes_no_more_than_5_bytes() {
        let day = Moment(24 * 60 * 60 * 1_000);
        let latest = Moment((1 << 40) + 365 * day.0);
        let (own, forget_at) = (1 << 63, Moment(latest.0 + 600_000));
        let plain = History {
            failures: 4,
            attempts: 4,
            latest,
            forget_at,
            spelling: Spelling::One(own),
            ..History::default()
        };
        assert!(check(&plain, Some(own)) <= 4, "{}", check(&plain, Some(own)));
        let later = History { forget_at: Moment(latest.0 + day.0), ..plain };
        assert!(check(&later, Some(own)) <= 5, "{}", check(&later, Some(own)));
    }
}
