//! Reading messages: by queue position (`DefaultMessageStore.getMessage`), by log offset, by time, by key.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use raptormq_message::{Checks, Decoded, decode, layout};

use crate::config::StoreConfig;
use crate::index::Range;
use crate::queue::batch::{BATCH_UNIT, BatchQueue};
use crate::queue::ext::{Ext, is_address};
use crate::queue::one::{ConsumeQueue, NotRead, Wait};
use crate::queue::table::Queue;
use crate::queue::unit::{UNIT, Unit};
use crate::segment::Segment;
use crate::state::Shared;
use crate::types::{Boundary, GetRequest, GetResult, GetStatus, QueryResult};

/// `DefaultMessageStore.MAX_PULL_MSG_SIZE`.
const PULL_MAX: usize = 128 << 20;
/// Units copied out of a queue at a time.
const UNITS: usize = 64;

impl Shared {
    pub(crate) fn log_min(&self) -> u64 {
        self.segments.first().map_or(0, |segment| segment.start)
    }

    pub(crate) fn log_max(&self) -> u64 {
        self.appended.load(Ordering::SeqCst)
    }

    /// Messages of a queue. With [`Wait::No`] nothing is read that may have to come from disk.
    pub(crate) fn get(&self, request: &GetRequest<'_>, wait: Wait) -> Result<GetResult, NotRead> {
        let log_max = self.log_max();
        let mut result = GetResult {
            status: GetStatus::NoMessageInQueue,
            next_begin_offset: 0,
            min_offset: 0,
            max_offset: 0,
            messages: Vec::new(),
            queue_offsets: Vec::new(),
            message_count: 0,
            bytes: 0,
            suggest_slave: false,
        };
        // Java makes a queue that is asked for, so an unknown one is an empty one.
        let Some(queue) = self.sinks.queues.find(request.topic, request.queue_id) else { return Ok(result) };
        (result.min_offset, result.max_offset) = queue.range();
        let offset = request.offset;
        let (status, next) = if result.max_offset == 0 {
            (GetStatus::NoMessageInQueue, 0)
        } else if offset < result.min_offset {
            (GetStatus::OffsetTooSmall, result.min_offset)
        } else if offset == result.max_offset {
            (GetStatus::OffsetOverflowOne, offset)
        } else if offset > result.max_offset {
            (GetStatus::OffsetOverflowBadly, result.max_offset)
        } else {
            (GetStatus::NoMatchedMessage, offset)
        };
        (result.status, result.next_begin_offset) = (status, next);
        if status == GetStatus::NoMatchedMessage {
            let last_read = match &queue {
                Queue::Simple(queue) => self.fill(request, queue, log_max, wait, &mut result),
                Queue::Batch(queue) => self.fill_batches(request, queue, log_max, wait, &mut result),
            };
            let last_read = match last_read {
                Err(NotRead::Failed(errno)) => {
                    let error = std::io::Error::from_raw_os_error(errno);
                    tracing::error!(topic = request.topic, queue = request.queue_id, offset, %error, "cannot be read");
                    // The reader gets what comes before, and the place of what cannot be read to begin with next.
                    if result.bytes == 0 {
                        result.status = GetStatus::OffsetFoundNull;
                    }
                    log_max
                }
                other => other?,
            };
            result.suggest_slave = log_max.saturating_sub(last_read) > self.memory.load(Ordering::Relaxed);
        }
        Ok(result)
    }

