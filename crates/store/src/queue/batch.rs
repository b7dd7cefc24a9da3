//! A queue whose units are batches, in `batchconsumequeue/<topic>/<queueId>/` (`BatchConsumeQueue`): that of topics with
//! the attribute `queue.type=BatchCQ`.
//!
//! A unit is `commitLogOffset 8 | size 4 | tagsCode 8 | storeTime 8 | msgBaseOffset 8 | batchSize 2 |
//! compactedOffset 4 | reserved 4`. Units lie densely; the positions of their messages are written in them, ascending.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::RwLock;

use super::one::{NotRead, Rewound, Wait};
use super::stream::Stream;
use crate::fs::Fs;
use crate::types::{Boundary, OpenError};

/// Bytes of a unit (`BatchConsumeQueue.CQ_STORE_UNIT_SIZE`).
pub(crate) const BATCH_UNIT: u64 = 46;
const LEN: usize = BATCH_UNIT as usize;
/// Units read at once when the end is looked for.
const CHUNK: usize = 1_000;
/// What stands for the compaction's offset where there is none (`INVALID_POS`).
const NOT_COMPACTED: i32 = -1;

/// Points to a record with one message or a batch of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchUnit {
    pub(crate) log_offset: i64,
    pub(crate) size: i32,
    pub(crate) tags_code: i64,
    pub(crate) store_time: i64,
    /// Position of the first message.
    pub(crate) base: i64,
    /// How many messages.
    pub(crate) count: i16,
}

impl BatchUnit {
    pub(crate) fn encode(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&self.log_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.size.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.tags_code.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.store_time.to_be_bytes());
        bytes[28..36].copy_from_slice(&self.base.to_be_bytes());
        bytes[36..38].copy_from_slice(&self.count.to_be_bytes());
        bytes[38..42].copy_from_slice(&NOT_COMPACTED.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; LEN]) -> Self {
        let long = |at: usize| {
            let mut value = [0; 8];
            value.copy_from_slice(&bytes[at..at + 8]);
            i64::from_be_bytes(value)
        };
        Self {
            log_offset: long(0),
            size: i32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
            tags_code: long(12),
            store_time: long(20),
            base: long(28),
            count: i16::from_be_bytes([bytes[36], bytes[37]]),
        }
    }

    /// Whether this can be a unit at all; the first one that cannot ends the queue (`recover`).
    pub(crate) fn is_valid(self) -> bool {
        self.log_offset >= 0 && self.size > 0 && self.base >= 0 && self.count > 0
    }

    /// Position after the last message.
    pub(crate) fn next(self) -> i64 {
        self.base.saturating_add(self.count.into())
    }

    fn log_end(self) -> i64 {
        self.log_offset.saturating_add(self.size.into())
    }
}

/// What is known without reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// First unit that points into the log, by number.
    first: i64,
    /// Position of its first message; -1 without a unit.
    min: i64,
    /// Position after the last message.
    max: i64,
    /// Log offset after the last record that has a unit, -1 when there is none.
    max_log_end: i64,
}

const EMPTY: State = State { first: 0, min: -1, max: 0, max_log_end: -1 };

#[derive(Debug)]
pub(crate) struct BatchQueue {
    pub(crate) topic: Arc<str>,
    pub(crate) queue_id: i32,
    stream: Stream,
    /// The position that the next message of this queue gets; only the appender, under its lock, moves it.
    pub(crate) next_offset: AtomicI64,
    /// The topic is gone: whoever still holds this queue must look it up again.
    pub(crate) deleted: AtomicBool,
    /// Recovery has put it back to where its walk began.
    pub(crate) rewound: AtomicBool,
    /// Number of the first unit that [`BatchQueue::load`] found not to follow the one before.
    ordered: AtomicI64,
    state: RwLock<State>,
}

