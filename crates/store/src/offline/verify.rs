//! Everything against everything: checksums and places of records, units against records, index items against keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use raptormq_message::{Checks, Decoded, Record, decode, flags, props, tags_code};

use super::files::Mapped;
use super::index::IndexView;
use super::log::{Step, Walk};
use super::older::Unreadable;
use super::queue::{Queue, QueueSet};
use super::{Directory, OfflineError};
use crate::index::{key_hash, topic_hash};
use crate::queue::batch::BatchUnit;
use crate::queue::ext::is_address;
use crate::queue::unit::{PRE_BLANK, Unit};

/// Lines told for one file or queue; what is beyond is counted.
const PROBLEMS_MAX: usize = 1_000;
/// How often progress is told, bytes.
const PROGRESS: u64 = 4 << 20;
const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";

/// What to verify beyond what is always verified.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verification {
    /// List what 4.9.7 cannot read.
    pub for_4_9_7: bool,
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or directory.
    pub path: PathBuf,
    /// Offset in the file.
    pub offset: u64,
    /// What is wrong.
    pub text: String,
    /// How many records or units are concerned; the line names the first one.
    pub count: u64,
    /// The next start of a broker repairs it: the store was not closed cleanly, and queues or index are behind the log.
    pub repaired_by_start: bool,
}

impl Problem {
    pub(crate) fn new(path: &Path, offset: u64, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), offset, text: text.into(), count: 1, repaired_by_start: false }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.offset, self.text)?;
        if self.count > 1 {
            write!(f, ", and {} more", self.count - 1)?;
        }
        if self.repaired_by_start { f.write_str(" (the next start repairs this)") } else { Ok(()) }
    }
}

/// What was verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Commit log files walked.
    pub log_files: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of these records.
    pub bytes: u64,
    /// First byte of the log.
    pub log_min: u64,
    /// Byte after the last record.
    pub log_end: u64,
    /// Queues.
    pub queues: u64,
    /// Their units that point into the log.
    pub units: u64,
    /// Units whose extension was read.
    pub extensions: u64,
    /// Items of index files compared with their records.
    pub index_items: u64,
    /// Index files left out because nobody told how many slots they have.
    pub index_files_skipped: u64,
    /// Things that are wrong.
    pub problems: u64,
    /// Things that the next start of a broker repairs.
    pub repaired_by_start: u64,
    /// Records that 4.9.7 cannot read, if that was asked.
    pub unreadable_by_older: u64,
}

/// Problems of one file, at most [`PROBLEMS_MAX`].
#[derive(Debug, Default)]
struct Problems {
    list: Vec<Problem>,
    more: u64,
    more_repaired: u64,
}

impl Problems {
    fn push(&mut self, problem: Problem) {
        if self.list.len() < PROBLEMS_MAX {
            self.list.push(problem);
        } else if problem.repaired_by_start {
            self.more_repaired += problem.count;
        } else {
            self.more += problem.count;
        }
    }

    fn add(&mut self, path: &Path, offset: u64, text: impl Into<String>) {
        self.push(Problem::new(path, offset, text));
    }

    fn tell(self, summary: &mut Summary, tell: &mut dyn FnMut(&Problem)) {
        for problem in &self.list {
            *(if problem.repaired_by_start {
                &mut summary.repaired_by_start
            } else {
                &mut summary.problems
            }) += problem.count;
            tell(problem);
        }
        summary.problems += self.more;
        summary.repaired_by_start += self.more_repaired;
        if let (Some(last), true) = (self.list.last(), self.more + self.more_repaired > 0) {
            tell(&Problem::new(
                &last.path,
                last.offset,
                format!("{} more from here on", self.more + self.more_repaired),
            ));
        }
    }
}

/// How a file of the log ends.
#[derive(Debug, Default)]
struct Walked {
    records: u64,
    bytes: u64,
    extensions: u64,
    /// Offset in the log after the last record.
    end: Option<u64>,
    /// Where nothing but zeros follows, and no filler says so.
    open_end: Option<u64>,
    problems: Problems,
    /// Records without a unit, by the queue in which it should be.
    missing: BTreeMap<(String, i32), Problem>,
    unreadable: Unreadable,
}

