//! What is deleted, and when writes stop for want of space (`CleanCommitLogService`, `CleanConsumeQueueService`).
//!
//! Commit log files go by the time of their last change, oldest first, never the last one; queue and index files
//! follow the log's new start.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use chrono::Timelike;

use crate::fs::disk_used;
use crate::state::{Block, Shared};

/// Runs that a manual deletion lasts (`MAX_MANUAL_DELETE_FILE_TIMES`).
pub(crate) const MANUAL_RUNS: i64 = 20;

/// How full the disks are, as rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Space {
    Enough,
    /// Above `diskMaxUsedSpaceRatio`: expired files go at any hour.
    Short,
    /// Above `diskSpaceCleanForciblyRatio`: files go whatever their age.
    Forcibly,
    /// Above `diskSpaceWarningLevelRatio`: writes are refused as well.
    Full,
}

impl Shared {
    fn space(&self, used: f64) -> Space {
        let config = self.live();
        let ratio = |percent: u64| percent as f64 / 100.0;
        if used > ratio(config.disk_space_warning_level_ratio).clamp(0.35, 0.90) {
            Space::Full
        } else if used > ratio(config.disk_space_clean_forcibly_ratio).clamp(0.30, 0.85) {
            Space::Forcibly
        } else if used < 0.0 || used > ratio(config.disk_max_used_space_ratio) {
            Space::Short
        } else {
            Space::Enough
        }
    }

    /// Used share of the emptiest disk with commit log files. New files avoid those above
    /// `diskSpaceCleanForciblyRatio` (`CleanCommitLogService.isSpaceToDelete`).
    pub(crate) fn log_disk_used(&self) -> f64 {
        let used: Vec<_> = self.config.all_log_dirs().into_iter().map(|dir| (disk_used(dir), dir)).collect();
        let crowded = used.iter().filter(|(used, _)| self.space(*used) >= Space::Forcibly);
        self.allocator.dirs.avoid(crowded.map(|(_, dir)| dir.to_path_buf()).collect());
        used.iter().map(|(used, _)| *used).fold(f64::INFINITY, f64::min)
    }

    /// Refuses writes while a disk is used beyond the warning level, and completes the allocation of the current log
    /// file if the start had no space for it.
    pub(crate) fn watch_space(&self, log_used: f64, queues_used: f64) {
        let full = self.space(log_used) == Space::Full || self.space(queues_used) == Space::Full;
        let percent = (log_used.max(queues_used) * 100.0).round();
        self.block(Block::Disk, full.then(|| format!("the disk is used to {percent} %")));
        if self.blocks.lock().contains_key(&Block::Log)
            && let Some(last) = self.segments.all().last()
            && last.allocate(self.log_max()).is_ok()
        {
            self.block(Block::Log, None);
        }
    }

    /// One run, with the disks used to the given shares.
    pub(crate) fn retain(&self, log_used: f64, queues_used: f64) -> io::Result<()> {
        self.watch_space(log_used, queues_used);
        let (log, queues) = (self.space(log_used), self.space(queues_used));
        let manual = self.manual_deletes.load(Ordering::SeqCst) > 0;
        if manual {
            self.manual_deletes.fetch_sub(1, Ordering::SeqCst);
        }
        let short = log != Space::Enough || queues != Space::Enough;
        if !(short || manual || self.is_time_to_delete()) {
            return Ok(());
        }
        let forced = [log, queues].iter().any(|space| matches!(space, Space::Forcibly | Space::Full));
        let deleted = self.delete_log_files(forced && self.live().clean_file_forcibly_enable)?;
        if deleted > 0 {
            self.follow_log()?;
        } else if short {
            tracing::warn!(log_used, queues_used, "disk space will be full soon, but no file can be deleted");
        }
        Ok(())
    }

    /// Whether the local hour is one of `deleteWhen` (`UtilAll.isItTimeToDo`).
    fn is_time_to_delete(&self) -> bool {
        let now = chrono::DateTime::from_timestamp_millis(self.sinks.clock.wall_ms()).unwrap_or_default();
        let hour = now.with_timezone(&chrono::Local).hour();
        self.live().delete_when.split(';').any(|when| when.trim().parse() == Ok(hour))
    }

    pub(crate) fn delete_log_files(&self, whatever_age: bool) -> io::Result<usize> {
        let reserved_ms =
            i64::try_from(self.live().file_reserved_hours).unwrap_or(i64::MAX).saturating_mul(3_600_000);
        let mut deleted = 0;
        while deleted < self.live().delete_file_batch_max {
            let Some(first) = self.segments.first() else { break };
            // Never what is not dispatched yet: queues would miss it.
            if first.end() > self.dispatched.load(Ordering::SeqCst) {
                break;
            }
            // Units that only memory has would miss from their queues after a loss of power.
            if self.sinks.checkpoint.get().logics_physical_offset < first.end() as i64 {
                let _ = self.flush_queues(true);
            }
            let changed = first.path().metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let changed_ms = i64::try_from(changed.as_millis()).unwrap_or(i64::MAX);
            if !whatever_age && self.sinks.clock.wall_ms() < changed_ms.saturating_add(reserved_ms) {
                break;
            }
            let Some(segment) = self.segments.pop_front() else { break };
            let path = segment.path();
            tracing::info!(file = %path.display(), whatever_age, "deleting a commit log file");
            self.fs.remove_file(path)?;
            // Before the next one goes: after a loss of power no file may be back whose successor is not.
            self.fs.sync_parent(path)?;
            deleted += 1;
            let pause = Duration::from_millis(self.live().delete_commit_log_files_interval_ms);
            if deleted < self.live().delete_file_batch_max && !self.retention_signal.pause(pause) {
                break;
            }
        }
        Ok(deleted)
    }

    /// Queues and index drop what points below the log's start.
    pub(crate) fn follow_log(&self) -> io::Result<()> {
        let log_min = self.log_min() as i64;
        let _flusher = self.queue_flusher.lock();
        for queue in self.sinks.queues.all() {
            queue.delete_expired(log_min)?;
            queue.correct_min(log_min);
        }
        self.sinks.queues.delete_expired_others(log_min)?;
        if let Some(index) = &self.sinks.index {
            index.delete_expired(log_min)?;
        }
        Ok(())
    }

    pub(crate) fn run_retention(&self) {
        let interval = Duration::from_millis(self.live().clean_resource_interval_ms.max(1));
        let begin = self.sinks.clock.monotonic();
        // Space is looked at soon after the start, files are deleted a minute after it, as in Java.
        let mut wait = Duration::from_secs(1);
        while self.retention_signal.wait(wait) {
            wait = interval;
            let (log, queues) = (self.log_disk_used(), disk_used(&self.config.consume_queue_dir()));
            let young = self.sinks.clock.monotonic().saturating_sub(begin) < Duration::from_secs(60);
            if young && self.manual_deletes.load(Ordering::SeqCst) <= 0 {
                self.watch_space(log, queues);
                continue;
            }
            if let Err(error) = self.retain(log, queues) {
                tracing::error!(%error, "expired files cannot be deleted");
            }
        }
    }
}
