//! Queues and index made anew from the log, by the recovery that a broker runs after a crash without a checkpoint.
//!
//! What was there is moved to a directory inside the root. A queue of which the log has no record any more stays: only
//! its files know the position at which it goes on.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raptormq_base::clock::SystemClock;
use raptormq_message::flags;

use super::index::IndexView;
use super::log::{Step, Walk};
use super::queue::QueueSet;
use super::verify::dispatched_to;
use super::{Directory, OfflineError, Problem};
use crate::Store;
use crate::config::StoreConfig;
use crate::guard::Lock;
use crate::types::{OpenError, StopError};

/// What a rebuild is going to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where everything is moved that is made anew.
    pub backup: PathBuf,
    /// What is moved, relative to the root.
    pub moved: Vec<PathBuf>,
    /// Topics and queues that stay because no record of theirs is in the log.
    pub kept: Vec<(String, i32)>,
    /// Records of the log, which go into the queues.
    pub records: u64,
    /// Whether delayed messages are among them: `messageDelayLevel` decides their deliver times.
    pub delayed: bool,
    /// The first place at which recovery cuts off records that are whole behind it.
    pub cut: Option<Problem>,
    /// How the store is opened.
    pub config: StoreConfig,
}

/// Why nothing, or not everything, was rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The directory cannot be read.
    #[error(transparent)]
    Offline(#[from] OfflineError),
    /// The length of the index files fits neither Java's defaults nor what was said.
    #[error("{}: length {len}: say maxHashSlotNum and maxIndexNum, with --conf or --index-slots and --index-items", .path.display())]
    IndexSizes {
        /// An index file.
        path: PathBuf,
        /// Its length, bytes.
        len: u64,
    },
    /// The log is damaged and the records behind the damage are whole.
    #[error("{0}; nothing was changed")]
    Damaged(Problem),
    /// A file could not be moved.
    #[error("{}: {error}", .path.display())]
    Move {
        /// The file or directory.
        path: PathBuf,
        /// How it failed.
        #[source]
        error: io::Error,
    },
    /// The store could not be opened.
    #[error("{error}; what was there before is in {}", .backup.display())]
    Open {
        /// Why.
        #[source]
        error: OpenError,
        /// Where the old files are.
        backup: PathBuf,
    },
    /// The store could not be closed.
    #[error(transparent)]
    Stop(#[from] StopError),
}

/// Looks at the log and says what [`rebuild()`] would do. Changes nothing.
///
/// # Errors
/// When the directory cannot be read, or the sizes of its index files are unknown.
pub fn plan_rebuild(directory: &Directory) -> Result<Plan, RebuildError> {
    let root = &directory.root;
    let queues = QueueSet::open(root, directory.options.consume_queue_file_size)?;
    let mut config = quiet(root, directory);
    let (views, _) = IndexView::all(root)?;
    if let Some(view) = views.first() {
        let sizes = directory.index_sizes(view.len());
        let unknown = RebuildError::IndexSizes { path: view.path().to_owned(), len: view.len() };
        (config.index_slots, config.index_items) = sizes.ok_or(unknown)?;
    } else if let Some((slots, items)) = directory.options.index {
        (config.index_slots, config.index_items) = (slots, items);
    }
    let batches: Vec<_> = queues.all().into_iter().filter(|queue| queue.batch).collect();
    config.batch_topics = batches.iter().map(|queue| queue.topic.clone()).collect();
    if let Some(len) = commonest(batches.iter().map(|queue| queue.series.file_len)) {
        config.batch_consume_queue_file_size = len;
    }
    if let Some(len) = commonest(queues.all().into_iter().filter_map(|queue| queue.ext_file_len())) {
        config.enable_consume_queue_ext = true;
        config.consume_queue_ext_file_size = len;
    }
    let queue_len = directory.options.consume_queue_file_size.or_else(|| {
        commonest(queues.all().iter().filter(|queue| !queue.batch).map(|queue| queue.series.file_len))
    });
    config.consume_queue_file_size = queue_len.unwrap_or(config.consume_queue_file_size);

    let found = read_log(directory, &queues)?;
    if found.dispatched {
        (config.enable_lmq, config.enable_multi_dispatch) = (true, true);
    }
    config.batch_topics.extend(found.batches);
    let log_min = directory.log.files.first().map_or(0, |file| file.start);
    let (mut moved, mut kept) = (Vec::new(), Vec::new());
    for queue in queues.all() {
        let own = found.queues.contains(&(queue.topic.clone(), queue.queue_id));
        let (min, max) = queue.range(log_min);
        if !own && min >= max {
            kept.push((queue.topic.clone(), queue.queue_id));
            continue;
        }
        let names: &[&str] =
            if queue.batch { &["batchconsumequeue"] } else { &["consumequeue", "consumequeue_ext"] };
        for name in names {
            moved.push(Path::new(name).join(&queue.topic).join(queue.queue_id.to_string()));
        }
    }
    moved.extend([PathBuf::from("index"), PathBuf::from("checkpoint")]);
    moved.retain(|path| root.join(path).exists());
    let name = chrono::Local::now().format("before-rebuild-%Y%m%d%H%M%S%3f").to_string();
    Ok(Plan {
        backup: root.join(name),
        moved,
        kept,
        records: found.records,
        delayed: found.delayed,
        cut: found.cut,
        config,
    })
}

/// Does what `plan` says. `accept_cut` allows that records behind damage are cut off.
///
/// # Errors
/// As the variants tell. After [`RebuildError::Open`] the old files are in the backup and `abort` is there: any
/// broker's next start rebuilds the queues.
pub fn rebuild(directory: Directory, plan: &Plan, accept_cut: bool) -> Result<(), RebuildError> {
    if let (Some(cut), false) = (&plan.cut, accept_cut) {
        return Err(RebuildError::Damaged(cut.clone()));
    }
    let root = directory.root.clone();
    // The shared lock gives way to the one that brokers take.
    drop(directory);
    {
        let lock =
            Lock::take(&root).map_err(|error| RebuildError::Open { error, backup: plan.backup.clone() })?;
        // First of all: from here on a start recovers, whatever happens in between.
        let abort = root.join("abort");
        if !abort.exists() {
            std::fs::write(&abort, std::process::id().to_string()).map_err(failed(&abort))?;
        }
        sync_dir(&root).map_err(failed(&root))?;
        for path in &plan.moved {
            carry(&root.join(path), &plan.backup.join(path))?;
        }
        sync_dir(&root).map_err(failed(&root))?;
        drop(lock);
    }
    let store = Store::open(plan.config.clone(), Arc::new(SystemClock::new()), |_| {})
        .map_err(|error| RebuildError::Open { error, backup: plan.backup.clone() })?;
    store.stop()?;
    Ok(())
}

/// Renames a file or directory; makes the directories above its new place.
fn carry(from: &Path, to: &Path) -> Result<(), RebuildError> {
    let parent = to.parent().unwrap_or(to);
    std::fs::create_dir_all(parent).map_err(failed(parent))?;
    std::fs::rename(from, to).map_err(failed(from))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RebuildError {
    let path = path.to_owned();
    move |error| RebuildError::Move { path, error }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    std::fs::File::open(dir)?.sync_all()
}

/// A store that deletes nothing while it is open.
fn quiet(root: &Path, directory: &Directory) -> StoreConfig {
    let mut config = StoreConfig::at(root);
    if !directory.options.commit_log_dirs.is_empty() {
        config.commit_log_dirs = directory.options.commit_log_dirs.clone();
    }
    config.read_only_commit_log_dirs = directory.options.read_only_commit_log_dirs.clone();
    if directory.log.file_len > 0 {
        config.commit_log_file_size = directory.log.file_len;
    }
    if let Some(levels) = &directory.options.delay_levels {
        config.delay_levels = levels.clone();
    }
    config.file_reserved_hours = 100 * 365 * 24;
    config.clean_file_forcibly_enable = false;
    config
}

/// The length that most files have.
fn commonest(lengths: impl Iterator<Item = u64>) -> Option<u64> {
    let mut lengths: Vec<u64> = lengths.filter(|len| *len > 0).collect();
    lengths.sort_unstable();
    lengths.chunk_by(|a, b| a == b).max_by_key(|run| run.len())?.first().copied()
}

#[derive(Default)]
struct Found {
    records: u64,
    delayed: bool,
    /// Whether records are in more queues than their own.
    dispatched: bool,
    /// Topics with inner batches.
    batches: BTreeSet<String>,
    queues: BTreeSet<(String, i32)>,
    cut: Option<Problem>,
}

/// Counts records and queues, and finds the first place behind which recovery loses whole records.
fn read_log(directory: &Directory, queues: &QueueSet) -> Result<Found, RebuildError> {
    let mut found = Found::default();
    let mut stop: Option<Problem> = None;
    for file in &directory.log.files {
        for step in Walk::new(file) {
            match step? {
                Step::Record { at, record, damage } => {
                    if let (Some(stop), None) = (&stop, &found.cut) {
                        found.cut = Some(stop.clone());
                    }
                    if let (Some(damage), None) = (damage, &stop) {
                        stop = Some(Problem::new(
                            &file.path,
                            at as u64,
                            format!("{damage}, and whole records follow"),
                        ));
                    }
                    found.records += 1;
                    if record.sys_flag & flags::INNER_BATCH != 0 && !found.batches.contains(&*record.topic) {
                        found.batches.insert(record.topic.to_string());
                    }
                    found.delayed |= record.topic == "SCHEDULE_TOPIC_XXXX";
                    for (queue, _) in dispatched_to(&record) {
                        let id = if queue.starts_with("%LMQ%") { 0 } else { record.queue_id };
                        if queues.get(queue, id).is_some() {
                            found.dispatched = true;
                            found.queues.insert((queue.to_owned(), id));
                        }
                    }
                    let key = (record.topic.into_owned(), record.queue_id);
                    if !found.queues.contains(&key) {
                        found.queues.insert(key);
                    }
                }
                Step::Garbage { at, text, .. } if stop.is_none() => {
                    stop = Some(Problem::new(
                        &file.path,
                        at as u64,
                        format!("{text}, and whole records follow"),
                    ));
                }
                Step::Zeros { at } if stop.is_none() => {
                    stop =
                        Some(Problem::new(&file.path, at as u64, "the log ends, and whole records follow"));
                }
                Step::Garbage { .. } | Step::Zeros { .. } | Step::Blank { .. } => {}
            }
        }
    }
    Ok(found)
}
