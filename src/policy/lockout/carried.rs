//! A counter's history on its way to another process.

use super::{Failure, History, Limit, Proof, Spelling};
use crate::clock::Moment;
use crate::wire::{Reader, Writer};

impl History {
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
    use super::*;

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
