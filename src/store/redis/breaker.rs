//! Whether the store is asked at all: one flag for all threads, so that an outage costs its timeout
//! once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;

use super::outage::Outage;
use super::settings::{OnOutage, RedisSettings};
use crate::clock::{Clock, millis};

/// Another reason why the store is away is told after so long.
const TOLD_AGAIN: Duration = Duration::from_secs(5);

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
    /// Whether it was found out since that the store is not there.
    is_sure: bool,
    /// When the reason was told that was told last, since 1970.
    told_at: Duration,
    told: Option<Arc<Outage>>,
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

    /// Waits while it is open and nobody knows yet whether the store is there all the same, such as
    /// when another process answers than before; so long since it was opened at most. Nothing is
    /// lost by dropping this.
    pub async fn until_sure(&self, most: Duration) {
        let Some(away) = self.away() else { return };
        let past = Clock::system().wall_now().saturating_sub(away.since);
        let sure = self.until_state(|state| state.is_sure || !is_odd(state.turn));
        // whoever does not know by then goes on as if it were not there
        drop(tokio::time::timeout(most.saturating_sub(past), sure).await);
    }

    /// It was tried to reach the store, and this is why it is not there, or not yet.
    pub fn note(&self, why: &Outage) {
        let now = Clock::system().wall_now();
        let mut is_news = false;
        self.state.send_if_modified(|state| {
            let Some(away) = &mut state.away else { return false };
            let was_sure = std::mem::replace(&mut state.is_sure, true);
            if *away.why != *why {
                away.why = Arc::new(why.clone());
            }
            // two reasons that take turns are not told again and again
            is_news = state.told.as_deref() != Some(why)
                && now.saturating_sub(state.told_at) >= TOLD_AGAIN;
            if is_news {
                (state.told, state.told_at) = (Some(Arc::clone(&away.why)), now);
            }
            !was_sure
        });
        if is_news && let Some(settings) = self.about.get() {
            tell(settings, Some(why), None);
        }
    }

    async fn until(&self, wanted: impl Fn(u64) -> bool) {
        self.until_state(|state| wanted(state.turn)).await;
    }

    async fn until_state(&self, wanted: impl Fn(&State) -> bool) {
        let mut state = self.state.subscribe();
        // the sender lives as long as this does
        drop(state.wait_for(wanted).await);
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
            (state.told, state.told_at) = (away.as_ref().map(|away| Arc::clone(&away.why)), now);
            state.is_sure = why.is_some_and(Outage::is_sure);
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
    async fn whether_it_is_there_is_known_once_it_was_tried() {
        let (breaker, why) = (Breaker::default(), Outage::never(Why::Another));
        let long = Duration::from_hours(1);
        breaker.until_sure(long).await;
        breaker.trip(&why);
        let latest = Outage::never(Why::Unwilling("NOPERM".into()));
        let tries = async { breaker.note(&latest) };
        let waits = async {
            breaker.until_sure(long).await;
            assert_eq!(*breaker.away().unwrap().why, latest, "it waits until that was tried");
        };
        tokio::join!(waits, tries);
        breaker.close();
        breaker.note(&latest);
        assert!(breaker.away().is_none());
        breaker.trip(&Outage::never(Why::Late(Duration::from_millis(50))));
        breaker.until_sure(long).await; // it had its time
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
