//! Reads that nobody needs: of a socket that was found empty and has not been heard of since.
//!
//! hyper reads whenever it is woken, also to find out whether the other end is gone: of four reads
//! for each request and each connection one finds something. The runtime would look whether the
//! socket is readable, each time anew; who was told that it is not, and whom nobody has woken for
//! it, knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// What is known of one socket, which is read through this alone.
#[derive(Debug, Default)]
pub struct Dry(Option<(Arc<Bell>, Waker)>);

/// Rung where there may be something to read.
#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl Dry {
    /// What comes of `read`, which wakes whom it is polled by once there may be more after it had
    /// nothing. It is left alone as long as that has not happened.
    pub fn poll<T>(
        &mut self,
        context: &Context<'_>,
        read: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let known = self.0.take_if(|(bell, _)| !bell.task.will_wake(context.waker()));
        drop(known); // another task reads from now on
        let (bell, waker) = self.0.get_or_insert_with(|| {
            let bell = Bell { rung: AtomicBool::new(true), task: context.waker().clone() };
            let bell = Arc::new(bell);
            (Arc::clone(&bell), Waker::from(bell))
        });
        // taken back before it is looked: it may ring meanwhile
        if !bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = read(&mut Context::from_waker(waker));
        if polled.is_ready() {
            bell.rung.store(true, Ordering::Release);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A socket, its reader's waker, and how often it was read.
    #[derive(Default)]
    struct Socket {
        bytes: Cell<usize>,
        reader: RefCell<Option<Waker>>,
        reads: Cell<usize>,
    }

    impl Socket {
        fn read(&self, context: &mut Context<'_>) -> Poll<usize> {
            self.reads.set(self.reads.get() + 1);
            match self.bytes.take() {
                0 => {
                    self.reader.replace(Some(context.waker().clone()));
                    Poll::Pending
                }
                bytes => Poll::Ready(bytes),
            }
        }

        fn arrive(&self, bytes: usize) {
            self.bytes.set(bytes);
            self.reader.take().into_iter().for_each(Waker::wake);
        }
    }

    #[test]
    fn an_empty_socket_is_read_again_only_once_something_has_come() {
        let (socket, mut dry, task) =
            (Socket::default(), Dry::default(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&task));
        let context = Context::from_waker(&waker);
        let mut poll = || (dry.poll(&context, |context| socket.read(context)), socket.reads.get());
        assert_eq!(poll(), (Poll::Pending, 1));
        assert_eq!((poll(), poll()), ((Poll::Pending, 1), (Poll::Pending, 1)));
        socket.arrive(3);
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
        assert_eq!(poll(), (Poll::Ready(3), 2));
        assert_eq!(
            (poll(), poll()),
            ((Poll::Pending, 3), (Poll::Pending, 3)),
            "nobody was told yet"
        );
        socket.arrive(1);
        assert_eq!(poll(), (Poll::Ready(1), 4));
    }

    #[test]
    fn another_task_is_told_and_what_rings_meanwhile_is_heard() {
        let (socket, mut dry) = (Socket::default(), Dry::default());
        let tasks = [0, 1].map(|_| Arc::new(Count::default()));
        let wakers = tasks.each_ref().map(|task| Waker::from(Arc::clone(task)));
        let [one, other] = wakers.each_ref().map(Context::from_waker);
        assert!(dry.poll(&one, |context| socket.read(context)).is_pending());
        assert!(dry.poll(&other, |context| socket.read(context)).is_pending());
        assert_eq!(socket.reads.get(), 2);
        socket.arrive(1);
        assert_eq!(tasks.map(|task| task.0.load(Ordering::Relaxed)), [0, 1]);
        assert_eq!(dry.poll(&other, |context| socket.read(context)), Poll::Ready(1));
        // as the runtime does where a task has had its turn
        let yields = |context: &mut Context<'_>| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        };
        assert!(dry.poll(&other, yields).is_pending());
        assert!(dry.poll(&other, |_| Poll::Ready(())).is_ready());
    }
}
