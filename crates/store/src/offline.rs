//! A store directory that no broker has open, looked at from outside: `raptormq store inspect|verify|rebuild|export`.
//!
//! Needs no configuration: lengths are those of the files, and what cannot be told from them (slots and items of an
//! index file, delay levels) is an option. Reading changes nothing, not even the `lock` file; while a [`Directory`]
//! lives, it holds a shared lock on byte 0 of that file, which keeps Java's broker and ours out. Only [`rebuild()`]
//! writes.
//!
//! Any bytes may be met here. Memory is bounded by one bit for each queue unit, plus a fixed number of problems for
//! each file.

mod files;
mod index;
mod inspect;
mod log;
mod older;
mod queue;
mod rebuild;
mod verify;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use raptormq_message::Record;

pub use self::inspect::{CheckpointFields, FileInfo, IndexInfo, Inspection, LastRecord, LogInfo, QueueInfo};
pub use self::rebuild::{Plan, RebuildError, plan_rebuild, rebuild};
pub use self::verify::{Problem, Summary, Verification, dispatched_to};

use self::files::Series;
use self::log::{Step, Walk};
use crate::config::StoreConfig;
use crate::guard::{Hold, lock_first_byte};

/// What the files themselves cannot tell, and where the commit log is.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Directories of the commit log (`storePathCommitLog`, several with a separator); empty for `<root>/commitlog`.
    pub commit_log_dirs: Vec<PathBuf>,
    /// More directories with commit log files, in which none is made (`readOnlyCommitLogStorePaths`).
    pub read_only_commit_log_dirs: Vec<PathBuf>,
    /// `mappedFileSizeCommitLog`, bytes; otherwise the length that most files have.
    pub commit_log_file_size: Option<u64>,
    /// `mappedFileSizeConsumeQueue`, bytes; otherwise the length that most files of a queue have.
    pub consume_queue_file_size: Option<u64>,
    /// `maxHashSlotNum` and `maxIndexNum`; otherwise Java's defaults where they give the length of the files.
    pub index: Option<(u32, u32)>,
    /// `messageDelayLevel`, ms; without them deliver times are only compared with store times.
    pub delay_levels: Option<Vec<i64>>,
}

/// Why a directory cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// Neither a commit log nor queues are there.
    #[error("{}: not a store directory: it has no commitlog, consumequeue or config", .path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
    },
    /// A broker, Java's or ours, or a rebuild has the store open.
    #[error("{}: locked, a broker has this store open; stop it first", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Queues or tables are in RocksDB.
    #[error(
        "{}: this store was written with storeType=defaultRocksDB, its {what} are in RocksDB, which is not read here; \
         turn the tables back into JSON with mqadmin's rocksDBConfigToJson, move the consumequeue directory away, \
         delete the checkpoint, and let a broker with storeType=default rebuild the queues from the commit log",
        .path.display()
    )]
    RocksDb {
        /// The file that shows it.
        path: PathBuf,
        /// What is kept there.
        what: &'static str,
    },
    /// The file system said no.
    #[error("{}: {error}", .path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// How it failed.
        #[source]
        error: io::Error,
    },
}

/// Attaches the path to an I/O error.
fn at(path: &Path) -> impl FnOnce(io::Error) -> OfflineError {
    let path = path.to_owned();
    move |error| OfflineError::Io { path, error }
}

/// A store directory, kept from brokers while this lives.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    options: Options,
    log: Series,
    _lock: Option<File>,
}

/// What [`Directory::each`] meets in the log.
#[derive(Debug)]
pub enum Item<'a> {
    /// A record whose lengths add up.
    Record {
        /// Where it begins in the log.
        log_offset: u64,
        /// The record.
        record: &'a Record<'a>,
        /// Why its checksum is wrong, if it is.
        damage: Option<String>,
    },
    /// Bytes that are no record.
    Damage {
        /// The file.
        path: &'a Path,
        /// Offset in the file.
        at: u64,
        /// What is wrong.
        text: String,
    },
}

impl Directory {
    /// Lists and maps the commit log below `root`, and keeps brokers out.
    ///
    /// # Errors
    /// When a broker has the store open, when RocksDB holds parts of it, or when it is none.
    pub fn open(root: &Path, options: Options) -> Result<Self, OfflineError> {
        let is_store = ["commitlog", "consumequeue", "config"].iter().any(|name| root.join(name).is_dir());
        if !root.is_dir() || !(is_store || options.commit_log_dirs.iter().any(|dir| dir.is_dir())) {
            return Err(OfflineError::NotAStore { path: root.to_owned() });
        }
        let lock = keep_out(root)?;
        refuse_rocksdb(root)?;
        let mut dirs = match &options.commit_log_dirs[..] {
            [] => vec![root.join("commitlog")],
            dirs => dirs.to_vec(),
        };
        dirs.extend(options.read_only_commit_log_dirs.iter().cloned());
        dirs.sort();
        dirs.dedup();
        let log = Series::open(&dirs, options.commit_log_file_size, 1)?;
        Ok(Self { root: root.to_owned(), options, log, _lock: lock })
    }

    /// Bytes of all commit log files.
    pub fn log_bytes(&self) -> u64 {
        self.log.files.iter().map(|file| file.len).sum()
    }

    /// Walks the whole log in its order until `each` answers `false`.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn each(&self, mut each: impl FnMut(Item<'_>) -> bool) -> Result<(), OfflineError> {
        for file in &self.log.files {
            for step in Walk::new(file) {
                let go_on = match step? {
                    Step::Record { at, record, damage } => each(Item::Record {
                        log_offset: file.start + at as u64,
                        record: &record,
                        damage: damage.map(|error| error.to_string()),
                    }),
                    Step::Garbage { at, text, .. } => {
                        each(Item::Damage { path: &file.path, at: at as u64, text })
                    }
                    Step::Blank { .. } | Step::Zeros { .. } => true,
                };
                if !go_on {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Slots and items of the index files, if they are known for files of `len` bytes.
    fn index_sizes(&self, len: u64) -> Option<(u32, u32)> {
        let defaults = StoreConfig::at("");
        let java = (defaults.index_slots, defaults.index_items);
        self.options.index.or(Some(java)).filter(|(slots, items)| index::file_len(*slots, *items) == len)
    }
}

/// A shared lock on the byte that brokers lock for themselves alone; nothing when there is no lock file.
fn keep_out(root: &Path) -> Result<Option<File>, OfflineError> {
    let path = root.join("lock");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(&path)(error)),
    };
    if lock_first_byte(&file, Hold::Together).map_err(at(&path))? {
        Ok(Some(file))
    } else {
        Err(OfflineError::Locked { path })
    }
}

/// A `rocksdbstore` directory alone is normal: every 5.5.0 broker leaves one.
fn refuse_rocksdb(root: &Path) -> Result<(), OfflineError> {
    let places = [
        ("consumequeue", "queues"),
        ("config/topics", "topics"),
        ("config/subscriptionGroups", "groups"),
        ("config/consumerOffsets", "consumer offsets"),
    ];
    for (dir, what) in places {
        let path = root.join(dir).join("CURRENT");
        if path.is_file() {
            return Err(OfflineError::RocksDb { path, what });
        }
    }
    Ok(())
}
