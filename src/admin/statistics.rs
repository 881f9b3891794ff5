//! The last hours for the page: how much of everything happened, and who fails most.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::query::Query;
use super::reply::Problem;
use crate::clock::{Clock, Moment};
use crate::guard::Shared;
use crate::statistics::tops::Tops;
use crate::statistics::{COUNTED, EVERY, Series, Statistics, counts};
use crate::store::Store;

/// Who fails most is found out by looking at every counter. What that took, so many times over, has
/// to pass until it is looked again, however many ask.
const REST: u32 = 20;
/// So long at least.
const LEAST_REST: Duration = Duration::from_millis(500);
/// So many of each kind are remembered.
const MOST_TOPS: usize = 50;

/// What has happened, as far as it is remembered.
#[derive(Debug)]
pub struct Recorder {
    statistics: RefCell<Statistics>,
    /// Who failed most, and until when that is told.
    tops: RefCell<Option<(Moment, Value)>>,
    looking: Cell<Looking>,
    clock: Clock,
    began: Began,
}

/// When it began, by both clocks. What is remembered goes by the one that nobody sets: where somebody
/// sets the other, the whole history moves along, and nothing of it is lost.
#[derive(Clone, Copy, Debug)]
struct Began {
    since_boot: u64,
    wall: Duration,
}

impl Began {
    /// The time of day so many milliseconds after the boot, had nobody set the clock since.
    fn time(self, since_boot: u64) -> Duration {
        self.wall.saturating_add(Duration::from_millis(since_boot.saturating_sub(self.since_boot)))
    }
}

/// The second that somebody who looks at the clock takes for `second`, where it is `wall` for him and
/// `own` for us. Less than two seconds are no change.
fn as_shown(second: u64, wall: Duration, own: Duration) -> u64 {
    let ahead = wall.saturating_sub(own).as_secs();
    let behind = own.saturating_sub(wall).as_secs();
    if ahead.max(behind) < 2 {
        return second;
    }
    second.saturating_add(ahead).saturating_sub(behind)
}

/// Whether somebody looks at all counters now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looking {
    Nobody,
    Somebody,
}

impl Recorder {
    /// One that remembers what happens from now on.
    #[must_use]
    pub fn begin(shared: &Shared) -> Self {
        let clock = Clock::system();
        let began = Began { since_boot: clock.stamp().since_boot, wall: clock.wall_now() };
        let statistics = Statistics::begin(began.wall, counts(&shared.metrics.totals()));
        Self {
            statistics: RefCell::new(statistics),
            tops: RefCell::default(),
            looking: Cell::new(Looking::Nobody),
            clock,
            began,
        }
    }

    /// The time that the history goes by.
    fn time(&self) -> Duration {
        self.began.time(self.clock.stamp().since_boot)
    }

    /// Looks now and then, at round times, for as long as it is polled.
    pub async fn keep_looking(&self, shared: &Shared) {
        let step = u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX);
        loop {
            let now = u64::try_from(self.time().as_millis()).unwrap_or_default();
            // a moment later, so that it is that time already
            let rest = step.saturating_sub(now % step).saturating_add(5);
            tokio::time::sleep(Duration::from_millis(rest)).await;
            self.look(shared);
        }
    }

    fn look(&self, shared: &Shared) {
        let in_force = shared.store.sizes().locked as u64;
        let now = self.time();
        self.statistics.borrow_mut().look(now, counts(&shared.metrics.totals()), in_force);
    }

    /// What `query` asks for.
    ///
    /// # Errors
    ///
    /// When it asks for what there is not.
    pub async fn tell(&self, query: Option<&str>, shared: &Shared) -> Result<Value, Problem> {
        let query = Query::parse(query, &["span_s", "tops"])?;
        let span = query.number("span_s", 60..=86_400, 3_600)?;
        let most = query.number("tops", 0..=MOST_TOPS, 10)?;
        self.look(shared);
        let tops = if most == 0 { Value::Null } else { self.tops(most, &shared.store).await };
        let (statistics, now) = (self.statistics.borrow(), self.time());
        let wall = self.clock.wall_now();
        let series = statistics.last(Duration::from_secs(span as u64), now);
        Ok(json!({
            "now": as_shown(now.as_secs(), wall, now),
            "since": as_shown(statistics.since().as_secs(), wall, now),
            "step_s": series.step,
            "end": as_shown(series.end, wall, now),
            "series": shown(&series),
            "tops": tops,
        }))
    }

    /// Who fails most. Attempts go on while all counters are looked at, part by part.
    async fn tops(&self, most: usize, store: &Store) -> Value {
        let begun = self.clock.now();
        let known = self.tops.borrow().as_ref().is_some_and(|(until, _)| begun < *until);
        if !known && self.looking.replace(Looking::Somebody) == Looking::Nobody {
            let guard = Done(&self.looking);
            let mut tops = Tops::default();
            store.refresh().await;
            for part in Store::parts() {
                store.scan(part, |found| tops.see(found));
                // whatever else there is to do, such as to end
                tokio::task::yield_now().await;
            }
            let now = self.clock.now();
            let rest = now.since(begun).saturating_mul(REST).max(LEAST_REST);
            *self.tops.borrow_mut() = Some((now.after(rest), tops.shown(MOST_TOPS)));
            drop(guard);
        }
        let mut tops = self.tops.borrow().as_ref().map_or(Value::Null, |(_, tops)| tops.clone());
        for list in tops.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(list) = list.as_array_mut() {
                list.truncate(most);
            }
        }
        tops
    }
}

/// Somebody who looked does so no more, also where he was broken off.
struct Done<'a>(&'a Cell<Looking>);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.set(Looking::Nobody);
    }
}

/// The values of each series, the oldest first.
fn shown(series: &Series) -> Value {
    let mut all = Map::new();
    for (at, (group, name)) in COUNTED.into_iter().enumerate() {
        let values = series.points.iter().map(|point| point.counts.get(at).copied());
        let values: Vec<u32> = values.map(Option::unwrap_or_default).collect();
        let place = match group {
            "" => Some(&mut all),
            group => all.entry(group).or_insert_with(|| json!({})).as_object_mut(),
        };
        if let Some(place) = place {
            place.insert(name.to_owned(), values.into());
        }
    }
    let in_force: Vec<u32> = series.points.iter().map(|point| point.in_force).collect();
    all.insert("in_force".to_owned(), in_force.into());
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_moves_the_whole_history_along() {
        let began = Began { since_boot: 5_000, wall: Duration::from_secs(1_000) };
        let own = began.time(65_000);
        assert_eq!(own, Duration::from_secs(1_060));
        let check = |wall, expected| {
            assert_eq!(as_shown(1_050, Duration::from_millis(wall), own), expected, "{wall}");
        };
        check(1_060_000, 1_050);
        check(1_061_900, 1_050);
        check(1_058_100, 1_050);
        check(1_060_000 + 86_400_000, 1_050 + 86_400);
        check(460_000, 450);
        check(0, 0);
    }
}