    /// Walks the queue. Returns the log offset of the last unit looked at.
    fn fill(
        &self,
        request: &GetRequest<'_>,
        queue: &ConsumeQueue,
        log_max: u64,
        wait: Wait,
        result: &mut GetResult,
    ) -> Result<u64, NotRead> {
        let config = self.live();
        let memory = self.memory.load(Ordering::Relaxed);
        let skip_max = (config.max_filter_message_size as i64).max(i64::from(request.max_nums) * UNIT as i64);
        let bytes_max = request.max_bytes.unwrap_or(PULL_MAX).clamp(100, PULL_MAX);
        let mut last_read = 0;
        let mut files = 0;
        let ext = self.sinks.queues.exts().map(|exts| exts.of(&queue.topic, queue.queue_id));
        let bit_maps = request.filter.as_ref().is_some_and(|filter| filter.looks_at_bit_maps());
        while result.bytes == 0
            && result.next_begin_offset < result.max_offset
            && files < config.travel_cq_file_num_when_get_message
        {
            files += 1;
            // One round stays inside one queue file, as a mapped buffer of Java does.
            let file_end = queue.next_file(result.next_begin_offset);
            let mut at = result.next_begin_offset;
            // After a missing record: units below this offset point into the same deleted file.
            let mut skip_below = None;
            let mut buf = [0; UNITS * UNIT as usize];
            'round: while at < file_end && at < result.max_offset {
                let Some(units) = queue.read(at, &mut buf, wait)? else {
                    if at == result.next_begin_offset && result.bytes == 0 && skip_below.is_none() {
                        result.status = GetStatus::OffsetFoundNull;
                        result.next_begin_offset = file_end;
                        return Ok(last_read);
                    }
                    break;
                };
                for bytes in buf[..units * UNIT as usize].chunks_exact(UNIT as usize) {
                    let (Some(unit), true) = (Unit::decode(bytes), at < result.max_offset) else {
                        break 'round;
                    };
                    let log_offset = unit.log_offset.max(0) as u64;
                    let in_memory = log_max.saturating_sub(log_offset) <= memory;
                    let size = usize::try_from(unit.size).unwrap_or(0);
                    if (at - request.offset) * UNIT as i64 >= skip_max
                        || is_full(&config, request, (size, 1), bytes_max, result, in_memory)
                        || result.bytes >= bytes_max
                    {
                        break 'round;
                    }
                    last_read = log_offset;
                    let queue_offset = at;
                    at += 1;
                    result.next_begin_offset = at;
                    if skip_below.is_some_and(|end| log_offset < end) {
                        continue;
                    }
                    if let Some(filter) = &request.filter
                        && !if bit_maps && is_address(unit.tags_code) {
                            let found = bit_map(&unit, ext.as_deref(), wait);
                            found
                                .inspect_err(|_| result.next_begin_offset = queue_offset)?
                                .is_none_or(|(time, map)| filter.matches_bit_map(time, &map))
                        } else {
                            match tags_code(&unit, ext.as_deref(), wait)
                                .inspect_err(|_| result.next_begin_offset = queue_offset)?
                            {
                                Some(tags_code) => filter.matches_queue(tags_code),
                                None => filter.matches_unknown(),
                            }
                        }
                    {
                        if result.bytes == 0 {
                            result.status = GetStatus::NoMatchedMessage;
                        }
                        continue;
                    }
                    let record = self.record(log_offset, size, in_memory, wait);
                    let record = record.inspect_err(|_| result.next_begin_offset = queue_offset)?;
                    let Some(record) = record else {
                        if result.bytes == 0 {
                            result.status = GetStatus::MessageWasRemoving;
                        }
                        let len = self.config.commit_log_file_size;
                        skip_below = Some(log_offset - log_offset % len + len);
                        continue;
                    };
                    if let Some(filter) = &request.filter
                        && !filter.matches_record(&record)
                    {
                        if result.bytes == 0 {
                            result.status = GetStatus::NoMatchedMessage;
                        }
                        continue;
                    }
                    result.bytes += record.len();
                    result.message_count += 1;
                    result.messages.push(record);
                    result.queue_offsets.push(queue_offset);
                    result.status = GetStatus::Found;
                    skip_below = None;
                }
            }
        }
        Ok(last_read)
    }

    /// As [`Shared::fill`], for a batch queue: a record that holds several messages is answered whole, also when
    /// the asked position is in its middle.
    fn fill_batches(
        &self,
        request: &GetRequest<'_>,
        queue: &BatchQueue,
        log_max: u64,
        wait: Wait,
        result: &mut GetResult,
    ) -> Result<u64, NotRead> {
        let config = self.live();
        let memory = self.memory.load(Ordering::Relaxed);
        let skip_max =
            (config.max_filter_message_size as i64).max(i64::from(request.max_nums) * BATCH_UNIT as i64);
        let bytes_max = request.max_bytes.unwrap_or(PULL_MAX).clamp(100, PULL_MAX);
        let (mut last_read, mut files) = (0, 0);
        while result.bytes == 0
            && result.next_begin_offset < result.max_offset
            && files < config.travel_cq_file_num_when_get_message
        {
            files += 1;
            let Some(mut number) = queue.find(result.next_begin_offset, wait)? else {
                // Java's `rollNextFile` of such a queue.
                (result.status, result.next_begin_offset) = (GetStatus::OffsetFoundNull, 0);
                return Ok(last_read);
            };
            let file_end = queue.next_file(number);
            let mut skip_below = None;
            while number < file_end && result.next_begin_offset < result.max_offset {
                let Some(unit) = queue.read_unit(number, wait)? else { break };
                let log_offset = unit.log_offset.max(0) as u64;
                let in_memory = log_max.saturating_sub(log_offset) <= memory;
                let size = usize::try_from(unit.size).unwrap_or(0);
                let count = usize::try_from(unit.count).unwrap_or(0);
                if (unit.base - request.offset).saturating_mul(BATCH_UNIT as i64) >= skip_max
                    || is_full(&config, request, (size, count), bytes_max, result, in_memory)
                    || result.bytes >= bytes_max
                {
                    break;
                }
                last_read = log_offset;
                number += 1;
                result.next_begin_offset = unit.next();
                if skip_below.is_some_and(|end| log_offset < end) {
                    continue;
                }
                if request.filter.as_ref().is_some_and(|filter| !filter.matches_queue(unit.tags_code)) {
                    continue;
                }
                let record = self.record(log_offset, size, in_memory, wait);
                let record =
                    record.inspect_err(|_| result.next_begin_offset = unit.base.max(request.offset))?;
                let Some(record) = record else {
                    if result.bytes == 0 {
                        result.status = GetStatus::MessageWasRemoving;
                    }
                    let len = self.config.commit_log_file_size;
                    skip_below = Some(log_offset - log_offset % len + len);
                    continue;
                };
                if request.filter.as_ref().is_some_and(|filter| !filter.matches_record(&record)) {
                    continue;
                }
                result.bytes += record.len();
                result.message_count += count;
                result.messages.push(record);
                result.queue_offsets.push(unit.base);
                result.status = GetStatus::Found;
                skip_below = None;
            }
        }
        Ok(last_read)
    }

    /// The bytes that a unit points to; `None` when the log does not have them (any more).
    fn record(
        &self,
        log_offset: u64,
        size: usize,
        in_memory: bool,
        wait: Wait,
    ) -> Result<Option<Bytes>, NotRead> {
        let Some(segment) = self.segments.find(log_offset) else { return Ok(None) };
        if in_memory {
            return Ok(segment.slice(log_offset, size));
        }
        match wait {
            Wait::No => Err(NotRead::WouldBlock),
            Wait::Yes => Ok(segment.read(log_offset, size)?),
        }
    }

    /// The whole record that begins at `log_offset`.
    pub(crate) fn record_at(&self, log_offset: u64) -> Option<Bytes> {
        if log_offset >= self.log_max() {
            return None;
        }
        let segment = self.segments.find(log_offset)?;
        match decode(segment.bytes_from(log_offset), Checks::Sizes) {
            Ok(Decoded::Record(record)) => segment.slice(log_offset, record.len),
            _ => None,
        }
    }

    /// Store time of the record at `log_offset` (`pickupStoreTimestamp`); -1 when the log has not got it.
    pub(crate) fn store_timestamp_at(&self, log_offset: i64, size: i32) -> i64 {
        let (Ok(log_offset), Ok(size)) = (u64::try_from(log_offset), u64::try_from(size)) else { return -1 };
        if log_offset < self.log_min() || log_offset + size > self.log_max() {
            return -1;
        }
        self.segments.find(log_offset).and_then(|segment| store_timestamp(&segment, log_offset)).unwrap_or(-1)
    }

    pub(crate) fn queue_store_time(&self, topic: &str, queue_id: i32, queue_offset: i64) -> i64 {
        let place = self.sinks.queues.find(topic, queue_id).and_then(|queue| queue.place(queue_offset));
        place.map_or(-1, |(log_offset, size)| self.store_timestamp_at(log_offset, size))
    }

    /// Store time of the oldest record.
    pub(crate) fn earliest_log_time(&self) -> i64 {
        let min = self.log_min();
        if min >= self.log_max() {
            return -1;
        }
        self.segments.first().and_then(|segment| store_timestamp(&segment, min)).unwrap_or(-1)
    }

    /// Position in a queue by store time (`ConsumeQueue.getOffsetInQueueByTime`), kept inside the queue's range.
    pub(crate) fn offset_by_time(&self, topic: &str, queue_id: i32, time: i64, boundary: Boundary) -> i64 {
        let Some(queue) = self.sinks.queues.find(topic, queue_id) else { return 0 };
        let (min, max) = queue.range();
        let found = match &queue {
            Queue::Simple(queue) => self.search_time(queue, min, max, time, boundary).unwrap_or(0),
            Queue::Batch(queue) => queue.offset_by_time(time, boundary),
        };
        found.max(min).min(max)
    }

    fn search_time(
        &self,
        queue: &ConsumeQueue,
        min: i64,
        max: i64,
        time: i64,
        boundary: Boundary,
    ) -> Option<i64> {
        let time_at = |at: i64| {
            let unit = queue.unit(at)?;
            Some(self.store_timestamp_at(unit.log_offset, unit.size))
        };
        let (starts, per_file) = queue.file_starts();
        let start = match boundary {
            Boundary::Lower => {
                let ends_late = |start: &i64| time_at(start + per_file - 1).is_some_and(|stop| stop >= time);
                let (last, others) = starts.split_last()?;
                *others.iter().find(|start| ends_late(start)).unwrap_or(last)
            }
            Boundary::Upper => {
                *starts.iter().rev().find(|start| time_at(**start).is_none_or(|first| first <= time))?
            }
        };
        let (floor, ceiling) = (min.max(start), (start + per_file).min(max) - 1);
        if ceiling < start {
            return None;
        }
        if time_at(ceiling).unwrap_or(-1) < time {
            return Some(if boundary == Boundary::Lower { ceiling + 1 } else { ceiling });
        }
        if time_at(floor).unwrap_or(-1) > time {
            return Some(if boundary == Boundary::Lower { start } else { 0 });
        }
        // Everything below `low` is earlier than `time`, everything above `high` is later.
        let (mut low, mut high) = (floor, ceiling);
        let (mut left, mut right, mut hit) = (None, None, None);
        while low <= high {
            let middle = low + (high - low) / 2;
            let unit = queue.unit(middle)?;
            if unit.log_offset < self.log_min() as i64 {
                (low, left) = (middle + 1, Some(middle));
                continue;
            }
            let stored = self.store_timestamp_at(unit.log_offset, unit.size);
            if stored < 0 {
                tracing::warn!(log_offset = unit.log_offset, "no store time for the unit's record");
                return None;
            } else if stored == time {
                hit = Some(middle);
                break;
            } else if stored > time {
                (high, right) = (middle - 1, Some(middle));
            } else {
                (low, left) = (middle + 1, Some(middle));
            }
        }
        // Neighbours can share the time.
        let run = |step: i64, end: i64, mut at: i64| {
            while at != end && time_at(at + step) == Some(time) {
                at += step;
            }
            at
        };
        match (hit, boundary) {
            (Some(hit), Boundary::Lower) => Some(run(-1, floor, hit)),
            (Some(hit), Boundary::Upper) => Some(run(1, ceiling, hit)),
            (None, Boundary::Lower) => right,
            (None, Boundary::Upper) => left,
        }
    }

    /// Messages by key and time (`DefaultMessageStore.queryMessage`): up to three looks at the index, each up to the
    /// oldest message that the one before found, until one yields a message.
    pub(crate) fn query(&self, topic: &str, key: &str, max: usize, begin: i64, end: i64) -> QueryResult {
        let mut result = QueryResult::default();
        let Some(index) = &self.sinks.index else { return result };
        let max = max.min(self.live().max_msgs_num_batch);
        let mut end = end;
        for _ in 0..3 {
            let mut found = index.find(topic, key, max, Range { begin, end });
            if found.log_offsets.is_empty() {
                break;
            }
            found.log_offsets.sort_unstable();
            result.index_last_update_timestamp = found.last_update_timestamp;
            result.index_last_update_phyoffset = found.last_update_log_offset;
            for (at, log_offset) in found.log_offsets.iter().enumerate() {
                let Some(record) = u64::try_from(*log_offset).ok().and_then(|at| self.record_at(at)) else {
                    continue;
                };
                if at == 0 {
                    end = self.store_timestamp_at(*log_offset, record.len() as i32);
                }
                result.messages.push(record);
            }
            if !result.messages.is_empty() || end < begin {
                break;
            }
        }
        result
    }
}