impl BatchQueue {
    /// A queue without files.
    pub(crate) fn new(fs: Fs, topic: Arc<str>, queue_id: i32, dir: PathBuf, file_len: u64) -> Self {
        Self {
            topic,
            queue_id,
            stream: Stream::new(fs, dir, file_len),
            next_offset: AtomicI64::new(0),
            deleted: AtomicBool::new(false),
            rewound: AtomicBool::new(false),
            ordered: AtomicI64::new(i64::MAX),
            state: RwLock::new(EMPTY),
        }
    }

    /// Lists the files and finds the queue's end: the first impossible unit in the last three files.
    pub(crate) fn load(&self) -> Result<(), OpenError> {
        self.stream.load()?;
        let (start, end) = self.units();
        let per_file = self.per_file();
        let mut at = start.max(end - 3 * per_file);
        let mut chunk = vec![0; LEN * CHUNK];
        let (mut before, mut ordered): (Option<BatchUnit>, _) = (None, i64::MAX);
        'walk: while at < end {
            let count = (CHUNK as i64).min(end - at).min(per_file - at % per_file) as usize;
            let chunk = &mut chunk[..LEN * count];
            let read = self.stream.read(at as u64 * BATCH_UNIT, chunk, Wait::Yes);
            if !read.map_err(|why| self.stream.failed(why))? {
                break;
            }
            for bytes in chunk.as_chunks::<LEN>().0 {
                let unit = BatchUnit::decode(bytes);
                if !unit.is_valid() {
                    break 'walk;
                }
                if before
                    .is_some_and(|before| unit.base < before.next() || unit.log_offset < before.log_end())
                {
                    ordered = ordered.min(at);
                }
                before = Some(unit);
                at += 1;
            }
        }
        self.ordered.store(ordered, Ordering::Relaxed);
        self.set_end(at)
    }

    /// Moves the end to the unit with this number.
    fn set_end(&self, number: i64) -> Result<(), OpenError> {
        self.stream.set_end(number as u64 * BATCH_UNIT)?;
        self.settle()
    }

    /// One unit, where one that cannot be read must not pass for one that is not there.
    fn unit_on_disk(&self, number: i64) -> Result<Option<BatchUnit>, OpenError> {
        self.read_unit(number, Wait::Yes).map_err(|why| self.stream.failed(why))
    }

    fn per_file(&self) -> i64 {
        (self.stream.file_len / BATCH_UNIT) as i64
    }

    /// Numbers of the first unit and of the one after the last.
    fn units(&self) -> (i64, i64) {
        let (start, end) = self.stream.range();
        ((start / BATCH_UNIT) as i64, (end / BATCH_UNIT) as i64)
    }

    /// Finds the state anew from the first unit and the last.
    fn settle(&self) -> Result<(), OpenError> {
        let (first, end) = self.units();
        let last = if first < end { self.unit_on_disk(end - 1)? } else { None };
        let state = match (self.unit_on_disk(first)?, last) {
            (Some(lowest), Some(last)) => {
                State { first, min: lowest.base, max: last.next(), max_log_end: last.log_end() }
            }
            _ => State { first, ..EMPTY },
        };
        *self.state.write() = state;
        Ok(())
    }

    /// Log offset after the last record that has a unit; -1 when there is none.
    pub(crate) fn max_log_end(&self) -> i64 {
        self.state.read().max_log_end
    }

    /// Positions of the first message and after the last one. An empty queue has (-1, 0), as Java's.
    pub(crate) fn range(&self) -> (i64, i64) {
        let state = self.state.read();
        (state.min, state.max)
    }

    /// Adds a unit (`putBatchMessagePositionInfo`). Returns whether it is new.
    pub(crate) fn push(&self, unit: BatchUnit) -> bool {
        let mut state = self.state.write();
        if unit.log_end() <= state.max_log_end || self.deleted.load(Ordering::Acquire) {
            return false;
        }
        if !unit.is_valid() {
            let BatchUnit { log_offset, base, count, .. } = unit;
            tracing::error!(topic = %self.topic, queue = self.queue_id, log_offset, base, count, "impossible position");
            return false;
        }
        if unit.base < state.max {
            let (base, max) = (unit.base, state.max);
            tracing::warn!(topic = %self.topic, queue = self.queue_id, base, max, "batch is in the queue already");
            return false;
        }
        self.stream.append(&unit.encode());
        if state.min < 0 {
            state.min = unit.base;
        }
        (state.max, state.max_log_end) = (unit.next(), unit.log_end());
        true
    }

    /// One unit by number.
    pub(crate) fn read_unit(&self, number: i64, wait: Wait) -> Result<Option<BatchUnit>, NotRead> {
        let Some(at) = u64::try_from(number).ok().and_then(|number| number.checked_mul(BATCH_UNIT)) else {
            return Ok(None);
        };
        let mut bytes = [0; LEN];
        Ok(self.stream.read(at, &mut bytes, wait)?.then(|| BatchUnit::decode(&bytes)))
    }

    fn unit(&self, number: i64) -> Option<BatchUnit> {
        self.read_unit(number, Wait::Yes).ok().flatten()
    }

    /// Number of the unit whose messages include `offset`, or of the last one before (`getBatchMsgIndexBuffer`).
    pub(crate) fn find(&self, offset: i64, wait: Wait) -> Result<Option<i64>, NotRead> {
        let (low, end) = self.units();
        if offset >= self.state.read().max {
            return Ok(None);
        }
        last_at_most(low, end, offset, |number| Ok(self.read_unit(number, wait)?.map(|unit| unit.base)))
    }

    /// The unit whose messages include `offset`.
    pub(crate) fn unit_with(&self, offset: i64) -> Option<BatchUnit> {
        let number = self.find(offset, Wait::Yes).ok().flatten()?;
        self.unit(number).filter(|unit| (unit.base..unit.next()).contains(&offset))
    }

    /// Number of the first unit of the file after the one that holds unit `number`.
    pub(crate) fn next_file(&self, number: i64) -> i64 {
        let per_file = self.per_file();
        number.saturating_add(per_file - number.rem_euclid(per_file))
    }

    /// Position by store time (`getOffsetInQueueByTime`); -1 where there is none.
    pub(crate) fn offset_by_time(&self, time: i64, boundary: Boundary) -> i64 {
        let (first, end) = self.units();
        let per_file = self.per_file();
        let time_at = |number: i64| self.unit(number).map(|unit| unit.store_time);
        // The last file that begins at or before the time, or the first one.
        let mut low = first;
        let mut start = first - first.rem_euclid(per_file);
        while start < end {
            if start >= first && time_at(start).is_some_and(|begin| begin <= time) {
                low = start;
            }
            start += per_file;
        }
        let high = (low - low.rem_euclid(per_file) + per_file).min(end) - 1;
        let base = |number: i64| self.unit(number).map_or(-1, |unit| unit.base);
        if high < low {
            return -1;
        }
        if time_at(high).is_none_or(|last| time >= last) {
            return base(high);
        }
        search_right(low, high, time, boundary, time_at).map_or(-1, base)
    }

    /// Drops every unit that points at or beyond `log_end` (`truncateDirtyLogicFiles`).
    pub(crate) fn truncate(&self, log_end: i64) -> Result<(), OpenError> {
        if self.max_log_end() <= log_end {
            return Ok(());
        }
        let (first, end) = self.units();
        let mut to = end;
        while to > first && self.unit_on_disk(to - 1)?.is_none_or(|unit| unit.log_offset >= log_end) {
            to -= 1;
        }
        tracing::warn!(topic = %self.topic, queue = self.queue_id, from = end, to, "truncating batch queue");
        self.set_end(to)
    }

    /// After a crash: ends the queue before the first unit that points at or beyond `log_start`, where the walk over
    /// the log begins, or that does not follow the one before. What comes from there on is not known to be on disk, and
    /// a loss of power may have left a part of a unit: the last one says nothing about those before.
    pub(crate) fn rewind_to_log(&self, log_start: i64) -> Result<(), OpenError> {
        let ordered = self.ordered.swap(i64::MAX, Ordering::Relaxed);
        self.keep_while(ordered, |unit| unit.log_offset < log_start)
    }

    /// Puts the end before the batch whose first message is at `base`, so that it and everything after it is added
    /// anew. A queue that ends before that lacks units, unless the log does not have their records either.
    pub(crate) fn rewind(&self, base: i64, log_min: u64) -> io::Result<Rewound> {
        self.keep_while(i64::MAX, |unit| unit.next() <= base).map_err(io::Error::other)?;
        let state = *self.state.read();
        let lacks = state.max < base && state.max_log_end > log_min as i64;
        Ok(if lacks { Rewound::Lacks } else { Rewound::Done })
    }

    /// Ends the queue before unit `limit` and before the first one that is not to be kept; all before it are.
    fn keep_while(&self, limit: i64, keep: impl Fn(BatchUnit) -> bool) -> Result<(), OpenError> {
        let (first, end) = self.units();
        let (mut low, mut high) = (first, end.min(limit));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.unit_on_disk(middle)?.is_some_and(&keep) { low = middle + 1 } else { high = middle }
        }
        if low == end {
            return Ok(());
        }
        tracing::info!(topic = %self.topic, queue = self.queue_id, from = end, to = low, "rewinding batch queue");
        self.set_end(low)
    }

    /// Moves the minimum to the first unit that points at or beyond `log_min` (`correctMinOffset`).
    pub(crate) fn correct_min(&self, log_min: i64) {
        let (first, end) = self.units();
        let search = || -> Result<(i64, Option<i64>), OpenError> {
            let (mut low, mut high) = (first.max(self.state.read().first), end);
            while low < high {
                let middle = low + (high - low) / 2;
                let below = self.unit_on_disk(middle)?.is_some_and(|unit| unit.log_offset < log_min);
                if below { low = middle + 1 } else { high = middle }
            }
            Ok((low, self.unit_on_disk(low)?.map(|unit| unit.base)))
        };
        let (low, min) = match search() {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(topic = %self.topic, queue = self.queue_id, %error, "queue minimum is unknown, it stays");
                return;
            }
        };
        let mut state = self.state.write();
        state.first = low;
        state.min = match min {
            Some(base) => base,
            None if first < end => state.max,
            None => -1,
        };
    }

    /// Deletes the files, except the last one, whose last unit points below `log_min`. Returns how many went.
    pub(crate) fn delete_expired(&self, log_min: i64) -> io::Result<usize> {
        let per_file = self.per_file();
        self.stream.delete_first_while(|start| {
            let last = (start / BATCH_UNIT) as i64 + per_file - 1;
            self.unit(last).is_some_and(|unit| unit.log_offset < log_min)
        })
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Deletes the files; the object is dead afterwards.
    pub(crate) fn destroy(&self) -> io::Result<()> {
        self.deleted.store(true, Ordering::Release);
        let mut state = self.state.write();
        *state = EMPTY;
        self.stream.destroy()
    }
}

