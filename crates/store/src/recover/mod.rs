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

mod cut;
mod walk;

use std::sync::atomic::Ordering;

use raptormq_message::{Checks, Decoded, Record, decode};

use self::cut::End;
use self::walk::{Next, Outcome, Rule, walk};
use crate::checkpoint::Fields;
use crate::config::StoreConfig;
use crate::dispatch::{Dispatcher, Last, Sinks, Target};
use crate::fs::{self, Fs, Named};
use crate::log::unsynced;
use crate::queue::flush::QueueFlusher;
use crate::queue::one::{ConsumeQueue, Rewound};
use crate::queue::table::Queue;
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
    /// Knows which queues are written but not synced.
    pub(crate) flusher: QueueFlusher,
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
        return Ok(Recovered { files, end: 0, timestamp: 0, flusher: QueueFlusher::default() });
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
    let start = index;
    if !last_exit_ok
        && files.get(index + 1).is_some_and(|next| vouched.fields.logics_physical_offset >= next.start as i64)
    {
        // The checkpoint vouches for more than is believed. What is written anew is not on disk before the next thorough
        // pass: a crash before that must lead here again.
        let begin = files[index].start as i64;
        let lower = |fields: &mut Fields| {
            (fields.logics_physical_offset, fields.logics_msg_timestamp) = (begin, 0);
        };
        sinks.checkpoint.update(lower).map_err(fs::at(&config.root.join("checkpoint")))?;
    }
    tracing::info!(last_exit_ok, file = %files[index].path.display(), "recovering the commit log from here");

    // After a clean stop only what no queue has yet; after a crash everything, queues and index know what they have.
    // Java skips the record that begins exactly where the queues end; it is the first one that they lack.
    let dispatch_from = if last_exit_ok { u64::try_from(vouched.queues_end).unwrap_or(0) } else { 0 };
    let rule = Rule { len, checks, torn: !last_exit_ok };
    let log_min = files[0].start;
    let mut last: Option<Last> = None;
    let mut flusher = QueueFlusher::default();
    let (index, end, stop) = loop {
        if !last_exit_ok {
            sinks.queues.rewind_batches(files[index].start)?;
        }
        let outcome = walk(fs, &files, index, rule, |record, log_offset| {
            if log_offset >= dispatch_from {
                let rewound = rewind(sinks, record, log_offset, log_min, last_exit_ok);
                if rewound.map_err(fs::at(&config.root))? == Rewound::Lacks && index > 0 && !last_exit_ok {
                    tracing::warn!(
                        topic = &*record.topic,
                        queue = record.queue_id,
                        "queue lacks units: all are written anew"
                    );
                    return Ok(Next::StartOver);
                }
                dispatcher.put(sinks, record, log_offset, false).map_err(fs::at(&config.root))?;
            }
            last = Some(Last { log_offset, store_timestamp: record.store_timestamp });
            if sinks.pending() > PENDING_MAX {
                flusher.pass(sinks, false).map_err(fs::at(&config.consume_queue_dir()))?;
            }
            Ok(Next::Go)
        })?;
        match outcome {
            Outcome::End { index, end, stop } => break (index, end, stop),
            Outcome::StartOver => {
                index = 0;
                // A crash in what follows must lead here again.
                let nothing = |fields: &mut Fields| {
                    (fields.logics_physical_offset, fields.logics_msg_timestamp) = (0, 0);
                };
                sinks.checkpoint.update(nothing).map_err(fs::at(&config.root.join("checkpoint")))?;
                sinks.queues.all().iter().for_each(|queue| queue.rewound.store(false, Ordering::Relaxed));
            }
        }
    };

    let first = files[index.min(start)].start;
    let later = files.split_off(index + 1);
    End { file: &files[index], end, stop: &stop, later: &later, len }.cut(
        fs,
        &config.root,
        config.move_records_behind_damage,
    )?;
    unsynced::write_again(fs, &config.root, &files, end)?;
    // What was walked may be in the page cache only; from here on it counts as flushed.
    for file in files.iter().filter(|file| file.start >= first) {
        fs.open(&file.path, false).and_then(|file| file.sync_data()).map_err(fs::at(&file.path))?;
    }

    let truth = Truth { sinks, fs, files: &files, len };
    for queue in sinks.queues.all() {
        if !last_exit_ok && !queue.rewound.load(Ordering::Relaxed) {
            queue.drop_tail_unless(|at, unit, before| truth.has(&queue, at, unit, before))?;
        }
        queue.truncate(end as i64)?;
        queue.correct_min(files[0].start as i64);
        let (_, max) = queue.range();
        queue.next_offset.store(max, Ordering::Relaxed);
    }
    sinks.queues.truncate_batches(end)?;
    sinks.queues.settle_others(files[0].start);
    // Written, but not synced: the checkpoint goes on to vouch for what it did before, until the first thorough pass.
    flusher.pass(sinks, false).map_err(fs::at(&config.consume_queue_dir()))?;
    if let Some(index) = &sinks.index {
        index.settle(&sinks.checkpoint).map_err(fs::at(&config.index_dir()))?;
    }
    settle_checkpoint(sinks, first, last, end).map_err(fs::at(&config.root.join("checkpoint")))?;
    dispatcher.at = end;
    let timestamp = last.map_or(0, |last| last.store_timestamp);
    tracing::info!(end, min = files[0].start, "commit log recovered");
    Ok(Recovered { files, end, timestamp, flusher })
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
) -> std::io::Result<Rewound> {
    let mut outcome = Rewound::Done;
    for target in sinks.targets(record) {
        let queue = sinks.queues.find_or_create(target.topic, target.queue_id);
        if target.queue_offset == 0 || !last_exit_ok && !queue.rewound().swap(true, Ordering::Relaxed) {
            let rewound = match &queue {
                Queue::Simple(queue) => queue.rewind(target.queue_offset, log_offset, log_min)?,
                Queue::Batch(queue) => queue.rewind(target.queue_offset, log_min)?,
            };
            // A queue that lacks units below the log's start begins where the log does.
            if rewound == Rewound::Lacks {
                outcome = rewound;
            }
        }
    }
    Ok(outcome)
}

