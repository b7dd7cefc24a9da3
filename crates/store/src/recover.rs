//! Finding the log's end at start, and giving the queues what they lack (`CommitLog.recoverNormally`,
//! `recoverAbnormally` of 5.5.0).
//!
//! The walk begins at the newest file whose first record is vouched for — by the queues after a clean stop, by the
//! checkpoint after a crash — and ends at the first thing that is not a record. Everything after that end is removed:
//! later files are deleted, the rest of the file is zeroed and synced before anything is appended, so that no old
//! record can reappear behind a new one.
//!
//! After a clean stop 5.5.0 looks at no more than ten files (`commitLogRecoverMaxNum`); we go on to the first one, as
//! 4.9.7 and 5.3.3 do: lost queues are rebuilt in full.

use std::path::Path;
use std::sync::atomic::Ordering;

use raptormq_message::layout::BLANK_LEN;
use raptormq_message::{Checks, DecodeError, Decoded, Record, decode, flags};

use crate::checkpoint::Fields;
use crate::config::StoreConfig;
use crate::dispatch::{Dispatcher, Last, Sinks};
use crate::fs::{self, Fs, Named};
use crate::log::unsynced;
use crate::queue::flush::QueueFlusher;
use crate::queue::one::ConsumeQueue;
use crate::queue::table::is_dir_name;
use crate::queue::unit::Unit;
use crate::segment::map::Map;
use crate::types::OpenError;

/// Units that may wait in memory while the log is walked, bytes.
const PENDING_MAX: u64 = 16 << 20;

/// What recovery found.
pub(crate) struct Recovered {
    /// The files that stay, in order.
    pub(crate) files: Vec<Named>,
    /// Log offset after the last record.
    pub(crate) end: u64,
    /// Store time of the last record walked.
    pub(crate) timestamp: i64,
}

/// Why the walk ended.
enum Stop {
    /// At something that is not a record.
    NoRecord(DecodeError),
    /// At a record of which a loss of power left only a part.
    Torn,
    /// At a blank record with no file after it.
    Blank,
}

/// Recovers the log below `config.commit_log_dir`. `last_exit_ok` says whether `abort` was absent. `dispatcher` is
/// left at the log's end.
pub(crate) fn recover(
    config: &StoreConfig,
    fs: &Fs,
    sinks: &Sinks,
    dispatcher: &mut Dispatcher,
    last_exit_ok: bool,
) -> Result<Recovered, OpenError> {
    let len = config.commit_log_file_size;
    let mut files = fs::queue_files(fs, &config.all_log_dirs(), len)?;
    if files.is_empty() {
        tracing::warn!("there is no commit log: consume queues are deleted");
        sinks.queues.clear().map_err(fs::at(&config.consume_queue_dir()))?;
        return Ok(Recovered { files, end: 0, timestamp: 0 });
    }
    let checks = match (config.check_crc_on_recover, config.force_verify_prop_crc) {
        (false, _) => Checks::Sizes,
        (true, false) => Checks::BodyCrc,
        (true, true) => Checks::PropertyCrc,
    };
    let vouched = Vouched {
        last_exit_ok,
        fields: sinks.checkpoint.get(),
        queues_end: sinks.queues.max_log_end(),
        index_safe: config.message_index_enable && config.message_index_safe,
    };
    let mut index = files.len() - 1;
    while index > 0 && !vouched.covers(fs, &files[index], len, checks)? {
        index -= 1;
    }
    tracing::info!(last_exit_ok, file = %files[index].path.display(), "recovering the commit log from here");

    let first = files[index].start;
    if !last_exit_ok {
        sinks.queues.truncate_batches(first)?;
    }
    // After a clean stop only what no queue has yet; after a crash everything, queues and index know what they have.
    // Java skips the record that begins exactly where the queues end; it is the first one that they lack.
    let dispatch_from = if last_exit_ok { u64::try_from(vouched.queues_end).unwrap_or(0) } else { 0 };
    let mut last: Option<Last> = None;
    let mut flusher = QueueFlusher::default();
    let (end, stop) = loop {
        let file = &files[index];
        let handle = fs.open(&file.path, false).map_err(fs::at(&file.path))?;
        let map = Map::read_only(handle.raw(), len as usize).map_err(fs::at(&file.path))?;
        let mut at = 0;
        let stop = loop {
            let record = match decode(&map.bytes()[at..], checks) {
                Ok(Decoded::Record(record)) => record,
                Ok(Decoded::Blank) => break Stop::Blank,
                Err(error) => break Stop::NoRecord(error),
            };
            if !last_exit_ok && is_torn(&map.bytes()[..at + record.len], at, &record) {
                break Stop::Torn;
            }
            let log_offset = file.start + at as u64;
            if log_offset >= dispatch_from {
                rewind(sinks, &record, log_offset, files[0].start, last_exit_ok)
                    .map_err(fs::at(&config.root))?;
                dispatcher.put(sinks, &record, log_offset, false).map_err(fs::at(&config.root))?;
            }
            last = Some(Last { log_offset, store_timestamp: record.store_timestamp });
            at += record.len;
            if sinks.pending() > PENDING_MAX {
                flusher.pass(sinks, false).map_err(fs::at(&config.consume_queue_dir()))?;
            }
        };
        let end = file.start + at as u64;
        if !matches!(stop, Stop::Blank) || index + 1 == files.len() {
            break (end, stop);
        }
        index += 1;
    };

    let later = files.split_off(index + 1);
    cut(fs, &files[index], end, &stop, &later, len)?;
    unsynced::write_again(fs, &config.root, &files, end)?;
    // What was walked may be in the page cache only; from here on it counts as flushed.
    for file in files.iter().filter(|file| file.start >= first) {
        fs.open(&file.path, false).and_then(|file| file.sync_data()).map_err(fs::at(&file.path))?;
    }

    for queue in sinks.queues.all() {
        if !last_exit_ok && !queue.rewound.load(Ordering::Relaxed) {
            queue.drop_tail_unless(|at, unit| points_to(fs, &files, len, &queue, at, unit))?;
        }
        queue.truncate(end as i64)?;
        queue.correct_min(files[0].start as i64);
        let (_, max) = queue.range();
        queue.next_offset.store(max, Ordering::Relaxed);
    }
    sinks.queues.truncate_batches(end)?;
    sinks.queues.settle_others(files[0].start);
    // The second pass finds every queue at rest and lets go of its memory and files.
    for _ in 0..2 {
        flusher.pass(sinks, true).map_err(fs::at(&config.consume_queue_dir()))?;
    }
    if let Some(index) = &sinks.index {
        index.settle(&sinks.checkpoint).map_err(fs::at(&config.index_dir()))?;
    }
    settle_checkpoint(sinks, first, last, end, dispatcher.last)
        .map_err(fs::at(&config.root.join("checkpoint")))?;
    dispatcher.at = end;
    let timestamp = last.map_or(0, |last| last.store_timestamp);
    tracing::info!(end, min = files[0].start, "commit log recovered");
    Ok(Recovered { files, end, timestamp })
}

