//! Consume queues to the disk, behind the appends, and the checkpoint after them (`FlushConsumeQueueService`).

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::one::ConsumeQueue;
use crate::dispatch::{Last, Sinks};
use crate::fs;
use crate::index::Index;
use crate::state::{Block, Shared};

/// Which queues have something in memory or unsynced.
#[derive(Debug, Default)]
pub(crate) struct QueueFlusher {
    active: HashMap<usize, Arc<ConsumeQueue>>,
    new_entries: BTreeSet<PathBuf>,
    /// A sync failed. What it should have written may be gone from memory, so that the next sync succeeds without it:
    /// nothing vouches for the queues any more until recovery has looked at them.
    pub(crate) unsure: bool,
}

impl QueueFlusher {
    /// Writes all tails, and makes them durable if `sync`.
    pub(crate) fn pass(&mut self, sinks: &Sinks, sync: bool) -> io::Result<()> {
        // Batch queues and extensions first: a unit must not be on disk without its extension.
        sinks.queues.each_stream(|stream| {
            stream.write()?;
            self.new_entries.extend(stream.take_new_entries());
            if sync {
                return stream.sync().inspect_err(|_| self.unsure = true);
            }
            stream.trim_written();
            Ok(())
        })?;
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
            if sync && queue.unsynced() > 0 {
                queue.sync().inspect_err(|_| self.unsure = true)?;
            }
            let holds = queue.trim(busy.contains(key));
            if !holds && queue.unsynced() == 0 {
                idle.push(*key);
            }
        }
        for key in idle {
            if let Some(queue) = self.active.remove(&key) {
                queue.close_files();
            }
        }
        if sync {
            while let Some(dir) = self.new_entries.first() {
                // Deleted meanwhile: nothing to make durable.
                if dir.exists() {
                    sinks.queues.fs().sync_dir(dir)?;
                }
                self.new_entries.pop_first();
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
        let settle = |index: &Index| index.settle(&self.sinks.checkpoint).and_then(|()| index.reserve());
        let settled = self.sinks.index.as_ref().map_or(Ok(()), settle);
        let outcome = settled.and_then(|()| flusher.pass(&self.sinks, thorough)).and_then(|()| match last {
            Some(last) if thorough && !flusher.unsure => self.move_checkpoint(last),
            _ => Ok(()),
        });
        match outcome {
            Ok(()) => {
                self.block(Block::Queues, None);
                Ok(())
            }
            Err(error) => {
                let reason = format!("consume queues cannot be written: {error}");
                if fs::is_no_space(&error) {
                    self.block(Block::Queues, Some(reason.clone()));
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
        let interval = || Duration::from_millis(self.live().consume_queue_flush_interval_ms.max(1));
        let mut last = self.sinks.clock.monotonic();
        while self.queue_signal.wait(interval()) {
            let thorough_interval =
                Duration::from_millis(self.live().consume_queue_flush_thorough_interval_ms);
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
