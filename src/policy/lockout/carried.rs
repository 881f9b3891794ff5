//! A counter's history on its way to another process, and two histories of one counter as one.

use std::cmp::Ordering;

use super::{Failure, History, Limit, Proof, Spelling};
use crate::clock::Moment;
use crate::wire::{Reader, Writer};

const SECOND: u64 = 1_000;

/// A history, each part by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Failures that count.
    pub failures: u32,
    /// In how many attempts they came, about.
    pub attempts: u16,
    /// Those without a verdict.
    pub without_verdict: u32,
    /// Attempts that were refused meanwhile, where these count.
    pub refused: u32,
    /// When the latest failure was.
    pub latest: Moment,
    /// When all failures will be forgotten, or the next one.
    pub forget_at: Moment,
    /// Milliseconds until the one after that; 0 where all are forgotten together.
    pub leak_every: u64,
    /// The end of the lockout.
    pub locked_until: Option<Moment>,
    /// Lockouts so far, where they escalate.
    pub tally: u16,
    /// When these will be forgotten.
    pub forget_tally_at: Moment,
    /// How the username was spelled.
    pub spelling: Spelling,
}

impl From<History> for Parts {
    fn from(history: History) -> Self {
        Self {
            failures: history.failures,
            attempts: history.attempts,
            without_verdict: history.without_verdict,
            refused: history.refused,
            latest: history.latest,
            forget_at: history.forget_at,
            leak_every: history.leak_every,
            locked_until: history.locked_until,
            tally: history.tally,
            forget_tally_at: history.forget_tally_at,
            spelling: history.spelling,
        }
    }
}

impl From<Parts> for History {
    fn from(parts: Parts) -> Self {
        Self {
            failures: parts.failures,
            attempts: parts.attempts,
            without_verdict: parts.without_verdict.min(parts.failures),
            refused: parts.refused,
            latest: parts.latest,
            forget_at: parts.forget_at,
            leak_every: parts.leak_every,
            locked_until: parts.locked_until,
            tally: parts.tally,
            forget_tally_at: parts.forget_tally_at,
            spelling: parts.spelling,
        }
    }
}

impl History {
    /// What two guards saw of one counter, where nobody knows how much of it both saw: the larger
    /// of both numbers, the later of both times, the longest lockout. Doing it again changes
    /// nothing.
    #[must_use]
    pub fn merged(self, other: Self, limit: &Limit, now: Moment) -> Self {
        let (own, other) = (self.aged(limit, now).bare(), other.aged(limit, now).bare());
        if own.is_blank() || other.is_blank() {
            return if own.is_blank() { other } else { own };
        }
        // of the same failures those are fewer for which somebody had no verdict
        let pardonable = match own.failures.cmp(&other.failures) {
            Ordering::Less => other.without_verdict,
            Ordering::Equal => own.without_verdict.min(other.without_verdict),
            Ordering::Greater => own.without_verdict,
        };
        let of = |history: &Self| (history.forget_at, history.leak_every, history.spelling);
        let (forget_at, leak_every, spelling) = match (own.failures, other.failures) {
            (0, _) => of(&other),
            (_, 0) => of(&own),
            (_, _) => {
                let mine = (own.forget_at, own.leak_every);
                let (forget_at, leak_every) = mine.max((other.forget_at, other.leak_every));
                let is_one = own.spelling == other.spelling;
                (forget_at, leak_every, if is_one { own.spelling } else { Spelling::Mixed })
            }
        };
        let merged = Self {
            failures: own.failures.max(other.failures),
            attempts: own.attempts.max(other.attempts),
            without_verdict: pardonable,
            refused: own.refused.max(other.refused),
            latest: own.latest.max(other.latest),
            forget_at,
            leak_every,
            locked_until: own.locked_until.max(other.locked_until),
            tally: own.tally.max(other.tally),
            forget_tally_at: own.forget_tally_at.max(other.forget_tally_at),
            spelling,
        };
        merged.aged(limit, now)
    }

