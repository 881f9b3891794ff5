//! A page of a sorted list, found by looking at everything once, in no order.
//!
//! Only the rows of the page are kept, and as many again. A page begins after the place of the last
//! row of the one before, wherever that row may be now: what does not change is on one page, and on
//! one alone.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// By what a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// By failures that count.
    Failures,
    /// By the time of the latest failure.
    Latest,
    /// By how long the lockout lasts; those that are not locked have no time left.
    Remaining,
    /// By the site's name.
    Site,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The least first.
    Ascending,
    /// The most first.
    Descending,
}

/// Where something stands in a list; no two things stand in one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The site's name, where it is sorted by that.
    pub site: Box<str>,
    /// By what it is sorted.
    pub first: u64,
    /// Where that is the same, by this.
    pub second: u64,
    /// And in the end by this, which is no two counters'.
    pub key: u128,
}

/// After which place a page begins, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    sort: Sort,
    order: Order,
    after: Place,
}

/// A page that fills.
#[derive(Debug)]
pub struct Page<K> {
    sort: Sort,
    order: Order,
    limit: usize,
    after: Option<Place>,
    /// Those that may be on it; never more than twice as many as will be.
    rows: Vec<(Place, K)>,
    /// The last that can be on it, once there are enough.
    last: Option<Place>,
    total: usize,
    /// Whether there are more than the page has.
    more: usize,
}

impl Cursor {
    /// Whether it is one of a list in that order.
    #[must_use]
    pub fn is_of(&self, sort: Sort, order: Order) -> bool {
        (self.sort, self.order) == (sort, order)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { site, first, second, key } = &self.after;
        let key = format!("{key:032x}");
        let whole = json!([self.sort as u8, self.order as u8, site, first, second, key]);
        out.write_str(&URL_SAFE_NO_PAD.encode(whole.to_string()))
    }
}

/// It is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NoCursor)?;
        let whole: Vec<Value> = serde_json::from_slice(&bytes).map_err(|_| NoCursor)?;
        let [sort, order, site, first, second, key] = whole.as_slice() else {
            return Err(NoCursor);
        };
        let sorts = [Sort::Failures, Sort::Latest, Sort::Remaining, Sort::Site];
        let sort = sorts.into_iter().find(|known| sort.as_u64() == Some(*known as u64));
        let orders = [Order::Ascending, Order::Descending];
        let order = orders.into_iter().find(|known| order.as_u64() == Some(*known as u64));
        let after = Place {
            site: site.as_str().ok_or(NoCursor)?.into(),
            first: first.as_u64().ok_or(NoCursor)?,
            second: second.as_u64().ok_or(NoCursor)?,
            key: u128::from_str_radix(key.as_str().ok_or(NoCursor)?, 16).map_err(|_| NoCursor)?,
        };
        Ok(Self { sort: sort.ok_or(NoCursor)?, order: order.ok_or(NoCursor)?, after })
    }
}

impl<K: Clone> Page<K> {
    /// A page of at most `limit` rows, which begins after `cursor`.
    #[must_use]
    pub fn new((sort, order): (Sort, Order), limit: usize, cursor: Option<Cursor>) -> Self {
        let after = cursor.map(|cursor| cursor.after);
        let rows = Vec::new();
        Self { sort, order, limit: limit.max(1), after, rows, last: None, total: 0, more: 0 }
    }

    /// By what it is sorted.
    #[must_use]
    pub const fn sort(&self) -> Sort {
        self.sort
    }

    /// Takes one of the list into account, which may come in any order.
    pub fn see(&mut self, kept: &K, place: impl FnOnce() -> Place) {
        self.total += 1;
        let place = place();
        let order = self.order;
        let is_behind = |other: &Place| compare(order, &place, other) == Ordering::Greater;
        if self.after.as_ref().is_some_and(|after| !is_behind(after)) {
            return;
        }
        self.more += 1;
        if self.last.as_ref().is_some_and(is_behind) {
            return;
        }
        self.rows.push((place, kept.clone()));
        if self.rows.len() >= self.limit * 2 {
            self.cut();
        }
    }

    /// Keeps those that are first.
    fn cut(&mut self) {
        let order = self.order;
        self.rows.sort_unstable_by(|(a, _), (b, _)| compare(order, a, b));
        self.rows.truncate(self.limit);
        if self.rows.len() == self.limit {
            self.last = self.rows.last().map(|(place, _)| place.clone());
        }
    }

    /// The rows, how many the whole list has, and where the next page begins, if there is one.
    #[must_use]
    pub fn done(mut self) -> (Vec<K>, usize, Option<Cursor>) {
        self.cut();
        let last = self.rows.last().filter(|_| self.more > self.rows.len());
        let after = last.map(|(place, _)| place.clone());
        let (sort, order) = (self.sort, self.order);
        let next = after.map(|after| Cursor { sort, order, after });
        (self.rows.into_iter().map(|(_, kept)| kept).collect(), self.total, next)
    }
}

fn compare(order: Order, a: &Place, b: &Place) -> Ordering {
    match order {
        Order::Ascending => a.cmp(b),
        Order::Descending => b.cmp(a),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place((first, second, key): (u8, u8, u16)) -> Place {
        Place { site: "".into(), first: first.into(), second: second.into(), key: key.into() }
    }

    proptest! {
        /// Whatever comes in whatever order: all pages together are the whole list.
        #[test]
        fn pages_put_together_are_the_list(
            all in prop::collection::btree_set((0_u8..4, 0_u8..3, any::<u16>()), 0..80),
            limit in 1_usize..20,
            order in prop_oneof![Just(Order::Ascending), Just(Order::Descending)],
            turned: prop::sample::Index,
        ) {
            let mut whole: Vec<Place> = all.iter().copied().map(place).collect();
            let mut met = whole.clone();
            let by = if met.is_empty() { 0 } else { turned.index(met.len()) };
            met.rotate_left(by);
            whole.sort_by(|a, b| compare(order, a, b));
            let (mut together, mut cursor) = (Vec::new(), None);
            loop {
                let mut page = Page::new((Sort::Failures, order), limit, cursor);
                met.iter().for_each(|place| page.see(place, || place.clone()));
                prop_assert!(page.rows.len() < 2 * limit.max(1));
                let (rows, total, next) = page.done();
                prop_assert_eq!(total, whole.len());
                prop_assert!(rows.len() == limit || next.is_none());
                together.extend(rows);
                let Some(next) = next else { break };
                cursor = Some(next.to_string().parse::<Cursor>().expect("its own"));
            }
            prop_assert_eq!(together, whole);
        }
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        for text in ["", "x", "e30", "W10", "////", &URL_SAFE_NO_PAD.encode("[9,9,\"\",1,1,\"0\"]")]
        {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }
}