impl Walked {
    /// Counts a record that has no unit; the first one of each queue is told.
    fn missing(&mut self, queue: (&str, i32), problem: impl FnOnce() -> Problem) {
        let key = (queue.0.to_owned(), queue.1);
        if let Some(problem) = self.missing.get_mut(&key) {
            problem.count += 1;
        } else if self.missing.len() < PROBLEMS_MAX {
            self.missing.insert(key, problem());
        } else {
            self.problems.push(problem());
        }
    }
}

/// What the checks of records share.
struct Context<'a> {
    directory: &'a Directory,
    queues: &'a QueueSet,
    request: &'a Verification,
    progress: &'a (dyn Fn(u64) + Sync),
    /// The last run did not end cleanly: queues and index may be behind.
    abort: bool,
}

/// Where a record's unit should stand, and what it should say.
struct Expected {
    unit: Unit,
    queue_offset: i64,
}

impl Directory {
    /// Reads everything, on as many threads as there are CPUs. `progress` is told bytes of the log that were read,
    /// `tell` each problem, in the order of the files.
    ///
    /// # Errors
    /// When the file system fails. Damage is no error but a problem.
    pub fn verify(
        &self,
        request: &Verification,
        progress: &(dyn Fn(u64) + Sync),
        tell: &mut dyn FnMut(&Problem),
    ) -> Result<Summary, OfflineError> {
        let mut summary =
            Summary { log_min: self.log.files.first().map_or(0, |file| file.start), ..Summary::default() };
        summary.log_end = summary.log_min;
        let queues = QueueSet::open(&self.root, self.options.consume_queue_file_size)?;
        let abort = self.root.join("abort").exists();
        let context = Context { directory: self, queues: &queues, request, progress, abort };

        let mut first = Problems::default();
        self.log.oddities.iter().chain(&queues.oddities).for_each(|problem| first.push(problem.clone()));
        first.tell(&mut summary, tell);
        context.log(&mut summary, tell)?;
        for queue in queues.all() {
            context.queue(queue, &mut summary)?.tell(&mut summary, tell);
        }
        context.index(&mut summary, tell)?;
        context.checkpoint(&mut summary, tell)?;
        Ok(summary)
    }
}

