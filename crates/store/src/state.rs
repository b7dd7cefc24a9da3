//! What the threads and callers of one open store share.
//!
//! `dispatched <= confirmed <= appended` and `flushed <= appended`; each only grows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering, fence};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use raptormq_base::poison::Poison;
use raptormq_base::watermark::Watermark;

use crate::config::{FlushMode, StoreConfig};
use crate::dispatch::{Dispatcher, Sinks};
use crate::fs::Fs;
use crate::guard::{Abort, Lock};
use crate::log::appender::Appender;
use crate::queue::flush::QueueFlusher;
use crate::segment::Segments;
use crate::segment::alloc::Allocator;
use crate::types::AppendError;

/// Wakes one thread, or lets it sleep for a time.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SignalState {
    kicked: bool,
    stopped: bool,
}

impl Signal {
    pub(crate) fn kick(&self) {
        self.state.lock().kicked = true;
        self.changed.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Sleeps for `time`. `false` when the thread must end.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.stopped {
            self.changed.wait_for(&mut state, time);
        }
        !state.stopped
    }

    /// Sleeps until kicked or for `limit`. `false` when the thread must end.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.kicked && !state.stopped {
            self.changed.wait_for(&mut state, limit);
        }
        state.kicked = false;
        !state.stopped
    }
}

/// What lacks space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Block {
    /// The disk is used beyond `diskSpaceWarningLevelRatio`.
    Disk,
    /// The blocks of the current log file are not all allocated.
    Log,
    /// Consume queues cannot be written.
    Queues,
}

pub(crate) struct Shared {
    /// As at the start. What an operator may change since is in `live`.
    pub(crate) config: StoreConfig,
    pub(crate) live: RwLock<Arc<StoreConfig>>,
    pub(crate) fs: Fs,
    pub(crate) segments: Segments,
    pub(crate) allocator: Allocator,
    pub(crate) appender: Mutex<Appender>,
    /// Whether the last caller that wanted to append gave up waiting.
    pub(crate) stalled: AtomicBool,
    pub(crate) sinks: Sinks,
    pub(crate) dispatcher: Mutex<Dispatcher>,
    pub(crate) queue_flusher: Mutex<QueueFlusher>,

    /// Log offset after the last record.
    pub(crate) appended: AtomicU64,
    /// Store time of a record that is not after `appended`.
    pub(crate) appended_timestamp: AtomicI64,
    /// Log offset below which records are in their queues.
    pub(crate) dispatched: AtomicU64,
    /// Log offset below which everything is on disk.
    pub(crate) flushed: Watermark,
    /// Store time of a record that is on disk.
    pub(crate) flushed_timestamp: AtomicI64,
    /// Held while the log is being synced.
    pub(crate) flushing: Mutex<()>,
    /// The log flusher of a synchronous store sleeps and must be woken by an append.
    pub(crate) flusher_idle: AtomicBool,

    pub(crate) poison: Poison,
    /// Why there is no space for writes at the moment, by what needs it.
    pub(crate) blocks: Mutex<BTreeMap<Block, String>>,
    /// There is such a reason.
    pub(crate) blocked: AtomicBool,
    /// Runs of retention that ignore the hour.
    pub(crate) manual_deletes: AtomicI64,

    pub(crate) log_signal: Signal,
    pub(crate) queue_signal: Signal,
    pub(crate) retention_signal: Signal,

    pub(crate) abort: Abort,
    /// Taken out when the store stops.
    pub(crate) lock: Mutex<Option<Lock>>,
    /// What counts as near to the log's end, bytes: 40 % of the memory by default.
    pub(crate) memory: AtomicU64,
}

impl Shared {
    /// The configuration for what is looked at again and again: limits, periods, retention.
    #[inline]
    pub(crate) fn live(&self) -> Arc<StoreConfig> {
        self.live.read().clone()
    }

    /// Log offset below which consumers may see records: a synchronous store shows what is on disk
    /// (`CommitLog.getConfirmOffset`).
    pub(crate) fn confirmed(&self) -> u64 {
        match self.config.flush {
            FlushMode::Sync { .. } if !self.config.read_uncommitted => self.flushed.get(),
            _ => self.appended.load(Ordering::SeqCst),
        }
    }

    /// Brings queues and index up to date. Whoever holds the dispatcher goes on until nothing is left, so a caller
    /// that finds it held may leave: what it appended will be seen.
    pub(crate) fn dispatch(&self) {
        loop {
            // Pairs with the fence of the holder: either it sees our records after its unlock, or we get the lock.
            fence(Ordering::SeqCst);
            let limit = self.confirmed();
            if self.dispatched.load(Ordering::SeqCst) >= limit || self.poison.reason().is_some() {
                return;
            }
            let Some(mut dispatcher) = self.dispatcher.try_lock() else { return };
            let outcome = dispatcher.run(&self.sinks, &self.segments, limit);
            self.dispatched.store(dispatcher.at, Ordering::SeqCst);
            drop(dispatcher);
            if let Err(broken) = outcome {
                self.fail(format!("dispatch stopped: {}", broken.0));
                return;
            }
            if self.sinks.pending() > QUEUE_MEMORY {
                self.queue_signal.kick();
            }
        }
    }

    /// Refuses writes from now on: after a failed write nobody knows what is on disk.
    pub(crate) fn fail(&self, reason: String) {
        if self.poison.reason().is_none() {
            tracing::error!(reason, "store refuses writes from now on");
        }
        self.poison.set(reason);
        self.flushed.close();
    }

    /// Why an append would be refused now.
    pub(crate) fn refusal(&self) -> Option<AppendError> {
        if let Some(reason) = self.poison.reason() {
            return Some(AppendError::Poisoned(reason.to_owned()));
        }
        if self.blocked.load(Ordering::Relaxed) {
            return self.blocks.lock().values().next().map(|reason| AppendError::Full(reason.clone()));
        }
        None
    }

    /// Sets or clears a reason to refuse writes that goes away when there is space.
    pub(crate) fn block(&self, block: Block, reason: Option<String>) {
        let mut blocks = self.blocks.lock();
        match reason {
            Some(reason) => {
                if !blocks.contains_key(&block) {
                    tracing::error!(reason, "writes are refused until there is space");
                }
                blocks.insert(block, reason);
            }
            None => {
                if let Some(reason) = blocks.remove(&block) {
                    tracing::info!(reason, "there is space again");
                }
            }
        }
        self.blocked.store(!blocks.is_empty(), Ordering::SeqCst);
    }
}

/// Units in memory that make the queue flusher run before its time, bytes.
pub(crate) const QUEUE_MEMORY: u64 = 4 << 20;
