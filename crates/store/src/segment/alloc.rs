//! The next file, ready before it is needed, and pages ready before they are written.
//!
//! A thread allocates the file after the current one when half of that is used, and populates a sliding window ahead
//! of the append position. An append then copies into pages that are there: no fault, no system call. The window
//! follows the write rate (what a quarter of a second needs, between [`WINDOW_MIN`] and [`WINDOW_MAX`]), since
//! populated pages are dirty and cost a write of zeros if the disk is flushed before they are used.
//!
//! Without a next file the log goes on to the end of the current one and then refuses; allocation is tried again
//! every second.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{LogDirs, Segment};

const WINDOW_MIN: u64 = 2 << 20;
const WINDOW_MAX: u64 = 64 << 20;
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Allocator {
    pub(crate) dirs: LogDirs,
    len: u64,
    state: Mutex<State>,
    changed: Condvar,
    /// The append position at which the thread must be woken.
    wake_at: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// The file in use.
    current: Arc<Segment>,
    next: Option<Segment>,
    /// The thread is creating the next file; nobody else may touch its path.
    making: bool,
    failure: Option<String>,
    /// Where the log ends as far as the thread was told.
    position: u64,
    kicked: bool,
    stopped: bool,
}

/// No next file could be had.
#[derive(Debug)]
pub(crate) struct NoSpace(pub(crate) String);

impl Allocator {
    pub(crate) fn new(dirs: LogDirs, current: Arc<Segment>, position: u64) -> Self {
        let len = current.len;
        let state = State {
            current,
            next: None,
            making: false,
            failure: None,
            position,
            kicked: true,
            stopped: false,
        };
        // The first append wakes the thread: a store that is only read allocates nothing.
        let wake_at = AtomicU64::new(position);
        Self { dirs, len, state: Mutex::new(state), changed: Condvar::new(), wake_at }
    }

    /// Called by the appender after each append; wakes the thread about once per half window.
    #[inline]
    pub(crate) fn advanced(&self, position: u64) {
        if position >= self.wake_at.load(Ordering::Relaxed) {
            self.wake_at.store(u64::MAX, Ordering::Relaxed);
            let mut state = self.state.lock();
            state.position = position;
            state.kicked = true;
            self.changed.notify_all();
        }
    }

    /// The file that begins at `start`. Allocates it here, as a last resort, when the thread has not.
    pub(crate) fn take_next(&self, start: u64) -> Result<Arc<Segment>, NoSpace> {
        let mut state = self.state.lock();
        while state.making {
            self.changed.wait(&mut state);
        }
        if let Some(failure) = &state.failure {
            return Err(NoSpace(failure.clone()));
        }
        let next = match state.next.take() {
            Some(next) if next.start == start => next,
            _ => match self.dirs.create(start, self.len) {
                Ok(next) => next,
                Err(error) => {
                    let failure = self.refused(start, &error);
                    state.failure = Some(failure.clone());
                    self.changed.notify_all();
                    return Err(NoSpace(failure));
                }
            },
        };
        let next = Arc::new(next);
        state.current = next.clone();
        state.position = start;
        state.kicked = true;
        self.changed.notify_all();
        Ok(next)
    }

    fn refused(&self, start: u64, error: &io::Error) -> String {
        let file = raptormq_message::file_name(start);
        tracing::error!(file, %error, "the next commit log file cannot be allocated");
        format!("{file} cannot be allocated: {error}")
    }

    /// Why no next file can be had, if so.
    pub(crate) fn failure(&self) -> Option<String> {
        self.state.lock().failure.clone()
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// The thread's body.
    pub(crate) fn run(&self) {
        let mut populated = self.state.lock().position;
        let mut last = (Instant::now(), populated);
        loop {
            let (current, position, wants_next) = {
                let mut state = self.state.lock();
                while !state.kicked && !state.stopped {
                    if state.failure.is_some() {
                        if self.changed.wait_for(&mut state, RETRY).timed_out() {
                            break;
                        }
                    } else {
                        self.changed.wait(&mut state);
                    }
                }
                if state.stopped {
                    return;
                }
                state.kicked = false;
                let used = state.position.saturating_sub(state.current.start);
                let wants_next = state.next.is_none() && used >= self.len / 2;
                (state.current.clone(), state.position, wants_next)
            };
            if wants_next || self.state.lock().failure.is_some() {
                self.allocate(&current);
            }

            // Sized by what was consumed since the last wake, scaled to a quarter of a second.
            let elapsed = last.0.elapsed().as_millis().max(1) as u64;
            let rate = position.saturating_sub(last.1).saturating_mul(250) / elapsed;
            last = (Instant::now(), position);
            let window = rate.clamp(WINDOW_MIN, WINDOW_MAX);
            populated = populated.max(position).max(current.start);
            let target = (position + window).min(current.end());
            if populated < target {
                let range = (populated - current.start) as usize..(target - current.start) as usize;
                if let Err(error) = current.map.populate(range) {
                    // Writing then faults the pages in one by one: slower, not wrong.
                    tracing::warn!(%error, file = %current.path().display(), "pages cannot be populated ahead");
                }
                populated = target;
            }
            let state = self.state.lock();
            if !state.kicked {
                self.wake_at.store(self.next_wake(&state, position, populated), Ordering::Relaxed);
            }
        }
    }

    /// What the thread would do now about the next file.
    #[cfg(test)]
    pub(crate) fn step(&self) {
        let (current, wanted) = {
            let state = self.state.lock();
            let used = state.position.saturating_sub(state.current.start);
            let wanted = state.next.is_none() && used >= self.len / 2 || state.failure.is_some();
            (state.current.clone(), wanted)
        };
        if wanted {
            self.allocate(&current);
        }
    }

    /// Half of the window, or the middle of the file where the next one gets due.
    fn next_wake(&self, state: &State, position: u64, populated: u64) -> u64 {
        let half = position + (populated.saturating_sub(position) / 2).max(4096);
        let middle = state.current.start + self.len / 2;
        if state.next.is_none() && position < middle { half.min(middle) } else { half }
    }

    fn allocate(&self, current: &Segment) {
        let start = current.end();
        {
            let mut state = self.state.lock();
            // The appender may have made it itself meanwhile.
            if state.current.start != current.start || state.next.is_some() {
                return;
            }
            state.making = true;
        }
        let made = self.dirs.create(start, self.len);
        if let Ok(next) = &made {
            // Its first pages, so that the roll does not fault.
            let _ = next.map.populate(0..WINDOW_MIN as usize);
        }
        let mut state = self.state.lock();
        state.making = false;
        self.changed.notify_all();
        match made {
            Ok(next) => {
                if state.failure.take().is_some() {
                    tracing::info!(file = %next.path().display(), "the next commit log file is allocated, space is back");
                }
                state.next = Some(next);
            }
            Err(error) => state.failure = Some(self.refused(start, &error)),
        }
    }
}