impl Context<'_> {
    /// Walks the files of the log in parallel; tells about them in order.
    fn log(&self, summary: &mut Summary, tell: &mut dyn FnMut(&Problem)) -> Result<(), OfflineError> {
        let files = &self.directory.log.files;
        let next = AtomicUsize::new(0);
        let walked: Mutex<Vec<Option<Result<Walked, OfflineError>>>> = Mutex::new(Vec::new());
        walked.lock().resize_with(files.len(), || None);
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some((index, file)) = Some(next.fetch_add(1, Ordering::Relaxed))
                        .and_then(|index| files.get(index).map(|file| (index, file)))
                    {
                        let result = self.walk(file);
                        walked.lock()[index] = Some(result);
                    }
                });
            }
        });
        let mut walked = walked.into_inner().into_iter().flatten().collect::<Result<Vec<_>, _>>()?;
        let last_with_data = walked.iter().rposition(|file| file.end.is_some());
        for (index, (file, result)) in files.iter().zip(&mut walked).enumerate() {
            // Java's recovery ends at the first thing that is no record, whatever comes later.
            if let (Some(at), true) = (result.open_end, last_with_data.is_some_and(|last| index < last)) {
                let text = "the log ends here, but records follow in later files: a recovery cuts them off";
                result.problems.add(&file.path, at, text);
            }
        }
        for (file, result) in files.iter().zip(walked) {
            summary.log_files += 1;
            summary.records += result.records;
            summary.bytes += result.bytes;
            summary.extensions += result.extensions;
            summary.log_end = result.end.unwrap_or(summary.log_end);
            result.problems.tell(summary, tell);
            for (problem, count) in result.unreadable.lines(&file.path) {
                summary.unreadable_by_older += count;
                tell(&problem);
            }
        }
        if let (true, Some(last)) = (self.request.for_4_9_7, files.last().filter(|last| last.len == 0)) {
            summary.unreadable_by_older += 1;
            tell(&Problem::new(&last.path, 0, "empty last file: 4.9.7 refuses to start"));
        }
        Ok(())
    }

    fn walk(&self, file: &Mapped) -> Result<Walked, OfflineError> {
        let mut walked = Walked::default();
        let mut told = 0;
        for step in Walk::new(file) {
            match step? {
                Step::Record { at, record, damage } => {
                    let log_offset = file.start + at as u64;
                    walked.records += 1;
                    walked.bytes += record.len as u64;
                    walked.end = Some(log_offset + record.len as u64);
                    if let Some(damage) = damage {
                        let text = format!("{}: {damage}: a recovery cuts the log here", name(&record));
                        walked.problems.add(&file.path, at as u64, text);
                    }
                    if record.log_offset as u64 != log_offset {
                        let says = record.log_offset;
                        let text = format!("{}: it says that its place in the log is {says}", name(&record));
                        walked.problems.add(&file.path, at as u64, text);
                    }
                    self.record(file, at, &record, &mut walked);
                    if self.request.for_4_9_7 {
                        let magic = file.bytes().get(at + 4..at + 8).and_then(|it| it.try_into().ok());
                        walked.unreadable.look(&record, magic.map_or(0, u32::from_be_bytes), at as u64);
                    }
                    let done = at as u64 + record.len as u64;
                    if done - told >= PROGRESS {
                        (self.progress)(done - told);
                        told = done;
                    }
                }
                Step::Blank { at, text } => {
                    walked.problems.list.extend(text.map(|text| Problem::new(&file.path, at as u64, text)));
                }
                Step::Zeros { at } => walked.open_end = Some(at as u64),
                Step::Garbage { at, end, text, resumes } => {
                    let text = match resumes {
                        true => format!(
                            "no record up to {end}, where the log goes on: {text}: a recovery cuts it here"
                        ),
                        false => format!("no record up to {end}: {text}"),
                    };
                    walked.problems.add(&file.path, at as u64, text);
                    if !resumes {
                        walked.open_end = Some(at as u64);
                    }
                }
            }
        }
        (self.progress)(file.len - told);
        for problem in std::mem::take(&mut walked.missing).into_values() {
            walked.problems.push(problem);
        }
        Ok(walked)
    }

    /// Compares a record with the units that it should have.
    fn record(&self, file: &Mapped, at: usize, record: &Record<'_>, walked: &mut Walked) {
        if !flags::is_dispatched(record.sys_flag) {
            return;
        }
        let log_offset = file.start + at as u64;
        let properties = record.store_properties();
        let unit = Unit {
            log_offset: log_offset as i64,
            size: record.len as i32,
            tags_code: tags_code(properties.tags),
        };
        let (topic, id) = (&*record.topic, record.queue_id);
        let missing = |queue: &str, text: &str| {
            let mut problem =
                Problem::new(&file.path, at as u64, format!("{}: {text} {queue}", name(record)));
            problem.repaired_by_start = self.abort;
            problem
        };
        if let Some(queue) = self.batch_queue(record) {
            match queue.map_or(Err(Differs::Missing), |queue| self.batch_differs(queue, record, unit)) {
                Ok(()) => {}
                Err(Differs::Missing) => {
                    walked.missing((topic, id), || missing(topic, "no unit in the batch queue of"))
                }
                Err(Differs::Other(problem)) => walked.problems.push(problem),
            }
            return;
        }
        let own = std::iter::once((topic, record.queue_offset, true));
        for (queue, queue_offset, own) in
            own.chain(dispatched_to(record).map(|(queue, at)| (queue, at, false)))
        {
            let id = if !own && queue.starts_with("%LMQ%") { 0 } else { id };
            let found = self.queues.get(queue, id);
            // Whether this broker dispatches to several queues is known by the queue only.
            if found.is_none() && !own {
                continue;
            }
            let expected = Expected { unit, queue_offset };
            let outcome = found.map_or(Err(Differs::Missing), |found| {
                self.differs(found, record, &expected, &mut walked.extensions)
            });
            match outcome {
                Ok(()) => {}
                Err(Differs::Missing) => {
                    walked.missing((queue, id), || missing(queue, "no unit in the queue of"))
                }
                Err(Differs::Other(problem)) => walked.problems.push(problem),
            }
        }
    }

    /// `Some` when the record belongs into a batch queue; the queue itself if it is there.
    fn batch_queue(&self, record: &Record<'_>) -> Option<Option<&Queue>> {
        let queue = self.queues.batch(&record.topic, record.queue_id);
        (queue.is_some() || record.sys_flag & flags::INNER_BATCH != 0).then_some(queue)
    }

    fn differs(
        &self,
        queue: &Queue,
        record: &Record<'_>,
        expected: &Expected,
        extensions: &mut u64,
    ) -> Result<(), Differs> {
        let number = u64::try_from(expected.queue_offset).map_err(|_| Differs::Missing)?;
        if number < queue.first || number >= queue.end {
            return Err(Differs::Missing);
        }
        let unit = queue.unit(number).ok_or(Differs::Missing)?;
        let other = |text: String| {
            queue.set_reported(number);
            let (path, offset) = queue.place(number);
            Differs::Other(Problem::new(
                &path,
                offset,
                format!("unit {number} of {} {}: {text}", queue.topic, queue.queue_id),
            ))
        };
        let wanted = expected.unit;
        if unit.log_offset != wanted.log_offset {
            let (points, at) = (unit.log_offset, wanted.log_offset);
            return Err(other(format!("points to {points}, its record is at {at}")));
        }
        if unit.size != wanted.size {
            return Err(other(format!("says {} bytes, the record has {}", unit.size, wanted.size)));
        }
        let mut tags_code = unit.tags_code;
        if is_address(tags_code) {
            let ext = queue.ext(tags_code).ok_or_else(|| other("its extension is not there".to_owned()))?;
            *extensions += 1;
            if ext.store_timestamp != record.store_timestamp {
                let text = format!(
                    "its extension says {} ms, the record {}",
                    ext.store_timestamp, record.store_timestamp
                );
                return Err(other(text));
            }
            tags_code = ext.tags_code;
        }
        if let Some(text) = self.tags_differ(record, tags_code, wanted.tags_code) {
            return Err(other(text));
        }
        queue.set_matched(number);
        Ok(())
    }

    /// Compares the hash of the tag, or the time of delivery.
    fn tags_differ(&self, record: &Record<'_>, found: i64, hash: i64) -> Option<String> {
        let level = record.store_properties().delay.and_then(|level| level.parse::<i32>().ok());
        let delayed = record.topic == SCHEDULE_TOPIC && level.is_some_and(|level| level > 0);
        let Some(level) = level.filter(|_| delayed) else {
            return (found != hash).then(|| format!("has tag hash {found}, the record's is {hash}"));
        };
        let stored = record.store_timestamp;
        match &self.directory.options.delay_levels {
            None if found >= stored => None,
            None => Some(format!("has deliver time {found}, before the record was stored at {stored}")),
            Some(levels) => {
                let delay = levels.get(level as usize - 1).or(levels.last()).copied().unwrap_or(1_000);
                let wanted = stored.saturating_add(delay);
                (found != wanted)
                    .then(|| format!("has deliver time {found}, messageDelayLevel gives {wanted}"))
            }
        }
    }

    fn batch_differs(&self, queue: &Queue, record: &Record<'_>, wanted: Unit) -> Result<(), Differs> {
        let number = |key| props::get(&record.properties, key).and_then(|text| text.parse::<i64>().ok());
        let inner = number(props::keys::INNER_BASE).zip(number(props::keys::INNER_NUM));
        let (base, count) = inner.unwrap_or((record.queue_offset, 1));
        let at = queue.batch_number(base).ok_or(Differs::Missing)?;
        let unit = queue.batch_unit(at).ok_or(Differs::Missing)?;
        if unit.base != base && unit.log_offset != wanted.log_offset {
            return Err(Differs::Missing);
        }
        let fits = i16::try_from(count).is_ok_and(|count| {
            let Unit { log_offset, size, tags_code } = wanted;
            unit == BatchUnit { log_offset, size, tags_code, store_time: record.store_timestamp, base, count }
        });
        if !fits {
            queue.set_reported(at);
            let (path, offset) = queue.place(at);
            let text = format!(
                "batch unit {at} of {} {}: {unit:?} does not fit the record at {} with base {base} and {count} messages",
                queue.topic, queue.queue_id, wanted.log_offset
            );
            return Err(Differs::Other(Problem::new(&path, offset, text)));
        }
        queue.set_matched(at);
        Ok(())
    }

    /// The units of a queue that no record has claimed.
    fn queue(&self, queue: &Queue, summary: &mut Summary) -> Result<Problems, OfflineError> {
        let mut problems = Problems::default();
        for mut problem in queue.oddities()? {
            problem.repaired_by_start = self.abort && problem.offset > 0;
            problems.push(problem);
        }
        summary.queues += 1;
        for number in queue.first..queue.end {
            let Some(unit) = queue.unit(number).filter(|unit| *unit != PRE_BLANK) else { continue };
            if (unit.log_offset as u64) < summary.log_min {
                continue;
            }
            summary.units += 1;
            if queue.is_matched(number) || queue.is_reported(number) {
                continue;
            }
            let (path, offset) = queue.place(number);
            let text = self.unclaimed(unit, summary.log_end);
            let text = format!("unit {number} of {} {}: {text}", queue.topic, queue.queue_id);
            let mut problem = Problem::new(&path, offset, text);
            problem.repaired_by_start = self.abort && unit.log_offset as u64 >= summary.log_end;
            problems.push(problem);
        }
        Ok(problems)
    }

    fn unclaimed(&self, unit: Unit, log_end: u64) -> String {
        let to = unit.log_offset;
        if to as u64 >= log_end {
            return format!("points to {to}, the log ends at {log_end}");
        }
        match self.directory.log.tail_at(to as u64).map(|bytes| decode(bytes, Checks::Sizes)) {
            None => format!("points to {to}, which is in no file"),
            Some(Ok(Decoded::Record(record))) => {
                let (topic, id, at) = (&record.topic, record.queue_id, record.queue_offset);
                format!("points to the record at {to}, which is number {at} of {topic} {id}")
            }
            Some(Ok(Decoded::Blank)) => format!("points to {to}, where a file's filler is"),
            Some(Err(error)) => format!("points to {to}, where no record is: {error}"),
        }
    }

    /// Items against the keys of the records that they point to.
    fn index(&self, summary: &mut Summary, tell: &mut dyn FnMut(&Problem)) -> Result<(), OfflineError> {
        let (views, strangers) = IndexView::all(&self.directory.root)?;
        let mut problems = Problems::default();
        strangers.iter().for_each(|path| problems.add(path, 0, "not an index file"));
        problems.tell(summary, tell);
        for view in views {
            let Some((slots, items)) = self.directory.index_sizes(view.len()) else {
                if let Some((slots, items)) = self.directory.options.index {
                    let wanted = super::index::file_len(slots, items);
                    let text =
                        format!("length {}, {slots} slots and {items} items make {wanted}", view.len());
                    let mut problems = Problems::default();
                    problems.add(view.path(), 0, text);
                    problems.tell(summary, tell);
                } else {
                    summary.index_files_skipped += 1;
                }
                continue;
            };
            let mut problems = Problems::default();
            self.index_file(&view, slots, items, summary, &mut problems);
            if self.abort {
                // A start deletes index files that reach beyond the checkpoint, and fills them from the log.
                problems.list.iter_mut().for_each(|problem| problem.repaired_by_start = true);
                problems.more_repaired += std::mem::take(&mut problems.more);
            }
            problems.tell(summary, tell);
        }
        Ok(())
    }

    fn index_file(
        &self,
        view: &IndexView,
        slots: u32,
        items: u32,
        summary: &mut Summary,
        problems: &mut Problems,
    ) {
        let Some(header) = view.header() else { return };
        if i64::from(header.count) > i64::from(items) {
            let text = format!("its header counts {} items, there is room for {items}", header.count);
            return problems.add(view.path(), 36, text);
        }
        for number in 1..header.count {
            let at = IndexView::item_at(slots, number);
            let Some(entry) = view.entry(slots, number) else { return };
            let mut add = |text: String| problems.add(view.path(), at, format!("item {number}: {text}"));
            if entry.previous < 0 || entry.previous >= number {
                add(format!("says that item {} is older", entry.previous));
            }
            if entry.seconds < 0 || entry.hash < 0 {
                add("has a negative hash or time".to_owned());
            }
            if (entry.log_offset as u64) < summary.log_min && entry.log_offset >= 0 {
                continue;
            }
            summary.index_items += 1;
            let to = entry.log_offset;
            match self.directory.log.tail_at(to as u64).map(|bytes| decode(bytes, Checks::Sizes)) {
                Some(Ok(Decoded::Record(record))) => {
                    if !has_key(&record, entry.hash) {
                        add(format!(
                            "points to the record at {to}, which has no key with hash {}",
                            entry.hash
                        ));
                    }
                }
                _ => add(format!("points to {to}, where no record is")),
            }
        }
        for slot in 0..slots {
            let newest = view.slot(slot).unwrap_or(0);
            if newest == 0 {
                continue;
            }
            let fits = newest > 0
                && newest < header.count
                && view.entry(slots, newest).is_some_and(|entry| entry.hash as u32 % slots == slot);
            if !fits {
                problems.add(
                    view.path(),
                    IndexView::slot_at(slot),
                    format!("slot {slot} holds {newest}, no item of its own"),
                );
            }
        }
    }

    /// The checkpoint must not be ahead of the log.
    fn checkpoint(&self, summary: &mut Summary, tell: &mut dyn FnMut(&Problem)) -> Result<(), OfflineError> {
        let Some(fields) = self.directory.checkpoint()? else { return Ok(()) };
        let path = self.directory.root.join("checkpoint");
        let mut problems = Problems::default();
        let offsets = [
            ("confirmPhyOffset", 32, fields.confirm_phy_offset),
            ("logicsPhysicalOffset", 40, fields.logics_physical_offset),
        ];
        for (field, at, offset) in offsets {
            if offset > 0 && offset as u64 > summary.log_end {
                let mut problem = Problem::new(
                    &path,
                    at,
                    format!("{field} is {offset}, the log ends at {}", summary.log_end),
                );
                problem.repaired_by_start = self.abort;
                problems.push(problem);
            }
        }
        problems.tell(summary, tell);
        Ok(())
    }
}

