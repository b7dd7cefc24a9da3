//! A number that only grows, and a way to wait until it has reached a value.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The watermark was closed before it reached the awaited value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("watermark closed")]
pub struct Closed;

/// A growing position (flushed, replicated, …). Waiters are kept in order of the value they wait for, so an advance
/// touches only those that it satisfies.
#[derive(Debug)]
pub struct Watermark {
    value: AtomicU64,
    waiters: Mutex<Waiters>,
}

#[derive(Debug, Default)]
struct Waiters {
    next_id: u64,
    closed: bool,
    waiting: BTreeMap<(u64, u64), oneshot::Sender<()>>,
}

impl Watermark {
    /// A watermark that stands at `value`.
    pub fn new(value: u64) -> Self {
        Self { value: AtomicU64::new(value), waiters: Mutex::new(Waiters::default()) }
    }

    /// The current value.
    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Acquire)
    }

    /// Raises the value to `to` (a smaller value changes nothing) and wakes whoever waited for it.
    pub fn advance(&self, to: u64) {
        let mut waiters = self.waiters.lock();
        if self.value.fetch_max(to, Ordering::AcqRel) >= to {
            return;
        }
        let rest = waiters.waiting.split_off(&(to + 1, 0));
        let reached = std::mem::replace(&mut waiters.waiting, rest);
        drop(waiters);
        for (_, waiter) in reached {
            let _ = waiter.send(());
        }
    }

    /// Returns when the value is at least `target`.
    ///
    /// # Errors
    /// [`Closed`] when the watermark is closed before that. Dropping the future stops the wait.
    pub async fn wait(&self, target: u64) -> Result<(), Closed> {
        let (key, reached) = {
            let mut waiters = self.waiters.lock();
            if self.get() >= target {
                return Ok(());
            }
            if waiters.closed {
                return Err(Closed);
            }
            let key = (target, waiters.next_id);
            waiters.next_id += 1;
            let (sender, receiver) = oneshot::channel();
            waiters.waiting.insert(key, sender);
            (key, receiver)
        };
        let _remove = RemoveOnDrop { watermark: self, key };
        reached.await.map_err(|_| Closed)
    }

    /// Fails every present and future wait for a value that is not reached yet.
    pub fn close(&self) {
        let mut waiters = self.waiters.lock();
        waiters.closed = true;
        waiters.waiting.clear();
    }
}

/// Takes a waiter that gave up (timeout) out of the map, so that abandoned waits cost no memory.
struct RemoveOnDrop<'a> {
    watermark: &'a Watermark,
    key: (u64, u64),
}

impl Drop for RemoveOnDrop<'_> {
    fn drop(&mut self) {
        self.watermark.waiters.lock().waiting.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test]
    async fn a_wait_ends_when_the_value_is_reached_and_not_before() {
        let mark = Arc::new(Watermark::new(5));
        mark.wait(5).await.unwrap();
        let waiting = tokio::spawn({
            let mark = mark.clone();
            async move { mark.wait(10).await }
        });
        mark.advance(9);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        mark.advance(10);
        assert_eq!(waiting.await.unwrap(), Ok(()));
        mark.advance(3);
        assert_eq!(mark.get(), 10);
    }

    #[tokio::test]
    async fn a_timed_out_wait_leaves_nothing_behind_and_close_fails_the_others() {
        let mark = Arc::new(Watermark::new(0));
        assert!(tokio::time::timeout(Duration::from_millis(5), mark.wait(1)).await.is_err());
        assert!(mark.waiters.lock().waiting.is_empty());
        let waiting = tokio::spawn({
            let mark = mark.clone();
            async move { mark.wait(2).await }
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
        mark.close();
        assert_eq!(waiting.await.unwrap(), Err(Closed));
        assert_eq!(mark.wait(7).await, Err(Closed));
    }
}
