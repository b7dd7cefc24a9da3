//! The end of the log. [`Appender`] is plain code under one short lock: reserve, stamp, copy into the mapped file,
//! publish. It knows no threads and no queues but the position that it is told.
//!
//! Invariant: at least [`BLANK_LEN`] bytes of a file stay free for the blank record that ends it, and everything
//! after the log's end is zero.

use std::sync::Arc;

use raptormq_message::layout::BLANK_LEN;
use raptormq_message::{NewMessage, Positions, Prepared, blank};

use crate::segment::alloc::Allocator;
use crate::segment::map::Writer;
use crate::segment::{Segment, Segments};
use crate::types::AppendError;

#[derive(Debug)]
pub(crate) struct Appender {
    segment: Arc<Segment>,
    writer: Writer,
    /// Log offset of the next record.
    at: u64,
    /// Refuses everything from now on.
    pub(crate) closed: bool,
}

impl Appender {
    /// Goes on at `at`, which lies in `segment`. `None` when that file has a writer already.
    pub(crate) fn new(segment: Arc<Segment>, at: u64) -> Option<Self> {
        let writer = segment.map.writer()?;
        Some(Self { segment, writer, at, closed: false })
    }

    /// Where the next record goes, if it fits into this file.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// Makes room for `len` consecutive bytes: ends the current file with a blank record and goes to the next one
    /// when they do not fit. On an error nothing has changed, and something shorter may still fit.
    pub(crate) fn reserve(
        &mut self,
        len: usize,
        segments: &Segments,
        next: &Allocator,
    ) -> Result<(), AppendError> {
        let remaining = self.segment.end() - self.at;
        let wanted = (len + BLANK_LEN) as u64;
        if wanted <= remaining {
            return Ok(());
        }
        if wanted > self.segment.len {
            let max = (self.segment.len as usize).saturating_sub(BLANK_LEN);
            return Err(AppendError::MessageTooLarge { bytes: len, max });
        }
        let segment = next.take_next(self.segment.end()).map_err(|full| AppendError::Full(full.0))?;
        let writer = segment.map.writer().ok_or(AppendError::Closed)?;
        if let Some(spare) = self.writer.spare(BLANK_LEN) {
            spare.copy_from_slice(&blank(remaining as u32));
        }
        self.writer.publish(remaining as usize);
        segments.push(segment.clone());
        self.at = segment.start;
        self.segment = segment;
        self.writer = writer;
        Ok(())
    }

    /// Writes one record into reserved room and returns its offset. Readers find it once the log's end
    /// is advanced.
    pub(crate) fn write(
        &mut self,
        prepared: &Prepared,
        message: &NewMessage,
        queue_offset: i64,
        store_timestamp: i64,
    ) -> Result<u64, AppendError> {
        let log_offset = self.at;
        let spare = self.writer.spare(prepared.len()).ok_or(AppendError::Closed)?;
        prepared.write(message, &Positions { queue_offset, log_offset, store_timestamp }, spare);
        self.writer.publish(prepared.len());
        self.at += prepared.len() as u64;
        self.segment.file.appended();
        Ok(log_offset)
    }
}
