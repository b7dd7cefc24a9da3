//! Queues as files: units of 20 bytes, batch units of 46 bytes, and what extends units (`ConsumeQueueExt`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::files::{Series, list};
use super::{OfflineError, Problem};
use crate::queue::batch::{BATCH_UNIT, BatchUnit};
use crate::queue::ext::{EXT_MIN, is_address};
use crate::queue::unit::{PRE_BLANK, UNIT, Unit};

/// `size 2 | tagsCode 8 | msgStoreTime 8 | bitMapSize 2 | filterBitMap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExtUnit {
    pub(crate) tags_code: i64,
    pub(crate) store_timestamp: i64,
}

/// One queue. Positions are unit numbers: what a position in a batch queue means is in its unit.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) topic: String,
    pub(crate) queue_id: i32,
    pub(crate) batch: bool,
    pub(crate) series: Series,
    ext: Option<Series>,
    /// First unit that is there.
    pub(crate) first: u64,
    /// Unit after the last one.
    pub(crate) end: u64,
    matched: Bits,
    reported: Bits,
}

impl Queue {
    fn open(
        root: &Path,
        topic: &str,
        queue_id: i32,
        batch: bool,
        len: Option<u64>,
    ) -> Result<Self, OfflineError> {
        let below = |name: &str| vec![root.join(name).join(topic).join(queue_id.to_string())];
        let (name, unit) = if batch { ("batchconsumequeue", BATCH_UNIT) } else { ("consumequeue", UNIT) };
        let series = Series::open(&below(name), len.filter(|_| !batch), unit)?;
        let ext = if batch { None } else { Some(Series::open(&below("consumequeue_ext"), None, 1)?) };
        let ext = ext.filter(|ext| !ext.files.is_empty());
        let first = series.files.first().map_or(0, |file| file.start / unit);
        let mut queue = Self {
            topic: topic.to_owned(),
            queue_id,
            batch,
            series,
            ext,
            first,
            end: first,
            matched: Bits::default(),
            reported: Bits::default(),
        };
        while queue.is_valid(queue.end) {
            queue.end += 1;
        }
        let len = queue.end - queue.first;
        (queue.matched, queue.reported) = (Bits::new(len), Bits::new(len));
        Ok(queue)
    }

    fn unit_len(&self) -> u64 {
        if self.batch { BATCH_UNIT } else { UNIT }
    }

    fn is_valid(&self, number: u64) -> bool {
        if self.batch {
            self.batch_unit(number).is_some_and(|unit| unit.is_valid())
        } else {
            self.unit(number).is_some_and(Unit::is_valid)
        }
    }

    /// The file and the offset in it at which a unit stands.
    pub(crate) fn place(&self, number: u64) -> (PathBuf, u64) {
        let position = number.saturating_mul(self.unit_len());
        match self.series.file_at(position).or(self.series.files.last()) {
            Some(file) => (file.path.clone(), position.saturating_sub(file.start)),
            None => (PathBuf::from(format!("{}/{}", self.topic, self.queue_id)), 0),
        }
    }

    /// A unit, whatever it says; `None` where no file is.
    pub(crate) fn unit(&self, number: u64) -> Option<Unit> {
        let len = self.unit_len();
        Unit::decode(self.series.at(number.checked_mul(len)?, len)?)
    }

    pub(crate) fn batch_unit(&self, number: u64) -> Option<BatchUnit> {
        let bytes = self.series.at(number.checked_mul(BATCH_UNIT)?, BATCH_UNIT)?;
        bytes.first_chunk().map(BatchUnit::decode)
    }

    /// Number of the batch unit that holds `queue_offset`, or would.
    pub(crate) fn batch_number(&self, queue_offset: i64) -> Option<u64> {
        let (mut low, mut high) = (self.first, self.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.batch_unit(middle)?.base <= queue_offset { low = middle + 1 } else { high = middle }
        }
        (low > self.first).then(|| low - 1)
    }

    /// First and one-after-last position that clients see, given where the log begins.
    pub(crate) fn range(&self, log_min: u64) -> (i64, i64) {
        let live = |number: &u64| self.points_into(*number, log_min);
        // Units point to ever later records; the filler and expired ones come first.
        let (mut low, mut high) = (self.first, self.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if live(&middle) { high = middle } else { low = middle + 1 }
        }
        if !self.batch {
            return (low as i64, self.end as i64);
        }
        let max = self
            .end
            .checked_sub(1)
            .filter(|last| *last >= self.first)
            .and_then(|last| self.batch_unit(last))
            .map_or(0, BatchUnit::next);
        (self.batch_unit(low).filter(|_| low < self.end).map_or(max, |unit| unit.base), max)
    }

    fn points_into(&self, number: u64, log_min: u64) -> bool {
        self.unit(number).is_some_and(|unit| unit != PRE_BLANK && unit.log_offset >= log_min as i64)
    }