/// Whether an answer ends before a record of `size` bytes with `batch` messages (`isTheBatchFull`).
fn is_full(
    config: &StoreConfig,
    request: &GetRequest<'_>,
    (size, batch): (usize, usize),
    bytes_max: usize,
    result: &GetResult,
    in_memory: bool,
) -> bool {
    let count = result.message_count;
    if result.bytes == 0 || count == 0 {
        return false;
    }
    let bytes = result.bytes + size;
    let (transfer_bytes, transfer_count) = if in_memory {
        (config.max_transfer_bytes_in_memory, config.max_transfer_count_in_memory)
    } else {
        (config.max_transfer_bytes_on_disk, config.max_transfer_count_on_disk)
    };
    (count + batch) as i64 > i64::from(request.max_nums)
        || bytes > bytes_max
        || bytes > transfer_bytes
        || count + 1 > transfer_count
}

/// Store time and bit map of a unit's extension; `None` where that is lost.
fn bit_map(unit: &Unit, ext: Option<&Ext>, wait: Wait) -> Result<Option<(i64, Vec<u8>)>, NotRead> {
    ext.map_or(Ok(None), |ext| ext.bit_map(unit.tags_code, wait))
}

/// What a filter compares with tags: what the unit holds, or its extension. `None` where the extension is not there,
/// or queues have none by now: the address says nothing about the tag (`CqUnit.isTagsCodeValid`).
fn tags_code(unit: &Unit, ext: Option<&Ext>, wait: Wait) -> Result<Option<i64>, NotRead> {
    if !is_address(unit.tags_code) {
        return Ok(Some(unit.tags_code));
    }
    let Some(ext) = ext else { return Ok(None) };
    Ok(ext.get(unit.tags_code, wait)?.map(|unit| unit.tags_code))
}

fn store_timestamp(segment: &Segment, log_offset: u64) -> Option<i64> {
    let bytes = segment.bytes_from(log_offset);
    let flags = bytes.get(layout::SYS_FLAG..layout::SYS_FLAG + 4)?;
    let at = layout::store_timestamp_at(i32::from_be_bytes(flags.try_into().ok()?));
    Some(i64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
