//! Whether attempts may go to the counters at all: not before they are here, nor once they are
//! handed over.
//!
//! Never are two memories at work on one login. A process that takes over lets attempts wait until
//! it has the counters; one that hands over lets no more in and waits until all are settled.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::store::memory::lock;
use crate::store::queue::{MOST, MOST_BYTES};

/// Who has the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Another process still has them.
    Awaiting,
    /// Another process has them now.
    Closed,
    /// This one.
    Open,
}

/// Where every attempt passes on its way to the counters.
#[derive(Debug)]
pub struct Gate {
    standing: watch::Sender<Standing>,
    inside: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    bytes: usize,
}

/// One attempt that has passed; dropped when it is settled.
#[derive(Debug)]
pub struct Pass(Arc<Gate>);

/// Why an attempt does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// The counters do not come in time, or too many wait for them.
    Late,
    /// They are gone.
    Gone,
}

impl Gate {
    /// A gate that stands like this.
    #[must_use]
    pub fn new(standing: Standing) -> Arc<Self> {
        Arc::new(Self {
            standing: watch::Sender::new(standing),
            inside: AtomicUsize::new(0),
            waiting: Mutex::default(),
        })
    }

    /// Lets an attempt pass as soon as the counters are here, for which it waits for `wait` at most
    /// with so many `bytes`. Dropping the future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// When they do not come in time, or are gone.
    pub async fn pass(
        self: &Arc<Self>,
        clock: &Clock,
        bytes: usize,
        wait: Duration,
    ) -> Result<Pass, Shut> {
        match self.enter() {
            Ok(pass) => Ok(pass),
            Err(Standing::Awaiting) => {
                let place = Place::take(self, bytes).ok_or(Shut::Late)?;
                let mut changes = self.standing.subscribe();
                let come = changes.wait_for(|standing| *standing != Standing::Awaiting);
                tokio::select! {
                    come = come => drop(come),
                    () = clock.sleep_until(clock.now().after(wait)) => return Err(Shut::Late),
                }
                drop(place);
                self.enter().map_err(|_| Shut::Gone)
            }
            Err(Standing::Closed | Standing::Open) => Err(Shut::Gone),
        }
    }

    /// Lets an attempt pass if the counters are here.
    #[must_use]
    pub fn try_pass(self: &Arc<Self>) -> Option<Pass> {
        self.enter().ok()
    }

    fn enter(self: &Arc<Self>) -> Result<Pass, Standing> {
        // counted first: whoever shuts the gate afterwards waits for it
        self.inside.fetch_add(1, Ordering::SeqCst);
        let pass = Pass(Arc::clone(self));
        match *self.standing.borrow() {
            Standing::Open => Ok(pass),
            standing @ (Standing::Awaiting | Standing::Closed) => Err(standing),
        }
    }

    /// The gate stands like this from now on.
    pub fn set(&self, standing: Standing) {
        self.standing.send_replace(standing);
    }

    /// Who has the counters.
    #[must_use]
    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// How many have passed and are not settled.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place among those who wait.
struct Place<'a> {
    gate: &'a Gate,
    bytes: usize,
}

impl<'a> Place<'a> {
    fn take(gate: &'a Gate, bytes: usize) -> Option<Self> {
        let mut waiting = lock(&gate.waiting);
        let held = waiting.bytes.saturating_add(bytes);
        if waiting.count >= MOST || held > MOST_BYTES {
            return None;
        }
        waiting.count += 1;
        waiting.bytes = held;
        Some(Self { gate, bytes })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.gate.waiting);
        waiting.count -= 1;
        waiting.bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn attempts_wait_for_the_counters_and_none_passes_once_they_are_gone() {
        let (gate, clock) = (Gate::new(Standing::Awaiting), Clock::driven());
        let mut context = Context::from_waker(Waker::noop());
        let wait = Duration::from_secs(10);
        let mut early = pin!(gate.pass(&clock, 5, wait));
        assert!(early.as_mut().poll(&mut context).is_pending());
        let mut large = pin!(gate.pass(&clock, MOST_BYTES, wait));
        let Poll::Ready(Err(Shut::Late)) = large.as_mut().poll(&mut context) else { panic!() };
        assert_eq!(gate.inside(), 0);
        gate.set(Standing::Open);
        let Poll::Ready(Ok(pass)) = early.as_mut().poll(&mut context) else { panic!() };
        assert_eq!((gate.inside(), lock(&gate.waiting).bytes), (1, 0));
        gate.set(Standing::Closed);
        let mut late = pin!(gate.pass(&clock, 5, wait));
        let Poll::Ready(Err(Shut::Gone)) = late.as_mut().poll(&mut context) else { panic!() };
        drop(pass);
        assert_eq!(gate.inside(), 0);
    }

    #[test]
    fn nobody_waits_for_longer_than_the_wait() {
        let (gate, clock) = (Gate::new(Standing::Awaiting), Clock::driven());
        let mut context = Context::from_waker(Waker::noop());
        let mut early = pin!(gate.pass(&clock, 5, Duration::from_secs(10)));
        assert!(early.as_mut().poll(&mut context).is_pending());
        clock.advance(Duration::from_secs(10));
        let Poll::Ready(Err(Shut::Late)) = early.as_mut().poll(&mut context) else { panic!() };
    }
}
