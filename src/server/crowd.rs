//! Room for so many at a time: when one more comes, whoever has been there longest has to go.
//!
//! Nobody can shut others out by coming first and staying; whoever gets done what he came for before
//! that many others come notices nothing.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::Notify;

/// Those who are there, on one thread.
#[derive(Debug)]
pub struct Crowd {
    most: usize,
    next: Cell<u64>,
    inside: RefCell<VecDeque<(u64, Rc<Notify>)>>,
}

/// One of them; dropped when he leaves.
#[derive(Debug)]
pub struct Visit {
    crowd: Rc<Crowd>,
    number: u64,
    told: Rc<Notify>,
}

impl Crowd {
    /// Room for `most`, at least for one.
    #[must_use]
    pub fn new(most: usize) -> Rc<Self> {
        let inside = RefCell::new(VecDeque::with_capacity(most));
        Rc::new(Self { most: most.max(1), next: Cell::new(0), inside })
    }

    /// One more comes.
    #[must_use]
    pub fn enter(self: &Rc<Self>) -> Visit {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let told = Rc::new(Notify::new());
        let mut inside = self.inside.borrow_mut();
        if inside.len() >= self.most
            && let Some((_, oldest)) = inside.pop_front()
        {
            oldest.notify_one();
        }
        inside.push_back((number, Rc::clone(&told)));
        Visit { crowd: Rc::clone(self), number, told }
    }
}

impl Visit {
    /// Waits until he has to go. Dropping the future changes nothing.
    pub async fn must_go(&self) {
        self.told.notified().await;
    }

    /// He is counted no more, and never has to go.
    pub fn leave(&self) {
        self.crowd.inside.borrow_mut().retain(|(number, _)| *number != self.number);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn has_to_go(visit: &Visit) -> bool {
        pin!(visit.must_go()).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn the_one_who_has_been_there_longest_goes_and_whoever_left_takes_no_room() {
        let crowd = Crowd::new(2);
        let (first, second) = (crowd.enter(), crowd.enter());
        assert!(!has_to_go(&first) && !has_to_go(&second));
        let third = crowd.enter();
        assert!(has_to_go(&first) && !has_to_go(&second));
        second.leave();
        let fourth = crowd.enter();
        assert!(!has_to_go(&second) && !has_to_go(&third) && !has_to_go(&fourth));
        drop((third, fourth));
        assert_eq!(crowd.inside.borrow().len(), 0);
    }
}
