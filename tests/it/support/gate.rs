//! A gate that holds whoever comes to it until the test opens it.

use std::sync::{Arc, Condvar, Mutex};

use super::wait::PATIENCE;

/// A gate; its clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    open: bool,
    came: usize,
}

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Self::default()
    }

    /// Lets everybody pass from now on.
    pub fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }

    /// Whether it has been opened.
    pub fn is_open(&self) -> bool {
        self.0.0.lock().unwrap().open
    }

    /// Waits until it is open.
    pub fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.came += 1;
        self.0.1.notify_all();
        let waited = self.0.1.wait_timeout_while(state, PATIENCE, |state| !state.open).unwrap();
        assert!(!waited.1.timed_out(), "nobody opened the gate");
    }

    /// Waits until so many have come to it.
    #[track_caller]
    pub fn wait_for_arrivals(&self, arrivals: usize) {
        let state = self.0.0.lock().unwrap();
        let few = |state: &mut State| state.came < arrivals;
        let waited = self.0.1.wait_timeout_while(state, PATIENCE, few).unwrap();
        assert!(!waited.1.timed_out(), "only {} of {arrivals} came", waited.0.came);
    }
}