/// What a disk writes at once or not at all, bytes.
const SECTOR: usize = 512;

/// Whether a sector behind the body of the last record of `bytes` reads as zeros: the body's checksum does not cover
/// topic and properties, and a loss of power can leave the sectors around. Java serves such a record as it is.
fn is_torn(bytes: &[u8], at: usize, record: &Record<'_>) -> bool {
    let end = at + record.len;
    let topic = end - 2 - record.properties.len() - record.topic.len();
    let mut sector = topic.next_multiple_of(SECTOR);
    while sector < end {
        let next = end.min(sector + SECTOR);
        if bytes[sector..next].iter().all(|byte| *byte == 0) {
            return true;
        }
        sector = next;
    }
    false
}

/// After a crash, the first record of a queue after the place where the walk began says where in the queue that place
/// is. Units from there on are not known to be on disk, and a loss of power may have left anything: they are written
/// anew.
///
/// A queue that begins again, after a crash or not, belongs to a topic that was deleted and made anew. Java keeps the
/// deleted messages then and loses those of the new topic.
fn rewind(
    sinks: &Sinks,
    record: &Record<'_>,
    log_offset: u64,
    log_min: u64,
    last_exit_ok: bool,
) -> std::io::Result<()> {
    if flags::is_dispatched(record.sys_flag) && is_dir_name(&record.topic) {
        let queue = sinks.queues.get_or_create(&record.topic, record.queue_id);
        if record.queue_offset == 0 || !last_exit_ok && !queue.rewound.swap(true, Ordering::Relaxed) {
            queue.rewind(record.queue_offset, log_offset, log_min)?;
        }
    }
    Ok(())
}

