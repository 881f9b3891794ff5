//! A history where there are millions: nearly all of them remember a few failures and nothing else.

use super::{History, Spelling};
use crate::clock::Moment;

/// Stand for what is no single spelling; a hash that is one of them is kept at full length.
const UNKNOWN: u64 = u64::MAX;
const MIXED: u64 = u64::MAX - 1;

/// A [`History`] to the last bit, in less room where it is a plain one: without a lockout, before
/// or now, and with failures that are forgotten together, within 49 days.
#[derive(Clone, Debug)]
pub struct Kept(Form);

#[derive(Clone, Debug)]
enum Form {
    Plain {
        latest: Moment,
        spelling: u64,
        failures: u32,
        without_verdict: u32,
        /// Milliseconds from the latest failure.
        forget_in: u32,
        attempts: u16,
    },
    Whole(Box<History>),
}

impl Default for Kept {
    fn default() -> Self {
        Self(Form::of(History::default()))
    }
}

impl Kept {
    /// What was kept last.
    #[must_use]
    pub fn get(&self) -> History {
        match &self.0 {
            Form::Plain { latest, spelling, failures, without_verdict, forget_in, attempts } => {
                History {
                    failures: *failures,
                    attempts: *attempts,
                    without_verdict: *without_verdict,
                    latest: *latest,
                    forget_at: Moment(latest.0.saturating_add(u64::from(*forget_in))),
                    spelling: match *spelling {
                        UNKNOWN => Spelling::Unknown,
                        MIXED => Spelling::Mixed,
                        hash => Spelling::One(hash),
                    },
                    ..History::default()
                }
            }
            Form::Whole(history) => **history,
        }
    }

    /// Keeps `history` instead.
    pub fn set(&mut self, history: History) {
        match (&mut self.0, Form::plain(&history)) {
            (form, Some(plain)) => *form = plain,
            (Form::Whole(before), None) => **before = history,
            (form @ Form::Plain { .. }, None) => *form = Form::Whole(Box::new(history)),
        }
    }
}

impl Form {
    fn of(history: History) -> Self {
        Self::plain(&history).unwrap_or_else(|| Self::Whole(Box::new(history)))
    }

    fn plain(history: &History) -> Option<Self> {
        let History {
            failures,
            attempts,
            without_verdict,
            refused: 0,
            latest,
            forget_at,
            leak_every: 0,
            locked_until: None,
            tally: 0,
            forget_tally_at: Moment(0),
            spelling,
        } = *history
        else {
            return None;
        };
        let forget_in = u32::try_from(forget_at.0.checked_sub(latest.0)?).ok()?;
        let spelling = match spelling {
            Spelling::Unknown => UNKNOWN,
            Spelling::Mixed => MIXED,
            Spelling::One(hash) if hash < MIXED => hash,
            Spelling::One(_) => return None,
        };
        Some(Self::Plain { latest, spelling, failures, without_verdict, forget_in, attempts })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spelling() -> impl Strategy<Value = Spelling> {
        prop_oneof![
            Just(Spelling::Unknown),
            Just(Spelling::Mixed),
            prop_oneof![Just(0), Just(UNKNOWN), Just(MIXED), any::<u64>()].prop_map(Spelling::One),
        ]
    }

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

    prop_compose! {
        fn history()(
            (failures, attempts, without_verdict) in (any::<u32>(), any::<u16>(), some(any::<u32>())),
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

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_to_be_kept(histories in prop::collection::vec(history(), 1..5)) {
            let mut kept = Kept::default();
            prop_assert_eq!(kept.get(), History::default());
            for history in histories {
                kept.set(history);
                prop_assert_eq!(kept.get(), history);
            }
        }
    }

    #[test]
    fn a_plain_history_takes_no_more_than_32_bytes() {
        let plain = History {
            failures: u32::MAX,
            attempts: u16::MAX,
            without_verdict: u32::MAX,
            latest: Moment(1 << 40),
            forget_at: Moment((1 << 40) + 49 * 24 * 60 * 60 * 1_000),
            spelling: Spelling::One(0),
            ..History::default()
        };
        assert!(matches!(Form::of(plain), Form::Plain { .. }));
        assert!(size_of::<Kept>() <= 32, "{}", size_of::<Kept>());
        assert!(size_of::<History>() <= 80, "{}", size_of::<History>());
    }
}
