//! Consume queues to the disk, behind the appends, and the checkpoint after them (`FlushConsumeQueueService`).

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::one::ConsumeQueue;
use crate::dispatch::{Last, Sinks};
use crate::fs;
use crate::state::Shared;

const PAGE: u64 = 4096;

/// Which queues have something in memory or unsynced.
#[derive(Debug, Default)]
pub(crate) struct QueueFlusher {
    active: HashMap<usize, Arc<ConsumeQueue>>,
    new_entries: BTreeSet<PathBuf>,
}

impl QueueFlusher {
    /// Writes all tails and syncs queues with at least `least_pages` new pages (0: every queue).
    pub(crate) fn pass(&mut self, sinks: &Sinks, least_pages: u64) -> io::Result<()> {
        let dirty = sinks.take_dirty();
        let mut busy = BTreeSet::new();
        for (index, queue) in dirty.iter().enumerate() {
            let key = Arc::as_ptr(queue) as usize;
            self.active.insert(key, queue.clone());
            busy.insert(key);
            if let Err(error) = queue.write() {
                // What was taken out of the list must come back.
                dirty[index..].iter().for_each(|queue| sinks.mark_dirty(queue));
                return Err(error);
            }
            self.new_entries.extend(queue.take_new_entries());
        }
        let mut idle = Vec::new();
        for (key, queue) in &self.active {
            let unsynced = queue.unsynced();
            if unsynced > 0 && unsynced >= least_pages * PAGE {
                queue.sync()?;
            }
            let holds = queue.trim(busy.contains(key));
            if !holds && queue.unsynced() == 0 {
                idle.push(*key);
            }
        }
        for key in idle {
            self.active.remove(&key);
        }
        if least_pages == 0 {
            for dir in std::mem::take(&mut self.new_entries) {
                // Deleted meanwhile: nothing to make durable.
                if dir.exists() {
                    fs::sync_dir(&dir)?;
                }
            }
        }
        Ok(())
    }

    /// Forgets the queues of a deleted topic.
    pub(crate) fn forget(&mut self, topic: &str) {
        self.active.retain(|_, queue| &*queue.topic != topic);
    }
}

impl Shared {
    /// One pass. A thorough one syncs the log and all queues, and then moves the checkpoint to what was dispatched
    /// before it began.
    ///
    /// # Errors
    /// The reason. Lack of space is tried again later; everything else poisons the store.
    pub(crate) fn flush_queues(&self, thorough: bool) -> Result<(), String> {
        let mut flusher = self.queue_flusher.lock();
        let last = self.dispatcher.lock().last;
        if thorough {
            // A unit on disk may only point to a record on disk.
            self.flush_log()?;
        }
        let least_pages = if thorough { 0 } else { self.config.consume_queue_flush_least_pages.max(1) };
        let outcome = flusher.pass(&self.sinks, least_pages).and_then(|()| match last {
            Some(last) if thorough => self.move_checkpoint(last),
            _ => Ok(()),
        });
        let mut full = self.queues_full.lock();
        match outcome {
            Ok(()) => {
                if full.take().is_some() {
                    tracing::info!("consume queues are written again, space is back");
                }
                Ok(())
            }
            Err(error) => {
                let reason = format!("consume queues cannot be written: {error}");
                if error.kind() == io::ErrorKind::StorageFull || error.kind() == io::ErrorKind::QuotaExceeded
                {
                    if full.is_none() {
                        tracing::error!(reason, "writes are refused until there is space");
                    }
                    *full = Some(reason.clone());
                } else {
                    self.fail(reason.clone());
                }
                Err(reason)
            }
        }
    }

    fn move_checkpoint(&self, last: Last) -> io::Result<()> {
        let flushed_timestamp = self.flushed_timestamp.load(std::sync::atomic::Ordering::SeqCst);
        self.sinks.checkpoint.update(|fields| {
            fields.physic_msg_timestamp = flushed_timestamp.max(last.store_timestamp);
            fields.logics_msg_timestamp = last.store_timestamp;
            fields.logics_physical_offset = last.log_offset as i64;
            fields.confirm_phy_offset = last.log_offset as i64;
        })
    }

    /// Body of the queue flusher thread.
    pub(crate) fn run_queue_flusher(&self) {
        let interval = Duration::from_millis(self.config.consume_queue_flush_interval_ms.max(1));
        let thorough_interval = Duration::from_millis(self.config.consume_queue_flush_thorough_interval_ms);
        let mut last = self.sinks.clock.monotonic();
        while self.queue_signal.wait(interval) {
            let now = self.sinks.clock.monotonic();
            let thorough = now.saturating_sub(last) >= thorough_interval;
            if thorough {
                last = now;
            }
            // A failure is logged and kept where it happened.
            let _ = self.flush_queues(thorough);
        }
    }
}
