//! From the log to what is derived of it: queue unit, index keys, news of the arrival. One path for live appends and
//! recovery.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use raptormq_base::clock::Clock;
use raptormq_message::layout::BLANK_LEN;
use raptormq_message::props::{self, KEY_SEPARATOR, StoreProperties, keys};
use raptormq_message::{Checks, Decoded, Record, decode, flags, tags_code};

use crate::checkpoint::Checkpoint;
use crate::config::FilterBitMaps;
use crate::fs;
use crate::index::{Index, IndexFile, key_hash, tags_hash, topic_hash};
use crate::queue::batch::{BATCH_UNIT, BatchQueue, BatchUnit};
use crate::queue::one::ConsumeQueue;
use crate::queue::table::{Queues, is_dir_name};
use crate::queue::unit::{UNIT, Unit};
use crate::segment::{Segment, Segments};
use crate::types::Arrival;

/// Topic whose queue units carry the time of delivery instead of a tag (`TopicValidator.RMQ_SYS_SCHEDULE_TOPIC`).
const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// Topics of half messages and of the records that settle them: no consumer may see what is in them.
const TRANSACTION_TOPICS: [&str; 2] = ["RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC"];

pub(crate) type Announce = dyn Fn(&Arrival<'_>) + Send + Sync;

/// Where records go.
pub(crate) struct Sinks {
    pub(crate) queues: Queues,
    pub(crate) index: Option<Index>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) clock: Arc<dyn Clock>,
    delay_levels: Vec<i64>,
    announce: Box<Announce>,
    filter_bit_maps: Option<FilterBitMaps>,
    multi_dispatch: bool,
    light_queues: bool,
    /// Queues with units that only memory holds.
    dirty: Mutex<Vec<Arc<ConsumeQueue>>>,
    /// Bytes of units added since the last [`Sinks::take_dirty`].
    pending: AtomicU64,
}

impl Sinks {
    pub(crate) fn new(
        queues: Queues,
        index: Option<Index>,
        checkpoint: Checkpoint,
        clock: Arc<dyn Clock>,
        delay_levels: Vec<i64>,
        announce: Box<Announce>,
    ) -> Self {
        let (dirty, pending) = (Mutex::default(), AtomicU64::new(0));
        Self {
            queues,
            index,
            checkpoint,
            clock,
            delay_levels,
            announce,
            filter_bit_maps: None,
            multi_dispatch: false,
            light_queues: false,
            dirty,
            pending,
        }
    }

    /// The queues that have something to write, each once.
    pub(crate) fn take_dirty(&self) -> Vec<Arc<ConsumeQueue>> {
        self.pending.store(0, Ordering::Relaxed);
        let dirty = std::mem::take(&mut *self.dirty.lock());
        for queue in &dirty {
            // Before the write: what is added from now on announces itself again.
            queue.queued.store(false, Ordering::SeqCst);
        }
        dirty
    }

    pub(crate) fn mark_dirty(&self, queue: &Arc<ConsumeQueue>) {
        if !queue.queued.load(Ordering::SeqCst) && !queue.queued.swap(true, Ordering::SeqCst) {
            self.dirty.lock().push(queue.clone());
        }
    }

    /// Bytes of units that wait to be written.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// With bit maps in the extensions of units.
    pub(crate) fn with_filter_bit_maps(mut self, filter_bit_maps: Option<FilterBitMaps>) -> Self {
        self.filter_bit_maps = filter_bit_maps;
        self
    }

    /// With light queues: records that name more queues are dispatched to those, too (`enableMultiDispatch`).
    pub(crate) fn with_multi_dispatch(mut self, multi_dispatch: bool, light_queues: bool) -> Self {
        (self.multi_dispatch, self.light_queues) = (multi_dispatch, light_queues);
        self
    }

    /// The places of a record: in the queue of its topic, and in those that it names (`multiDispatchLmqQueue`).
    pub(crate) fn targets<'a>(&self, record: &'a Record<'_>) -> impl Iterator<Item = Target<'a>> {
        let dispatched = flags::is_dispatched(record.sys_flag);
        let own =
            Target { topic: &record.topic, queue_id: record.queue_id, queue_offset: record.queue_offset };
        let own = Some(own).filter(|own| dispatched && is_dir_name(own.topic));
        let more = if dispatched && self.multi_dispatch { self.more_targets(record) } else { Vec::new() };
        own.into_iter().chain(more)
    }

