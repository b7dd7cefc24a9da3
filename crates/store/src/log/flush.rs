//! The log to the disk: one thread, one `fdatasync` for everything that waits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::unsynced;
use crate::config::FlushMode;
use crate::state::Shared;

const PAGE: u64 = 4096;

impl Shared {
    /// Syncs everything appended so far.
    ///
    /// # Errors
    /// The reason, when the disk refuses now or did before: a failed sync is never tried again, because the kernel
    /// may have dropped the pages.
    pub(crate) fn flush_log(&self) -> Result<(), String> {
        let _one = self.flushing.lock();
        if let Some(reason) = self.poison.reason() {
            return Err(reason.to_owned());
        }
        // In this order, so that the time belongs to a record below `to`.
        let timestamp = self.appended_timestamp.load(Ordering::SeqCst);
        let to = self.appended.load(Ordering::SeqCst);
        let from = self.flushed.get();
        if from < to {
            for segment in self.segments.all() {
                if segment.end() <= from || segment.start >= to {
                    continue;
                }
                if let Err(error) = segment.file.sync_data() {
                    let reason = format!("fdatasync of {} failed: {error}", segment.path().display());
                    self.fail(reason.clone());
                    unsynced::leave(&self.fs, &self.config.root, from);
                    return Err(reason);
                }
            }
            self.flushed.advance(to);
        }
        self.flushed_timestamp.store(timestamp, Ordering::SeqCst);
        Ok(())
    }

    /// Tells the flusher of a synchronous store that there is work.
    #[inline]
    pub(crate) fn wake_flusher(&self) {
        if self.flusher_idle.load(Ordering::SeqCst) && self.flusher_idle.swap(false, Ordering::SeqCst) {
            self.log_signal.kick();
        }
    }

    /// Body of the flusher thread.
    pub(crate) fn run_log_flusher(&self) {
        match self.config.flush {
            FlushMode::Sync { .. } => loop {
                if self.appended.load(Ordering::SeqCst) > self.flushed.get() && self.poison.reason().is_none()
                {
                    if self.flush_log().is_ok() {
                        self.dispatch();
                    }
                    continue;
                }
                // Looked at again after the flag is up, so that no append falls between the look and the sleep.
                self.flusher_idle.store(true, Ordering::SeqCst);
                if self.appended.load(Ordering::SeqCst) > self.flushed.get() && self.poison.reason().is_none()
                {
                    self.flusher_idle.store(false, Ordering::SeqCst);
                    continue;
                }
                if !self.log_signal.wait(Duration::from_secs(1)) {
                    return;
                }
            },
            FlushMode::Async { .. } => {
                let mut last = self.sinks.clock.monotonic();
                while let FlushMode::Async { interval_ms, least_pages, thorough_interval_ms } =
                    self.live().flush
                    && self.log_signal.wait(Duration::from_millis(interval_ms.max(1)))
                {
                    let waiting = self.appended.load(Ordering::SeqCst) / PAGE - self.flushed.get() / PAGE;
                    let now = self.sinks.clock.monotonic();
                    if waiting >= least_pages
                        || now.saturating_sub(last) >= Duration::from_millis(thorough_interval_ms)
                    {
                        // A failure is logged and kept where it happened.
                        let _ = self.flush_log();
                        last = now;
                    }
                }
            }
        }
    }
}
