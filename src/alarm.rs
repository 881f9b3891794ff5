//! Deadlines as plain cells, which a sweep compares with the time a few times a second.
//!
//! So an ordinary request sets no timer. A deadline may be noticed one sweep late, never early.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::Moment;

/// How often deadlines are looked at.
pub const SWEEP: Duration = Duration::from_millis(200);
/// For how long nothing has to happen until it is quiet. What a page needs is asked for sooner, and
/// whoever reads takes longer.
pub const QUIET: Duration = Duration::from_secs(1);

/// One deadline, which can be set anew as often as need be.
#[derive(Debug)]
pub struct Alarm {
    deadline: Cell<Moment>,
    /// When it was set or stamped.
    since: Cell<Moment>,
    rung: Cell<bool>,
    /// Wake at every sweep, for what nothing else tells of.
    restless: Cell<bool>,
    /// Wake once it is quiet.
    tells: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    now: Rc<Cell<Moment>>,
}

impl Alarm {
    /// Rings `time` from now, about.
    pub fn set(&self, time: Duration) {
        self.rung.set(false);
        self.stamp();
        self.deadline.set(self.now.get().after(time).after(SWEEP));
    }

    /// What it stands for begins now.
    pub fn stamp(&self) {
        self.since.set(self.now.get());
    }

    /// When it was set or stamped.
    #[must_use]
    pub const fn since(&self) -> Moment {
        self.since.get()
    }

    /// Rings at once.
    pub fn ring(&self) {
        self.deadline.set(Moment::NEVER);
        self.rung.set(true);
        self.wake();
    }

    /// Does not ring.
    pub fn clear(&self) {
        self.rung.set(false);
        self.deadline.set(Moment::NEVER);
    }

    /// It is as if it had just begun.
    fn forget(&self) {
        self.clear();
        self.restless.set(false);
        self.tells.set(false);
        self.waker.take();
    }

    /// Whether it has rung since it was set.
    #[must_use]
    pub const fn has_rung(&self) -> bool {
        self.rung.get()
    }

    /// From now on, the task is woken at every sweep.
    pub fn stay_restless(&self) {
        self.restless.set(true);
    }

    /// From now on, the task is woken whenever it has become quiet.
    pub fn tell_of_quiet(&self) {
        self.tells.set(true);
    }

    /// Whether it was neither set nor stamped for [`QUIET`].
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.was_quiet(self.now.get())
    }

    /// Whether it has become quiet since `before`, and that is to be told.
    fn becomes_quiet(&self, before: Moment) -> bool {
        self.tells.get() && self.is_quiet() && !self.was_quiet(before)
    }

    fn was_quiet(&self, then: Moment) -> bool {
        then.since(self.since.get()) >= QUIET
    }

    /// The task that `context` belongs to is woken.
    pub fn watch(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(known) => known.clone_from(context.waker()),
            None => *waker = Some(context.waker().clone()),
        }
    }

    /// Wakes the task now.
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Waits for `future`; `None` where the alarm rings first. Dropping it drops the future.
    pub fn in_time<T>(
        &self,
        mut future: impl Future<Output = T> + Unpin,
    ) -> impl Future<Output = Option<T>> {
        poll_fn(move |context| match Pin::new(&mut future).poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.rung.get() => Poll::Ready(None),
            Poll::Pending => {
                self.watch(context);
                Poll::Pending
            }
        })
    }
}

/// How many alarms are kept for whoever needs one next.
const MOST_SPARE: usize = 1024;

/// All alarms of one worker, and the time as it was at the last sweep.
#[derive(Debug)]
pub struct Alarms {
    all: RefCell<Vec<Weak<Alarm>>>,
    /// Those that were lent and came back.
    spare: RefCell<Vec<Rc<Alarm>>>,
    now: Rc<Cell<Moment>>,
}

/// An alarm for one exchange or one stream. Those come and go by the thousand between two sweeps,
/// so that the next one takes it over.
#[derive(Debug)]
pub struct Lent<A: Deref<Target = Alarms>> {
    alarm: Rc<Alarm>,
    alarms: A,
}

impl<A: Deref<Target = Alarms>> Lent<A> {
    /// The same alarm for somebody besides; nobody takes it over as long as he has it.
    #[must_use]
    pub fn share(&self) -> Rc<Alarm> {
        Rc::clone(&self.alarm)
    }
}

impl<A: Deref<Target = Alarms>> Deref for Lent<A> {
    type Target = Alarm;