/// The last of `low..end`, ascending by `value`, whose value is at most `target`.
fn last_at_most<E>(
    low: i64,
    end: i64,
    target: i64,
    value: impl Fn(i64) -> Result<Option<i64>, E>,
) -> Result<Option<i64>, E> {
    let (mut from, mut to) = (low, end);
    while from < to {
        let middle = from + (to - from) / 2;
        match value(middle)? {
            Some(value) if value <= target => from = middle + 1,
            _ => to = middle,
        }
    }
    Ok((from > low).then(|| from - 1))
}

/// Java's search inside one file (`binarySearchRight`), with its own idea of the upper boundary.
fn search_right(
    low: i64,
    high: i64,
    target: i64,
    boundary: Boundary,
    value: impl Fn(i64) -> Option<i64>,
) -> Option<i64> {
    let (mut left, mut right) = (low, high);
    while left <= right {
        let middle = left + (right - left) / 2;
        let found = value(middle)?;
        if middle == right {
            return (found >= target).then_some(middle);
        }
        if middle == left {
            if found >= target {
                return Some(middle);
            }
            left = middle + 1;
            continue;
        }
        match boundary {
            Boundary::Lower if found < target => left = middle + 1,
            Boundary::Lower => right = middle,
            Boundary::Upper if found <= target => left = middle,
            Boundary::Upper => right = middle - 1,
        }
    }
    None
}