    /// Whether a record is at home at a place, also in a queue that it was put into under another configuration.
    pub(crate) fn belongs_to(&self, record: &Record<'_>, place: Target<'_>) -> bool {
        let own =
            Target { topic: &record.topic, queue_id: record.queue_id, queue_offset: record.queue_offset };
        // A light queue's id is 0 or the record's, depending on `enableLmq`.
        own == place
            || self
                .more_targets(record)
                .iter()
                .any(|it| it.topic == place.topic && it.queue_offset == place.queue_offset)
    }

    /// Tells whoever waits that a record has arrived at a place.
    fn tell(&self, record: &Record<'_>, at: u64, tags_code: i64, target: Target<'_>) {
        (self.announce)(&Arrival {
            topic: target.topic,
            queue_id: target.queue_id,
            queue_offset: target.queue_offset,
            tags_code,
            store_timestamp: record.store_timestamp,
            properties: &record.properties,
            log_offset: at,
        });
    }

    fn more_targets<'a>(&self, record: &'a Record<'_>) -> Vec<Target<'a>> {
        let property =
            |key| props::get(&record.properties, key).map(|value| value.split(',').collect::<Vec<_>>());
        let (Some(names), Some(offsets), true) = (
            property(keys::INNER_MULTI_DISPATCH),
            property(keys::INNER_MULTI_QUEUE_OFFSET),
            allows_light_queues(&record.topic),
        ) else {
            return Vec::new();
        };
        if names.len() != offsets.len() {
            tracing::error!(
                topic = &*record.topic,
                "a record names {} queues and {} positions",
                names.len(),
                offsets.len()
            );
            return Vec::new();
        }
        let targets = names.into_iter().zip(offsets).filter_map(|(topic, offset)| {
            let queue_id = if self.light_queues && is_light(topic) { 0 } else { record.queue_id };
            let queue_offset = offset.parse().ok()?;
            is_dir_name(topic).then_some(Target { topic, queue_id, queue_offset })
        });
        targets.collect()
    }

    /// What a unit carries for filters: the tag's hash, or the time of delivery (`computeDeliverTimestamp`).
    fn tags_code(&self, record: &Record<'_>, tags: Option<&str>, delay: Option<&str>) -> i64 {
        if record.topic == SCHEDULE_TOPIC
            && let Some(level) = delay.and_then(|level| level.parse::<i32>().ok())
            && let Ok(level) = usize::try_from(level)
            && level > 0
        {
            let highest = self.delay_levels.last();
            let delay = self.delay_levels.get(level - 1).or(highest).copied().unwrap_or(1_000);
            return record.store_timestamp.saturating_add(delay);
        }
        tags_code(tags)
    }
}

/// A place in a queue that a record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) topic: &'a str,
    pub(crate) queue_id: i32,
    pub(crate) queue_offset: i64,
}

impl<'a> Target<'a> {
    /// A position in the queue that the record itself names.
    fn of(record: &'a Record<'_>, queue_offset: i64) -> Self {
        Self { topic: &record.topic, queue_id: record.queue_id, queue_offset }
    }
}

/// Whether records of a topic may be in light queues as well (`MixAll.topicAllowsLMQ`, which forgets half messages).
pub(crate) fn allows_light_queues(topic: &str) -> bool {
    !topic.starts_with("%RETRY%")
        && !topic.starts_with("rmq_sys_")
        && topic != SCHEDULE_TOPIC
        && !TRANSACTION_TOPICS.contains(&topic)
}

/// Whether `name` is a light queue's (`MixAll.isLmq`).
pub(crate) fn is_light(name: &str) -> bool {
    name.starts_with("%LMQ%")
}

/// The last record that went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) log_offset: u64,
    pub(crate) store_timestamp: i64,
}

/// The position of the dispatch, and what it uses again and again.
pub(crate) struct Dispatcher {
    /// Log offset of the next record.
    pub(crate) at: u64,
    pub(crate) last: Option<Last>,
    segment: Option<Arc<Segment>>,
    queue: Option<Arc<ConsumeQueue>>,
    index_file: Option<Arc<IndexFile>>,
    /// The index lacks messages at the moment.
    index_gap: Option<IndexGap>,
}

struct IndexGap {
    /// The first of them.
    from: u64,
    /// When to try again.
    retry: Duration,
}

/// How long the index is left alone when there is no space for it.
const INDEX_RETRY: Duration = Duration::from_secs(1);