/// How a unit is not what it should be.
enum Differs {
    Missing,
    Other(Problem),
}

fn name(record: &Record<'_>) -> String {
    format!("record {} of {} {}", record.queue_offset, record.topic, record.queue_id)
}

/// The queues besides its own that a record was dispatched to, and its positions there (`MultiDispatchUtils`).
pub fn dispatched_to<'r>(record: &'r Record<'_>) -> impl Iterator<Item = (&'r str, i64)> {
    let own = record.topic.starts_with("%RETRY%")
        || record.topic.starts_with("rmq_sys_")
        || record.topic == SCHEDULE_TOPIC;
    let text = |key| props::get(&record.properties, key).filter(|_| !own).unwrap_or_default();
    let queues = text(props::keys::INNER_MULTI_DISPATCH).split(',');
    let offsets = text(props::keys::INNER_MULTI_QUEUE_OFFSET).split(',');
    queues.zip(offsets).filter_map(|(queue, offset)| Some((queue, offset.parse().ok()?)))
}

/// Whether a record's unique key, or a word of its keys, has the hash of an index item.
fn has_key(record: &Record<'_>, hash: i32) -> bool {
    let topic = topic_hash(&record.topic);
    let properties = record.store_properties();
    let words = properties.keys.unwrap_or_default().split(props::KEY_SEPARATOR);
    properties.unique_key.into_iter().chain(words).any(|key| key_hash(topic, key) == hash)
        // 5.5.0 adds an item for the tag (`MessageConst.INDEX_TAG_TYPE`).
        || properties.tags.is_some_and(|tags| key_hash(topic, &format!("T#{tags}")) == hash)
}