type ById = BTreeMap<i32, Arc<BatchQueue>>;

/// All batch queues, and which topics have them.
#[derive(Debug)]
pub(crate) struct Batches {
    fs: Fs,
    dir: PathBuf,
    file_len: u64,
    /// No topic has them, as nearly always.
    none: AtomicBool,
    topics: RwLock<HashMap<Arc<str>, ById>>,
}

impl Batches {
    pub(crate) fn new(fs: Fs, dir: PathBuf, file_len: u64) -> Self {
        Self { fs, dir, file_len, none: AtomicBool::new(true), topics: RwLock::default() }
    }

    /// Makes `topic` one with batch queues.
    pub(crate) fn declare(&self, topic: &str) {
        self.topics.write().entry(topic.into()).or_default();
        self.none.store(false, Ordering::SeqCst);
    }

    /// Whether the queues of `topic` are batch queues.
    #[inline]
    pub(crate) fn is_batch(&self, topic: &str) -> bool {
        !self.none.load(Ordering::Relaxed) && self.topics.read().contains_key(topic)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn get(&self, topic: &str, queue_id: i32) -> Option<Arc<BatchQueue>> {
        if self.none.load(Ordering::Relaxed) {
            return None;
        }
        self.topics.read().get(topic)?.get(&queue_id).cloned()
    }

    /// The queue, made on demand, of a topic with batch queues; `None` for other topics.
    pub(crate) fn get_or_create(&self, topic: &str, queue_id: i32) -> Option<Arc<BatchQueue>> {
        if !self.is_batch(topic) {
            return None;
        }
        if let Some(queue) = self.get(topic, queue_id) {
            return Some(queue);
        }
        let mut topics = self.topics.write();
        let (name, queues) = (topics.get_key_value(topic)?.0.clone(), topics.get_mut(topic)?);
        let make = || {
            let dir = self.dir.join(topic).join(queue_id.to_string());
            Arc::new(BatchQueue::new(self.fs.clone(), name, queue_id, dir, self.file_len))
        };
        Some(queues.entry(queue_id).or_insert_with(make).clone())
    }

    pub(crate) fn all(&self) -> Vec<Arc<BatchQueue>> {
        self.topics.read().values().flat_map(|queues| queues.values().cloned()).collect()
    }

    /// Topics that have queues.
    pub(crate) fn topics(&self) -> Vec<String> {
        let topics = self.topics.read();
        topics.iter().filter(|(_, queues)| !queues.is_empty()).map(|(topic, _)| topic.to_string()).collect()
    }

    pub(crate) fn ids(&self, topic: &str) -> Vec<i32> {
        self.topics.read().get(topic).map(|queues| queues.keys().copied().collect()).unwrap_or_default()
    }

    /// Takes a topic's queues out and deletes their files; its next queues are of the other kind, unless it is
    /// declared again.
    pub(crate) fn remove(&self, topic: &str) -> Option<io::Result<()>> {
        if !self.is_batch(topic) {
            return None;
        }
        let queues = self.topics.write().remove(topic)?;
        let outcome = queues.values().map(|queue| queue.destroy()).fold(Ok(()), io::Result::and);
        let _ = std::fs::remove_dir(self.dir.join(topic));
        // As for the other kind of queues: nothing of this may be back after a loss of power.
        Some(outcome.and_then(|()| if self.dir.exists() { self.fs.sync_dir(&self.dir) } else { Ok(()) }))
    }

    /// Deletes all files. The topics stay what they are.
    pub(crate) fn clear(&self) -> io::Result<()> {
        let mut topics = self.topics.write();
        let all = topics.values_mut().flat_map(std::mem::take);
        all.map(|(_, queue)| queue.destroy()).fold(Ok(()), io::Result::and)
    }
}

#[cfg(test)]
mod tests;
