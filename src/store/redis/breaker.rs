//! Whether the store is asked at all: one flag for all threads, so that an outage costs its timeout
//! once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;

use super::outage::Outage;
use super::settings::{OnOutage, RedisSettings};
use crate::clock::{Clock, millis};

/// Open: nobody asks. Closed: everybody does.
#[derive(Debug)]
pub struct Breaker {
    /// How often it was tripped and closed: odd while it is open.
    turn: AtomicU64,
    state: watch::Sender<State>,
    /// Whose store it is, to be named in events.
    about: OnceLock<Arc<RedisSettings>>,
}

/// How things are.
#[derive(Clone, Debug, Default)]
struct State {
    turn: u64,
    /// Why it is open, while it is.
    away: Option<Away>,
}

/// Since when the store is out of reach, and why.
#[derive(Clone, Debug)]
pub struct Away {
    /// The time of day, since 1970.
    pub since: Duration,
    /// What went wrong.
    pub why: Arc<Outage>,
}

/// A point between two changes of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(u64);

impl Default for Breaker {
    fn default() -> Self {
        let state = watch::Sender::new(State::default());
        Self { turn: AtomicU64::new(0), state, about: OnceLock::new() }
    }
}

impl Breaker {
    /// It is about the store of these settings, and tells of it from now on.
    pub(super) fn tells_of(&self, settings: &Arc<RedisSettings>) {
        // whoever comes second means the same store
        drop(self.about.set(Arc::clone(settings)));
    }

    /// Whether nobody asks.
    #[must_use]
    pub fn is_open(&self) -> bool {
        is_odd(self.turn.load(Ordering::Relaxed))
    }

    /// How things are, to be named when something that begins now goes wrong.
    #[must_use]
    pub fn turn(&self) -> Turn {
        Turn(self.turn.load(Ordering::Relaxed))
    }

    /// Opens it, unless it is open. Says whether that was news.
    pub fn trip(&self, why: &Outage) -> bool {
        self.change(|turn| !is_odd(turn), Some(why))
    }

    /// Opens it because of what began at `begun`, unless it was opened since: then what went wrong
    /// is known, and perhaps mended.
    pub fn trip_since(&self, begun: Turn, why: &Outage) -> bool {
        self.change(|turn| turn == begun.0 && !is_odd(turn), Some(why))
    }

    /// Closes it: the store is there, and up to date. Says whether that was news.
    pub fn close(&self) -> bool {
        self.change(is_odd, None)
    }

    /// Why it is open, if it is, and since when.
    #[must_use]
    pub fn away(&self) -> Option<Away> {
        self.state.borrow().away.clone()
    }

    /// Waits until it is open. Nothing is lost by dropping this.
    pub async fn until_tripped(&self) {
        self.until(is_odd).await;
    }

    /// Waits until it is closed. Nothing is lost by dropping this.
    pub async fn until_closed(&self) {
        self.until(|turn| !is_odd(turn)).await;
    }

    async fn until(&self, wanted: impl Fn(u64) -> bool) {
        let mut state = self.state.subscribe();
        // the sender lives as long as this does
        drop(state.wait_for(|state| wanted(state.turn)).await);
    }

    fn change(&self, may: impl Fn(u64) -> bool, why: Option<&Outage>) -> bool {
        let now = Clock::system().wall_now();
        let mut before = None;
        let is_news = self.state.send_if_modified(|state| {
            if !may(state.turn) {
                return false;
            }
            state.turn += 1;
            let away = why.map(|why| Away { since: now, why: Arc::new(why.clone()) });
            before = std::mem::replace(&mut state.away, away);
            self.turn.store(state.turn, Ordering::Relaxed);
            true
        });
        if is_news && let Some(settings) = self.about.get() {
            tell(settings, why, before.map(|before| now.saturating_sub(before.since)));
        }
        is_news
    }
}

/// Says that the store is out of reach, and what follows from it, or that it is back.
fn tell(settings: &RedisSettings, why: Option<&Outage>, away: Option<Duration>) {
    let store = settings.place.to_string();
    let Some(why) = why else {
        let away_ms = away.map_or(0, millis);
        let message = "it is up to date, and counts for all guards again";
        tracing::info!(event = "store_back", store = %store, away_ms, message);
        return;
    };
    let message = match settings.on_outage {
        OnOutage::Local => "until it is back, this guard counts alone",
        OnOutage::Refuse => "until it is back, attempts are answered 503",
        OnOutage::Allow => "until it is back, attempts go through uncounted",
    };
    tracing::warn!(event = "store_unreachable", store = %store, reason = %why, message);
}

const fn is_odd(turn: u64) -> bool {
    turn % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::super::outage::Why;
    use super::*;

    #[test]
    fn what_began_before_it_was_mended_opens_it_no_more() {
        let (breaker, why) = (Breaker::default(), Outage::never(Why::Another));
        let begun = breaker.turn();
        assert!(breaker.trip_since(begun, &why) && breaker.is_open());
        assert!(!breaker.trip_since(begun, &why) && !breaker.trip(&why), "it is open");
        assert_eq!(*breaker.away().unwrap().why, why);
        assert!(breaker.close() && !breaker.close() && breaker.away().is_none());
        assert!(!breaker.trip_since(begun, &why) && !breaker.is_open(), "that was mended");
        assert!(breaker.trip_since(breaker.turn(), &why) && breaker.is_open());
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_it() {
        let breaker = Arc::new(Breaker::default());
        let other = Arc::clone(&breaker);
        let waiting = tokio::spawn(async move {
            other.until_tripped().await;
            other.close();
        });
        breaker.trip(&Outage::never(Why::Another));
        breaker.until_closed().await;
        waiting.await.unwrap();
        assert!(!breaker.is_open());
    }
}
