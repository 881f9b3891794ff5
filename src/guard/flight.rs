//! How long a request takes, and how much of that is the guard's own doing.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use super::Worker;
use crate::clock::Tick;

/// A request under way: it is counted as one as long as this exists.
#[derive(Debug)]
pub struct Flight(Rc<Worker>);

impl Flight {
    /// One more.
    #[must_use]
    pub fn begin(worker: Rc<Worker>) -> Self {
        worker.cells.requests.add(1);
        Self(worker)
    }

    /// Whose it is.
    #[must_use]
    pub const fn worker(&self) -> &Rc<Worker> {
        &self.0
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.cells.requests.one_less();
    }
}

/// How many nanoseconds were spent waiting for others.
#[derive(Debug, Default)]
pub struct Away(Cell<u64>);

impl Away {
    /// So many more.
    pub fn add(&self, nanos: u64) {
        self.0.set(self.0.get().saturating_add(nanos));
    }

    /// How many.
    #[must_use]
    pub const fn nanos(&self) -> u64 {
        self.0.get()
    }

    /// Waits for `future`. What is done before it has to wait for the first time is the guard's own;
    /// all after that is time spent waiting, which is returned as well. Where nothing has to be
    /// waited for, no clock is read. It is pinned by the caller: to move it costs more than this.
    pub async fn during<T>(&self, mut future: Pin<&mut impl Future<Output = T>>) -> (T, u64) {
        let mut since = None;
        let output = poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => {
                since.get_or_insert_with(Tick::now);
                Poll::Pending
            }
        })
        .await;
        let nanos = since.map_or(0, |since| Tick::now().since(since));
        self.add(nanos);
        (output, nanos)
    }
}
