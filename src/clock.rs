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

/// A point of time as another process of this machine can relate it to its own, also after a
/// reboot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Names the boot; `None` where the system does not tell.
    pub boot: Option<u128>,
    /// Milliseconds since the boot, those asleep too; no clock that is set changes it.
    pub since_boot: u64,
    /// Milliseconds of the wall clock since 1970.
    pub wall: u64,
}

impl Stamp {
    /// How long before `now` this was. Within one boot nothing that happens to the wall clock
    /// changes that. Across a reboot the wall clock is believed, but never that time goes back: one
    /// that is behind means that no time has passed.
    #[must_use]
    pub fn elapsed(self, now: Self) -> Duration {
        let millis = if self.boot.is_some() && self.boot == now.boot {
            now.since_boot.saturating_sub(self.since_boot)
        } else {
            now.wall.saturating_sub(self.wall)
        };
        Duration::from_millis(millis)
    }
}

/// Names the boot.
fn boot() -> Option<u128> {
    static BOOT: OnceLock<Option<u128>> = OnceLock::new();
    let read = || {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        u128::from_str_radix(&text.trim().replace('-', ""), 16).ok()
    };
    *BOOT.get_or_init(read)
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
        boot(); // while it can be read
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

    /// The present moment of a driven clock, and of no other.
    #[must_use]
    pub fn driven_now(&self) -> Option<Moment> {
        matches!(self.0, Source::Driven(_)).then(|| self.now())
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

    /// The present moment as other processes can relate it to theirs.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let wall = millis(self.wall_now());
        match &self.0 {
            Source::System => {
                let (boot, since_boot) = match clock_gettime(ClockId::CLOCK_BOOTTIME) {
                    Ok(since_boot) => (boot(), millis(since_boot.into())),
                    Err(_) => (None, 0), // then the wall clock is believed
                };
                Stamp { boot, since_boot, wall }
            }
            Source::Driven(driven) => {
                Stamp { boot: Some(0), since_boot: driven.millis.load(Ordering::SeqCst), wall }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_across_restarts_and_never_back() {
        let stamp = |boot, since_boot, wall| Stamp { boot, since_boot, wall };
        let before = stamp(Some(1), 50_000, 1_000_000);
        for (what, now, millis) in [
            ("the same moment", before, 0),
            ("later in the same boot", stamp(Some(1), 53_000, 1_003_000), 3_000),
            ("the wall clock was set forward", stamp(Some(1), 53_000, 9_000_000), 3_000),
            ("the wall clock was set back", stamp(Some(1), 53_000, 5), 3_000),
            ("a machine that was put back", stamp(Some(1), 40_000, 1_003_000), 0),
            ("after a reboot", stamp(Some(2), 10, 1_060_000), 60_000),
            ("after a reboot without a clock", stamp(Some(2), 90_000, 12), 0),
            ("after a reboot that nobody names", stamp(None, 60_000, 1_001_000), 1_000),
        ] {
            assert_eq!(before.elapsed(now), Duration::from_millis(millis), "{what}");
        }
        let nameless = stamp(None, 50_000, 1_000_000);
        let later = stamp(None, 53_000, 1_001_000);
        assert_eq!(nameless.elapsed(later), Duration::from_secs(1), "two boots without a name");
    }

    #[test]
    fn the_system_tells_its_boot_and_the_time_since() {
        let (clock, before) = (Clock::system(), Clock::system().stamp());
        let now = clock.stamp();
        assert!(now.boot.is_some() && now.since_boot > 0 && before.since_boot <= now.since_boot);
    }
}
