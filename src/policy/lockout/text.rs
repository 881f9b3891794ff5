//! A counter's history as a line of words, as guards of different machines tell it to each other.
//!
//! Moments are told relative to now, in milliseconds; `n` is [`Moment::NEVER`], `-` is none.

use super::{History, Spelling};
use crate::clock::Moment;

impl History {
    /// Everything, as it is from `now`.
    #[must_use]
    pub fn to_text(&self, now: Moment) -> String {
        let Self { failures, without_verdict, refused, attempts, tally, leak_every, .. } = self;
        let [latest, forget_at, forget_tally_at] =
            [self.latest, self.forget_at, self.forget_tally_at].map(|at| relative(at, now));
        let locked = self.locked_until.map_or_else(|| "-".to_owned(), |at| relative(at, now));
        let spelling = spelling_text(self.spelling);
        format!(
            "{failures} {without_verdict} {refused} {attempts} {tally} {leak_every} {latest} \
             {forget_at} {forget_tally_at} {locked} {spelling}"
        )
    }

    /// What was told in as many of `words` as it takes; `None` where they are something else.
    pub fn from_text<'a>(words: &mut impl Iterator<Item = &'a str>, now: Moment) -> Option<Self> {
        Some(Self {
            failures: number(words.next()?)?,
            without_verdict: number(words.next()?)?,
            refused: number(words.next()?)?,
            attempts: number(words.next()?)?,
            tally: number(words.next()?)?,
            leak_every: number(words.next()?)?,
            latest: absolute(words.next()?, now)?,
            forget_at: absolute(words.next()?, now)?,
            forget_tally_at: absolute(words.next()?, now)?,
            locked_until: match words.next()? {
                "-" => None,
                at => Some(absolute(at, now)?),
            },
            spelling: match words.next()? {
                "-" => Spelling::Unknown,
                "*" => Spelling::Mixed,
                hash => Spelling::One(number(hash)?),
            },
        })
    }
}

/// A number that is no larger than its type.
#[must_use]
pub fn number<T: TryFrom<u64>>(word: &str) -> Option<T> {
    T::try_from(word.parse().ok()?).ok()
}

/// A spelling as a word.
#[must_use]
pub fn spelling_text(spelling: Spelling) -> String {
    match spelling {
        Spelling::Unknown => "-".to_owned(),
        Spelling::One(hash) => hash.to_string(),
        Spelling::Mixed => "*".to_owned(),
    }
}

fn relative(moment: Moment, now: Moment) -> String {
    match moment {
        Moment::NEVER => "n".to_owned(),
        moment if moment < now => format!("-{}", now.0 - moment.0),
        moment => (moment.0 - now.0).to_string(),
    }
}

fn absolute(word: &str, now: Moment) -> Option<Moment> {
    if word == "n" {
        return Some(Moment::NEVER);
    }
    let offset: i64 = word.parse().ok()?;
    Some(Moment(now.0.saturating_add_signed(offset)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_the_same_afterwards_and_what_is_none_is_not_taken_for_one() {
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
            forget_tally_at: Moment(100_000),
            spelling: Spelling::One(u64::MAX),
        };
        for history in [history, History::default()] {
            let text = history.to_text(now);
            assert_eq!(History::from_text(&mut text.split(' '), now), Some(history), "{text}");
        }
        for wrong in ["", "1 2", "1 0 0 1 0 0 -1000 5000 x - -", "-1 0 0 0 0 0 0 0 0 - -"] {
            assert_eq!(History::from_text(&mut wrong.split(' '), now), None, "{wrong}");
        }
    }
}
