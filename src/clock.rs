//! Time: the system's, or a test's.
//!
//! Decisions take a [`Moment`] as an argument; only this file asks the operating system.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

/// A point of monotonic time, in milliseconds since the clock began.
///
/// Milliseconds, because cool-offs below a second exist and a counter has to stay small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// Later than anything that happens: the end of a lockout that has none.
    pub const NEVER: Self = Self(u64::MAX);

    /// This moment, `later` later; saturates at [`Moment::NEVER`].
    #[must_use]
    pub const fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(millis(later)))
    }

    /// How long from `earlier` until this moment; zero if `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in whole milliseconds, as far as they fit.
#[must_use]
pub const fn millis(duration: Duration) -> u64 {
    let millis = duration.as_millis();
    if millis > u64::MAX as u128 { u64::MAX } else { millis as u64 }
}

/// A point of the system's monotonic time, in nanoseconds: to measure what has happened, and never
/// to decide what happens.
#[derive(Clone, Copy, Debug)]
pub struct Tick(u64);

impl Tick {
    /// The present one. Four of them go into every request, so this asks for no more than it needs.
    #[must_use]
    pub fn now() -> Self {
        // there is such a clock wherever there is Linux
        let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) else { return Self(0) };
        let (seconds, nanos) = (now.tv_sec().cast_unsigned(), now.tv_nsec().cast_unsigned());
        Self(seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos))
    }

    /// How many nanoseconds have passed since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where the guard takes the time from.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Driven(Arc<Driven>),
}

#[derive(Debug)]
struct Driven {
    millis: AtomicU64,
    moved: Notify,
}

/// The moment at which a process begins, so that what another one remembers has room before it.
const BEGINNING: u64 = 1 << 40;

/// The instant that [`BEGINNING`] stands for.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

impl Clock {
    /// The operating system's monotonic clock.
    #[must_use]
    pub fn system() -> Self {
        origin();
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`] moves it. For tests.
    #[must_use]
    pub fn driven() -> Self {
        let start = Driven { millis: AtomicU64::new(1_000_000), moved: Notify::new() };
        Self(Source::Driven(Arc::new(start)))
    }

    /// Moves a driven clock on; the system's goes by itself and is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Driven(driven) = &self.0 {
            driven.millis.fetch_add(millis(by), Ordering::SeqCst);
            driven.moved.notify_waiters();
        }
    }

    /// The present moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::System => Moment(BEGINNING + millis(Instant::now().duration_since(origin()))),
            Source::Driven(driven) => Moment(driven.millis.load(Ordering::SeqCst)),
        }
    }

    /// Waits until `moment`; returns at once if it has passed. Dropping it has no effect.
    pub async fn sleep_until(&self, moment: Moment) {
        match &self.0 {
            Source::System => tokio::time::sleep(moment.since(self.now())).await,
            Source::Driven(driven) => loop {
                let moved = driven.moved.notified();
                if driven.millis.load(Ordering::SeqCst) >= moment.0 {
                    return;
                }
                moved.await;
            },
        }
    }

    /// The present wall-clock time since 1970, of the operating system.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]
    pub fn wall_now(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// The wall-clock time of `moment` since 1970, for people and logs.
    #[must_use]
    pub fn wall(&self, moment: Moment) -> Duration {
        let (wall, now) = (self.wall_now(), self.now());
        wall.saturating_add(moment.since(now)).saturating_sub(now.since(moment))
    }
}