/// The log does not continue as it was written.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl Dispatcher {
    pub(crate) fn new(at: u64) -> Self {
        Self { at, last: None, segment: None, queue: None, index_file: None, index_gap: None }
    }

    /// Forgets the queue in hand, because its topic is being deleted.
    pub(crate) fn forget_queue(&mut self) {
        self.queue = None;
    }

    /// Dispatches everything below `limit`, which is the end of a record or the start of a file.
    pub(crate) fn run(&mut self, sinks: &Sinks, segments: &Segments, limit: u64) -> Result<(), Broken> {
        while self.at < limit {
            let segment = match self.segment.take().filter(|it| it.start <= self.at && self.at < it.end()) {
                Some(segment) => segment,
                None => segments
                    .at_or_after(self.at)
                    .ok_or_else(|| Broken(format!("no file holds {}", self.at)))?,
            };
            if self.at < segment.start {
                tracing::error!(
                    at = self.at,
                    start = segment.start,
                    "log was deleted before it was dispatched"
                );
                self.at = segment.start;
            }
            // As in recovery: what has no room for a blank record is full.
            if segment.end() - self.at < BLANK_LEN as u64 {
                self.at = segment.end();
                self.segment = Some(segment);
                continue;
            }
            match decode(segment.bytes_from(self.at), Checks::Sizes) {
                Ok(Decoded::Blank) => self.at = segment.end(),
                Ok(Decoded::Record(record)) => {
                    self.put(sinks, &record, self.at, true).map_err(|error| Broken(error.to_string()))?;
                    self.at += record.len as u64;
                }
                Err(error) => return Err(Broken(format!("no record at {}: {error}", self.at))),
            }
            self.segment = Some(segment);
        }
        Ok(())
    }

    /// Puts one record, which stands at `at`, where it belongs.
    pub(crate) fn put(
        &mut self,
        sinks: &Sinks,
        record: &Record<'_>,
        at: u64,
        announce: bool,
    ) -> io::Result<()> {
        let properties = record.store_properties();
        if flags::is_dispatched(record.sys_flag) {
            if is_dir_name(&record.topic) {
                let tags_code = sinks.tags_code(record, properties.tags, properties.delay);
                self.put_queue(sinks, record, at, tags_code, announce)?;
                if sinks.multi_dispatch {
                    put_more(sinks, record, at, tags_code, announce)?;
                }
            } else {
                tracing::error!(topic = ?record.topic, at, "record's topic cannot be a queue, it is in no queue");
            }
        }
        if let Some(index) = &sinks.index
            && flags::transaction_type(record.sys_flag) != flags::TRANSACTION_ROLLBACK
            && self.index_gap.as_ref().is_none_or(|gap| sinks.clock.monotonic() >= gap.retry)
        {
            match (self.put_index(sinks, index, record, at, &properties), self.index_gap.take()) {
                (Ok(()), None) => {}
                (Ok(()), Some(gap)) => {
                    tracing::warn!(
                        from = gap.from,
                        to = at,
                        "the key index goes on; messages between are not found by key"
                    );
                }
                (Err(error), gap) => {
                    if gap.is_none() {
                        tracing::error!(%error, at, "the key index cannot be written, new messages are not found by key");
                    }
                    // Java marks the index as failed for good. Space can come back.
                    let pause = if fs::is_no_space(&error) { INDEX_RETRY } else { Duration::MAX };
                    let retry = sinks.clock.monotonic().saturating_add(pause);
                    self.index_gap = Some(IndexGap { from: gap.map_or(at, |gap| gap.from), retry });
                }
            }
        }
        self.last = Some(Last { log_offset: at, store_timestamp: record.store_timestamp });
        Ok(())
    }

    fn put_queue(
        &mut self,
        sinks: &Sinks,
        record: &Record<'_>,
        at: u64,
        tags_code: i64,
        announce: bool,
    ) -> io::Result<()> {
        if let Some(queue) = sinks.queues.batches().get_or_create(&record.topic, record.queue_id) {
            if let Some(target) = put_batch(sinks, &queue, record, at, tags_code)
                && announce
            {
                sinks.tell(record, at, tags_code, target);
            }
            return Ok(());
        }
        let queue = match self.queue.take() {
            Some(queue) if queue.queue_id == record.queue_id && *queue.topic == *record.topic => queue,
            _ => sinks.queues.get_or_create(&record.topic, record.queue_id),
        };
        let mut unit = Unit { log_offset: at as i64, size: record.len as i32, tags_code };
        if let Some(exts) = sinks.queues.exts()
            && unit.log_end() > queue.max_log_end()
            && let Some(address) = {
                let make = |maps: &FilterBitMaps| maps.make(&record.topic, &record.properties);
                let bit_map = sinks.filter_bit_maps.as_ref().map(make).unwrap_or_default();
                exts.of(&queue.topic, queue.queue_id).put(tags_code, record.store_timestamp, &bit_map)
            }
        {
            unit.tags_code = address;
        }
        if queue.push(unit, record.queue_offset)? {
            sinks.pending.fetch_add(UNIT, Ordering::Relaxed);
            sinks.mark_dirty(&queue);
            if announce {
                sinks.tell(record, at, tags_code, Target::of(record, record.queue_offset));
            }
        }
        self.queue = Some(queue);
        Ok(())
    }

    /// One entry for the unique key, one for each word of the keys, and one for the tags (`IndexService.buildIndex`).
    fn put_index(
        &mut self,
        sinks: &Sinks,
        index: &Index,
        record: &Record<'_>,
        at: u64,
        properties: &StoreProperties<'_>,
    ) -> io::Result<()> {
        let tags = properties.tags.filter(|tags| !tags.is_empty());
        if properties.unique_key.is_none() && properties.keys.is_none() && tags.is_none() {
            return Ok(());
        }
        let at = at as i64;
        let end =
            self.index_file.as_ref().map_or_else(|| index.end_log_offset(), |file| file.end_log_offset());
        if at < end {
            return Ok(());
        }
        let topic = topic_hash(&record.topic);
        let words = properties.keys.unwrap_or_default().split(KEY_SEPARATOR).filter(|key| !key.is_empty());
        let keys = properties.unique_key.into_iter().chain(words).map(|key| key_hash(topic, key));
        for hash in keys.chain(tags.map(|tags| tags_hash(topic, tags))) {
            // The newest record of an index file that survived a crash comes by again; Java adds it twice.
            if at == end && index.has(hash, at) {
                continue;
            }
            let put = match &self.index_file {
                Some(file) => file.put(hash, at, record.store_timestamp)?,
                None => false,
            };
            if !put {
                let file = index.writable(sinks.clock.wall_ms())?;
                file.put(hash, at, record.store_timestamp)?;
                self.index_file = Some(file);
            }
        }
        Ok(())
    }
}