/// The log, to ask whether it has what a unit claims.
struct Truth<'a> {
    sinks: &'a Sinks,
    fs: &'a Fs,
    files: &'a [Named],
    len: u64,
}

impl Truth<'_> {
    /// Whether the unit of `queue` at `at`, which comes after `before`, points to a record of that queue: the one with
    /// this position, or, in a queue whose positions Java once shifted, any that follows the one before.
    fn has(&self, queue: &ConsumeQueue, at: i64, unit: Unit, before: Option<Unit>) -> bool {
        let (Ok(log_offset), Ok(size)) = (u64::try_from(unit.log_offset), usize::try_from(unit.size)) else {
            return false;
        };
        let holds = |file: &&Named| (file.start..file.start + self.len).contains(&log_offset);
        let Some(file) = self.files.iter().find(holds) else {
            // Expired with its file.
            return self.files.first().is_some_and(|first| log_offset < first.start);
        };
        let handle = self.fs.open(&file.path, false);
        let Ok(map) = handle.and_then(|handle| Map::read_only(handle.raw(), self.len as usize)) else {
            return false;
        };
        let Ok(Decoded::Record(record)) =
            decode(&map.bytes()[(log_offset - file.start) as usize..], Checks::Sizes)
        else {
            return false;
        };
        let place = Target { topic: &queue.topic, queue_id: queue.queue_id, queue_offset: at };
        let shifted = Target { queue_offset: record.queue_offset, ..place };
        record.len == size
            && (self.sinks.belongs_to(&record, place)
                || self.sinks.belongs_to(&record, shifted)
                    && before.is_some_and(|before| before.log_end() <= unit.log_offset))
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
        // Nobody vouches for units that are not there: deleted queues are written anew.
        let start = file.start as i64;
        if start > self.queues_end {
            return Ok(false);
        }
        Ok(if self.last_exit_ok {
            true
        } else if self.fields.logics_physical_offset > 0 {
            start <= self.fields.logics_physical_offset
        } else {
            // A checkpoint of 4.9 or 5.3 (`StoreCheckpoint.getMinTimestamp`).
            record.store_timestamp <= self.fields.min_timestamp()
        })
    }
}

/// Lowers what the checkpoint says to what is there.
fn settle_checkpoint(sinks: &Sinks, first: u64, last: Option<Last>, end: u64) -> std::io::Result<()> {
    let before = sinks.checkpoint.get();
    let mut fields = before;
    fields.confirm_phy_offset = last.map_or(first, |last| last.log_offset) as i64;
    if fields.logics_physical_offset >= end as i64 {
        fields.logics_physical_offset = last.map_or(0, |last| last.log_offset) as i64;
        fields.logics_msg_timestamp =
            fields.logics_msg_timestamp.min(last.map_or(0, |last| last.store_timestamp));
    }
    if fields == before { Ok(()) } else { sinks.checkpoint.update(|it| *it = fields) }
}