    fn deref(&self) -> &Alarm {
        &self.alarm
    }
}

impl<A: Deref<Target = Alarms>> Drop for Lent<A> {
    fn drop(&mut self) {
        if Rc::strong_count(&self.alarm) > 1 {
            return;
        }
        self.alarm.forget();
        let mut spare = self.alarms.spare.borrow_mut();
        if spare.len() < MOST_SPARE {
            spare.push(Rc::clone(&self.alarm));
        }
    }
}

impl Alarms {
    /// No alarms yet.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        let (all, spare) = (RefCell::default(), RefCell::default());
        Self { all, spare, now: Rc::new(Cell::new(now)) }
    }

    /// An alarm that does not ring yet, until it is dropped.
    #[must_use]
    pub fn lend(&self) -> Lent<&Self> {
        Lent { alarm: self.take(), alarms: self }
    }

    /// The same, for who may outlive this borrow.
    #[must_use]
    pub fn lend_to(self: &Rc<Self>) -> Lent<Rc<Self>> {
        Lent { alarm: self.take(), alarms: Rc::clone(self) }
    }

    fn take(&self) -> Rc<Alarm> {
        let Some(spare) = self.spare.borrow_mut().pop() else { return self.begin() };
        spare.stamp();
        spare
    }

    /// An alarm that does not ring yet.
    fn begin(&self) -> Rc<Alarm> {
        let alarm = Rc::new(Alarm {
            deadline: Cell::new(Moment::NEVER),
            since: Cell::new(self.now.get()),
            rung: Cell::new(false),
            restless: Cell::new(false),
            tells: Cell::new(false),
            waker: RefCell::default(),
            now: Rc::clone(&self.now),
        });
        self.all.borrow_mut().push(Rc::downgrade(&alarm));
        alarm
    }

    /// The time as it was at the last sweep, at most [`SWEEP`] ago as long as the worker keeps up.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now.get()
    }

    /// Rings what is due at `now`.
    pub fn sweep(&self, now: Moment) {
        let before = self.now.replace(now);
        self.all.borrow_mut().retain(|alarm| {
            let Some(alarm) = alarm.upgrade() else { return false };
            let is_due = now >= alarm.deadline.get();
            if is_due {
                alarm.ring();
            } else if alarm.restless.get() || alarm.becomes_quiet(before) {
                alarm.wake();
            }
            true
        });
    }

    /// Wakes everybody now.
    pub fn wake_all(&self) {
        self.all.borrow().iter().filter_map(Weak::upgrade).for_each(|alarm| alarm.wake());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn quiet_is_told_of_once_each_time_that_it_has_come() {
        let alarms = Alarms::new(Moment(0));
        let (alarm, count) = (alarms.begin(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        alarm.watch(&Context::from_waker(&waker));
        alarm.set(Duration::from_secs(60));
        let woken_at = |time| {
            alarms.sweep(Moment(time));
            count.0.load(Ordering::Relaxed)
        };
        assert_eq!(woken_at(5000), 0, "nobody wants to know");
        alarm.tell_of_quiet();
        alarm.set(Duration::from_secs(60));
        assert_eq!(woken_at(5900), 0);
        assert!(!alarm.is_quiet());
        assert_eq!(woken_at(6000), 1);
        assert!(alarm.is_quiet());
        assert_eq!(woken_at(9000), 1);
        alarm.stamp();
        assert!(!alarm.is_quiet());
        assert_eq!(woken_at(9999), 1);
        assert_eq!(woken_at(12_000), 2);
    }

    #[test]
    fn what_was_lent_is_lent_again_and_does_not_ring_for_the_one_before() {
        let alarms = Alarms::new(Moment(0));
        let first = alarms.lend();
        first.set(Duration::ZERO);
        alarms.sweep(Moment(1000));
        assert!(first.has_rung());
        let (second, place) = (alarms.lend(), Rc::as_ptr(&first.alarm));
        assert_ne!(Rc::as_ptr(&second.alarm), place, "there are two at once");
        first.set(Duration::ZERO);
        drop(first);
        alarms.sweep(Moment(2000));
        let third = alarms.lend();
        assert_eq!(Rc::as_ptr(&third.alarm), place);
        assert!(!third.has_rung());
        third.set(Duration::from_secs(1));
        alarms.sweep(Moment(3000));
        assert!(!third.has_rung());
        alarms.sweep(Moment(3200));
        assert!(third.has_rung() && !second.has_rung());
    }
}
