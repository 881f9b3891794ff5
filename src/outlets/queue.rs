//! Events on their way to a thread that may have to wait for a disk or a network.
//!
//! Whoever puts one in waits for nothing: where too many wait already it is dropped, and counted.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tracing::Level;

use super::dropped::{self, Outlet};
use crate::store::memory::lock;

/// How many bytes may wait.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// An event as it goes out.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: Box<str>,
    /// How important it is.
    pub level: Level,
    /// When it was, since 1970.
    pub wall: Duration,
    /// It as JSON, a line with its end.
    pub text: Box<str>,
}

/// Events on their way.
#[derive(Debug)]
pub struct Queue {
    outlet: Outlet,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    /// Those that wait here and those that were taken and are not written.
    bytes: usize,
    /// How many lines that are.
    unwritten: u64,
    dropped: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// No more come.
    Closing,
    /// All were written that could be.
    Ended,
}

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// They may.
    Maybe,
    /// What is here is all.
    No,
}

impl Queue {
    /// An empty one, for `outlet`.
    #[must_use]
    pub fn new(outlet: Outlet) -> Self {
        Self { outlet, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Puts events in, in order, as far as there is room.
    pub fn put(&self, lines: impl IntoIterator<Item = Line>) {
        let mut state = lock(&self.state);
        for line in lines {
            if state.bytes >= MOST_BYTES {
                state.dropped += 1;
                dropped::count(self.outlet, 1);
                continue;
            }
            state.bytes += line.text.len();
            state.unwritten += 1;
            state.lines.push_back(line);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for events and appends them to `to`.
    pub fn take(&self, to: &mut VecDeque<Line>) -> More {
        let nothing = |state: &mut State| state.lines.is_empty() && state.stage == Stage::Open;
        let waited = self.changed.wait_while(lock(&self.state), nothing);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        to.append(&mut state.lines);
        if state.stage == Stage::Open { More::Maybe } else { More::No }
    }

    /// Waits for `time`, or until no more come.
    pub fn pause(&self, time: Duration) -> More {
        let open = |state: &mut State| state.stage == Stage::Open;
        let waited = self.changed.wait_timeout_while(lock(&self.state), time, open);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if state.stage == Stage::Open { More::Maybe } else { More::No }
    }

    /// So many lines were written, of so many bytes.
    pub fn free(&self, (lines, bytes): (u64, usize)) {
        let mut state = lock(&self.state);
        state.bytes = state.bytes.saturating_sub(bytes);
        state.unwritten = state.unwritten.saturating_sub(lines);
    }

    /// How many were dropped since this was asked last.
    pub fn take_dropped(&self) -> u64 {
        std::mem::take(&mut lock(&self.state).dropped)
    }

    /// No more come; waits until all are written, `longest` at most. How many are lost: those that
    /// were not written until then, and those that were dropped and nobody has been told of.
    pub fn end(&self, longest: Duration) -> u64 {
        lock(&self.state).stage = Stage::Closing;
        self.changed.notify_all();
        let busy = |state: &mut State| state.stage != Stage::Ended;
        let waited = self.changed.wait_timeout_while(lock(&self.state), longest, busy);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let unwritten = std::mem::take(&mut state.unwritten);
        dropped::count(self.outlet, unwritten);
        unwritten + std::mem::take(&mut state.dropped)
    }

    /// All were written that could be.
    pub fn ended(&self) {
        lock(&self.state).stage = Stage::Ended;
        self.changed.notify_all();
    }
}