    /// Whether it is the same but for less than a second: clocks of two machines do not agree on
    /// more.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let times = |history: &Self| {
            let locked = history.locked_until.unwrap_or_default();
            [history.latest, history.forget_at, history.forget_tally_at, locked]
        };
        let timeless = |history: &Self| Self {
            latest: Moment(0),
            forget_at: Moment(0),
            forget_tally_at: Moment(0),
            locked_until: history.locked_until.map(|_| Moment(0)),
            ..*history
        };
        let is_near = |(one, other): (Moment, Moment)| one.0.abs_diff(other.0) < SECOND;
        timeless(self) == timeless(other) && times(self).into_iter().zip(times(other)).all(is_near)
    }

    /// Without what is left behind by failures that are forgotten, which means nothing.
    const fn bare(self) -> Self {
        if self.failures > 0 {
            return self;
        }
        Self {
            failures: 0,
            attempts: 0,
            without_verdict: 0,
            refused: 0,
            latest: if self.is_blank() { Moment(0) } else { self.latest },
            forget_at: Moment(0),
            leak_every: 0,
            spelling: Spelling::Unknown,
            forget_tally_at: if self.is_blank() { Moment(0) } else { self.forget_tally_at },
            ..self
        }
    }

    /// Tells everything.
    pub fn write(&self, to: &mut Writer) {
        for number in [self.failures, self.without_verdict, self.refused] {
            to.number(number.into());
        }
        to.number(self.attempts.into());
        to.number(self.tally.into());
        to.number(self.leak_every);
        for moment in [self.latest, self.forget_at, self.forget_tally_at] {
            to.moment(moment);
        }
        to.optional(self.locked_until, Writer::moment);
        match self.spelling {
            Spelling::Unknown => to.byte(0),
            Spelling::One(hash) => {
                to.byte(1);
                to.number(hash);
            }
            Spelling::Mixed => to.byte(2),
        }
    }

    /// What another process told.
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            failures: from.small()?,
            without_verdict: from.small()?,
            refused: from.small()?,
            attempts: from.small()?,
            tally: from.small()?,
            leak_every: from.number()?,
            latest: from.moment()?,
            forget_at: from.moment()?,
            forget_tally_at: from.moment()?,
            locked_until: from.optional(Reader::moment)?,
            spelling: match from.byte()? {
                0 => Spelling::Unknown,
                1 => Spelling::One(from.number()?),
                2 => Spelling::Mixed,
                _ => return None,
            },
        })
    }

    /// When the latest failure was.
    #[must_use]
    pub const fn latest(&self) -> Moment {
        self.latest
    }

    /// So many guesses of which nobody will know the verdict any more count as failures.
    #[must_use]
    pub fn with_lost(mut self, limit: &Limit, guesses: u32, now: Moment) -> Self {
        self = self.aged(limit, now);
        if guesses > 0 {
            let failure = Failure { guesses, proof: Proof::NoVerdict, spelling: Spelling::Mixed };
            self.fail(limit, failure, now);
        }
        self
    }

    /// This history, and on top of it the failures that were counted elsewhere meanwhile.
    #[must_use]
    pub fn with_later(mut self, later: &Self, limit: &Limit, now: Moment) -> Self {
        self = self.aged(limit, now);
        if later.failures > 0 {
            let (guesses, spelling) = (later.failures, later.spelling);
            self.fail(limit, Failure { guesses, proof: Proof::Verdict, spelling }, now);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::policy::lockout::Forget;

    const NOW: Moment = Moment(1_000_000);

    /// A history that somebody may have: failures now and then, up to now.
    fn history() -> impl Strategy<Value = History> {
        prop::collection::vec((0_u64..400_000, 1_u32..4, 0_u64..3), 0..6).prop_map(failed)
    }

    fn failed(mut failures: Vec<(u64, u32, u64)>) -> History {
        failures.sort_unstable_by_key(|(ago, ..)| std::cmp::Reverse(*ago));
        let (limit, mut history) = (limit(), History::default());
        for (ago, guesses, what) in failures {
            let at = Moment(NOW.0 - ago);
            let proof = if what == 0 { Proof::NoVerdict } else { Proof::Verdict };
            let failure = Failure { guesses, proof, spelling: Spelling::One(what) };
            history = history.aged(&limit, at);
            history.fail(&limit, failure, at);
        }
        history
    }

    fn limit() -> Limit {
        let mut limit = Limit::usual();
        limit.forget = Forget::Leaky;
        limit.cool_off = crate::policy::lockout::CoolOff::Steps(vec![
            Duration::from_secs(60),
            Duration::from_secs(120),
        ]);
        limit.forget_after = Duration::from_secs(200);
        limit
    }

    proptest! {
        #[test]
        fn two_histories_of_one_counter_are_never_less_than_either(
            (one, other) in (history(), history()),
        ) {
            let limit = limit();
            let merged = one.merged(other, &limit, NOW);
            prop_assert_eq!(merged, other.merged(one, &limit, NOW));
            prop_assert_eq!(merged, merged.merged(other, &limit, NOW));
            for each in [one, other] {
                let each = each.aged(&limit, NOW);
                prop_assert!(merged.failures >= each.failures);
                prop_assert!(merged.locked_until >= each.locked_until);
                prop_assert!(merged.tally >= each.tally);
            }
        }

        #[test]
        fn a_history_is_the_sum_of_its_parts(one in history()) {
            prop_assert_eq!(History::from(Parts::from(one)), one);
        }
    }

    #[test]
    fn a_history_is_the_same_afterwards() {
        let now = Moment(100_000);
        let history = History {
            failures: 1,
            attempts: 2,
            without_verdict: 3,
            refused: 4,
            latest: Moment(99_000),
            forget_at: Moment(150_000),
            leak_every: 7,
            locked_until: Some(Moment::NEVER),
            tally: 8,
            forget_tally_at: Moment(170_000),
            spelling: Spelling::One(9),
        };
        for history in [history, History::default()] {
            let mut writer = Writer::new(now);
            history.write(&mut writer);
            let bytes = writer.done();
            assert_eq!(History::read(&mut Reader::new(&bytes, now)), Some(history));
        }
    }
}