/// Puts a record into the other queues that it names.
fn put_more(sinks: &Sinks, record: &Record<'_>, at: u64, tags_code: i64, announce: bool) -> io::Result<()> {
    for target in sinks.more_targets(record) {
        let queue = sinks.queues.get_or_create(target.topic, target.queue_id);
        let unit = Unit { log_offset: at as i64, size: record.len as i32, tags_code };
        if queue.push(unit, target.queue_offset)? {
            sinks.pending.fetch_add(UNIT, Ordering::Relaxed);
            sinks.mark_dirty(&queue);
            if announce {
                sinks.tell(record, at, tags_code, target);
            }
        }
    }
    Ok(())
}

/// Puts a record of a topic with batch queues into its queue. How many messages it holds and the position of the first
/// say two properties; without them it is one message (`setBatchSizeIfNeeded`). Returns the place of the last one, `None`
/// where the queue has it already.
fn put_batch<'a>(
    sinks: &Sinks,
    queue: &BatchQueue,
    record: &'a Record<'_>,
    at: u64,
    tags_code: i64,
) -> Option<Target<'a>> {
    let property = |key| props::get(&record.properties, key);
    let inner = property(keys::INNER_BASE).zip(property(keys::INNER_NUM));
    let (base, count) = match inner.map(|(base, count)| (base.parse(), count.parse())) {
        None => (record.queue_offset, 1),
        Some((Ok(base), Ok(count))) => (base, count),
        Some(_) => {
            tracing::error!(topic = %queue.topic, at, "a batch does not say its size, it counts as one message");
            (record.queue_offset, 1)
        }
    };
    let (log_offset, size) = (at as i64, record.len as i32);
    let unit = BatchUnit { log_offset, size, tags_code, store_time: record.store_timestamp, base, count };
    queue.push(unit).then(|| {
        sinks.pending.fetch_add(BATCH_UNIT, Ordering::Relaxed);
        Target::of(record, unit.next() - 1)
    })
}