    /// What the extension at `address` says (`ConsumeQueueExt.get`).
    pub(crate) fn ext(&self, address: i64) -> Option<ExtUnit> {
        let bytes = self.ext.as_ref()?.tail_at(ext_offset(address)?)?;
        let number = |from: usize| i64::from_be_bytes(bytes[from..from + 8].try_into().unwrap_or_default());
        let short = |from: usize| i16::from_be_bytes(bytes[from..from + 2].try_into().unwrap_or_default());
        let size = usize::try_from(bytes.get(..EXT_MIN).map(|_| short(0))?).ok()?;
        let bit_map = usize::try_from(short(18)).ok()?;
        (size == EXT_MIN + bit_map && bytes.len() >= size)
            .then(|| ExtUnit { tags_code: number(2), store_timestamp: number(10) })
    }

    /// Length of the files of its extensions, if it has some.
    pub(crate) fn ext_file_len(&self) -> Option<u64> {
        self.ext.as_ref().map(|ext| ext.file_len)
    }

    /// A record's unit was found and is right.
    pub(crate) fn set_matched(&self, number: u64) {
        self.matched.set(number - self.first);
    }

    pub(crate) fn is_matched(&self, number: u64) -> bool {
        self.matched.get(number - self.first)
    }

    /// Somebody has said already what is wrong with this unit.
    pub(crate) fn set_reported(&self, number: u64) {
        self.reported.set(number - self.first);
    }

    pub(crate) fn is_reported(&self, number: u64) -> bool {
        self.reported.get(number - self.first)
    }

    /// Names, lengths, gaps, and bytes behind the end.
    pub(crate) fn oddities(&self) -> Result<Vec<Problem>, OfflineError> {
        let mut found = self.series.oddities.clone();
        found.extend(self.ext.iter().flat_map(|ext| ext.oddities.clone()));
        let end = self.end * self.unit_len();
        for file in &self.series.files {
            let from = end.saturating_sub(file.start).min(file.len);
            if let Some(data) = file.data_end(from)? {
                let (topic, id) = (&self.topic, self.queue_id);
                let text = format!("queue {topic} {id} ends here, but bytes up to {data} are not zero");
                found.push(Problem::new(&file.path, from, text));
                break;
            }
        }
        Ok(found)
    }
}

fn ext_offset(address: i64) -> Option<u64> {
    is_address(address).then(|| address.wrapping_sub(i64::MIN) as u64)
}

/// All queues of a store.
#[derive(Debug, Default)]
pub(crate) struct QueueSet {
    by_topic: HashMap<String, HashMap<i32, Queue>>,
    batches: HashMap<String, HashMap<i32, Queue>>,
    /// Directories that are no queue.
    pub(crate) oddities: Vec<Problem>,
}

impl QueueSet {
    pub(crate) fn open(root: &Path, len: Option<u64>) -> Result<Self, OfflineError> {
        let mut set = Self::default();
        for batch in [false, true] {
            let dir = root.join(if batch { "batchconsumequeue" } else { "consumequeue" });
            for path in list(&dir)? {
                let Some(topic) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_dir())
                else {
                    set.oddities.push(Problem::new(&path, 0, "not a topic's directory"));
                    continue;
                };
                for queue in list(&path)? {
                    let id =
                        queue.file_name().and_then(|id| id.to_str()).and_then(|id| id.parse::<i32>().ok());
                    // Only the plain spelling leads back to this directory.
                    let id = id.filter(|id| queue == path.join(id.to_string()) && queue.is_dir());
                    let Some(id) = id else {
                        set.oddities.push(Problem::new(
                            &queue,
                            0,
                            "not a queue's directory: Java refuses to start",
                        ));
                        continue;
                    };
                    let opened = Queue::open(root, topic, id, batch, len)?;
                    let map = if batch { &mut set.batches } else { &mut set.by_topic };
                    map.entry(topic.to_owned()).or_default().insert(id, opened);
                }
            }
        }
        Ok(set)
    }

    pub(crate) fn get(&self, topic: &str, queue_id: i32) -> Option<&Queue> {
        self.by_topic.get(topic)?.get(&queue_id)
    }

    pub(crate) fn batch(&self, topic: &str, queue_id: i32) -> Option<&Queue> {
        self.batches.get(topic)?.get(&queue_id)
    }

    /// By topic and id.
    pub(crate) fn all(&self) -> Vec<&Queue> {
        let mut all: Vec<&Queue> =
            self.by_topic.values().chain(self.batches.values()).flat_map(HashMap::values).collect();
        all.sort_by(|a, b| (&a.topic, a.queue_id, a.batch).cmp(&(&b.topic, b.queue_id, b.batch)));
        all
    }
}

/// One bit for each unit.
#[derive(Debug, Default)]
struct Bits(Vec<AtomicU64>);

impl Bits {
    fn new(len: u64) -> Self {
        Self((0..len.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    fn set(&self, index: u64) {
        if let Some(word) = self.0.get((index / 64) as usize) {
            word.fetch_or(1 << (index % 64), Ordering::Relaxed);
        }
    }

    fn get(&self, index: u64) -> bool {
        self.0
            .get((index / 64) as usize)
            .is_some_and(|word| word.load(Ordering::Relaxed) >> (index % 64) & 1 == 1)
    }
}