/// Whether the log has the record that a unit of `queue` at `at` claims.
fn points_to(fs: &Fs, files: &[Named], len: u64, queue: &ConsumeQueue, at: i64, unit: Unit) -> bool {
    let (Ok(log_offset), Ok(size)) = (u64::try_from(unit.log_offset), usize::try_from(unit.size)) else {
        return false;
    };
    let Some(file) = files.iter().find(|file| (file.start..file.start + len).contains(&log_offset)) else {
        // Expired with its file.
        return files.first().is_some_and(|first| log_offset < first.start);
    };
    let position = log_offset - file.start;
    if size as u64 > len - position {
        return false;
    }
    let mut bytes = vec![0; size];
    let read = fs.open(&file.path, false).and_then(|file| file.read_exact_at(&mut bytes, position));
    match decode(&bytes, Checks::Sizes) {
        Ok(Decoded::Record(record)) => {
            read.is_ok()
                && *record.topic == *queue.topic
                && record.queue_id == queue.queue_id
                && record.queue_offset == at
        }
        _ => false,
    }
}

/// Who says that everything before a file is in order.
struct Vouched {
    last_exit_ok: bool,
    fields: Fields,
    queues_end: i64,
    index_safe: bool,
}

impl Vouched {
    /// Whether the walk may begin with `file` (`isMappedFileMatchedRecover`).
    fn covers(&self, fs: &Fs, file: &Named, len: u64, checks: Checks) -> Result<bool, OpenError> {
        let handle = fs.open(&file.path, false).map_err(fs::at(&file.path))?;
        let map = Map::read_only(handle.raw(), len as usize).map_err(fs::at(&file.path))?;
        let Ok(Decoded::Record(record)) = decode(map.bytes(), checks) else { return Ok(false) };
        if record.store_timestamp == 0
            || (self.index_safe && record.store_timestamp > self.fields.index_msg_timestamp)
        {
            return Ok(false);
        }
        let start = file.start as i64;
        Ok(if self.last_exit_ok {
            start <= self.queues_end
        } else if self.fields.logics_physical_offset > 0 {
            start <= self.fields.logics_physical_offset
        } else {
            record.store_timestamp <= self.fields.logics_msg_timestamp
        })
    }
}

/// Removes what follows the log's end: `file` holds it, `later` come after it.
fn cut(fs: &Fs, file: &Named, end: u64, stop: &Stop, later: &[Named], len: u64) -> Result<(), OpenError> {
    let mut lost = 0;
    let handle = fs.open(&file.path, true).map_err(fs::at(&file.path))?;
    let from = end - file.start;
    if let Some(data) = handle.last_data(from, len).map_err(fs::at(&file.path))? {
        if !(matches!(stop, Stop::Blank) && data <= from + BLANK_LEN as u64) {
            lost += data - from;
        }
        handle.zero(from, len).map_err(fs::at(&file.path))?;
        handle.sync_data().map_err(fs::at(&file.path))?;
    }
    // From the end, each durably: what a loss of power may bring back has no gap before it.
    for file in later.iter().rev() {
        let handle = fs.open(&file.path, false).map_err(fs::at(&file.path))?;
        lost += handle.last_data(0, len).map_err(fs::at(&file.path))?.unwrap_or(0);
        fs.remove_file(&file.path).map_err(fs::at(&file.path))?;
        sync_parent(fs, &file.path)?;
    }
    if lost > 0 {
        let why = match stop {
            Stop::NoRecord(error) => error.to_string(),
            Stop::Torn => "part of the record is missing".to_owned(),
            Stop::Blank => "blank record in the last file".to_owned(),
        };
        tracing::error!(
            offset = end,
            bytes = lost,
            files = later.len(),
            why,
            "cut what follows the commit log's end"
        );
    }
    Ok(())
}

fn sync_parent(fs: &Fs, path: &Path) -> Result<(), OpenError> {
    path.parent().map_or(Ok(()), |dir| fs.sync_dir(dir).map_err(fs::at(dir)))
}

/// Lowers what the checkpoint says to what is there, and lets it vouch for what was dispatched just now.
fn settle_checkpoint(
    sinks: &Sinks,
    first: u64,
    last: Option<Last>,
    end: u64,
    dispatched: Option<Last>,
) -> std::io::Result<()> {
    let before = sinks.checkpoint.get();
    let mut fields = before;
    fields.confirm_phy_offset = last.map_or(first, |last| last.log_offset) as i64;
    if let Some(last) = dispatched {
        fields.logics_msg_timestamp = last.store_timestamp;
        fields.logics_physical_offset = last.log_offset as i64;
        fields.physic_msg_timestamp = last.store_timestamp;
    } else if fields.logics_physical_offset >= end as i64 {
        fields.logics_physical_offset = last.map_or(0, |last| last.log_offset) as i64;
        fields.logics_msg_timestamp =
            fields.logics_msg_timestamp.min(last.map_or(0, |last| last.store_timestamp));
    }
    if fields == before { Ok(()) } else { sinks.checkpoint.update(|it| *it = fields) }
}
